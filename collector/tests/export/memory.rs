//! Exports stream: memory does not grow with the trace.

use std::{fs, fs::File, path::Path, process::Stdio, time::Duration};

use gilscope_trace::{Detail, Event, Header, Kind, Writer, detail};

use crate::support::Folder;

const PID: i32 = 100;
const GIL: u64 = 0x1000;
const START: i64 = 1_000_000_000;

/// An I/O thread that stalls behind three busy ones, stacks included, for about `events` events.
fn write_trace(path: &Path, events: usize) {
    let header =
        Header { start_time: START, targets: vec![PID], syscalls: "socket".into(), ..Header::default() };
    let mut writer = Writer::new(File::create(path).unwrap(), &header).unwrap();
    let row = |time, kind, tid| Event::new(time, kind, PID, tid).of_gil(GIL);
    let frame = |line| detail::Frame { function: "spin".into(), file: "app.py".into(), line, library: false };
    for id in 0..20 {
        let stack: Detail = detail::Stack { id, frames: vec![frame(1 + id as i32), frame(100)] }.into();
        writer.push_detail(Event::new(START, Kind::Stack, 0, 0), &stack).unwrap();
    }
    let (io, mut now, mut count, mut holder) = (PID, START, 0, 0);
    writer.push(row(now, Kind::Acquire, io)).unwrap();
    while count < events {
        holder = (holder + 1) % 3;
        let busy = PID + 1 + holder;
        let call = |kind, time| Event::new(time, kind, PID, io).of_syscall(44, 5);
        let sample = Event::new(now + 900_000, Kind::Sample, PID, busy).with_value(i64::from(holder) * 5);
        for event in [
            row(now + 1_000, Kind::Release, io),
            call(Kind::SyscallEnter, now + 2_000),
            row(now + 3_000, Kind::Acquire, busy),
            call(Kind::SyscallExit, now + 9_000).with_value(100),
            row(now + 10_000, Kind::Wait, io),
            row(now + 20_000, Kind::Wait, PID + 1 + (holder + 1) % 3),
            sample,
            row(now + 5_010_000, Kind::Wait, io),
            row(now + 5_020_000, Kind::Release, busy),
            row(now + 5_030_000, Kind::Acquire, io),
        ] {
            writer.push(event).unwrap();
            count += 1;
        }
        now += 6_000_000;
    }
    writer.finish().unwrap();
}

/// Exports and gives the child's peak resident memory in KiB, as last seen before it was gone. The peak is that of a steady
/// state, so the last millisecond does not matter.
fn peak(folder: &Folder, format: &str, events: usize) -> u64 {
    let name = format!("{events}.gilscope");
    if !folder.path(&name).exists() {
        write_trace(&folder.path(&name), events);
    }
    let mut child = folder
        .gilscope()
        .args(["export", &name, "--format", format, "-o", "-"])
        .stdout(File::create(folder.path("out")).unwrap())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut peak = 0;
    let exit = loop {
        let status = fs::read_to_string(&status).unwrap_or_default();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let kib = line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok());
        peak = peak.max(kib.unwrap_or(0));
        if let Some(exit) = child.try_wait().unwrap() {
            break exit;
        }
        std::thread::sleep(Duration::from_millis(1));
    };
    assert!(exit.success() && peak > 0);
    peak
}

/// Ten times the events must not cost more than this; allocators and page caches jitter by some megabytes.
const SLACK_KIB: u64 = 8 << 10;

fn stays_flat(format: &str, events: usize) {
    let (header, rows) = crate::support::lively();
    let folder = Folder::with(&header, &rows);
    let (small, large) = (peak(&folder, format, events / 10), peak(&folder, format, events));
    println!("{format}: {small} KiB for {} events, {large} KiB for {events}", events / 10);
    assert!(large <= small + SLACK_KIB, "{format}: {small} KiB for a tenth, {large} KiB for {events} events");
}

#[test]
fn memory_stays_flat_from_200_000_to_2_000_000_events() {
    stays_flat("perfetto", 2_000_000);
}

#[test]
fn memory_stays_flat_in_the_other_formats_too() {
    // As many as an unoptimised build gets through in seconds.
    for format in ["csv", "parquet", "chrome", "collapsed"] {
        stays_flat(format, 800_000);
    }
}
