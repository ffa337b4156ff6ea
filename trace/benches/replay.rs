//! How fast a trace is read back and replayed through the pairing check, and how large an event is in the file.
//!
//! Figure of merit: at least 10 million events a second on one core, at most 3 bytes an event.

use std::io::Cursor;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use gilscope_trace::{Event, Header, Kind, Next, Pairing, Reader, Writer};

const CYCLES: i64 = 500_000;

/// A thread that sends as fast as it can: four events a cycle at intervals that vary as measured ones do.
fn trace() -> Vec<u8> {
    let mut writer = Writer::new(Vec::new(), &Header::default()).unwrap();
    let (mut time, mut noise) = (1_000_000_000_000_i64, 0x2545_f491_4f6c_dd1d_u64);
    let mut step = |base: u64| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        time += (base + noise % (base / 2)) as i64;
        time
    };
    for _ in 0..CYCLES {
        let gil = 0x55d0_1234_5600;
        writer.push(Event::new(step(900), Kind::Release, 4000, 4001).of_gil(gil)).unwrap();
        writer.push(Event::new(step(400), Kind::SyscallEnter, 4000, 4001).of_syscall(44, 5)).unwrap();
        writer
            .push(Event::new(step(1500), Kind::SyscallExit, 4000, 4001).of_syscall(44, -1).with_value(100))
            .unwrap();
        writer.push(Event::new(step(500), Kind::Acquire, 4000, 4001).of_gil(gil)).unwrap();
    }
    writer.finish().unwrap()
}

fn replay(bytes: &[u8]) -> u64 {
    let mut reader = Reader::new(Cursor::new(bytes)).unwrap();
    let mut pairing = Pairing::new();
    while let Next::Batch(batch) = reader.next_batch().unwrap() {
        batch.events().for_each(|event| pairing.observe(&event));
    }
    pairing.check().acquisitions
}

fn bench(criterion: &mut Criterion) {
    let bytes = trace();
    let events = 4 * CYCLES as u64;
    println!("bytes an event: {:.2}", bytes.len() as f64 / events as f64);
    let mut group = criterion.benchmark_group("trace");
    group.throughput(Throughput::Elements(events)).sample_size(10);
    group.bench_function("replay", |bencher| bencher.iter(|| assert_eq!(replay(&bytes), CYCLES as u64)));
    group.finish();
}

criterion_group!(benches, bench);
criterion_main!(benches);
