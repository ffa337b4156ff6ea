//! Python's own view, joined into a session: names of threads, stacks, whose interpreter a GIL is.
//!
//! It is asked for what the probes show to be of interest *now*: the threads that wait, and a stall that goes on too long. That is
//! taken from records before their turn, since by their turn the stall may be over.

use std::time::Duration;

use crossbeam_channel::Receiver;
use gilscope_trace::{
    Event, Kind,
    detail::{self, Frame, Stack},
};
use rustc_hash::{FxHashMap, FxHashSet};
use tracing::warn;

use super::{Row, roster::Roster, row};
use crate::python::{KnownThread, PythonNews, PythonThread, SamplerOptions, SamplerStats, StackSampler};

/// Whether stacks are sampled, and how.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct StackOptions {
    /// Rounds a second; `None` for none: then only names are read.
    pub hz: Option<f64>,
    /// A stall that has lasted that long has a sample taken of its own; `None` for twice the switch interval.
    pub stall: Option<Duration>,
}

/// The switch interval that CPython starts with (`DEFAULT_INTERVAL` in `Python/ceval_gil.c`), until the real one is read.
const DEFAULT_INTERVAL: Duration = Duration::from_micros(5000);

/// What a thread does, by its last record.
#[derive(Clone, Copy)]
struct Live {
    pid: i32,
    last: i64,
    waiting_since: Option<i64>,
    sampled: bool,
}

/// Python's own view of all processes of a session.
pub(crate) struct Insight {
    sampler: StackSampler,
    news: Receiver<PythonNews>,
    options: StackOptions,
    live: FxHashMap<i32, Live>,
    watched: FxHashMap<i32, Vec<i32>>,
    stacks: FxHashMap<Vec<Frame>, u32>,
    /// Threads that have no thread state of their own, by process.
    native: FxHashMap<i32, FxHashSet<i32>>,
    /// Threads that have taken a GIL, and their processes.
    acquirers: FxHashMap<i32, i32>,
    /// Interpreters by GIL, as told.
    interpreters: FxHashMap<(i32, u64), i64>,
    /// Rows that wait for their turn.
    rows: Vec<Row>,
}

impl Insight {
    pub(crate) fn start(options: StackOptions) -> std::io::Result<Insight> {
        let (sampler, news) =
            StackSampler::start(SamplerOptions { hz: options.hz, ..SamplerOptions::default() })?;
        Ok(Insight {
            sampler,
            news,
            options,
            live: FxHashMap::default(),
            watched: FxHashMap::default(),
            stacks: FxHashMap::default(),
            native: FxHashMap::default(),
            acquirers: FxHashMap::default(),
            interpreters: FxHashMap::default(),
            rows: Vec::new(),
        })
    }

    /// A process has begun to run Python.
    pub(crate) fn follow(&mut self, pid: i32) {
        self.sampler.follow(pid);
    }

    /// A process has ended, or becomes another program.
    pub(crate) fn forget(&mut self, pid: i32) {
        self.live.retain(|_, live| live.pid != pid);
        self.watched.remove(&pid);
        self.native.remove(&pid);
        self.acquirers.retain(|_, of| *of != pid);
        self.interpreters.retain(|(of, _), _| *of != pid);
        self.sampler.forget(pid);
    }

    /// The interpreter that a GIL belongs to, if it is known.
    pub(crate) fn interpreter_of(&self, pid: i32, gil: u64) -> Option<i64> {
        self.interpreters.get(&(pid, gil)).copied()
    }

    /// A record of a GIL, before its turn and perhaps out of order.
    pub(crate) fn glimpse(&mut self, time: i64, kind: Kind, pid: i32, tid: i32) {
        let live = self.live.entry(tid).or_insert(Live { pid, last: 0, waiting_since: None, sampled: false });
        if time < live.last {
            return;
        }
        live.last = time;
        match kind {
            Kind::Wait => live.waiting_since = live.waiting_since.or(Some(time)),
            _ => (live.waiting_since, live.sampled) = (None, false),
        }
    }

    /// A thread ended.
    pub(crate) fn end_thread(&mut self, tid: i32) {
        self.live.remove(&tid);
        self.acquirers.remove(&tid);
    }

    /// A thread took a GIL, in its turn. The first time, what is known of it is looked at.
    pub(crate) fn acquired(&mut self, time: i64, pid: i32, tid: i32, roster: &mut Roster) {
        if self.acquirers.insert(tid, pid).is_some() {
            return;
        }
        if self.native.get(&pid).is_some_and(|native| native.contains(&tid)) {
            self.call_foreign(time, pid, tid, roster);
        } else if !roster.is_named(tid) {
            self.sampler.names_now(pid);
        }
    }

    /// Asks for the stacks that matter now. `interval_of` gives the switch interval of a process.
    pub(crate) fn ask(&mut self, now: i64, interval_of: impl Fn(i32) -> Option<Duration>) {
        if self.options.hz.is_none() {
            return;
        }
        let mut waiting: FxHashMap<i32, Vec<i32>> = FxHashMap::default();
        for (&tid, live) in &mut self.live {
            let Some(since) = live.waiting_since else { continue };
            waiting.entry(live.pid).or_default().push(tid);
            let limit =
                self.options.stall.unwrap_or_else(|| 2 * interval_of(live.pid).unwrap_or(DEFAULT_INTERVAL));
            if !live.sampled && now - since > limit.as_nanos() as i64 {
                live.sampled = self.sampler.sample_now(live.pid, vec![tid]);
            }
        }
        for (pid, watched) in &mut self.watched {
            if !waiting.contains_key(pid) && !watched.is_empty() {
                watched.clear();
                self.sampler.watch(*pid, Vec::new());
            }
        }
        for (pid, mut tids) in waiting {
            tids.sort_unstable();
            if self.watched.get(&pid) != Some(&tids) {
                self.sampler.watch(pid, tids.clone());
                self.watched.insert(pid, tids);
            }
        }
    }

    /// Takes in what has been told, and appends the rows that are older than `horizon`. Returns whether any were.
    pub(crate) fn collect(&mut self, horizon: i64, roster: &mut Roster, rows: &mut Vec<Row>) -> bool {
        while let Ok(news) = self.news.try_recv() {
            self.hear(news, roster);
        }
        let before = rows.len();
        self.rows.retain(|row| {
            let due = row.event.time < horizon;
            if due {
                rows.push(row.clone());
            }
            !due
        });
        rows.len() > before
    }

    /// Ends sampling and appends the last rows.
    pub(crate) fn finish(mut self, time: i64, roster: &mut Roster, rows: &mut Vec<Row>) {
        self.collect(time, roster, rows);
        let stats = self.sampler.finish();
        if let Some(hz) = self.options.hz {
            rows.push(row(time, 0, sampling(hz, &stats)));
        }
    }

    fn hear(&mut self, news: PythonNews, roster: &mut Roster) {
        match news {
            PythonNews::Threads { pid, time_nanos, threads, native_tids, interpreters } => {
                self.learn_names(time_nanos, pid, threads, roster);
                let native: FxHashSet<i32> = native_tids.into_iter().collect();
                let foreign: Vec<i32> = self
                    .acquirers
                    .iter()
                    .filter(|(tid, of)| **of == pid && native.contains(tid))
                    .map(|(tid, _)| *tid)
                    .collect();
                self.native.insert(pid, native);
                for tid in foreign {
                    self.call_foreign(time_nanos, pid, tid, roster);
                }
                let gils =
                    interpreters.into_iter().filter_map(|found| Some(((pid, found.gil_address?), found.id)));
                for (gil, id) in gils {
                    // Interpreters that share a GIL count as the first of them.
                    let known = self.interpreters.entry(gil).or_insert(id);
                    *known = id.min(*known);
                }
            }
            PythonNews::Sample {
                pid,
                time_begin_nanos: _,
                time_end_nanos: _,
                threads,
                torn: _,
                on_demand,
            } => {
                for thread in threads {
                    self.keep_stack(pid, thread, on_demand);
                }
            }
            PythonNews::Trouble { pid, sentence } => {
                warn!(pid, "{sentence}");
                self.rows.push(row(crate::clock::monotonic_nanos(), pid, detail::Note { text: sentence }));
            }
            PythonNews::Stats(stats) => {
                if let Some(hz) = self.options.hz {
                    self.rows.push(row(crate::clock::monotonic_nanos(), 0, sampling(hz, &stats)));
                }
            }
            _ => {}
        }
    }

    fn learn_names(&mut self, time: i64, pid: i32, threads: Vec<KnownThread>, roster: &mut Roster) {
        for thread in threads {
            let Some(tid) = thread.tid else { continue };
            if thread.name.is_none() && !thread.foreign {
                // Not found out yet.
                continue;
            }
            if let Some(news) = roster.learn_python_name(tid, thread.name, thread.foreign) {
                self.rows
                    .push(Row { event: Event::new(time, Kind::Thread, pid, tid), detail: Some(news.into()) });
            }
        }
    }

    /// The thread takes GILs without having a thread state between times: it makes one for each call.
    fn call_foreign(&mut self, time: i64, pid: i32, tid: i32, roster: &mut Roster) {
        if roster.is_named(tid) {
            return;
        }
        if let Some(news) = roster.learn_python_name(tid, None, true) {
            self.rows
                .push(Row { event: Event::new(time, Kind::Thread, pid, tid), detail: Some(news.into()) });
        }
    }

    fn keep_stack(&mut self, pid: i32, thread: PythonThread, on_demand: bool) {
        let Some(tid) = thread.tid else { return };
        if thread.frames.is_empty() {
            return;
        }
        let frames: Vec<Frame> = thread
            .frames
            .into_iter()
            .map(|frame| Frame {
                library: frame.is_library(),
                function: frame.function,
                file: frame.short_file.unwrap_or(frame.file),
                line: frame.line,
            })
            .collect();
        let next = self.stacks.len() as u32;
        let id = *self.stacks.entry(frames).or_insert_with_key(|frames| {
            let stack = Stack { id: next, frames: frames.clone() };
            self.rows.push(row(thread.time_nanos, 0, stack));
            next
        });
        let sample = Event::new(thread.time_nanos, Kind::Sample, pid, tid).with_value(id.into());
        let sample = if on_demand { sample.of_syscall(1, -1) } else { sample };
        self.rows.push(Row { event: sample, detail: None });
    }
}

fn sampling(requested_hz: f64, stats: &SamplerStats) -> detail::Sampling {
    detail::Sampling {
        requested_hz,
        achieved_hz: stats.achieved_hz,
        rounds: stats.rounds,
        on_demand: stats.demands,
        torn: stats.torn + stats.failed,
    }
}
