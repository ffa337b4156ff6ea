//! The situations that the report must tell apart, as drawn timelines: `h` hold, `s` system call, `w` wait, `.` off the GIL,
//! `d` holding without a processor, `x` not alive. One character is a millisecond, the switch interval is five.

use gilscope_analysis::{Query, Report, drawn::Drawing, report::Severity, summarize};

const MS: i64 = 1_000_000;

/// The report on the drawing, `count` times in a row.
fn report(text: &str, count: usize) -> Report {
    let model = Drawing::new(text).repeated(count).model();
    summarize(&model, &Query::default())
}

fn kinds(report: &Report) -> Vec<(&str, Severity)> {
    report.verdicts.iter().map(|verdict| (verdict.kind.as_str(), verdict.severity)).collect()
}

#[test]
fn a_convoy_names_its_victim_its_culprit_and_the_ceiling() {
    // One release, one call of 1 ms, one stall of 5 ms, 2 ms of work: the cpu thread holds meanwhile.
    let report = report(
        "
        io   hhswwwww
        cpu  wwhhhhhh
        ",
        50,
    );
    assert_eq!(kinds(&report), [("convoy", Severity::Problem)]);
    let convoy = &report.convoys[0];
    assert_eq!((convoy.victim.name.as_str(), convoy.culprits[0].name.as_str()), ("io", "cpu"));
    assert!(convoy.culprits[0].share > 0.99);
    // The first release is not seen by an acquisition before it; the last stall is still open.
    assert_eq!(convoy.stalls, 49);
    assert_eq!(convoy.releases, 49);
    assert_eq!(convoy.stalled_ns, 49 * 5 * MS);
    assert_eq!(convoy.io_ns, 49 * MS);
    assert_eq!(convoy.calls_per_second.round(), 200.0);
    assert_eq!(convoy.observed_calls_per_second.round(), (1000.0_f64 / 7.96).round());
    let text = &report.verdicts[0].text;
    assert!(text.contains("200 such calls a second") && text.contains("at 100 a second"), "{text}");
}

#[test]
fn a_pair_that_computes_without_io_is_contention_and_no_convoy() {
    let report = report(
        "
        a  hhhhhwwwww
        b  wwwwwhhhhh
        ",
        50,
    );
    assert_eq!(kinds(&report), [("contention", Severity::Notice)]);
    assert!(report.convoys.is_empty());
    let gil = &report.gils[0];
    // b began to wait before the recording, so nothing tells that a was asked for its first release.
    assert_eq!((gil.forced, gil.voluntary), (98, 1));
    assert_eq!(gil.held_ns, report.trace.duration_ns);
}

#[test]
fn an_io_thread_alone_is_well() {
    let report = report(
        "
        io  hhsshhs.
    ",
        100,
    );
    assert_eq!(kinds(&report), [("ok", Severity::Ok)]);
    assert!(report.verdicts[0].text.starts_with("None of 199 acquisitions"), "{}", report.verdicts[0].text);
    assert_eq!(report.threads[0].syscalls[0].calls, 200);
}

#[test]
fn a_trace_that_knows_little_does_not_call_the_program_well() {
    let report = report("a  ..................hh", 1);
    assert_eq!(kinds(&report), [("ok", Severity::Notice)]);
    assert!(
        report.verdicts[0].text.contains("for 90 % of the time it is not known"),
        "{}",
        report.verdicts[0].text
    );
}

#[test]
fn io_that_really_blocks_is_no_convoy() {
    // The call takes 20 ms, the wait after it 5.
    let report = report(
        "
        io   hhsssssssssssssssssssswwwww
        cpu  wwhhhhhhhhhhhhhhhhhhhhhhhhh
        ",
        30,
    );
    assert!(report.convoys.is_empty());
    assert!(report.verdicts.iter().all(|verdict| verdict.kind != "convoy"));
    let call = &report.threads.iter().find(|thread| thread.name == "io").unwrap().syscalls[0];
    assert_eq!((call.calls, call.kernel_ns), (30, 600 * MS));
    assert_eq!(call.reacquire_ns, 29 * 5 * MS);
}

#[test]
fn a_holder_that_was_descheduled_is_told_from_one_that_computed() {
    let report = report(
        "
        io   hhswwwwwwwwwwwww
        cpu  wwhhddddddddddhh
        ",
        30,
    );
    let descheduled = report.verdicts.iter().find(|verdict| verdict.kind == "descheduled").unwrap();
    assert!(descheduled.advice.contains("quota"));
    assert_eq!(report.gils[0].descheduled_ns, 30 * 10 * MS);
    assert!(
        report.verdicts.iter().all(|verdict| verdict.kind != "long-holds"),
        "it lets go 2 ms after it runs again"
    );
}

#[test]
fn two_convoys_at_once_have_a_victim_each() {
    let report = report(
        "
        in   hs.wwwwwwwwww
        out  .wwhs.wwwwwww
        cpu  wwwwhhhhhhhhh
        ",
        40,
    );
    let mut victims: Vec<&str> = report.victims.iter().map(|victim| victim.victim.name.as_str()).collect();
    victims.sort_unstable();
    assert_eq!(victims, ["in", "out"]);
    let (a, b) = (&report.convoys[0], &report.convoys[1]);
    assert!(a.start_ns < b.end_ns && b.start_ns < a.end_ns);
}

#[test]
fn interpreters_with_a_gil_of_their_own_do_not_stall_each_other() {
    let report = report(
        "
        io     hhs.hh
        cpu@1  hhhhhh
        ",
        50,
    );
    // The cpu thread never lets go, so its GIL makes no event: who holds it is not known.
    assert_eq!(report.gils[1].unknown_ns, report.trace.duration_ns);
    let both = self::report(
        "
        io     hhs.hhhh
        cpu@1  hhhhhhs.
        ",
        50,
    );
    assert_eq!(both.gils.len(), 2);
    assert_eq!(kinds(&both), [("ok", Severity::Ok)]);
    assert!(both.gils.iter().all(|gil| gil.contended_ns == 0));
    // They overlap: together more than one processor's worth.
    assert!(both.gils.iter().map(|gil| gil.held_ns).sum::<i64>() > both.trace.duration_ns);
}

#[test]
fn who_held_the_gil_for_a_little_is_not_told_to_move() {
    let report = report(
        "
        io   hhswwwwwwwh
        cpu  wwhhhhhhh..
        bit  .........h.
        ",
        50,
    );
    let convoy = report.verdicts.iter().find(|verdict| verdict.kind == "convoy").unwrap();
    assert_eq!(convoy.title, "io is stalled in a convoy behind cpu");
    assert!(convoy.text.contains("and bit ("), "{}", convoy.text);
    assert!(convoy.advice.contains("Move the CPU work of cpu to a process"), "{}", convoy.advice);
}

#[test]
fn a_convoy_ends_when_the_spinner_ends() {
    let io = "hhswwwww".repeat(20) + &"hhs.hhs.".repeat(40);
    let cpu = "wwhhhhhh".repeat(20) + &"x".repeat(320);
    let report = report(&format!("io   {io}\ncpu  {cpu}\n"), 1);
    assert_eq!(report.convoys.len(), 1);
    assert_eq!((report.convoys[0].start_ns, report.convoys[0].end_ns), (2 * MS, 160 * MS));
}

#[test]
fn a_stall_now_and_then_is_no_convoy() {
    // On two processors the io thread mostly retakes the GIL before the woken one runs: here 1 release of 25 stalls.
    let quiet = "hs".repeat(24);
    let report = report(&format!("io   {quiet}hswwwww\ncpu  {}wwhhhhh\n", ".".repeat(48)), 20);
    assert!(report.convoys.is_empty());
}

#[test]
fn c_code_that_keeps_the_gil_is_named() {
    let report = report(
        "
        main  hs.wwwwwwwwwwwwwwwwwwwwwwwwwwwww
        c     wwhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh
        ",
        10,
    );
    let hold = &report.long_holds[0];
    assert_eq!((hold.name.as_str(), hold.holds, hold.longest_ns), ("c", 10, 30 * MS));
    assert_eq!(hold.stalled_ns, 10 * 29 * MS);
    let verdict = report.verdicts.iter().find(|verdict| verdict.kind == "long-holds").unwrap();
    assert_eq!(verdict.severity, Severity::Problem);
    assert!(verdict.text.contains("In all these waited while c held it: main (290 ms)."), "{}", verdict.text);
    let convoy = report.verdicts.iter().find(|verdict| verdict.kind == "convoy").unwrap();
    assert!(convoy.advice.contains("release the GIL"), "{}", convoy.advice);
}

#[test]
fn a_long_hold_here_and_there_proves_no_c_code() {
    // Three threads, one hold each that does not listen: as a virtual processor that stops now and then makes them.
    let report = report(
        "
        main  hswwwwwwwwwwwwwwwwhswwwwwwwwwwwwwwwwhswwwwwwwwwwwwwwwwhh
        a     wwhhhhhhhhhhhhhhhh..................................
        b     ..................wwhhhhhhhhhhhhhhhh................
        c     ....................................wwhhhhhhhhhhhhhhhh
        ",
        1,
    );
    assert_eq!(report.long_holds.len(), 3);
    let verdict = report.verdicts.iter().find(|verdict| verdict.kind == "long-holds").unwrap();
    assert_eq!(verdict.severity, Severity::Notice);
    assert!(verdict.text.contains("virtual processor"), "{}", verdict.text);
}

#[test]
fn a_pool_that_takes_short_turns_waits_for_the_gil() {
    // Nobody is asked to let go, nobody makes a call that is recorded; still each waits half of its time.
    let report = report(
        "
        a  hhh...wwwhhh...www
        b  wwwhhh...wwwhhh...
        c  ...wwwhhh...wwwhhh
        ",
        30,
    );
    assert_eq!(kinds(&report), [("waiting", Severity::Notice)]);
    let verdict = &report.verdicts[0];
    assert_eq!(verdict.title, "a, c and b wait for the GIL");
    assert!(verdict.text.contains("Meanwhile it was held by c ("), "{}", verdict.text);
}

#[test]
fn a_victim_that_waits_also_without_a_call_is_told_all_it_costs() {
    let report = report(
        "
        io   hhswwwwwhhswwwwwhhswwwwwh.wwwww
        cpu  wwhhhhhhwwhhhhhhwwhhhhhhwhhhhhh
        ",
        50,
    );
    let convoy = report.verdicts.iter().find(|verdict| verdict.kind == "convoy").unwrap();
    assert!(convoy.text.contains("In all it waited 65 % of its time"), "{}", convoy.text);
    assert!(report.verdicts.iter().all(|verdict| verdict.kind != "waiting"), "said once");
}

#[test]
fn time_without_a_processor_after_a_call_is_not_the_gils() {
    let report = report("io  hhsrrrhh\n", 30);
    let call = &report.threads[0].syscalls[0];
    assert_eq!((call.reacquire_ns, call.waiting_ns, call.runnable_ns), (30 * 3 * MS, 0, 30 * 3 * MS));
}

#[test]
fn one_long_hold_is_no_evidence_against_an_extension() {
    //  main  waits once behind c: in C code, or on a virtual processor that its host had stopped
    let report = report(
        "
        main  hs.wwwwwwwwwwwwwwwwwwwwwwwwwwwww
        c     wwhhhhhhhhhhhhhhhhhhhhhhhhhhhhhh
        ",
        1,
    );
    let verdict = report.verdicts.iter().find(|verdict| verdict.kind == "long-holds").unwrap();
    assert_eq!(verdict.severity, Severity::Notice);
    assert!(verdict.advice.starts_with("Record again"), "{}", verdict.advice);
}

#[test]
fn a_trace_without_gil_events_says_what_is_not_known() {
    let report = report(
        "
        main  ssss
    ",
        1,
    );
    assert_eq!(kinds(&report), [("no-gil", Severity::Notice)]);
}

#[test]
fn a_range_reports_on_what_lies_in_it() {
    let model = Drawing::new(
        "
        io   hhswwwww
        cpu  wwhhhhhh
        ",
    )
    .repeated(50)
    .model();
    let at = |ms: i64| model.start + ms * MS;
    let report = summarize(&model, &Query { from: at(80), to: at(160), ..Query::default() });
    assert_eq!(report.trace.duration_ns, 80 * MS);
    let io = report.threads.iter().find(|thread| thread.name == "io").unwrap();
    assert_eq!((io.held_ns, io.syscall_ns, io.waiting_ns), (20 * MS, 10 * MS, 50 * MS));
    assert_eq!(report.convoys[0].stalls, 10);
    assert_eq!(report.convoys[0].releases, 10);
    let outside = summarize(&model, &Query { from: at(1000), to: at(2000), ..Query::default() });
    assert_eq!(outside.trace.duration_ns, 0);
}

#[test]
fn a_thread_or_a_process_can_be_asked_for_alone() {
    let model = Drawing::new(
        "
        io     hhswwwww
        cpu    wwhhhhhh
        io/2   hhswwwww
        cpu/2  wwhhhhhh
        ",
    )
    .repeated(20)
    .model();
    let of = |query: Query| summarize(&model, &query);
    let second = of(Query { pid: Some(101), ..Query::default() });
    assert_eq!(second.threads.iter().map(|thread| thread.tid).collect::<Vec<_>>(), [103, 104]);
    assert_eq!((second.gils.len(), second.processes.len(), second.victims.len()), (1, 1, 1));
    let io = of(Query { thread: Some(String::from("io")), ..Query::default() });
    assert_eq!(io.threads.len(), 2);
    let one = of(Query { thread: Some(String::from("101")), ..Query::default() });
    assert_eq!((one.threads.len(), one.victims.len()), (1, 1));
}
