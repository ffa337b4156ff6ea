//! The target notices nothing: it is not traced, not paused, and its code is afterwards what it was before.

use std::{collections::BTreeSet, fs};

use serde_json::{Value, json};

use super::harness::{
    Puppet, Recording, Trace, any_python, begin, gilscope,
    kernel::{Code, status_number},
    pythons, recorded,
};

/// The instruction that a breakpoint is on x86.
const INT3: u8 = 0xcc;
/// A tracer that stopped its target would do so while it looks for sites and subscribes to threads, which takes several hundred
/// milliseconds in a debug build. Less than this the scheduler of a busy machine does by itself.
const PAUSE_NANOS: i64 = 100_000_000;

fn doctor(pid: i32) -> Value {
    let output = gilscope().args(["doctor", "--json", "-p", &pid.to_string()]).output().unwrap();
    let diagnosis: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(output.status.success(), "{diagnosis:#}");
    diagnosis
}

/// What a process has open.
fn descriptors(pid: i32) -> BTreeSet<String> {
    let entries = fs::read_dir(format!("/proc/{pid}/fd")).unwrap();
    entries
        .map(|entry| fs::read_link(entry.unwrap().path()).unwrap().to_string_lossy().into_owned())
        .collect()
}

#[test]
fn breakpoints_are_where_doctor_says_and_nowhere_afterwards() {
    let Some(_turn) = begin("breakpoints_are_where_doctor_says") else { return };
    for python in pythons() {
        let mut puppet = Puppet::start(python);
        puppet.ask(json!({"cmd": "threads", "n": 3}));
        let diagnosis = doctor(puppet.pid);
        assert_eq!(diagnosis["ok"], true, "{diagnosis:#}");
        assert_eq!(diagnosis["target"]["version"], python.version.as_str());
        let sites: BTreeSet<u64> = diagnosis["target"]["sites"]
            .as_array()
            .unwrap()
            .iter()
            .map(|site| site["address"].as_u64().unwrap())
            .collect();
        let before = Code::of(puppet.pid);
        let (trace, changes) = recorded(&mut puppet, &[], |puppet| {
            puppet.assert_well();
            before.changes(&Code::of(puppet.pid))
        });
        trace.assert_sound();
        assert!(changes.iter().all(|&(_, byte)| byte == INT3), "{}: {changes:x?}", python.version);
        // The file's own addresses and the process's differ by where the file was loaded.
        let bias = changes[0].0 - sites.first().unwrap();
        let broken: BTreeSet<u64> = changes.iter().map(|(address, _)| address - bias).collect();
        assert_eq!(broken, sites, "{}", python.version);
        assert!(before.changes(&Code::of(puppet.pid)).is_empty(), "{}: breakpoints are left", python.version);
        puppet.assert_well();
    }
}

#[test]
fn the_target_is_neither_traced_nor_paused() {
    //  ticker  . . . . . . . . . . . . .      a tick a millisecond, from before the recording until after it
    //  attach      [────────────────]         and none of them late by much
    let Some(_turn) = begin("the_target_is_neither_traced_nor_paused") else { return };
    let mut puppet = Puppet::start(any_python());
    puppet.ask(json!({"cmd": "threads", "n": 50}));
    let before = descriptors(puppet.pid);
    puppet.ask(json!({"cmd": "ticker", "on": true}));
    let output = puppet.folder.path().join("trace");
    let recording = Recording::attach(&[puppet.pid], &output, &["--syscalls", "all"]);
    for _ in 0..10 {
        puppet.ask(json!({"cmd": "sends", "n": 100}));
        assert_eq!(status_number(puppet.pid, "TracerPid"), 0);
    }
    recording.stop().assert_success();
    let seen = puppet.ask(json!({"cmd": "ticker", "on": false}));
    println!("the longest pause: {} ns in {} ticks", seen["longest_pause_ns"], seen["ticks"]);
    assert!(seen["longest_pause_ns"].as_i64().unwrap() < PAUSE_NANOS, "{seen}");
    let after = descriptors(puppet.pid);
    assert!(after.difference(&before).all(|new| new.starts_with("socket:")), "more than its own: {after:?}");
    Trace::read(&output).assert_sound();
    puppet.assert_well();
}
