//! How fast a trace becomes a report, file read included, and what it takes in memory.
//!
//! `cargo bench -p gilscope-analysis --bench analyse -- [MILLIONS…]` makes a trace of so many million events (default 1 10) of an I/O
//! thread beside a busy one: mostly calls that give the GIL away and take it back at once, now and then a stall. Figures of merit on
//! one core: 10 million events in under 1.5 s and under 600 MB; at least 8 million events a second, growing linearly.

use std::{
    fs::{self, File},
    io::{BufReader, BufWriter},
    path::Path,
    time::Instant,
};

use gilscope_analysis::{Engine, Query, summarize};
use gilscope_trace::{Event, Header, Kind, Next, Reader, Writer};

const PID: i32 = 4000;
const GIL: u64 = 0x55d0_1234_5600;

fn write(path: &Path, events: u64) {
    let header = Header {
        start_time: 1_000_000_000_000,
        targets: vec![PID],
        syscalls: "socket".into(),
        ..Header::default()
    };
    let mut writer = Writer::new(BufWriter::new(File::create(path).expect("a temporary file")), &header)
        .expect("a header");
    let (mut time, mut noise) = (1_000_000_000_000_i64, 0x2545_f491_4f6c_dd1d_u64);
    let mut step = |base: u64| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        time += (base + noise % (base / 2)) as i64;
        time
    };
    let mut row = |event: Event| writer.push(event).expect("a row");
    let io = |time, kind| Event::new(time, kind, PID, 4001).on_cpu(0);
    let cpu = |time, kind| Event::new(time, kind, PID, 4002).on_cpu(1).of_gil(GIL);
    let mut count = 0;
    let mut cycle = 0_u64;
    while count < events {
        row(io(step(900), Kind::Release).of_gil(GIL));
        row(io(step(400), Kind::SyscallEnter).of_syscall(44, 5));
        if cycle.is_multiple_of(20) {
            row(cpu(step(300), Kind::Acquire));
        }
        row(io(step(1500), Kind::SyscallExit).of_syscall(44, -1).with_value(100));
        if cycle.is_multiple_of(20) {
            row(io(step(500), Kind::Wait).of_gil(GIL));
            row(io(step(4_900_000), Kind::Wait).of_gil(GIL));
            row(cpu(step(300), Kind::Release));
            count += 4;
        }
        row(io(step(500), Kind::Acquire).of_gil(GIL));
        count += 4;
        cycle += 1;
    }
    writer.finish().expect("an end");
}

/// Peak resident memory of this process in MB, where the system tells.
fn peak_mb() -> Option<u64> {
    let status = fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse::<u64>().ok().map(|kib| kib / 1024)
}

fn measure(path: &Path) {
    let began = Instant::now();
    let mut reader = Reader::new(BufReader::new(File::open(path).expect("the trace"))).expect("its header");
    let mut engine = Engine::new(reader.header());
    while let Next::Batch(batch) = reader.next_batch().expect("a batch") {
        engine.push(&batch);
    }
    let model = engine.finish();
    let read = began.elapsed();
    let report = summarize(&model, &Query::default());
    let all = began.elapsed();
    let tenth = (model.end - model.start) / 10;
    let range = Query { from: model.start + 4 * tenth, to: model.start + 5 * tenth, ..Query::default() };
    let began = Instant::now();
    let part = summarize(&model, &range);
    let selection = began.elapsed();
    println!(
        "{:>11} events: read and analysed {:.3} s, report {:.3} s, together {:.3} s: {:.1} million events/s; a tenth of the \
         range {:.3} s; peak {} MB; {} convoys, {} stalls in the tenth",
        model.events,
        read.as_secs_f64(),
        (all - read).as_secs_f64(),
        all.as_secs_f64(),
        model.events as f64 / 1e6 / all.as_secs_f64(),
        selection.as_secs_f64(),
        peak_mb().map_or_else(|| "?".to_owned(), |mb| mb.to_string()),
        report.convoys_total,
        part.gils[0].contended,
    );
}

fn main() {
    let millions: Vec<u64> = std::env::args().filter_map(|argument| argument.parse().ok()).collect();
    let millions = if millions.is_empty() { vec![1, 10] } else { millions };
    for millions in millions {
        let path =
            std::env::temp_dir().join(format!("gilscope-bench-{}-{millions}.gilscope", std::process::id()));
        write(&path, millions * 1_000_000);
        measure(&path);
        let _ = fs::remove_file(&path);
    }
}
