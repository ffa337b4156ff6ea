//! What else a recording has to get right, whatever the interpreter: which calls, which GIL, which file, which mode.

use std::{fs, process::Command};

use gilscope_trace::{Event, Kind};
use serde_json::json;

use super::harness::{Puppet, any_python, begin, folder, pythons, recorded, skip_optional};

const RECVFROM: i16 = 45;
const READ: i16 = 0;

fn count(events: &[&Event], wanted: impl Fn(&Event) -> bool) -> usize {
    events.iter().filter(|event| wanted(event)).count()
}

#[test]
fn reads_of_files_are_left_out_unless_they_are_asked_for() {
    let Some(_turn) = begin("reads_of_files_are_left_out") else { return };
    let mut puppet = Puppet::start(any_python());
    for (set, sends_expected) in [("socket", 30), ("none", 0)] {
        let (trace, (sends, reads)) = recorded(&mut puppet, &["--syscalls", set], |puppet| {
            (puppet.ask(json!({"cmd": "sends", "n": 30})), puppet.ask(json!({"cmd": "reads", "n": 40})))
        });
        let enters = |answer| {
            count(&trace.during(answer), |event| event.kind == Kind::SyscallEnter && event.nr != RECVFROM)
        };
        assert_eq!(enters(&sends), sends_expected, "{set}");
        assert_eq!(enters(&reads), 0, "{set}");
        assert_eq!(count(&trace.during(&reads), |event| event.kind == Kind::Acquire), 40, "{set}");
        trace.assert_sound();
    }
}

#[test]
fn gils_of_subinterpreters_come_apart() {
    //  sub 0   hhhhrhhhr…        each on a GIL of its own,
    //  sub 1     hhhhrhhhr…      so their holds overlap
    let Some(_turn) = begin("gils_of_subinterpreters_come_apart") else { return };
    let with_own_gils: Vec<_> = pythons().iter().filter(|python| python.minor >= 12).collect();
    if with_own_gils.is_empty() {
        skip_optional("gils_of_subinterpreters_come_apart", "no CPython 3.12 or later");
    }
    for python in with_own_gils {
        let mut puppet = Puppet::start(python);
        let tids = puppet.ask(json!({"cmd": "subinterp", "n": 2}))["tids"].clone();
        let tids: Vec<i32> = serde_json::from_value(tids).unwrap();
        let (trace, answer) = recorded(&mut puppet, &["--syscalls", "io"], |puppet| {
            puppet.ask(json!({"cmd": "subwork", "reads": 300}))
        });
        trace.assert_sound();
        let fds: Vec<i32> = serde_json::from_value(answer["fds"].clone()).unwrap();
        let gils: Vec<u64> = tids
            .iter()
            .zip(&fds)
            .map(|(&tid, &fd)| {
                let events: Vec<&Event> = trace.events().filter(|event| event.tid == tid).collect();
                let reads = count(&events, |event| {
                    event.kind == Kind::SyscallEnter && event.fd == fd && event.nr == READ
                });
                assert_eq!(reads, 300, "{}", python.version);
                let gils: Vec<u64> = events.iter().map(|event| event.gil).filter(|&gil| gil != 0).collect();
                assert!(
                    gils.windows(2).all(|pair| pair[0] == pair[1]),
                    "{}: one GIL a thread",
                    python.version
                );
                gils[0]
            })
            .collect();
        assert_ne!(gils[0], gils[1], "{}", python.version);
    }
}

#[test]
fn an_interpreter_that_was_deleted_since_is_recorded() {
    //  copy of the interpreter  ──started──deleted──attached to      as after an upgrade
    const NAME: &str = "an_interpreter_that_was_deleted_since_is_recorded";
    let Some(_turn) = begin(NAME) else { return };
    let distribution = any_python();
    if !distribution.path.starts_with("/usr/bin") {
        return skip_optional(NAME, "needs the distribution's Python, which runs from anywhere");
    }
    let folder = folder();
    let copy = folder.path().join("python");
    fs::copy(&distribution.path, &copy).unwrap();
    let mut puppet = Puppet::start_by(Command::new(&copy));
    fs::remove_file(&copy).unwrap();
    let (trace, _) = recorded(&mut puppet, &[], |puppet| puppet.ask(json!({"cmd": "sends", "n": 30})));
    trace.assert_sound();
    assert_eq!(trace.sends(puppet.pid), 30);
    puppet.assert_well();
}

#[test]
fn two_processes_of_one_interpreter_are_told_apart() {
    let Some(_turn) = begin("two_processes_of_one_interpreter_are_told_apart") else { return };
    let (mut recorded_one, mut other) = (Puppet::start(any_python()), Puppet::start(any_python()));
    let (trace, _) = recorded(&mut recorded_one, &[], |puppet| {
        puppet.ask(json!({"cmd": "sends", "n": 10}));
        other.ask(json!({"cmd": "sends", "n": 20}));
    });
    trace.assert_sound();
    assert_eq!(trace.sends(recorded_one.pid), 10);
    assert!(trace.events().all(|event| event.pid != other.pid));
    other.assert_well();
}

#[test]
fn one_event_per_thread_records_the_same() {
    let Some(_turn) = begin("one_event_per_thread_records_the_same") else { return };
    let mut puppet = Puppet::start(any_python());
    for name in ["io-0", "io-1", "io-2"] {
        puppet.ask(json!({"cmd": "thread", "name": name}));
    }
    let (trace, answers) = recorded(&mut puppet, &["--per-thread"], |puppet| {
        ["io-0", "io-1", "io-2"].map(|name| puppet.ask(json!({"cmd": "sends", "n": 50, "thread": name})))
    });
    trace.assert_sound();
    assert_eq!(trace.header.mode, "per-thread");
    for answer in answers {
        let events = trace.during(&answer);
        assert_eq!(count(&events, |event| event.kind == Kind::SyscallEnter && event.nr == 44), 50);
        assert_eq!(
            count(&events, |event| event.kind == Kind::Acquire),
            51,
            "one for each send, one for the recv"
        );
    }
    puppet.assert_well();
}
