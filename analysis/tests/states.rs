//! Thread states of labelled situations.

use gilscope_analysis::{
    Engine, Query,
    drawn::{Drawing, START, draw},
    holds, stall, summarize,
};
use gilscope_trace::{Event, Header, Kind, detail};

/// Draws the lanes of the analysed drawing.
fn lanes(text: &str) -> Vec<String> {
    let model = Drawing::new(text).model();
    (0..model.threads.len()).map(|thread| draw(&model, thread, 1_000_000)).collect()
}

#[test]
fn a_stall_lasts_from_the_first_wait_to_the_acquisition() {
    let text = "
        io   ..hhs.wwwwwwwwhh
        cpu  ......hhhhhhhh..
    ";
    assert_eq!(lanes(text), ["??hhs.wwwwwwwwhh", "??????hhhhhhhh.."]);
    let model = Drawing::new(text).model();
    assert_eq!(model.stalls.len(), 1);
    let stall = model.stalls[0];
    assert_eq!(stall.duration(), 8_000_000);
    assert!(stall.has(stall::AFTER_VOLUNTARY | stall::AFTER_CALL | stall::CONVOY));
    let blame = model.blame(&stall, i64::MIN, i64::MAX);
    assert_eq!(blame.holders, [(1, 8_000_000)]);
    assert_eq!((blame.free_ns, blame.unknown_ns), (0, 0));
}

#[test]
fn what_the_first_event_ends_had_begun_before_the_recording() {
    //        a held, b was in a call, c waited
    let text = "
        a  hhhh......
        b  ssssss....
        c  wwwwhhhhhh
    ";
    assert_eq!(lanes(text), ["hhhh......", "ssssss????", "????hhhhhh"]);
    let model = Drawing::new(text).model();
    assert!(model.gils[0].holds.get(0).has(holds::OPEN_START));
}

#[test]
fn what_no_event_ends_goes_on_to_the_end_of_the_recording() {
    let text = "
        a  .hhhhhhhh
        b  ..wwwwwww
        c  .hssssss.
    ";
    let model = Drawing::new(
        "
        a  .hhhhhhhh
        b  ..wwwwwww
    ",
    )
    .model();
    assert!(model.stalls[0].has(stall::OPEN_END));
    assert_eq!(model.stalls[0].duration(), 7_000_000);
    assert!(model.gils[0].holds.get(0).has(holds::OPEN_END));
    // Two holders at once cannot be: the model never says so.
    let odd = Drawing::new(text).model();
    let holds: Vec<_> = odd.gils[0].holds.iter().collect();
    assert!(holds.windows(2).all(|pair| pair[0].end <= pair[1].start));
}

#[test]
fn a_release_on_request_is_forced_and_its_thread_is_neither_holding_nor_waiting_until_another_holds() {
    //        a lets go after b has waited for an interval; b takes it 1 ms later; a is back at once
    let text = "
        a  .hhhhhhh.wwwwwhh
        b  ..wwwwwwwhhhhh..
    ";
    assert_eq!(lanes(text), ["?hhhhhhhlwwwwwhh", "??wwwwwwwhhhhh.."]);
    let model = Drawing::new(text).model();
    assert!(model.gils[0].holds.get(0).has(holds::FORCED));
    assert!(model.stalls[1].has(stall::AFTER_FORCED));
}

#[test]
fn a_release_for_a_system_call_is_voluntary_even_when_the_gil_was_asked_for() {
    let text = "
        a  .hhhhhhhsswwwwhh
        b  ..wwwwwwhhhhhh..
    ";
    let model = Drawing::new(text).model();
    assert!(model.gils[0].holds.get(0).has(holds::VOLUNTARY));
}

#[test]
fn a_release_that_nobody_asked_for_is_voluntary() {
    let model = Drawing::new(
        "
        a  .hhhh..hhhh..
    ",
    )
    .model();
    assert!(model.gils[0].holds.get(0).has(holds::VOLUNTARY));
}

#[test]
fn a_holder_without_a_processor_still_holds() {
    let text = "
        a  .hhdddbbhh...
    ";
    assert_eq!(lanes(text), ["?hhdddbbhh..."]);
    let model = Drawing::new(text).model();
    assert_eq!(model.gils[0].holds.len(), 1);
}

#[test]
fn lost_records_make_their_span_unknown_on_the_threads_of_that_processor_alone() {
    let text = "
        a       .hhhh....hhhhhh....
        b       ....wwwwwwwwwwwhhhh
        lost:0    !!!!!!
    ";
    assert_eq!(lanes(text), ["?h???????hhhhhh....", "????wwwwwwwwwwwhhhh"]);
    let model = Drawing::new(text).model();
    let blame = model.blame(&model.stalls[0], i64::MIN, i64::MAX);
    // From 4 to 8 records are lost, from 8 to 9 nothing tells, from 9 to 15 a holds.
    assert_eq!((blame.unknown_ns, blame.holders), (5_000_000, vec![(0, 6_000_000)]));
}

#[test]
fn a_thread_id_that_is_used_again_is_another_thread() {
    let model = Drawing::new(
        "
        a  .hh.xxx.hh.
    ",
    )
    .model();
    assert_eq!(model.threads.len(), 2);
    assert_eq!((model.threads[0].incarnation, model.threads[1].incarnation), (0, 1));
    assert_eq!(draw(&model, 0, 1_000_000), "?hh.xxxxxxx");
    assert_eq!(draw(&model, 1, 1_000_000), "xxxxxxx.hh.");
}

#[test]
fn a_thread_that_was_blocked_from_the_beginning_is_off_the_gil_once_others_have_taken_it_for_long() {
    // main made no event for four intervals, and another thread has the only GIL: it neither holds nor waits.
    let text = "
        main  .......................................
        a     .hh..hh..hh..hh..hh..hh..hh..hh..hh.hh
    ";
    assert_eq!(&lanes(text)[0][..30], "?????????????????????.........");
}

/// A process of PID 7 that lives from 0 to 30 ms, holds its GIL at the same address twice, and becomes another program in between; then
/// another process goes on until 100 ms.
#[test]
fn a_gil_lives_as_long_as_the_program_that_it_belongs_to() {
    let at = |ms: i64| START + ms * 1_000_000;
    let header = Header { start_time: START, targets: vec![7], ..Header::default() };
    let mut engine = Engine::new(&header);
    let program = |name: &str| detail::Process { command: vec![name.to_owned()], ..Default::default() };
    let event = |ms, kind| Event::new(at(ms), kind, 7, 7);
    engine.push_event(&event(0, Kind::Process), Some(program("one").into()));
    for (ms, kind) in [(2, Kind::Acquire), (8, Kind::Release)] {
        engine.push_event(&event(ms, kind).of_gil(0x1000), None);
    }
    engine.push_event(&event(10, Kind::Process), Some(program("two").into()));
    for (ms, kind) in [(15, Kind::Acquire), (25, Kind::Release)] {
        engine.push_event(&event(ms, kind).of_gil(0x1000), None);
    }
    let end = detail::ProcessEnd { reason: String::from("exited") };
    engine.push_event(&event(30, Kind::ProcessEnd), Some(end.into()));
    engine.push_event(&Event::new(at(100), Kind::SyscallExit, 8, 8).of_syscall(0, 0), None);
    let report = summarize(&engine.finish(), &Query::default());
    let gils: Vec<_> = report
        .gils
        .iter()
        .map(|gil| [gil.lifetime_ns, gil.unknown_ns, gil.held_ns, gil.idle_ns].map(|ns| ns / 1_000_000))
        .collect();
    assert_eq!(gils, [[10, 2, 6, 2], [20, 5, 10, 5]]);
}
