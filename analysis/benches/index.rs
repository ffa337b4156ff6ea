//! How long the index takes to build and to answer a screen, and what it weighs.
//!
//! Figures of merit: 50 million intervals in 64 lanes at 1 920 pixels leave room for a frame of 4 ms; an interval is found
//! under the pointer in less than 0.1 ms.

use std::time::{Duration, Instant};

use gilscope_analysis::index::{Bucket, Classes, Forest, Intervals, Piece};

const LANES: usize = 64;
const INTERVALS: usize = 50_000_000 / LANES;
const WIDTH: f64 = 1920.0;

struct Owned {
    starts: Vec<i64>,
    states: Vec<u8>,
    end: i64,
}

impl Owned {
    /// Intervals of mixed length, 20 µs in the mean, as of a thread that sends and receives.
    fn new(seed: u64) -> Owned {
        let mut noise = seed;
        let mut time = 0;
        let (mut starts, mut states) = (Vec::with_capacity(INTERVALS), Vec::with_capacity(INTERVALS));
        for _ in 0..INTERVALS {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            starts.push(time);
            states.push((noise % 6) as u8);
            time += 1_000 + (noise >> 8) as i64 % 38_000;
        }
        Owned { starts, states, end: time }
    }
}

impl Intervals for &Owned {
    fn len(self) -> usize {
        self.starts.len()
    }
    fn start(self, index: usize) -> i64 {
        self.starts[index]
    }
    fn state(self, index: usize) -> u8 {
        self.states[index]
    }
    fn end(self) -> i64 {
        self.end
    }
    fn first_after(self, time: i64) -> usize {
        self.starts.partition_point(|&start| start <= time)
    }
}

fn main() {
    let lanes: Vec<Owned> = (1..=LANES as u64).map(|seed| Owned::new(seed * 0x9e37_79b9_7f4a_7c15)).collect();
    let classes = Classes::<6>::new(|state| (state < 6).then_some(state));

    let clock = Instant::now();
    let forests: Vec<Forest<6>> = lanes.iter().map(|lane| Forest::of(classes, lane)).collect();
    let bytes: usize = forests.iter().map(Forest::bytes).sum();
    println!(
        "build  {LANES} lanes of {INTERVALS} intervals: {:?}, {:.1} MB",
        clock.elapsed(),
        bytes as f64 / 1e6
    );

    let end = lanes[0].end;
    println!("query  {LANES} lanes at {WIDTH} pixels, median of 15 views across the trace");
    let mut span = end as f64;
    let mut out: Vec<Piece<6>> = Vec::new();
    while span > 100_000.0 {
        let bucket = Bucket::at_least(span / WIDTH);
        let mut pieces = 0;
        let mut times: Vec<Duration> = (0..15)
            .map(|step| {
                let from = ((end as f64 - span) * f64::from(step) / 15.0) as i64;
                let clock = Instant::now();
                pieces = 0;
                for (lane, forest) in lanes.iter().zip(&forests) {
                    out.clear();
                    forest.pieces(lane, from, from + span as i64, bucket, &mut out);
                    pieces += out.len();
                }
                clock.elapsed()
            })
            .collect();
        times.sort();
        println!(
            "       view {:>12.3} ms  {:>7} pieces  {:>8.3} ms",
            span / 1e6,
            pieces,
            times[7].as_secs_f64() * 1e3
        );
        span /= 4.0;
    }

    let clock = Instant::now();
    let mut found = 0_usize;
    for step in 0..1_000_000_i64 {
        let lane = &lanes[step as usize % LANES];
        found += lane.at(step * 7919 % end).unwrap_or(0) % 2;
    }
    println!("find   {:?} an interval ({found})", clock.elapsed() / 1_000_000);
}
