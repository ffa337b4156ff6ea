//! What the index of a model takes to build, and a draw list to compute, at every zoom.
//!
//! Figure of merit: with 50 million intervals in 64 lanes at 1 920 points a frame has 4 ms, of which painting takes half.

use std::time::{Duration, Instant};

use gilscope_analysis::{Engine, Model};
use gilscope_draw::{
    Cache, Clock, Emphasis, Palette, RowOptions, Rows, Scene, Sort, Theme, TraceIndex, View, rows,
};
use gilscope_trace::{Event, Header, Kind};

const THREADS: u64 = 64;
const INTERVALS: u64 = 50_000_000;
const WIDTH: f32 = 1920.0;

/// Threads that take turns with one GIL: five intervals a turn.
fn model() -> Model {
    let header = Header { start_time: 1, ..Header::default() };
    let mut engine = Engine::new(&header);
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut now = 1_000;
    for turn in 0..INTERVALS / 5 {
        let tid = 2 + (turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) % THREADS;
        let steps = [
            (Kind::Wait, 800),
            (Kind::Acquire, 3_000),
            (Kind::Release, 300),
            (Kind::SyscallEnter, 900),
            (Kind::SyscallExit, 200),
        ];
        for (kind, mean) in steps {
            noise ^= noise << 13;
            noise ^= noise >> 7;
            noise ^= noise << 17;
            let event = Event::new(now, kind, 1, tid as i32);
            let event = match kind {
                Kind::SyscallEnter | Kind::SyscallExit => event.of_syscall(44, 5),
                _ => event.of_gil(0x1000),
            };
            engine.push_event(&event, None);
            now += mean / 2 + (noise % mean as u64) as i64;
        }
    }
    engine.finish()
}

fn main() {
    let model = model();
    let intervals: usize = model.threads.iter().map(|thread| thread.lane.len()).sum();
    let clock = Instant::now();
    let index = TraceIndex::of(&model);
    let megabytes = index.bytes() as f64 / 1e6;
    println!("index of {intervals} intervals: {:.2?}, {megabytes:.1} MB", clock.elapsed());

    let options = RowOptions { lane_height: 14.0, sort: Sort::Appearance, ..RowOptions::default() };
    let all = Rows::of(&model, &index, &options);
    let palette = Palette::of(Theme::Dark);
    println!(
        "rows, {} lanes at {WIDTH} points: median ms with nothing kept, and while panning",
        all.threads().count()
    );
    let length = model.end - model.start;
    let mut span = length;
    while span > 10_000 {
        let draw = |view: View, cache: &mut Cache| {
            let scene = Scene {
                model: &model,
                index: &index,
                palette: &palette,
                rows: &all,
                view,
                width: WIDTH,
                height: all.height,
                scroll: 0.0,
                clock: Clock::Relative { origin: model.start },
            };
            let begin = Instant::now();
            let list = rows(&scene, cache, Emphasis::default());
            (begin.elapsed(), list.len())
        };
        let mut items = 0;
        let mut cold: Vec<Duration> = Vec::new();
        let mut warm: Vec<Duration> = Vec::new();
        for step in 0..9 {
            let from = model.start + (length - span) / 16 * step;
            let view = View::new(from, from + span);
            let mut cache = Cache::default();
            let (time, count) = draw(view, &mut cache);
            cold.push(time);
            items = count;
            for moved in 1..4 {
                warm.push(draw(view.moved(span / 300 * moved), &mut cache).0);
            }
        }
        cold.sort();
        warm.sort();
        let ms = |times: &[Duration]| times[times.len() / 2].as_secs_f64() * 1e3;
        println!(
            "  view {:>12.3} ms  {items:>7} items  {:>7.2}  {:>7.2}",
            span as f64 / 1e6,
            ms(&cold),
            ms(&warm)
        );
        span /= 4;
    }
}
