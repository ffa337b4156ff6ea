//! From events to a [`Model`]: one state machine per thread and per GIL.
//!
//! Order is data: nothing here trusts that an event fits the one before. What does not fit is counted and the state becomes
//! *unknown* rather than guessed.

mod calls;
mod convoys;
mod details;
pub(crate) mod drain;
mod gil;
mod live;
mod lost;
mod threads;

use gilscope_trace::{Batch, Detail, Event, Header, Kind};
use rustc_hash::FxHashMap;

use crate::{Gil, Model, NONE, Process, Span};
use live::{Live, Owner};

/// Longest trace, ns: 26 days. What a damaged row says to be later counts as then, so that sums over thousands of threads stay in
/// 64 bits.
const MAX_LENGTH: i64 = 1 << 51;

/// Takes the events of a trace as they come and keeps a [`Model`] of them.
///
/// After each [`Engine::push`] the model is whole: what is still open has the time of the last event as its provisional end.
#[derive(Clone, Debug, Default)]
pub struct Engine {
    model: Model,
    live: Vec<Live>,
    owners: Vec<Owner>,
    thread_by_tid: FxHashMap<(i32, i32), u32>,
    process_by_pid: FxHashMap<i32, u32>,
    gil_by_address: FxHashMap<(i32, u64), u32>,
    /// The latest time seen: time never goes back.
    now: i64,
    begun: bool,
    /// Threads of which it may not be known whether they hold a GIL, by process.
    unsure: FxHashMap<u32, Vec<u32>>,
    /// Where the last loss of each processor ended.
    lost_until: FxHashMap<Option<u16>, i64>,
}

impl Engine {
    /// An engine that has seen nothing of a trace with that header.
    pub fn new(header: &Header) -> Engine {
        Engine {
            model: Model {
                header: header.clone(),
                start: header.start_time,
                end: header.start_time,
                ..Model::default()
            },
            ..Engine::default()
        }
    }

    /// What is known so far.
    pub fn model(&self) -> &Model {
        &self.model
    }

    /// Takes the next rows.
    pub fn push(&mut self, batch: &Batch) {
        for row in 0..batch.len() {
            let event = batch.event(row);
            if event.kind.has_detail() {
                self.take(&event, batch.detail(row));
            } else {
                self.take(&event, None);
            }
        }
        self.settle();
    }

    /// Takes one row. The provisional ends are those of the last [`Engine::settle`].
    pub fn push_event(&mut self, event: &Event, detail: Option<Detail>) {
        self.take(event, detail);
    }

    /// Gives what is still open the time of the last event as its provisional end.
    pub fn settle(&mut self) {
        let now = self.now;
        self.model.end = now;
        for (thread, live) in self.model.threads.iter_mut().zip(&self.live) {
            if !live.alive {
                continue;
            }
            thread.lane.end = now;
            if let Some(stall) = self.model.stalls.get_mut(live.waits as usize) {
                stall.end = now;
                stall.flags |= crate::stall::OPEN_END;
            }
            if let Some(gil) = self.model.gils.get_mut(live.holds as usize) {
                let place = live.hold as usize;
                gil.holds.ends[place] = now;
                gil.holds.flags[place] |= crate::holds::OPEN_END;
            }
        }
        for (gil, owner) in self.model.gils.iter_mut().zip(&self.owners) {
            if owner.is_unknown()
                && let Some(span) = gil.unknown.last_mut()
            {
                // Of what is gone, nothing is unknown.
                span.end = gil.end.unwrap_or(now).max(span.start);
            }
        }
    }

    /// The model of all that was taken.
    pub fn finish(mut self) -> Model {
        self.settle();
        self.model
    }

    fn take(&mut self, event: &Event, detail: Option<Detail>) {
        if !self.begun {
            self.begin(event.time);
        }
        self.now = self.now.max(event.time.min(self.model.start + MAX_LENGTH));
        self.model.events += 1;
        let now = self.now;
        match event.kind {
            Kind::Wait | Kind::Acquire | Kind::Release => {
                self.model.gil_events += 1;
                let thread = self.thread(event);
                let gil = self.gil(event, thread);
                match event.kind {
                    Kind::Wait => self.wait(now, thread, gil),
                    Kind::Acquire => self.acquire(now, thread, gil),
                    _ => self.release(now, thread, gil),
                }
            }
            Kind::SyscallEnter => {
                let thread = self.thread(event);
                self.syscall_enter(now, thread, event.nr, event.fd);
            }
            Kind::SyscallExit => {
                let thread = self.thread(event);
                self.syscall_exit(now, thread, event.nr, event.fd);
            }
            Kind::SwitchOut => {
                let thread = self.thread(event);
                self.switch_out(now, thread, event.value == 1);
            }
            Kind::SwitchIn => {
                let thread = self.thread(event);
                self.switch_in(now, thread);
            }
            Kind::ThreadStart => self.thread_start(event),
            Kind::ThreadExit => {
                let thread = self.thread(event);
                self.end_thread(now, thread);
            }
            Kind::ThreadStateNew => {
                let thread = self.thread(event);
                self.model.threads[thread as usize].states_made.push(now);
            }
            // Every state is cleared before it is deleted, in several ways.
            Kind::ThreadStateClear => {
                let thread = self.thread(event);
                self.model.threads[thread as usize].states_destroyed.push(now);
            }
            Kind::Sample => self.sample(event),
            _ => {
                if let Some(detail) = detail {
                    self.detail(event, detail);
                }
            }
        }
    }

    fn begin(&mut self, time: i64) {
        self.begun = true;
        let start = self.model.header.start_time;
        // A header without a start, or with one that cannot be: the first event begins the trace.
        let start = if start > 0 && start <= time { start } else { time };
        let start = start.clamp(0, i64::MAX / 4);
        self.model.start = start;
        self.now = start;
    }

    /// Index of the process of that PID.
    fn process(&mut self, pid: i32) -> u32 {
        if let Some(&process) = self.process_by_pid.get(&pid) {
            return process;
        }
        let index = self.model.processes.len() as u32;
        let asked_for = self.model.header.targets.contains(&pid);
        let start = if asked_for { self.model.start } else { self.now };
        self.model.processes.push(Process { pid, start, program_start: start, ..Process::default() });
        self.process_by_pid.insert(pid, index);
        index
    }

    /// Index of the GIL that the event is about.
    #[inline]
    fn gil(&mut self, event: &Event, thread: u32) -> u32 {
        let live = &mut self.live[thread as usize];
        if live.last_gil != NONE && live.last_address == event.gil {
            return live.last_gil;
        }
        let index = self.gil_at(event.pid, event.gil);
        let live = &mut self.live[thread as usize];
        live.last_gil = index;
        live.last_address = event.gil;
        index
    }

    fn gil_at(&mut self, pid: i32, address: u64) -> u32 {
        if let Some(&gil) = self.gil_by_address.get(&(pid, address)) {
            return gil;
        }
        let process = self.process(pid);
        let start = self.model.processes[process as usize].program_start;
        let index = self.model.gils.len() as u32;
        self.model.gils.push(Gil {
            process,
            address,
            start,
            unknown: vec![Span { start, end: self.now }],
            ..Gil::default()
        });
        self.owners.push(Owner::default());
        self.gil_by_address.insert((pid, address), index);
        index
    }
}
