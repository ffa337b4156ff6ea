//! However a recording ends, the target goes on unharmed, nothing is left in the kernel, and the file is good.

use std::path::PathBuf;

use gilscope_trace::{Kind, Reader};
use rustix::process::Signal;
use serde_json::json;

use super::harness::{
    Lines, Puppet, Recording, Trace, any_python, begin, ended, gilscope,
    kernel::{Code, named_probes_of},
    recorded, run,
};

const SENDTO: i16 = 44;
const NOTHING: [&str; 0] = [];

fn output(puppet: &Puppet) -> PathBuf {
    puppet.folder.path().join("trace.gilscope")
}

#[test]
fn signals_finish_the_file() {
    let Some(_turn) = begin("signals_finish_the_file") else { return };
    let mut puppet = Puppet::start(any_python());
    for signal in [Signal::INT, Signal::TERM, Signal::HUP] {
        let recording = Recording::attach(&[puppet.pid], &output(&puppet), &["--force"]);
        puppet.ask(json!({"cmd": "sends", "n": 50}));
        recording.signal(signal);
        let ended = recording.finish();
        ended.assert_success();
        let trace = Trace::read(&output(&puppet));
        trace.assert_sound();
        assert_eq!(trace.end_reason(), Some("interrupted"));
        assert_eq!(trace.sends(puppet.pid), 50);
        let acquisitions = trace.check().acquisitions;
        assert!(
            ended.said.contains(&format!("{acquisitions} acquisitions, 0 unpaired, 0 records lost")),
            "{}",
            ended.said
        );
        assert!(ended.said.contains("gilscope report "), "{}", ended.said);
    }
    puppet.assert_well();
}

#[test]
fn a_signal_while_attaching_leaves_nothing_behind() {
    let Some(_turn) = begin("a_signal_while_attaching_leaves_nothing_behind") else { return };
    let mut puppet = Puppet::start(any_python());
    puppet.ask(json!({"cmd": "threads", "n": 200}));
    let output = output(&puppet);
    let mut command = gilscope();
    command.args(["attach", "-p", &puppet.pid.to_string(), "-o"]).arg(&output);
    let recording = Recording::begin(&mut command);
    // The file is made first, then the threads are attached to.
    while !output.exists() {
        std::thread::yield_now();
    }
    recording.stop().assert_success();
    assert_eq!(Trace::read(&output).end_reason(), Some("interrupted"));
    puppet.assert_well();
}

#[test]
fn a_killed_collector_leaves_no_breakpoints_and_a_readable_file() {
    //  collector   ──attach────batch──batch──KILL
    //  target      ──code──┬──with breakpoints──┴──code as before
    let Some(_turn) = begin("a_killed_collector_leaves_no_breakpoints") else { return };
    let mut puppet = Puppet::start(any_python());
    let before = Code::of(puppet.pid);
    let recording = Recording::attach(&[puppet.pid], &output(&puppet), &NOTHING);
    let collector = recording.pid();
    assert!(!before.changes(&Code::of(puppet.pid)).is_empty(), "there are breakpoints while it records");
    // A batch is written at least every 250 ms.
    while !Reader::open(&output(&puppet))
        .is_ok_and(|_| Trace::read(&output(&puppet)).sends(puppet.pid) >= 100)
    {
        puppet.ask(json!({"cmd": "sends", "n": 10}));
    }
    recording.kill();
    assert!(before.changes(&Code::of(puppet.pid)).is_empty(), "breakpoints are left");
    puppet.assert_well();
    let trace = Trace::read(&output(&puppet));
    assert!(!trace.complete && trace.end_reason().is_none());
    assert!(trace.sends(puppet.pid) >= 100);
    trace.assert_in_order();
    assert_eq!(trace.pairing().check().unpaired(), 0);
    // Its named probes could not be removed by anybody. The next collector does.
    assert!(!named_probes_of(collector).is_empty());
    let (trace, _) = recorded(&mut puppet, &[], |puppet| puppet.ask(json!({"cmd": "sends", "n": 10})));
    trace.assert_sound();
    assert!(named_probes_of(collector).is_empty());
}

#[test]
fn two_collectors_record_one_process_at_once() {
    let Some(_turn) = begin("two_collectors_record_one_process_at_once") else { return };
    let mut puppet = Puppet::start(any_python());
    let before = Code::of(puppet.pid);
    let paths = ["first", "second"].map(|name| puppet.folder.path().join(name));
    let first = Recording::attach(&[puppet.pid], &paths[0], &NOTHING);
    let second = Recording::attach(&[puppet.pid], &paths[1], &NOTHING);
    let answer = puppet.ask(json!({"cmd": "sends", "n": 60}));
    first.stop().assert_success();
    // The second one goes on undisturbed.
    puppet.ask(json!({"cmd": "sends", "n": 15}));
    second.stop().assert_success();
    let [first, second] = paths.map(|path| Trace::read(&path));
    for trace in [&first, &second] {
        trace.assert_sound();
    }
    assert_eq!((first.sends(puppet.pid), second.sends(puppet.pid)), (60, 75));
    let order = |trace: &Trace| -> Vec<(Kind, i16)> {
        trace
            .during(&answer)
            .iter()
            .filter(|event| event.gil != 0 || event.nr >= 0)
            .map(|event| (event.kind, event.nr))
            .collect()
    };
    assert_eq!(order(&first), order(&second), "both saw the same");
    assert!(before.changes(&Code::of(puppet.pid)).is_empty());
    puppet.assert_well();
}

#[test]
fn a_duration_ends_the_recording_by_itself() {
    let Some(_turn) = begin("a_duration_ends_the_recording_by_itself") else { return };
    let puppet = Puppet::start(any_python());
    let pid = puppet.pid.to_string();
    run(gilscope().args(["attach", "-p", &pid, "-d", "0.5", "-o"]).arg(output(&puppet))).assert_success();
    let trace = Trace::read(&output(&puppet));
    trace.assert_sound();
    assert_eq!(trace.end_reason(), Some("duration"));
    let lasted = trace.events().last().unwrap().time - trace.header.start_time;
    assert!((500_000_000..1_500_000_000).contains(&lasted), "{lasted} ns");
}

#[test]
fn what_a_full_ring_could_not_take_is_accounted_for() {
    //  collector   ──────stopped──────────continued────
    //  puppet      sends ── sends sends ── sends          the ring holds a page: most of the middle is lost
    let Some(_turn) = begin("what_a_full_ring_could_not_take_is_accounted_for") else { return };
    for sends_after in [20, 0] {
        let mut puppet = Puppet::start(any_python());
        puppet.ask(json!({"cmd": "sends", "n": 1}));
        let recording = Recording::attach(&[puppet.pid], &output(&puppet), &["--ring-kib", "4"]);
        puppet.ask(json!({"cmd": "sends", "n": 5}));
        recording.signal(Signal::STOP);
        let stopped = puppet.ask(json!({"cmd": "sends", "n": 2000}));
        // On both processors, whose rings are not full at the same moment.
        puppet.ask(json!({"cmd": "handovers", "n": 2000}));
        if sends_after == 0 {
            // Nothing follows that could report the loss.
            recording.signal(Signal::INT);
        }
        recording.signal(Signal::CONT);
        if sends_after > 0 {
            puppet.ask(json!({"cmd": "sends", "n": sends_after}));
        }
        let ended = if sends_after > 0 { recording.stop() } else { recording.finish() };
        ended.assert_success();
        let trace = Trace::read(&output(&puppet));
        trace.assert_in_order();
        let (check, lost) = (trace.check(), trace.lost());
        assert_eq!(check.unpaired(), 0, "a loss is not an exception of the pairing");
        assert_eq!(lost.iter().map(|lost| lost.records).sum::<u64>(), check.lost);
        // For each send two of the call, a release and an acquisition.
        let seen =
            trace.during(&stopped).iter().filter(|event| event.nr == SENDTO || event.gil != 0).count() as u64;
        assert!(check.lost >= 4 * 2000 - seen, "{} lost, {seen} seen", check.lost);
        for lost in lost {
            assert!(lost.cpu.is_some_and(|cpu| u32::from(cpu) < trace.header.cpus), "{lost:?}");
            assert!(trace.header.start_time <= lost.from && lost.from < lost.until, "{lost:?}");
        }
        let number = with_commas(check.lost);
        assert!(ended.said.contains(&format!("{number} records lost")), "{number}: {}", ended.said);
        puppet.assert_well();
    }
}

#[test]
fn a_standard_error_that_nobody_reads_does_not_harm_the_file() {
    let Some(_turn) = begin("a_standard_error_that_nobody_reads") else { return };
    let mut puppet = Puppet::start(any_python());
    let mut command = gilscope();
    command.args(["attach", "-p", &puppet.pid.to_string(), "-o"]).arg(output(&puppet));
    let mut child = command.stderr(std::process::Stdio::piped()).spawn().unwrap();
    let mut said = Lines::new(child.stderr.take().unwrap());
    assert!(said.next().unwrap().starts_with("recording "));
    drop(said);
    puppet.ask(json!({"cmd": "sends", "n": 10}));
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::INT).unwrap();
    assert!(ended(&mut child).success());
    assert!(named_probes_of(child.id() as i32).is_empty());
    let trace = Trace::read(&output(&puppet));
    trace.assert_sound();
    assert_eq!(trace.sends(puppet.pid), 10);
}

/// As people write large numbers: `12,345`.
fn with_commas(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.char_indices() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
