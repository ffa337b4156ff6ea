//! Python stacks and when they were seen.

use gilscope_trace::detail::Frame;
use rustc_hash::FxHashMap;

use crate::NONE;

/// The distinct stacks of a trace. Frames are interned: functions and files appear once.
#[derive(Clone, Default, Debug)]
pub struct Stacks {
    pub(crate) by_id: FxHashMap<u32, u32>,
    pub(crate) stacks: Vec<Vec<u32>>,
    pub(crate) frames: Vec<Frame>,
    pub(crate) frame_by_value: FxHashMap<Frame, u32>,
}

impl Stacks {
    /// Number of distinct stacks.
    pub fn len(&self) -> usize {
        self.stacks.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.stacks.is_empty()
    }

    /// The frames of a stack as indices for [`Stacks::frame`], innermost first; empty for [`NONE`].
    pub fn stack(&self, stack: u32) -> &[u32] {
        self.stacks.get(stack as usize).map_or(&[], Vec::as_slice)
    }

    /// The line of the program that led into a library: of a stack whose innermost frame belongs to one, the innermost frame that
    /// does not. [`NONE`] for other stacks, and where that is a line without a file, as of `python -c`, which says nothing.
    pub fn caller(&self, stack: u32) -> u32 {
        let frames = self.stack(stack);
        let libraries =
            frames.iter().take_while(|&&frame| self.frame(frame).is_some_and(|frame| frame.library));
        let Some(&caller) = frames.get(libraries.count()).filter(|&caller| Some(caller) != frames.first())
        else {
            return NONE;
        };
        let has_file = self.frame(caller).is_some_and(|frame| !frame.file.starts_with('<'));
        if has_file { caller } else { NONE }
    }

    /// A frame. Its texts are clean (see [`crate::clean`]).
    pub fn frame(&self, frame: u32) -> Option<&Frame> {
        self.frames.get(frame as usize)
    }

    /// Number of distinct frames.
    pub fn frame_count(&self) -> usize {
        self.frames.len()
    }

    pub(crate) fn index_of(&self, id: u32) -> u32 {
        self.by_id.get(&id).copied().unwrap_or(NONE)
    }

    pub(crate) fn add(&mut self, id: u32, frames: impl IntoIterator<Item = Frame>) {
        let mut stack = Vec::new();
        for frame in frames {
            let next = self.frames.len() as u32;
            let index = *self.frame_by_value.entry(frame).or_insert_with_key(|frame| {
                self.frames.push(frame.clone());
                next
            });
            stack.push(index);
        }
        self.by_id.insert(id, self.stacks.len() as u32);
        self.stacks.push(stack);
    }
}

/// One sample of a thread's stack.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Sample {
    /// When, ns of the trace clock.
    pub time: i64,
    /// Index for [`Stacks::stack`], or [`NONE`] if the trace does not have it.
    pub stack: u32,
    /// Whether a stall that was going on asked for it.
    pub on_demand: bool,
}

/// The samples of one thread, ascending.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Samples {
    pub(crate) all: Vec<Sample>,
}

impl Samples {
    /// All of them.
    pub fn all(&self) -> &[Sample] {
        &self.all
    }

    /// Those in `from..to`.
    pub fn range(&self, from: i64, to: i64) -> &[Sample] {
        let first = self.all.partition_point(|sample| sample.time < from);
        let last = self.all.partition_point(|sample| sample.time < to).max(first);
        &self.all[first..last]
    }

    /// The last one not after `time`.
    pub fn before(&self, time: i64) -> Option<Sample> {
        let place = self.all.partition_point(|sample| sample.time <= time).checked_sub(1)?;
        self.all.get(place).copied()
    }
}
