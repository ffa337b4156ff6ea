//! The six published experiments.

use gilscope_analysis::report::{Report, Thread};
use gilscope_trace::Kind;

use super::{
    Sample, Told,
    harness::{Hold, begin, skip_optional},
    python, python_with_own_gils,
};

/// The threads of that name.
fn threads<'a>(report: &'a Report, name: &str) -> Vec<&'a Thread> {
    report.threads.iter().filter(|thread| thread.name == name).collect()
}

/// Records a sample that runs on the usual interpreter.
#[track_caller]
fn told(test: &str, sample: &[&str], recording: &[&str]) -> Option<Told> {
    Some(Sample::start(test, &python(), sample)?.record(recording))
}

#[test]
fn a_an_event_loop_stalls_behind_a_spinner_and_stalls_less_with_a_shorter_interval() {
    const NAME: &str = "a_an_event_loop_stalls_behind_a_spinner_and_stalls_less_with_a_shorter_interval";
    let Some(_turn) = begin(NAME) else { return };
    // The pause gives the spinner the time to run, on a busy machine too.
    let usual = ["a_asyncio.py", "--threads", "1", "--think-ms", "0.5", "--seconds", "2"];
    let Some(beside) = told(NAME, &usual, &[]) else { return };
    let stalled = beside.assert_convoy("event-loop", "spinner-0");
    assert!(stalled.share > 0.3, "{}", stalled.share);
    let named = |code: &gilscope_analysis::report::Code| code.function == "spin_python";
    assert!(stalled.code.iter().any(named), "{:?}", stalled.code);

    let shorter = [&usual[..], &["--switch-interval", "0.0005"]].concat();
    let Some(shorter) = told(NAME, &shorter, &[]) else { return };
    assert_eq!(shorter.report.gils[0].switch_interval_us, Some(500));
    let stall = shorter.victim("event-loop").map_or(0, |victim| victim.stall_p50_ns);
    assert!(stall < stalled.stall_p50_ns / 2, "{stall} against {}", stalled.stall_p50_ns);
}

#[test]
fn a_an_event_loop_alone_never_waits() {
    const NAME: &str = "a_an_event_loop_alone_never_waits";
    let Some(_turn) = begin(NAME) else { return };
    let sample = ["a_asyncio.py", "--threads", "0", "--clients", "10", "--seconds", "0.5"];
    let Some(told) = told(NAME, &sample, &[]) else { return };
    told.assert_calm();
    let event_loop = threads(&told.report, "event-loop")[0];
    assert!(event_loop.acquisitions > 100 && event_loop.contended == 0, "{event_loop:?}");
}

#[test]
fn b_every_server_in_python_stalls_behind_a_computing_thread() {
    const NAME: &str = "b_every_server_in_python_stalls_behind_a_computing_thread";
    let Some(_turn) = begin(NAME) else { return };
    for server in ["sockets", "nonblocking", "multiprocessing", "pyzmq"] {
        let sample = ["b_messaging.py", "--server", server, "--beside", "fib", "--seconds", "1.5"];
        let Some(told) = told(NAME, &sample, &[]) else { return };
        told.assert_convoy("server", "fib-0");
        assert_eq!(told.result["server"], server);
    }
}

#[test]
fn b_a_server_in_c_does_not_stall_and_an_idle_one_in_python_neither() {
    const NAME: &str = "b_a_server_in_c_does_not_stall_and_an_idle_one_in_python_neither";
    let Some(_turn) = begin(NAME) else { return };
    for (server, beside) in [("c-zmq", "fib"), ("sockets", "none")] {
        let sample = ["b_messaging.py", "--server", server, "--beside", beside, "--seconds", "1"];
        let Some(told) = told(NAME, &sample, &[]) else { return };
        told.assert_calm();
        let contended: u64 = threads(&told.report, "server").iter().map(|thread| thread.contended).sum();
        assert_eq!(contended, 0, "{server}");
    }
}

#[test]
fn c_a_foreign_thread_is_known_as_such_and_makes_a_thread_state_for_each_entry_unless_it_keeps_one() {
    const NAME: &str =
        "c_a_foreign_thread_is_known_as_such_and_makes_a_thread_state_for_each_entry_unless_it_keeps_one";
    let Some(_turn) = begin(NAME) else { return };
    for mode in ["ensure", "keep"] {
        let sample = ["c_foreign.py", "--mode", mode, "--threads", "2", "--seconds", "0.5"];
        let Some(told) = told(NAME, &sample, &["--probe-threadstates"]) else { return };
        let events = told.result["events"].as_u64().unwrap();
        let foreign: Vec<i64> =
            told.ready["foreign_tids"].as_array().unwrap().iter().filter_map(|tid| tid.as_i64()).collect();
        let of_them: Vec<&Thread> =
            told.report.threads.iter().filter(|thread| foreign.contains(&thread.tid.into())).collect();
        assert_eq!(of_them.len(), 2);
        for thread in &of_them {
            assert_eq!(thread.foreign, Some(true), "{thread:?}");
            assert!(thread.name.starts_with("completer-"), "{}", thread.name);
        }
        let acquired: u64 = of_them.iter().map(|thread| thread.acquisitions).sum();
        assert!(acquired >= events, "{acquired} acquisitions for {events} events");
        assert!(threads(&told.report, "MainThread").iter().all(|thread| thread.foreign == Some(false)));

        let count = |kind: Kind| {
            let by_them = |tid: i32| foreign.contains(&tid.into());
            told.trace.events().filter(|event| event.kind == kind && by_them(event.tid)).count() as u64
        };
        let (made, destroyed) = (count(Kind::ThreadStateNew), count(Kind::ThreadStateClear));
        assert_eq!(made, of_them.iter().map(|thread| thread.states_made).sum::<u64>());
        assert_eq!(destroyed, of_them.iter().map(|thread| thread.states_destroyed).sum::<u64>());
        match mode {
            "ensure" => assert!(made >= events && destroyed >= events, "{made}, {destroyed} for {events}"),
            _ => assert!(made <= 2 && destroyed <= 2, "{made}, {destroyed}"),
        }
    }
}

#[test]
fn d_threads_take_turns_and_own_gils_overlap() {
    const NAME: &str = "d_threads_take_turns_and_own_gils_overlap";
    let Some(_turn) = begin(NAME) else { return };
    let Some(python) = python_with_own_gils() else {
        return skip_optional(NAME, "needs CPython 3.13");
    };
    let record = |mode: &str| {
        let sample = Sample::start(NAME, &python, &["d_around.py", "--mode", mode, "--seconds", "1"])?;
        Some(sample.record(&[]))
    };
    let Some(threads) = record("threads") else { return };
    let [gil] = &threads.report.gils[..] else { panic!("{:?}", threads.report.gils) };
    assert!(gil.handovers > 10, "{gil:?}");
    assert_eq!(overlap(&threads.trace.holds()), 0, "one GIL, one holder");

    let Some(own) = record("subinterpreters") else { return };
    let mut interpreters: Vec<_> = own.report.gils.iter().filter_map(|gil| gil.interpreter).collect();
    interpreters.sort_unstable();
    assert_eq!(interpreters, [0, 1, 2]);
    own.assert_calm();
    let shared = overlap(&own.trace.holds());
    assert!(shared > 500_000_000, "their holds overlap for {shared} ns only");

    let Some(processes) = record("processes") else { return };
    processes.assert_calm();
    let shared = overlap(&processes.trace.holds());
    assert!(shared > 500_000_000, "their holds overlap for {shared} ns only");
}

/// Nanoseconds in which at least two GILs were held.
fn overlap(holds: &[Hold]) -> i64 {
    let mut turns: Vec<(i64, i32)> =
        holds.iter().flat_map(|hold| [(hold.from, 1), (hold.until, -1)]).collect();
    turns.sort_unstable();
    let (mut held, mut since, mut sum) = (0, 0, 0);
    for (time, change) in turns {
        if held >= 2 {
            sum += time - since;
        }
        held += change;
        since = time;
    }
    sum
}

#[test]
fn e_a_read_of_a_file_releases_the_gil_and_the_way_back_is_what_it_costs() {
    const NAME: &str = "e_a_read_of_a_file_releases_the_gil_and_the_way_back_is_what_it_costs";
    let Some(_turn) = begin(NAME) else { return };
    let sample = ["e_files.py", "--how", "threads", "--work", "read", "--seconds", "1.5"];
    let Some(told) = told(NAME, &sample, &["--syscalls", "io"]) else { return };
    //  read       r sssss wwwwwww h     r release, s the system call, w wait, h hold
    //  factorial    hhhhhhhhhhhhh
    let readers = threads(&told.report, "read");
    let reads = |what: fn(&gilscope_analysis::report::Syscall) -> u64| -> u64 {
        let calls = readers.iter().flat_map(|thread| &thread.syscalls);
        calls.filter(|call| call.name == "read" || call.name == "pread64").map(what).sum()
    };
    let calls = reads(|call| call.calls);
    assert!(calls > 10, "{calls}");
    assert_eq!(reads(|call| call.held_calls), 0, "a read with the GIL in hand");
    assert!(reads(|call| call.waiting_ns as u64) > 0, "the way back cost nothing");
    let blamed = told.report.blame.iter().any(|blame| blame.waiter == "read" && blame.holder == "factorial");
    assert!(blamed, "{:?}", told.report.blame);
}

#[test]
fn f_a_cluster_is_found_whole_each_process_has_its_role_and_workers_event_loops_are_victims() {
    const NAME: &str =
        "f_a_cluster_is_found_whole_each_process_has_its_role_and_workers_event_loops_are_victims";
    let Some(_turn) = begin(NAME) else { return };
    let Some(sample) = Sample::start(NAME, &python(), &["f_dask.py", "--seconds", "3"]) else { return };
    let told = sample.record_with(&["--dask"]);
    let role_of = |name: &str| {
        let pid = told.ready["roles"][name].as_i64().unwrap();
        let process = told.report.processes.iter().find(|process| i64::from(process.pid) == pid);
        let process = process.unwrap_or_else(|| panic!("{name} is not in the trace"));
        (process.role.as_deref().unwrap(), process.address.as_deref().unwrap())
    };
    assert_eq!(role_of("scheduler"), ("dask scheduler", told.ready["scheduler_address"].as_str().unwrap()));
    assert_eq!(role_of("nanny").0, "dask nanny");
    let event_loops = told.ready["event_loops"].as_object().unwrap();
    for worker in ["worker-0", "worker-1"] {
        let (role, address) = role_of(worker);
        assert_eq!(role, "dask worker");
        let event_loop = &event_loops[&told.ready["roles"][worker].to_string()];
        assert_eq!(event_loop["address"], address);
    }
    let is_event_loop = |tid: i32| event_loops.values().any(|it| it["tid"] == tid);
    let victims: Vec<_> =
        told.report.victims.iter().filter(|victim| is_event_loop(victim.victim.tid)).collect();
    assert!(!victims.is_empty(), "{:?}", told.report.victims);
    for victim in victims {
        assert_eq!(victim.victim.name, "MainThread");
        let culprit = &victim.culprits[0];
        assert!(culprit.name.starts_with("Dask-Default-Threads"), "{:?}", victim.culprits);
    }
}

#[test]
fn f_dask_that_is_not_there_is_said_to_be_missing() {
    const NAME: &str = "f_dask_that_is_not_there_is_said_to_be_missing";
    let Some(_turn) = begin(NAME) else { return };
    let folder = super::folder();
    let path = folder.path().join("none.gilscope");
    // Nobody has this user ID.
    let mut command = super::gilscope();
    command.env("SUDO_UID", "4294967000").args(["attach", "--dask", "-o"]).arg(&path);
    super::harness::run(&mut command).assert_failure(&["no Dask scheduler"]);
    assert!(!path.exists());
}
