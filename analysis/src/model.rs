//! What happened in a trace.

use gilscope_trace::{
    Header,
    detail::{self, Check, Descriptor, Sampling},
};

use crate::{Calls, Convoy, DEFAULT_INTERVAL_NS, Holds, Lane, NONE, Samples, Spans, Stacks, Stall};

/// What happened in a trace, as far as it has been read. Texts in it are clean (see [`crate::clean`]).
#[derive(Clone, Debug, Default)]
pub struct Model {
    /// What is known once per file.
    pub header: Header,
    /// Begin of the recording, ns of the trace clock.
    pub start: i64,
    /// Time of the last event so far.
    pub end: i64,
    /// Rows read so far.
    pub events: u64,
    /// Of these, waits, acquisitions and releases.
    pub gil_events: u64,
    /// The processes, in order of appearance.
    pub processes: Vec<Process>,
    /// The threads, in order of appearance.
    pub threads: Vec<Thread>,
    /// The GILs, in order of appearance.
    pub gils: Vec<Gil>,
    /// Every wait for a GIL, ascending by start.
    pub stalls: Vec<Stall>,
    /// The convoys, in the order in which they were recognised.
    pub convoys: Vec<Convoy>,
    /// Spans whose records were lost.
    pub lost: Vec<Lost>,
    /// Python stacks.
    pub stacks: Stacks,
    /// The pairing check as the recording counted it; `None` if the trace has none.
    pub recorded_check: Option<Check>,
    /// The pairing check as counted here, over the events read.
    pub check: Check,
    /// What was sampled, if anything.
    pub sampling: Option<Sampling>,
    /// Sentences to the reader, with their time.
    pub notes: Vec<(i64, String)>,
    /// Why the recording ended; `None` if it goes on or was cut off.
    pub end_reason: Option<String>,
}

/// A process.
#[derive(Clone, Debug, Default)]
pub struct Process {
    /// Process ID.
    pub pid: i32,
    /// What is known of it.
    pub detail: detail::Process,
    /// When it joined the trace.
    pub start: i64,
    /// When and why it left.
    pub end: Option<(i64, String)>,
    /// What its descriptors are: descriptor, from when on, what; ascending by descriptor and time.
    pub(crate) descriptors: Vec<(i32, i64, Descriptor)>,
    pub(crate) described: bool,
    /// Since when it runs the program that it runs now.
    pub(crate) program_start: i64,
}

impl Process {
    /// What descriptor `fd` was at `time`.
    pub fn descriptor(&self, fd: i32, time: i64) -> Option<&Descriptor> {
        let end = self.descriptors.partition_point(|&(other, from, _)| (other, from) <= (fd, time));
        let before = end.checked_sub(1).map(|place| &self.descriptors[place]);
        before
            // A descriptor is looked up only after its first use: what it is found to be holds for the uses before.
            .filter(|(other, _, _)| *other == fd)
            .or_else(|| self.descriptors.get(end).filter(|(other, _, _)| *other == fd))
            .map(|(_, _, descriptor)| descriptor)
    }
}

/// A thread, from its first to its last moment in the trace. Thread IDs are reused: a later thread of the same ID is another.
#[derive(Clone, Debug)]
pub struct Thread {
    /// Index into [`Model::processes`].
    pub process: u32,
    /// Thread ID.
    pub tid: i32,
    /// How many threads of this process had this ID before.
    pub incarnation: u32,
    /// What is known of it.
    pub detail: detail::Thread,
    /// Whether it began during the recording.
    pub started: bool,
    /// Whether it ended during the recording.
    pub ended: bool,
    /// Whether it waited for, acquired or released a GIL.
    pub uses_gil: bool,
    /// Its states.
    pub lane: Lane,
    /// System calls it made while it held a GIL; its state is *holding* then.
    pub held_calls: Calls,
    /// Spans off the GIL or in a system call in which it was runnable but had no processor.
    pub runnable: Spans,
    /// Its Python stacks.
    pub samples: Samples,
    /// When it made a thread state, ascending; only if that was recorded.
    pub states_made: Vec<i64>,
    /// When it destroyed one, ascending.
    pub states_destroyed: Vec<i64>,
}

impl Thread {
    /// Its name, or `thread 1234`.
    pub fn name(&self) -> String {
        match self.detail.best_name() {
            Some(name) => name.to_owned(),
            None => format!("thread {}", self.tid),
        }
    }
}

/// A GIL.
#[derive(Clone, Debug, Default)]
pub struct Gil {
    /// Index into [`Model::processes`].
    pub process: u32,
    /// Address in the process; 0 if the probes could not tell GILs apart.
    pub address: u64,
    /// When the program that it belongs to joined the trace.
    pub start: i64,
    /// When that program ended, or became another.
    pub end: Option<i64>,
    /// What is known of it.
    pub detail: detail::Gil,
    /// Who held it.
    pub holds: Holds,
    /// Spans in which nobody is known to have held it, nor that it was free: before its first event, or lost records.
    pub unknown: Spans,
    /// Holds whose holder was asked to let go, as place in `holds`, and when it was asked first; ascending. A waiter asks
    /// when a whole switch interval has passed under the same holder: its second `wait` tells.
    pub requests: Vec<(u32, i64)>,
}

impl Gil {
    /// When the holder of the hold at `place` was first asked to let go.
    pub fn asked(&self, place: usize) -> Option<i64> {
        let found = self.requests.binary_search_by_key(&place, |&(hold, _)| hold as usize).ok()?;
        Some(self.requests[found].1)
    }

    /// Its switch interval in ns; the default if it could not be read.
    pub fn interval_ns(&self) -> i64 {
        self.detail
            .interval_us
            .and_then(|us| i64::try_from(us).ok())
            .map_or(DEFAULT_INTERVAL_NS, |us| us.saturating_mul(1000).max(1))
    }
}

/// A span whose records were lost.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Lost {
    /// Last moment known to be complete, ns of the trace clock.
    pub start: i64,
    /// First moment known to be complete again.
    pub end: i64,
    /// The processor concerned; `None` for any.
    pub cpu: Option<u16>,
    /// How many.
    pub records: u64,
}

/// Who held a GIL during a stall.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub struct Blame {
    /// Index into [`Model::threads`] and ns, longest first.
    pub holders: Vec<(u32, i64)>,
    /// Time in which the GIL was free, but not yet taken: the hand-over.
    pub free_ns: i64,
    /// Time in which it is not known who held it.
    pub unknown_ns: i64,
}

impl Blame {
    /// Adds `from..to`, in which nobody held `gil`.
    fn add_gap(&mut self, gil: &Gil, from: i64, to: i64) {
        let gap = to.saturating_sub(from).max(0);
        let unknown = match gap {
            0 => 0,
            _ => crate::spans::overlap(&gil.unknown, from, to).min(gap),
        };
        self.unknown_ns += unknown;
        self.free_ns += gap - unknown;
    }
}

impl Model {
    /// PID of a thread.
    pub fn pid(&self, thread: u32) -> i32 {
        self.threads
            .get(thread as usize)
            .and_then(|thread| self.processes.get(thread.process as usize))
            .map_or(0, |process| process.pid)
    }

    /// A name for GIL `gil` that is unique in the trace and stable between recordings where that is possible: `gil 0` or,
    /// with several interpreters or processes, `gil 4711/1`.
    pub fn gil_name(&self, gil: u32) -> String {
        let Some(this) = self.gils.get(gil as usize) else {
            return String::from("gil ?");
        };
        let pid = self.processes.get(this.process as usize).map_or(0, |process| process.pid);
        let number = self.gils[..gil as usize].iter().filter(|other| other.process == this.process).count();
        if self.processes.len() > 1 { format!("gil {pid}/{number}") } else { format!("gil {number}") }
    }

    /// Who held the GIL during the part of a stall that lies in `from..to`.
    pub fn blame(&self, stall: &Stall, from: i64, to: i64) -> Blame {
        let (from, to) = (stall.start.max(from), stall.end.min(to));
        let mut blame = Blame::default();
        let Some(gil) = self.gils.get(stall.gil as usize).filter(|_| from < to) else {
            return blame;
        };
        let mut seen_to = from;
        for hold in gil.holds.range(from, to) {
            let (start, end) = (hold.start.max(from), hold.end.min(to));
            blame.add_gap(gil, seen_to, start);
            seen_to = end.max(seen_to);
            if end > start && hold.thread != stall.thread {
                match blame.holders.iter_mut().find(|(other, _)| *other == hold.thread) {
                    Some((_, sum)) => *sum += end - start,
                    None => blame.holders.push((hold.thread, end - start)),
                }
            }
        }
        blame.add_gap(gil, seen_to, to);
        blame.holders.sort_by_key(|&(thread, ns)| (std::cmp::Reverse(ns), thread));
        blame
    }

    /// The stalls that share time with `from..to`.
    pub fn stalls_in(&self, from: i64, to: i64) -> impl Iterator<Item = (usize, &Stall)> {
        let last = self.stalls.partition_point(|stall| stall.start < to);
        self.stalls[..last]
            .iter()
            .enumerate()
            .filter(move |(_, stall)| stall.end > from && stall.flags & crate::stall::VOID == 0)
    }
}

/// Tells of each hold of another thread than `waiter` inside `from..to`, clipped.
#[inline]
pub(crate) fn blame_of(gil: &Gil, waiter: u32, from: i64, to: i64, mut tell: impl FnMut(u32, i64)) {
    for hold in gil.holds.range(from, to) {
        let ns = hold.end.min(to).saturating_sub(hold.start.max(from));
        if hold.thread != waiter && hold.thread != NONE && ns > 0 {
            tell(hold.thread, ns);
        }
    }
}
