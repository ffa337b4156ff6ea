//! A recording: from PIDs to rows of a trace, in order.
//!
//! - [`adopt`] is how processes and threads come into it;
//! - [`probe_set`] turns the sites of an interpreter into named probes;
//! - [`order`] sorts what the rings deliver, [`translate`] makes rows of it;
//! - [`roster`] knows the processes and threads; [`insight`] asks Python for their names and stacks.
//!
//! A session is driven by calling [`Session::poll`] again and again; each call is one round: wait, drain, sort, translate.

mod adopt;
mod insight;
mod order;
mod probe_set;
mod roster;
mod seal;
mod translate;

use std::{
    io,
    sync::Arc,
    time::{Duration, Instant},
};

use gilscope_trace::{
    Detail, Event, Kind,
    detail::{self, Check},
};
use rustc_hash::FxHashMap;
use tracing::{debug, info, warn};

pub use self::insight::StackOptions;
use self::{
    insight::Insight,
    order::Sorter,
    probe_set::SharedSet,
    seal::Seal,
    translate::{Request, Translator},
};
use crate::{
    clock::monotonic_nanos,
    interpreter::InterpreterError,
    perf::{Mode, PerfOptions, PerfSource, SubscribeError, raise_descriptor_limit},
    process,
    python::gil_facts,
    sites::{FoundBy, SiteError},
    source::{EventSource, Record},
    syscalls::SyscallSet,
    tracefs::{Tracefs, TracefsError},
};

/// How often the pairing check is written, and facts that change seldom are read again.
const HOUSEKEEPING: Duration = Duration::from_secs(1);

/// Longest wait of a round while a process may become a Python any moment: what it does before it is found is not recorded, and an
/// interpreter takes some 15 ms from `execve` to the first line of its program.
const EAGER_ROUND: Duration = Duration::from_millis(2);
/// How long after a sign of it (a fork, an `execve`) that is expected.
const EAGER: Duration = Duration::from_secs(1);

/// Which processes that the targets make are recorded too.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum Follow {
    /// None.
    #[default]
    None,
    /// The first that runs Python, for a target that starts its interpreter as a child, as shims do.
    First,
    /// All.
    All,
}

/// What to record.
#[derive(Clone, Debug)]
pub struct SessionOptions {
    /// Which system calls.
    pub syscalls: SyscallSet,
    /// Which processes that the targets make are recorded too.
    pub follow: Follow,
    /// Whether thread states made and destroyed are recorded.
    pub thread_states: bool,
    /// Whether Python stacks are sampled.
    pub stacks: StackOptions,
    /// How perf events are spread; `None` for what fits.
    pub mode: Option<Mode>,
    /// Bytes of each ring; `None` for what fits the machine.
    pub ring_bytes: Option<usize>,
}

/// One row of a trace, with its detail.
#[derive(Clone, PartialEq, Debug)]
pub struct Row {
    /// The row.
    pub event: Event,
    /// Its detail, if its kind has one.
    pub detail: Option<Detail>,
}

/// Why a process cannot be recorded.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AttachError {
    /// It is not an interpreter that we know.
    #[error(transparent)]
    Interpreter(#[from] InterpreterError),
    /// The interpreter's file has no sites to probe.
    #[error(transparent)]
    Sites(#[from] SiteError),
    /// The probes could not be set.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
    /// The process's threads could not be subscribed to.
    #[error(transparent)]
    Subscribe(#[from] SubscribeError),
}

/// How a round ended.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Status {
    /// There is something to record.
    Running,
    /// All processes are gone.
    AllGone,
}

/// A recording.
pub struct Session {
    source: PerfSource,
    sets: Vec<SharedSet>,
    translator: Translator,
    insight: Insight,
    sorter: Sorter,
    seal: Seal,
    options: SessionOptions,
    /// Rows that belong at the very beginning.
    opening: Vec<Row>,
    gils: FxHashMap<(i32, u64), detail::Gil>,
    started: Option<i64>,
    /// A process that is subscribed to a set of probes although it does not run that interpreter yet.
    expected: Option<(i32, u16)>,
    /// Processes that were not there at the last housekeeping.
    missing: Vec<i32>,
    next_housekeeping: Instant,
    /// Until then a process may become a Python any moment.
    eager_until: Instant,
}

impl Session {
    /// Prepares to record `pids`, without touching them yet.
    pub fn new(pids: &[i32], options: SessionOptions) -> Result<Session, AttachError> {
        let tracefs = Arc::new(Tracefs::open()?);
        debug!(how = tracefs.how(), "tracefs");
        let stale = tracefs.remove_stale()?;
        if stale > 0 {
            info!(stale, "removed probes of collectors that were killed");
        }
        let mode = options.mode.unwrap_or_else(|| fitting_mode(pids, raise_descriptor_limit()));
        let perf = PerfOptions {
            mode,
            follow_processes: options.follow != Follow::None,
            syscall_enters: options.syscalls.enters(),
            syscall_exits: options.syscalls.exits(),
            ring_bytes: options.ring_bytes,
        };
        let inherits = mode == Mode::PerThreadAndCpu;
        Ok(Session {
            source: PerfSource::new(tracefs, perf)?,
            sets: Vec::new(),
            translator: Translator::new(options.syscalls, options.follow, inherits),
            insight: Insight::start(options.stacks).map_err(SubscribeError::Kernel)?,
            sorter: Sorter::default(),
            seal: Seal::default(),
            options,
            opening: Vec::new(),
            gils: FxHashMap::default(),
            started: None,
            expected: None,
            missing: Vec::new(),
            next_housekeeping: Instant::now(),
            eager_until: Instant::now(),
        })
    }

    /// How events are spread over threads and processors.
    pub fn mode(&self) -> Mode {
        self.source.mode()
    }

    /// Bytes of each of the kernel's buffers, and how many it should have: fewer where this process may not lock more memory.
    pub fn ring_bytes(&self) -> (usize, usize) {
        self.source.ring_bytes()
    }

    /// Starts delivery. Returns the moment from which on all probes are in place, ns of the trace clock.
    pub fn start(&mut self) -> io::Result<i64> {
        self.source.enable()?;
        let now = monotonic_nanos();
        let pids: Vec<i32> = self.translator.roster.processes.keys().copied().collect();
        for pid in pids {
            self.arm(pid, now);
            let mut rows = std::mem::take(&mut self.opening);
            self.introduce(pid, now, &mut rows);
            self.opening = rows;
        }
        if self.translator.roster.processes.values().any(|process| process.python.is_none()) {
            self.eager_until = Instant::now() + EAGER;
        }
        self.started = Some(now);
        self.seal.last_time = now;
        self.next_housekeeping = Instant::now() + HOUSEKEEPING;
        Ok(now)
    }

    /// One round: waits up to `timeout` for records, and appends the rows that are complete, in order of time.
    pub fn poll(&mut self, timeout: Duration, rows: &mut Vec<Row>) -> io::Result<Status> {
        let eager = Instant::now() < self.eager_until;
        self.source.wait(if eager { timeout.min(EAGER_ROUND) } else { timeout })?;
        let began = monotonic_nanos();
        let first = rows.len();
        rows.append(&mut self.opening);
        self.drain()?;
        self.ask(began);
        let (records, horizon) = self.sorter.end_round(began);
        self.pass(records, horizon, rows);
        if self.insight.collect(horizon, &mut self.translator.roster, rows) {
            rows[first..].sort_by_key(|row| row.event.time);
        }
        self.keep_house(horizon, rows);
        self.seal.seal(&mut rows[first..]);
        let alive = !self.translator.roster.processes.is_empty();
        Ok(if alive { Status::Running } else { Status::AllGone })
    }

    /// Ends delivery, appends the last rows, `reason` in the last one, and gives the outcome of the pairing check. The probes are
    /// gone when it returns.
    pub fn finish(mut self, reason: &str, rows: &mut Vec<Row>) -> io::Result<Check> {
        let end = monotonic_nanos();
        let first = rows.len();
        rows.append(&mut self.opening);
        self.source.disable()?;
        // Twice, as the interface of a source asks for.
        self.drain()?;
        self.drain()?;
        let losses = self.source.unreported_losses(end - 1);
        self.sorter.pending().extend(losses);
        let records = self.sorter.take_until(end);
        self.pass(records, end, rows);
        self.insight.finish(end, &mut self.translator.roster, rows);
        rows[first..].sort_by_key(|row| row.event.time);
        if self.seal.late > 0 {
            let text =
                format!("{} rows arrived late and were given the time of their predecessor", self.seal.late);
            rows.push(row(end, 0, detail::Note { text }));
        }
        self.seal.seal(&mut rows[first..]);
        let check = self.seal.pairing.check().clone();
        rows.push(row(self.seal.last_time.max(end), 0, check.clone()));
        rows.push(row(self.seal.last_time.max(end), 0, detail::End { reason: reason.to_owned() }));
        Ok(check)
    }

    /// The pairing check so far.
    pub fn check(&self) -> &Check {
        self.seal.pairing.check()
    }

    fn drain(&mut self) -> io::Result<()> {
        let pending = self.sorter.pending();
        let before = pending.len();
        self.source.drain(pending)?;
        self.translator.preview(&pending[before..], &mut self.insight);
        if pending[before..].iter().any(Record::heralds_program) {
            self.eager_until = Instant::now() + EAGER;
        }
        Ok(())
    }

    /// Asks for the Python stacks that matter now.
    fn ask(&mut self, now: i64) {
        let interval_of = |pid| {
            let intervals = self.gils.iter().filter(|((of, _), _)| *of == pid);
            intervals.filter_map(|(_, gil)| gil.interval_us).min().map(Duration::from_micros)
        };
        self.insight.ask(now, interval_of);
    }

    /// Translates records in order and does what they ask for.
    fn pass(&mut self, records: Vec<Record>, horizon: i64, rows: &mut Vec<Row>) {
        for record in records {
            let time = record.time;
            if self.started.is_some_and(|started| time < started) {
                continue;
            }
            let before = rows.len();
            self.translator.translate(record, rows);
            for row in &rows[before..] {
                let Event { kind, pid, tid, .. } = row.event;
                match kind {
                    Kind::Acquire => self.insight.acquired(time, pid, tid, &mut self.translator.roster),
                    Kind::ThreadExit => self.insight.end_thread(tid),
                    Kind::ProcessEnd => self.insight.forget(pid),
                    _ => {}
                }
            }
            for request in std::mem::take(&mut self.translator.requests) {
                self.serve(request, time, rows);
            }
        }
        self.translator.descriptors.passed(horizon);
    }

    fn serve(&mut self, request: Request, time: i64, rows: &mut Vec<Row>) {
        match request {
            Request::Gil(pid, gil) => {
                let facts = self.gil_facts(pid, gil);
                self.gils.insert((pid, gil), facts.clone());
                let event = rows.pop();
                rows.push(Row {
                    event: Event::new(time, Kind::Gil, pid, 0).of_gil(gil),
                    detail: Some(facts.into()),
                });
                rows.extend(event);
            }
            Request::Interpreter(pid) => {
                self.insight.forget(pid);
                self.try_adopt(pid, time, rows);
            }
            Request::Forked(pid) => self.insight.follow(pid),
            Request::Thread(pid, tid) => {
                let set =
                    self.translator.roster.processes.get(&pid).and_then(|process| process.python.as_ref());
                let set = set.map(|python| python.set);
                let result = self
                    .subscribe_thread(tid, true, set)
                    .and_then(|()| self.source.enable().map_err(SubscribeError::Kernel));
                match result {
                    Ok(()) => {}
                    Err(SubscribeError::Gone(_)) => {
                        debug!(tid, "a new thread ended before it could be subscribed to")
                    }
                    Err(error) => warn!(tid, %error, "a new thread is not recorded"),
                }
            }
        }
    }

    /// Once a second: the pairing check so far, and facts that change seldom.
    fn keep_house(&mut self, time: i64, rows: &mut Vec<Row>) {
        if Instant::now() < self.next_housekeeping {
            return;
        }
        self.next_housekeeping = Instant::now() + HOUSEKEEPING;
        let processes = &self.translator.roster.processes;
        self.gils.retain(|(pid, _), _| processes.contains_key(pid));
        let known: Vec<(i32, u64)> = self.gils.keys().copied().collect();
        for (pid, gil) in known {
            let facts = self.gil_facts(pid, gil);
            if facts.interval_us.is_some() && self.gils.get(&(pid, gil)) != Some(&facts) {
                self.gils.insert((pid, gil), facts.clone());
                let event = Event::new(time, Kind::Gil, pid, 0).of_gil(gil);
                rows.push(Row { event, detail: Some(facts.into()) });
            }
        }
        // The record of an end may have been lost; the last records of a process that just ended may still be on their way.
        let gone: Vec<i32> =
            self.translator.roster.processes.keys().copied().filter(|pid| !process::is_alive(*pid)).collect();
        for &pid in gone.iter().filter(|pid| self.missing.contains(pid)) {
            self.translator.end_process(time, pid, "exited", rows);
            self.insight.forget(pid);
        }
        self.missing = gone;
        rows.push(row(time, 0, self.seal.pairing.check().clone()));
    }

    fn gil_facts(&self, pid: i32, gil: u64) -> detail::Gil {
        let python = self.translator.roster.processes.get(&pid).and_then(|process| process.python.as_ref());
        // The main interpreter's GIL is part of `_PyRuntime`; those of others are allocated.
        let main = python.is_some_and(|python| python.interpreter.contains_address(gil));
        let interval_us = gil_facts(pid, gil).ok().map(|facts| facts.interval_us);
        let interpreter = self.insight.interpreter_of(pid, gil).or(main.then_some(0));
        detail::Gil { interpreter, interval_us }
    }
}

/// A row about a process (or none, 0) with a detail.
fn row(time: i64, pid: i32, detail: impl Into<Detail>) -> Row {
    let detail = detail.into();
    Row { event: Event::new(time, detail.kind(), pid, 0), detail: Some(detail) }
}

/// How the sites were found, as the trace names it.
pub(crate) fn found_by_name(found_by: FoundBy) -> &'static str {
    match found_by {
        FoundBy::Anchors => "anchors",
        FoundBy::Symbols => "symbols",
        FoundBy::Fallback => "fallback",
    }
}

/// The mode whose perf events fit into `descriptors`, for processes with as many threads as these have now, and half as many again.
fn fitting_mode(pids: &[i32], descriptors: u64) -> Mode {
    /// Life, two of system calls, three probes.
    const EVENTS: u64 = 6;
    let threads: u64 = pids.iter().map(|pid| process::threads(*pid).len() as u64).sum();
    let needed = threads * process::online_cpus().len() as u64 * EVENTS;
    if needed <= descriptors {
        return Mode::PerThreadAndCpu;
    }
    warn!(needed, descriptors, "too few descriptors for an event per thread and processor: one per thread");
    Mode::PerThread
}
