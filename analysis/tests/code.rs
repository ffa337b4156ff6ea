//! What the holders ran: stack samples become stall time by line.

use gilscope_analysis::{
    Engine, Query, Report,
    drawn::{Drawing, FIRST_PID, START},
    summarize,
};
use gilscope_trace::{
    Detail, Event, Kind,
    detail::{Frame, Sampling, Stack},
};

const MS: i64 = 1_000_000;

fn stack(id: u32, function: &str, line: i32) -> (Event, Option<Detail>) {
    let frame = |function: &str, line| Frame {
        function: function.into(),
        file: "work.py".into(),
        line,
        library: false,
    };
    let stack = Stack { id, frames: vec![frame(function, line), frame("main", 1)] };
    (Event::new(START, Kind::Stack, FIRST_PID, 0), Some(stack.into()))
}

/// The drawing with samples: (ms, tid, stack).
fn report(text: &str, count: usize, samples: impl IntoIterator<Item = (i64, i32, i64)>) -> Report {
    let drawing = Drawing::new(text).repeated(count);
    let mut rows = vec![
        stack(1, "send", 10),
        stack(2, "spin", 20),
        stack(3, "sort", 30),
        library_stack(4, "app.py"),
        library_stack(5, "<string>"),
    ];
    rows.extend(drawing.events());
    rows.extend(samples.into_iter().map(|(ms, tid, id)| {
        let event = Event::new(START + ms * MS + MS / 2, Kind::Sample, FIRST_PID, tid);
        (event.with_value(id), None)
    }));
    let sampling = Sampling { requested_hz: 50.0, achieved_hz: 0.0, rounds: 40, ..Sampling::default() };
    rows.push((Event::new(START, Kind::Sampling, 0, 0), Some(sampling.into())));
    let last = rows.iter().map(|(event, _)| event.time).max().unwrap_or(START);
    rows.last_mut().expect("a row").0.time = last;
    rows.sort_by_key(|(event, _)| event.time);
    let mut engine = Engine::new(&drawing.header());
    rows.into_iter().for_each(|(event, detail)| engine.push_event(&event, detail));
    summarize(&engine.finish(), &Query::default())
}

const CONVOY: &str = "
    io   hhswwwww
    cpu  wwhhhhhh
";

/// `dumps` of a library, called by line 7 of a file of the program, which was called by a library in turn.
fn library_stack(id: u32, file: &str) -> (Event, Option<Detail>) {
    let frame = |function: &str, file: &str, line, library| Frame {
        function: function.into(),
        file: file.into(),
        line,
        library,
    };
    let frames = vec![
        frame("iterencode", "json/encoder.py", 258, true),
        frame("dumps", "json/__init__.py", 231, true),
        frame("reply", file, 7, false),
        frame("run", "threading.py", 982, true),
    ];
    (Event::new(START, Kind::Stack, FIRST_PID, 0), Some(Stack { id, frames }.into()))
}

#[test]
fn a_line_without_a_file_is_nobodys_caller() {
    let report = report(CONVOY, 100, (0..100).map(|round| (round * 8 + 5, 102, 5)));
    assert_eq!(report.code[0].caller, None);
}

#[test]
fn of_code_in_a_library_the_line_of_the_program_that_called_it_is_told() {
    let report = report(CONVOY, 100, (0..100).map(|round| (round * 8 + 5, 102, 4)));
    assert_eq!(report.code[0].location, "json/encoder.py:258 iterencode");
    assert_eq!(report.code[0].caller.as_deref(), Some("app.py:7 reply"));
    let verdict = &report.verdicts[0];
    assert!(
        verdict.text.contains("ran json/encoder.py:258 iterencode (called from app.py:7 reply) for 100 %"),
        "{}",
        verdict.text
    );
}

#[test]
fn lines_that_alternate_three_to_one_get_their_shares_from_a_sample_in_four_stalls() {
    // A sample in every fourth stall; of these three of four see `spin`.
    let samples = (0..100).filter(|round| round % 4 == 1).map(|round| {
        let id = if round / 4 % 4 == 3 { 3 } else { 2 };
        (round * 8 + 5, 102, id)
    });
    let report = report(CONVOY, 100, samples);
    let share = |function: &str| {
        report.code.iter().find(|code| code.function == function).map_or(0.0, |code| code.share)
    };
    assert!((share("spin") - 0.75).abs() < 0.05, "{}", share("spin"));
    assert!((share("sort") - 0.25).abs() < 0.05);
    let sampling = report.sampling.as_ref().unwrap();
    // Unsampled stalls are divided like the sampled ones. Those of cpu behind io, who was never sampled, are not attributed.
    assert_eq!(sampling.attributed_ns, 500 * MS);
    let seconds = report.trace.duration_ns as f64 / 1e9;
    assert_eq!(sampling.achieved_hz, 40.0 / seconds, "over the whole trace, not since the row before");
    assert_eq!(report.code[0].location, "work.py:20 spin");
    assert_eq!(report.convoys[0].code[0].function, "spin");
}

#[test]
fn the_victims_own_line_is_where_it_was_seen_while_it_waited() {
    let samples =
        (0..20).flat_map(|round| [(round * 8 + 5, 101, 1), (round * 8 + 5, 102, 2), (round * 8, 101, 3)]);
    let report = report(CONVOY, 20, samples);
    let lines: Vec<&str> = report.victims[0].victim_code.iter().map(|code| code.function.as_str()).collect();
    assert_eq!(lines, ["send"]);
    let code: Vec<&str> = report.victims[0].code.iter().map(|code| code.function.as_str()).collect();
    assert_eq!(code, ["spin"], "what ran outside its stalls is not blamed for them");
    assert!(report.verdicts[0].text.contains("work.py:20 spin"));
}

#[test]
fn a_hold_that_does_not_let_go_names_the_line_that_called_it() {
    let report = report(
        "
        main  hs.wwwwwwwwwwwwwwwwwwwwwwwwwwwww
        c     wwhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh
        ",
        10,
        (0..10).map(|round| (round * 32 + 20, 102, 3)),
    );
    let hold = &report.long_holds[0];
    assert_eq!((hold.location.as_deref(), hold.holds, hold.samples), (Some("work.py:30 sort"), 10, 10));
}

#[test]
fn without_samples_nothing_is_said_of_code() {
    let report = summarize(&Drawing::new(CONVOY).repeated(20).model(), &Query::default());
    assert!(report.code.is_empty() && report.sampling.is_none() && report.convoys[0].code.is_empty());
}
