//! Whatever becomes of a target while it is recorded, the trace tells it and ends in order.

use std::path::PathBuf;

use gilscope_trace::{Detail, Event, Kind};
use serde_json::json;

use super::harness::{Puppet, Recording, Trace, any_python, begin, folder, kernel::Code, recorded};

const NOTHING: [&str; 0] = [];

fn output(puppet: &Puppet) -> PathBuf {
    puppet.folder.path().join("trace.gilscope")
}

#[test]
fn a_target_that_exits_or_is_killed_ends_the_recording() {
    let Some(_turn) = begin("a_target_that_exits_or_is_killed_ends_the_recording") else { return };
    for killed in [false, true] {
        let mut puppet = Puppet::start(any_python());
        let (pid, folder) = (puppet.pid, folder());
        let output = folder.path().join("trace");
        puppet.ask(json!({"cmd": "threads", "n": 5}));
        let recording = Recording::attach(&[pid], &output, &NOTHING);
        puppet.ask(json!({"cmd": "sends", "n": 30}));
        if killed {
            puppet.kill();
        } else {
            assert!(puppet.end().success());
        }
        let ended = recording.finish();
        ended.assert_success();
        let trace = Trace::read(&output);
        trace.assert_sound();
        assert_eq!(trace.end_reason(), Some("target exited"));
        assert_eq!(trace.sends(pid), 30);
        assert_eq!(
            trace.events().filter(|event| event.kind == Kind::ThreadExit).count(),
            6,
            "main and five parked"
        );
        assert_eq!(trace.events().filter(|event| event.kind == Kind::ProcessEnd).count(), 1);
    }
}

#[test]
fn one_target_of_two_that_exits_does_not_end_the_recording() {
    let Some(_turn) = begin("one_target_of_two_that_exits_does_not_end_the_recording") else { return };
    let (first, mut second) = (Puppet::start(any_python()), Puppet::start(any_python()));
    let (one, two) = (first.pid, second.pid);
    let recording = Recording::attach(&[one, two], &output(&second), &NOTHING);
    first.end();
    second.ask(json!({"cmd": "sends", "n": 20}));
    recording.stop().assert_success();
    let trace = Trace::read(&output(&second));
    trace.assert_sound();
    assert_eq!(trace.sends(two), 20);
    let gone: Vec<i32> =
        trace.events().filter(|event| event.kind == Kind::ProcessEnd).map(|event| event.pid).collect();
    assert_eq!(gone, [one]);
}

#[test]
fn a_fork_is_left_alone_unless_children_are_asked_for() {
    //  parent  ──attach──fork──sends──end of recording
    //  child              └────sends──────────────────code as before
    let Some(_turn) = begin("a_fork_is_left_alone") else { return };
    let mut puppet = Puppet::start(any_python());
    let before = Code::of(puppet.pid);
    let (trace, child) = recorded(&mut puppet, &[], |puppet| {
        let child = puppet.ask(json!({"cmd": "fork"}))["child"].as_i64().unwrap();
        puppet.ask(json!({"cmd": "child", "pid": child, "do": {"cmd": "sends", "n": 40}}));
        puppet.ask(json!({"cmd": "sends", "n": 20}));
        child as i32
    });
    trace.assert_sound();
    assert_eq!((trace.sends(puppet.pid), trace.sends(child)), (20, 0));
    assert!(trace.events().all(|event| event.pid != child));
    assert!(before.changes(&Code::of(child)).is_empty(), "breakpoints are left in the child");
    let answer = puppet.ask(json!({"cmd": "child", "pid": child, "do": {"cmd": "handovers", "n": 20}}));
    assert_eq!(answer["answer"]["handovers"], 20);
    assert_eq!(puppet.ask(json!({"cmd": "reap", "pid": child}))["status"], 0);
}

#[test]
fn a_target_that_becomes_another_program_is_recorded_as_that() {
    //  puppet  ──sends──execve──puppet again──sends
    let Some(_turn) = begin("a_target_that_becomes_another_program") else { return };
    let mut puppet = Puppet::start(any_python());
    puppet.ask(json!({"cmd": "threads", "n": 3}));
    let mut recording = Recording::attach(&[puppet.pid], &output(&puppet), &["-v"]);
    puppet.ask(json!({"cmd": "sends", "n": 20}));
    puppet.ask(json!({"cmd": "exec"}));
    puppet.hear();
    recording.wait_for("a new Python is recorded");
    puppet.ask(json!({"cmd": "sends", "n": 30}));
    recording.stop().assert_success();
    let trace = Trace::read(&output(&puppet));
    trace.assert_sound();
    assert_eq!(trace.sends(puppet.pid), 50);
    assert_eq!(trace.python_versions().len(), 2, "at the beginning, and after the execve");
    let rows: Vec<_> = trace.details().filter(|(event, _)| event.pid == puppet.pid).collect();
    let became = rows
        .iter()
        .rposition(|(_, detail)| matches!(detail, Detail::Process(process) if process.python.is_none()));
    let is_main = |&&(event, detail): &&(&Event, &Detail)| {
        event.tid == puppet.pid && matches!(detail, Detail::Thread(_))
    };
    let names = rows[became.unwrap()..].iter().filter(is_main).count();
    assert!(names > 0, "what its main thread is called is told again");
    puppet.assert_well();
}
