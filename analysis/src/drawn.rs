//! Events from a drawing: for tests and demonstrations.
//!
//! One line per thread, one character per millisecond (see [`Drawing::scale_ns`]):
//!
//! ```text
//! io    hhs.wwwwwhh      h hold, s system call, . off the GIL, w wait
//! cpu   ..hhhhhhhww      d preempted while holding, b blocked while holding, r preempted off the GIL
//! lost:1   !!            x not alive, space: no event
//! ```
//!
//! The name may be followed by `@1` for the second GIL and so on, and by `/2` for the second process. What stands in the first
//! column began before the recording; what stands in the last goes on. A line `lost:CPU` marks lost records of that processor; the
//! thread of the first line runs on processor 0, that of the second on 1.

use gilscope_trace::{Detail, Event, Header, Kind, detail};

use crate::{Engine, Model, state};

/// When drawn traces begin, ns.
pub const START: i64 = 1_000_000_000;
/// Thread ID of the first line; that of the next is one more.
pub const FIRST_TID: i32 = 101;
/// PID of the first process; that of the next is one more.
pub const FIRST_PID: i32 = 100;
/// The system call that `s` stands for: `sendto`, on descriptor 5.
pub const CALL: (i16, i32) = (44, 5);

/// A drawing and how to read it.
#[derive(Clone, Debug)]
pub struct Drawing<'a> {
    /// The lines.
    pub text: &'a str,
    /// Time of a character, ns.
    pub scale_ns: i64,
    /// Switch interval of every GIL, µs; `None` for one that could not be read.
    pub interval_us: Option<u64>,
    /// What follows the drawing when it is repeated.
    pub repeat: usize,
}

struct Line<'a> {
    name: &'a str,
    gil: u64,
    pid: i32,
    chars: Vec<char>,
}

impl<'a> Drawing<'a> {
    /// A drawing of one millisecond a character, under CPython's default switch interval.
    pub fn new(text: &'a str) -> Drawing<'a> {
        Drawing { text, scale_ns: 1_000_000, interval_us: Some(5000), repeat: 1 }
    }

    /// The same drawn `count` times in a row.
    pub fn repeated(self, count: usize) -> Drawing<'a> {
        Drawing { repeat: count, ..self }
    }

    /// The header of the trace.
    pub fn header(&self) -> Header {
        Header {
            gilscope: String::from("0.1.0"),
            host: String::from("drawn"),
            arch: String::from("x86_64"),
            cpus: 2,
            start_time: START,
            targets: self.lines().0.iter().map(|line| line.pid).collect(),
            syscalls: String::from("socket"),
            switches: true,
            ..Header::default()
        }
    }

    /// The rows of the trace, in order.
    pub fn events(&self) -> Vec<(Event, Option<Detail>)> {
        let (lines, losses) = self.lines();
        let mut rows: Vec<(i64, u8, Event, Option<Detail>)> = Vec::new();
        let mut named: Vec<(i32, u64)> = Vec::new();
        for (index, line) in lines.iter().enumerate() {
            let tid = FIRST_TID + index as i32;
            let event = |time, kind| Event::new(time, kind, line.pid, tid).on_cpu(index as u16);
            let mut detailed = |kind, detail: Detail| {
                rows.push((START, 0, event(START, kind).of_gil(line.gil), Some(detail)));
            };
            if !named.iter().any(|&(pid, _)| pid == line.pid) {
                let process = detail::Process {
                    command: vec![String::from("python3"), String::from("drawn.py")],
                    python: Some(String::from("3.13.0")),
                    sites: Some(String::from("anchors")),
                    ..Default::default()
                };
                detailed(Kind::Process, process.into());
            }
            if !named.contains(&(line.pid, line.gil)) {
                let gil = detail::Gil {
                    interpreter: Some(line.gil as i64 / 0x1000 - 1),
                    interval_us: self.interval_us,
                };
                detailed(Kind::Gil, gil.into());
                named.push((line.pid, line.gil));
            }
            if line.chars.first() != Some(&'x') {
                detailed(Kind::Thread, name_of(line).into());
            }
            let mut before = None;
            let mut waited = 0;
            for (column, &now) in line.chars.iter().enumerate() {
                let time = START + column as i64 * self.scale_ns;
                let mut row = |phase, event| rows.push((time, phase, event, None));
                if let Some(before) = before.filter(|&before| before != now) {
                    transition(before, now, line.gil, &mut |phase, kind, nr, value| {
                        row(
                            phase,
                            event(time, kind)
                                .of_gil(gil_of(kind, line.gil))
                                .of_syscall(nr, CALL.1.min(i32::from(nr)))
                                .with_value(value),
                        );
                    });
                }
                // A waiter comes back for every switch interval that passes, and asks.
                waited = if before == Some('w') { waited + self.scale_ns } else { 0 };
                if waited >= self.interval_us.map_or(5_000_000, |us| us as i64 * 1000) {
                    rows.push((time, 0, event(time, Kind::Wait).of_gil(line.gil), None));
                    waited = 0;
                }
                if before == Some('x') && now != 'x' {
                    rows.push((time, 9, event(time, Kind::Thread), Some(name_of(line).into())));
                }
                before = Some(now);
            }
        }
        for (cpu, from, until) in losses {
            let time = |column: usize| START + column as i64 * self.scale_ns;
            let lost = detail::Lost { from: time(from), until: time(until), cpu: Some(cpu), records: 7 };
            rows.push((time(until), 0, Event::new(time(until), Kind::Lost, 0, 0), Some(lost.into())));
        }
        let end = START + lines.iter().map(|line| line.chars.len()).max().unwrap_or(0) as i64 * self.scale_ns;
        let reason = detail::End { reason: String::from("duration") };
        rows.push((end, 9, Event::new(end, Kind::End, 0, 0), Some(reason.into())));
        rows.sort_by_key(|&(time, phase, _, _)| (time, phase));
        rows.into_iter().map(|(_, _, event, detail)| (event, detail)).collect()
    }

    /// What the analysis makes of it.
    pub fn model(&self) -> Model {
        let mut engine = Engine::new(&self.header());
        for (event, detail) in self.events() {
            engine.push_event(&event, detail);
        }
        engine.finish()
    }

    fn lines(&self) -> (Vec<Line<'a>>, Vec<(u16, usize, usize)>) {
        let lines = self.text.lines().filter(|line| !line.trim().is_empty());
        let indent = lines.clone().map(|line| line.len() - line.trim_start().len()).min().unwrap_or(0);
        // The drawing begins in the same column on every line: after the longest first word.
        let begin =
            lines.clone().map(|line| indent + line[indent..].find(' ').unwrap_or(0)).max().unwrap_or(0);
        let begin = lines
            .clone()
            .filter_map(|line| line.get(begin..).map(|rest| begin + rest.len() - rest.trim_start().len()))
            .min()
            .unwrap_or(begin);
        let (mut threads, mut losses) = (Vec::new(), Vec::new());
        let width = lines.clone().map(|line| line.len().saturating_sub(begin)).max().unwrap_or(0);
        for line in lines {
            let head = line[indent..].split(' ').next().unwrap_or("");
            let body: Vec<char> = line.get(begin..).unwrap_or("").chars().collect();
            if let Some(cpu) = head.strip_prefix("lost:") {
                let from = body.iter().position(|&c| c == '!').unwrap_or(0);
                let until = body.iter().rposition(|&c| c == '!').map_or(0, |last| last + 1);
                losses.push((cpu.parse().unwrap_or(0), from, until));
                continue;
            }
            let (head, process) = head.split_once('/').unwrap_or((head, "1"));
            let (name, gil) = head.split_once('@').unwrap_or((head, "0"));
            let mut chars = body;
            chars.resize(width, ' ');
            threads.push(Line {
                name,
                gil: (gil.parse().unwrap_or(0) + 1) * 0x1000,
                pid: FIRST_PID - 1 + process.parse().unwrap_or(1),
                chars: chars.repeat(self.repeat.max(1)),
            });
        }
        (threads, losses)
    }
}

fn name_of(line: &Line) -> detail::Thread {
    detail::Thread { name: Some(line.name.to_owned()), os_name: None, foreign: Some(false) }
}

fn gil_of(kind: Kind, gil: u64) -> u64 {
    match kind {
        Kind::Wait | Kind::Acquire | Kind::Release => gil,
        _ => 0,
    }
}

/// Tells the events between two characters: phase within the moment, kind, system call, value.
fn transition(before: char, now: char, _gil: u64, row: &mut dyn FnMut(u8, Kind, i16, i64)) {
    let holds = |character| matches!(character, 'h' | 'd' | 'b');
    match before {
        'x' => row(0, Kind::ThreadStart, -1, 0),
        's' => row(0, Kind::SyscallExit, CALL.0, 100),
        'd' | 'b' | 'r' => row(0, Kind::SwitchIn, -1, 0),
        _ => {}
    }
    if holds(before) && !holds(now) {
        row(1, Kind::Release, -1, 0);
    }
    if holds(now) && !holds(before) {
        row(2, Kind::Acquire, -1, 0);
    }
    match now {
        's' => row(3, Kind::SyscallEnter, CALL.0, 0),
        'w' => row(4, Kind::Wait, -1, 0),
        'd' | 'r' => row(5, Kind::SwitchOut, -1, 1),
        'b' => row(5, Kind::SwitchOut, -1, 0),
        'x' => row(6, Kind::ThreadExit, -1, 0),
        _ => {}
    }
}

/// The lane of a thread of a drawn trace as it would be drawn: `h d b s . w l` (limbo) and `?` (unknown).
pub fn draw(model: &Model, thread: usize, scale_ns: i64) -> String {
    let Some(thread) = model.threads.get(thread) else {
        return String::new();
    };
    let columns = model.end.saturating_sub(model.start) / scale_ns.max(1);
    (0..columns)
        .map(|column| {
            let time = model.start + column * scale_ns;
            match thread.lane.at(time).map(|place| thread.lane.get(place)) {
                None => 'x',
                Some(interval) => match interval.state {
                    crate::State::Unknown => '?',
                    crate::State::OffGil => '.',
                    crate::State::Syscall => 's',
                    crate::State::Holding => 'h',
                    crate::State::Descheduled if interval.arg & state::PREEMPTED != 0 => 'd',
                    crate::State::Descheduled => 'b',
                    crate::State::Limbo => 'l',
                    crate::State::Waiting => 'w',
                },
            }
        })
        .collect()
}
