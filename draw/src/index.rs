//! The index of a whole model: a forest per thread and per GIL, kept up to date as the model grows.

use gilscope_analysis::{
    Lane, Model, Stall, State,
    index::{Classes, Forest},
};

use crate::{
    Look, Looks, Owners, THREAD_COLORS,
    look::{class, look_classes},
};

/// The index of one thread.
#[derive(Clone, Debug)]
pub struct ThreadIndex {
    /// Its forest, of [`Look`]s.
    pub forest: Forest<{ class::COUNT }>,
    /// The look of each interval. Told once, as they come, when the stalls that tell it are still at hand: a look into the
    /// list of all stalls costs a miss of the cache, for each interval of each query.
    looks: Vec<u8>,
    edits: u32,
    /// Intervals that are in `totals`.
    counted: usize,
    totals: [i64; Look::ALL.len()],
    gil: Option<u32>,
}

impl ThreadIndex {
    fn new() -> ThreadIndex {
        ThreadIndex {
            forest: Forest::new(look_classes()),
            looks: Vec::new(),
            edits: 0,
            counted: 0,
            totals: [0; Look::ALL.len()],
            gil: None,
        }
    }

    /// Time it spent in `look`, ns. The interval that goes on is not counted.
    pub fn total(&self, look: Look) -> i64 {
        self.totals[look as usize]
    }

    /// Time it waited for a GIL, ns.
    pub fn waiting(&self) -> i64 {
        self.total(Look::Waiting) + self.total(Look::Stalled)
    }

    /// Time it held a GIL, ns.
    pub fn holding(&self) -> i64 {
        self.total(Look::Holding) + self.total(Look::Descheduled)
    }

    /// The GIL it first used: index into the model's.
    pub fn gil(&self) -> Option<u32> {
        self.gil
    }

    /// The lane, which is that of this thread, as the forest sees it.
    pub fn looks<'a>(&'a self, lane: &'a Lane) -> Looks<'a> {
        Looks { lane, looks: &self.looks }
    }

    fn update(&mut self, lane: &Lane, stalls: &[Stall]) {
        if lane.edits() != self.edits || lane.len() <= self.counted {
            *self = ThreadIndex { edits: lane.edits(), ..ThreadIndex::new() };
        }
        let closed = lane.len().saturating_sub(1);
        // The interval that goes on may have changed since.
        self.looks.truncate(self.counted);
        for place in self.counted..lane.len() {
            let interval = lane.get(place);
            let look = Look::of(interval.state as u8, interval.arg, stalls);
            self.looks.push(look as u8);
            if place < closed {
                self.totals[look as usize] += interval.duration();
            }
            if self.gil.is_none() {
                self.gil = match interval.state {
                    State::Holding | State::Limbo => Some(interval.arg),
                    State::Waiting => stalls.get(interval.arg as usize).map(|stall| stall.gil),
                    _ => None,
                };
            }
        }
        self.counted = closed;
        self.forest.extend(Looks { lane, looks: &self.looks });
    }
}

/// The index of a model.
#[derive(Clone, Debug, Default)]
pub struct TraceIndex {
    /// By thread of the model.
    pub threads: Vec<ThreadIndex>,
    /// By GIL of the model: forests of the holders' colours.
    pub gils: Vec<Forest<THREAD_COLORS>>,
    /// By thread: how much it is involved in convoys, as victim or culprit, ns.
    trouble: Vec<i64>,
    /// By thread: whether it is the victim of a convoy.
    victim: Vec<bool>,
    /// Grows with every [`TraceIndex::update`].
    version: u64,
    losses: usize,
}

impl TraceIndex {
    /// The index of `model`.
    pub fn of(model: &Model) -> TraceIndex {
        let mut index = TraceIndex::default();
        index.update(model);
        index
    }

    /// Takes in what the model has gained since the last call.
    pub fn update(&mut self, model: &Model) {
        self.threads.resize_with(model.threads.len(), ThreadIndex::new);
        for (index, thread) in self.threads.iter_mut().zip(&model.threads) {
            index.update(&thread.lane, &model.stalls);
        }
        // A loss cuts holds that were already there.
        if self.losses != model.lost.len() {
            self.gils.clear();
            self.losses = model.lost.len();
        }
        self.gils.resize_with(model.gils.len(), || Forest::new(owner_classes()));
        for (index, gil) in self.gils.iter_mut().zip(&model.gils) {
            index.extend(Owners { holds: &gil.holds });
        }
        self.trouble.clear();
        self.trouble.resize(model.threads.len(), 0);
        self.victim.clear();
        self.victim.resize(model.threads.len(), false);
        for convoy in &model.convoys {
            if let Some(victim) = self.victim.get_mut(convoy.victim as usize) {
                *victim = true;
            }
            for (thread, nanos) in convoy.culprits.iter().copied().chain([(convoy.victim, convoy.stalled_ns)])
            {
                if let Some(trouble) = self.trouble.get_mut(thread as usize) {
                    *trouble = trouble.saturating_add(nanos);
                }
            }
        }
        self.version += 1;
    }

    /// Grows with every update.
    pub fn version(&self) -> u64 {
        self.version
    }

    /// How much a thread is involved in convoys, as victim or culprit, ns.
    pub fn trouble(&self, thread: usize) -> i64 {
        self.trouble.get(thread).copied().unwrap_or(0)
    }

    /// Whether a thread is the victim of a convoy.
    pub fn is_victim(&self, thread: usize) -> bool {
        self.victim.get(thread).copied().unwrap_or(false)
    }

    /// Bytes of memory in use by the forests.
    pub fn bytes(&self) -> usize {
        let threads: usize =
            self.threads.iter().map(|thread| thread.forest.bytes() + thread.looks.capacity()).sum();
        let gils: usize = self.gils.iter().map(Forest::bytes).sum();
        threads + gils
    }
}

fn owner_classes() -> Classes<THREAD_COLORS> {
    Classes::new(|color| (usize::from(color) < THREAD_COLORS).then_some(color))
}
