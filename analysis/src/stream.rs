//! A trace as a stream of what is finished: for readers, such as exports, that must not hold it all.
//!
//! [`Stream`] runs the same [`Engine`] that the report runs, and after each batch takes out of its model whatever can no longer
//! change. What stays behind does not grow with the number of events; it grows with the number of threads, distinct stacks and
//! open descriptors, and with the longest span between two losses' ends.
//!
//! A trace is read twice. The first reading ([`Stream::first`]) learns what stands behind its use in the file: the names of
//! threads, and which spans a later row will declare lost. The second tells the [`Record`]s.

use std::collections::VecDeque;

use gilscope_trace::{Batch, Header, Kind};

use crate::{Engine, Model, State, engine::drain::Tail};

/// Rows that are held back at most because a later row declares them lost. A loss spans the time between two drainings of a
/// ring, tens of milliseconds; only a damaged or forged trace has longer ones.
const MAX_ROWS_HELD: u64 = 2_000_000;

/// Something that happened, in full.
#[derive(Clone, PartialEq, Debug)]
pub enum Record {
    /// What a thread did over a time. These partition the lifetime of each thread and ascend within it.
    State(Lived),
    /// A system call that a thread made with the GIL in its hands. It follows the states that it lies in.
    Call(HeldCall),
    /// A GIL was held. These ascend for each GIL.
    Hold(Held),
    /// From `time` on, `count` threads wait for a GIL. These ascend for each GIL.
    Waiters {
        /// Index into [`Model::gils`].
        gil: u32,
        /// Ns of the trace clock.
        time: i64,
        /// How many.
        count: u32,
    },
    /// A Python stack was seen. These ascend for each thread.
    Sample {
        /// Index into [`Model::threads`].
        thread: u32,
        /// Ns of the trace clock.
        time: i64,
        /// Index for [`crate::Stacks::stack`], or [`crate::NONE`].
        stack: u32,
    },
}

/// An interval of a thread.
#[derive(Clone, PartialEq, Debug)]
pub struct Lived {
    /// Index into [`Model::threads`].
    pub thread: u32,
    /// Begin, ns of the trace clock.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// What the thread did.
    pub state: State,
    /// The GIL that it held, waited for or was leaving; [`crate::NONE`] for none.
    pub gil: u32,
    /// The system call that it was in.
    pub call: Option<SystemCall>,
    /// Of a thread without processor: whether the kernel took it away.
    pub preempted: bool,
    /// Of an unknown state: whether records were lost.
    pub lost: bool,
    /// Whether it may have begun earlier than records did.
    pub open_start: bool,
    /// Whether its end was not seen.
    pub open_end: bool,
    /// Of a wait: who held the GIL meanwhile.
    pub stall: Option<Box<Stalled>>,
}

/// A system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct SystemCall {
    /// Its number; -1 if it is not known.
    pub nr: i16,
    /// The descriptor; -1 for none.
    pub fd: i32,
    /// Result or negative errno; `None` if its end was not seen.
    pub result: Option<i64>,
}

/// A system call that was made with the GIL in the thread's hands.
#[derive(Clone, PartialEq, Debug)]
pub struct HeldCall {
    /// Index into [`Model::threads`].
    pub thread: u32,
    /// Begin, ns of the trace clock.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// The call.
    pub call: SystemCall,
    /// Whether its end was not seen.
    pub open_end: bool,
}

/// What is known of a stall, apart from when it was.
#[derive(Clone, Default, PartialEq, Debug)]
pub struct Stalled {
    /// Number of the stall in this stream, from 1 on.
    pub id: u64,
    /// The flags of [`crate::stall`].
    pub flags: u8,
    /// Who held the GIL: index into [`Model::threads`] and ns, longest first.
    pub holders: Vec<(u32, i64)>,
    /// Time in which the GIL was free, but not yet taken.
    pub free_ns: i64,
    /// Time in which it is not known who held it.
    pub unknown_ns: i64,
    /// The pieces of the stall, each within one hold.
    pub pieces: Vec<Piece>,
}

impl Stalled {
    /// Cuts the blame down to `from..to`.
    fn clip(&mut self, from: i64, to: i64) {
        let mut held = 0;
        self.holders.clear();
        self.pieces.retain_mut(|piece| {
            (piece.start, piece.end) = (piece.start.max(from), piece.end.min(to));
            let ns = piece.duration();
            if ns > 0 {
                held += ns;
                match self.holders.iter_mut().find(|(holder, _)| *holder == piece.thread) {
                    Some((_, sum)) => *sum += ns,
                    None => self.holders.push((piece.thread, ns)),
                }
            }
            ns > 0
        });
        self.holders.sort_by_key(|&(thread, ns)| (std::cmp::Reverse(ns), thread));
        let rest = to.saturating_sub(from).saturating_sub(held).max(0);
        self.unknown_ns = self.unknown_ns.min(rest);
        self.free_ns = rest - self.unknown_ns;
    }

    /// The longest piece.
    pub fn longest(&self) -> Option<&Piece> {
        self.pieces.iter().max_by_key(|piece| (piece.duration(), std::cmp::Reverse(piece.start)))
    }
}

/// A part of a stall in which one thread held the GIL.
#[derive(Clone, PartialEq, Debug)]
pub struct Piece {
    /// The holder: index into [`Model::threads`].
    pub thread: u32,
    /// Begin, ns of the trace clock.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// The holder's stacks that were seen in it: indices for [`crate::Stacks::stack`].
    pub stacks: Vec<u32>,
}

impl Piece {
    /// Its length in ns.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

/// A hold of a GIL.
#[derive(Clone, PartialEq, Debug)]
pub struct Held {
    /// Index into [`Model::gils`].
    pub gil: u32,
    /// The holder: index into [`Model::threads`].
    pub thread: u32,
    /// Begin, ns of the trace clock.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// The flags [`crate::holds::CONTENDED`], [`crate::holds::OPEN_START`], [`crate::holds::OPEN_END`] and
    /// [`crate::holds::UNPAIRED`]; others may be missing, since they are decided later.
    pub flags: u8,
    /// The stalls whose longest piece lies in it: [`Stalled::id`].
    pub stalls: Vec<u64>,
}

impl Record {
    /// Begin, and end for what has one.
    pub fn span(&self) -> (i64, i64) {
        match self {
            Record::State(lived) => (lived.start, lived.end),
            Record::Call(call) => (call.start, call.end),
            Record::Hold(held) => (held.start, held.end),
            Record::Waiters { time, .. } | Record::Sample { time, .. } => (*time, *time),
        }
    }

    /// Cuts it down to `from..to`; false if nothing is left.
    fn clip(&mut self, from: i64, to: i64) -> bool {
        let within = |start: &mut i64, end: &mut i64| {
            (*start, *end) = ((*start).max(from), (*end).min(to));
            start < end
        };
        match self {
            Record::State(lived) => {
                let whole = lived.start >= from && lived.end <= to;
                let left = within(&mut lived.start, &mut lived.end);
                if let (false, true, Some(stall)) = (whole, left, &mut lived.stall) {
                    stall.clip(lived.start, lived.end);
                }
                left
            }
            Record::Call(call) => within(&mut call.start, &mut call.end),
            Record::Hold(held) => within(&mut held.start, &mut held.end),
            Record::Waiters { time, .. } => {
                // What was the case when the range begins is told there.
                *time = (*time).max(from);
                *time < to
            }
            Record::Sample { time, .. } => (from..to).contains(time),
        }
    }
}

/// What the first reading of a trace learns.
#[derive(Clone, Debug)]
pub struct Outline {
    model: Model,
    /// By number of losses read: begin of the earliest one to come.
    safe_until: Vec<i64>,
}

impl Outline {
    /// Processes, threads with their names, GILs, stacks, begin and end of the trace. Lanes, holds and stalls are empty.
    pub fn model(&self) -> &Model {
        &self.model
    }

    fn new(model: Model) -> Outline {
        let mut safe_until = vec![i64::MAX; model.lost.len() + 1];
        for (place, lost) in model.lost.iter().enumerate().rev() {
            // What ends just where the loss begins may become one with it.
            safe_until[place] = safe_until[place + 1].min(lost.start.saturating_sub(1));
        }
        Outline { model, safe_until }
    }
}

/// Tells the [`Record`]s of a trace as its batches come.
#[derive(Debug)]
pub struct Stream {
    engine: Engine,
    tail: Tail,
    safe_until: Vec<i64>,
    from: i64,
    to: i64,
    /// Rows and time at the end of recent batches.
    marks: VecDeque<(u64, i64)>,
    records: Vec<Record>,
}

impl Stream {
    /// The first reading of a trace with that header: push all batches, telling nobody or somebody who counts, then
    /// [`Stream::outline`]. Its records are right except around losses.
    pub fn first(header: &Header) -> Stream {
        Stream {
            engine: Engine::new(header),
            tail: Tail::default(),
            safe_until: Vec::new(),
            from: i64::MIN,
            to: i64::MAX,
            marks: VecDeque::new(),
            records: Vec::new(),
        }
    }

    /// The second reading of the same batches, of which `from..to` (ns of the trace clock) is told.
    pub fn second(outline: &Outline, from: i64, to: i64) -> Stream {
        Stream { safe_until: outline.safe_until.clone(), from, to, ..Stream::first(&outline.model.header) }
    }

    /// Takes the next rows and tells what has become final. The model that comes along knows the descriptors of that time; names
    /// are in the [`Outline`].
    pub fn push<E>(
        &mut self,
        batch: &Batch,
        mut tell: impl FnMut(&Model, Record) -> Result<(), E>,
    ) -> Result<(), E> {
        for row in 0..batch.len() {
            let event = batch.event(row);
            let detail = if event.kind.has_detail() { batch.detail(row) } else { None };
            self.engine.push_event(&event, detail);
            if event.kind == Kind::SyscallExit {
                self.engine.note_result(&mut self.tail, &event);
            }
        }
        self.engine.settle();
        let until = self.final_until();
        self.engine.drain(&mut self.tail, Some(until), &mut self.records);
        self.tell(&mut tell)
    }

    /// The trace ends here: tells the rest, open ends with the time of the last event.
    pub fn finish<E>(&mut self, mut tell: impl FnMut(&Model, Record) -> Result<(), E>) -> Result<(), E> {
        self.engine.settle();
        self.engine.drain(&mut self.tail, None, &mut self.records);
        self.tell(&mut tell)
    }

    /// Whether everything in the range has been told.
    pub fn is_past_range(&self) -> bool {
        self.to != i64::MAX && self.engine.drained_until(&self.tail) >= self.to
    }

    /// What a first reading that was [finished](Stream::finish) has learned.
    pub fn outline(self) -> Outline {
        Outline::new(self.engine.into_drained())
    }

    fn tell<E>(&mut self, tell: &mut impl FnMut(&Model, Record) -> Result<(), E>) -> Result<(), E> {
        // What lies inside something follows it; whatever happens during a hold lies inside it.
        self.records.sort_by_key(|record| {
            let (start, end) = record.span();
            let holding = matches!(record, Record::State(lived) if lived.state == State::Holding);
            (start, !holding, std::cmp::Reverse(end))
        });
        for mut record in self.records.drain(..) {
            if record.clip(self.from, self.to) {
                tell(self.engine.model(), record)?;
            }
        }
        Ok(())
    }

    /// Up to when nothing that was read will change.
    fn final_until(&mut self) -> i64 {
        let model = self.engine.model();
        self.marks.push_back((model.events, model.end));
        let mut forced = i64::MIN;
        while let Some(&(rows, time)) = self.marks.front()
            && model.events - rows > MAX_ROWS_HELD
        {
            forced = time;
            self.marks.pop_front();
        }
        self.tail.forced_until = self.tail.forced_until.max(forced);
        let safe = self.safe_until.get(model.lost.len()).copied().unwrap_or(i64::MAX);
        model.end.min(safe).max(self.tail.forced_until)
    }
}
