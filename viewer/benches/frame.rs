//! What opening and showing a trace costs: time to the first picture, time until all is loaded, memory an event, and the
//! processor time of a frame at every zoom, the draw list and egui's own part of it, without the rasteriser.
//!
//! Figures of merit: 10 million events in 1 s and 2 s; 100 million in 20 s and 40 bytes an event; a frame over 50 million
//! intervals in 64 lanes at 1 920 pixels in 4 ms, over 1 000 threads with 60 of them visible in 12 ms.
//!
//! `GILSCOPE_BENCH_MILLIONS=100 cargo bench -p gilscope-viewer` takes other sizes for the first part.

use std::{
    io::BufWriter,
    path::Path,
    time::{Duration, Instant},
};

use egui::{Context, RawInput, Rect, pos2, vec2};
use gilscope_trace::{Detail, Event, Header, Kind, Writer, detail};
use gilscope_viewer::{App, Settings, open::Status};

const START: i64 = 1_000_000_000;
const GIL: u64 = 0x7f00_0000_1000;
/// Events, and intervals, of one turn of a thread.
const TURN: u64 = 5;

/// Threads that take turns with one GIL: each waits, holds, lets go, and sends.
fn write(path: &Path, threads: i32, events: u64) {
    let header = Header {
        start_time: START,
        targets: vec![1],
        arch: "x86_64".into(),
        syscalls: "socket".into(),
        ..Header::default()
    };
    let file = BufWriter::with_capacity(1 << 20, std::fs::File::create(path).unwrap());
    let mut writer = Writer::new(file, &header).unwrap();
    let mut noise = 0x2545_f491_4f6c_dd1d_u64;
    let mut varied = |mean: i64| {
        noise ^= noise << 13;
        noise ^= noise >> 7;
        noise ^= noise << 17;
        mean / 2 + (noise % mean as u64) as i64
    };
    for tid in 2..threads + 2 {
        let name = detail::Thread { name: Some(format!("worker-{tid}")), ..detail::Thread::default() };
        writer.push_detail(Event::new(START, Kind::Thread, 1, tid), &Detail::from(name)).unwrap();
    }
    let mut now = START + 1_000;
    for turn in 0..events / TURN {
        // Two take turns most of the time, so that some lanes are dense and some are not.
        let tid = 2 + match turn % 4 {
            0 => 0,
            _ => (turn.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 33) as i32 % threads,
        };
        let at = |time, kind| Event::new(time, kind, 1, tid);
        writer.push(at(now, Kind::Wait).of_gil(GIL)).unwrap();
        now += varied(800);
        writer.push(at(now, Kind::Acquire).of_gil(GIL)).unwrap();
        now += varied(3_000);
        writer.push(at(now, Kind::Release).of_gil(GIL)).unwrap();
        now += varied(300);
        writer.push(at(now, Kind::SyscallEnter).of_syscall(44, 5)).unwrap();
        now += varied(900);
        writer.push(at(now, Kind::SyscallExit).of_syscall(44, -1)).unwrap();
        now += varied(200);
    }
    writer.finish().unwrap();
}

/// A window without a screen.
struct Window {
    ctx: Context,
    app: App,
    size: [f32; 2],
    time: f64,
}

impl Window {
    fn open(path: &Path, size: [f32; 2]) -> Window {
        let ctx = Context::default();
        let mut app =
            App::new(&ctx, Settings { show_panels: false, lane_height: 14.0, ..Settings::default() });
        app.open(path, false);
        Window { ctx, app, size, time: 0.0 }
    }

    /// One frame, and how long it took until there were triangles.
    fn frame(&mut self, events: Vec<egui::Event>) -> Duration {
        self.time += 1.0 / 60.0;
        let input = RawInput {
            screen_rect: Some(Rect::from_min_size(pos2(0.0, 0.0), vec2(self.size[0], self.size[1]))),
            time: Some(self.time),
            predicted_dt: 1.0 / 60.0,
            focused: true,
            events,
            ..RawInput::default()
        };
        let begin = Instant::now();
        let app = &mut self.app;
        let output = self.ctx.run_ui(input, |ui| app.show(ui));
        let triangles = self.ctx.tessellate(output.shapes, output.pixels_per_point);
        std::hint::black_box(triangles);
        begin.elapsed()
    }

    /// Frames until everything is there; gives the time of the first that showed lanes.
    fn load(&mut self) -> (Duration, Duration) {
        let begin = Instant::now();
        let mut first = None;
        while self.app.status() == Some(Status::Loading) {
            self.frame(Vec::new());
            if first.is_none() && self.app.has_lanes() {
                first = Some(begin.elapsed());
            }
            // As often as the feeder wakes the window.
            std::thread::sleep(Duration::from_millis(100));
        }
        let loaded = begin.elapsed();
        self.frame(Vec::new());
        (first.unwrap_or_else(|| begin.elapsed()), loaded)
    }
}

fn key(key: egui::Key) -> Vec<egui::Event> {
    let event = |pressed| egui::Event::Key {
        key,
        physical_key: Some(key),
        pressed,
        repeat: false,
        modifiers: egui::Modifiers::NONE,
    };
    vec![event(true), event(false)]
}

/// Memory of this process, bytes; 0 where it cannot be read.
fn memory() -> u64 {
    let text = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    text.split_whitespace().nth(1).and_then(|pages| pages.parse::<u64>().ok()).unwrap_or(0) * 4096
}

fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times.get(times.len() / 2).map_or(0.0, |time| time.as_secs_f64() * 1e3)
}

fn frames(path: &Path, what: &str, size: [f32; 2]) {
    let mut window = Window::open(path, size);
    window.load();
    // The pointer rests on the lanes, as it does in use.
    window.frame(vec![egui::Event::PointerMoved(pos2(size[0] * 0.6, size[1] * 0.5))]);
    println!("frames, {what}: median ms while zooming, while panning, at rest");
    let mut all = Vec::new();
    for level in 0..14 {
        let mut zooming = Vec::new();
        for _ in 0..4 {
            zooming.push(window.frame(key(egui::Key::W)));
            zooming.extend((0..6).map(|_| window.frame(Vec::new())));
        }
        let mut panning = Vec::new();
        for _ in 0..4 {
            panning.push(window.frame(key(egui::Key::D)));
            panning.extend((0..6).map(|_| window.frame(Vec::new())));
        }
        let rest: Vec<Duration> = (0..15).map(|_| window.frame(Vec::new())).collect();
        let span = window.app.span_nanos();
        println!(
            "  {level:>2}  view {:>14.3} ms   {:>7.2}  {:>7.2}  {:>7.2}",
            span as f64 / 1e6,
            median(zooming.clone()),
            median(panning.clone()),
            median(rest.clone())
        );
        all.extend(zooming.into_iter().chain(panning).chain(rest));
    }
    let mut sorted = all.clone();
    sorted.sort();
    println!(
        "  all: median {:.2} ms, 95th percentile {:.2} ms",
        median(all),
        sorted[sorted.len() * 95 / 100].as_secs_f64() * 1e3
    );
}

fn main() {
    let folder = tempfile::tempdir().unwrap();
    let millions: Vec<u64> = std::env::var("GILSCOPE_BENCH_MILLIONS")
        .unwrap_or_else(|_| "10".into())
        .split(',')
        .filter_map(|number| number.parse().ok())
        .collect();
    for millions in millions {
        let path = folder.path().join("load.gilscope");
        write(&path, 64, millions * 1_000_000);
        let before = memory();
        let mut window = Window::open(&path, [1920.0, 1080.0]);
        let (first, loaded) = window.load();
        let bytes = memory().saturating_sub(before) as f64 / (millions * 1_000_000) as f64;
        println!(
            "load   {millions} million events: first picture {first:.2?}, loaded {loaded:.2?}, {bytes:.1} bytes an event"
        );
    }
    if std::env::var_os("GILSCOPE_BENCH_NO_FRAMES").is_some() {
        return;
    }
    let path = folder.path().join("wide.gilscope");
    write(&path, 64, 50_000_000);
    frames(&path, "50 million intervals in 64 lanes", [1920.0, 1440.0]);
    write(&path, 1_000, 10_000_000);
    frames(&path, "1 000 threads, 60 visible", [1920.0, 1080.0]);
}
