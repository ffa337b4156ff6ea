//! The states of one thread over time.

use crate::State;

/// One interval of a lane.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Interval {
    /// Begin, ns of the trace clock.
    pub start: i64,
    /// End, exclusive.
    pub end: i64,
    /// What the thread did.
    pub state: State,
    /// What [`State`] says of it.
    pub arg: u32,
}

impl Interval {
    /// Its length in ns.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }
}

/// The states of one thread, without gap or overlap from the first start to [`Lane::end`]: 13 bytes an interval.
///
/// Starts ascend strictly. Two neighbours never agree in both state and argument.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Lane {
    pub(crate) starts: Vec<i64>,
    pub(crate) states: Vec<u8>,
    pub(crate) args: Vec<u32>,
    pub(crate) end: i64,
    pub(crate) edits: u32,
}

impl Lane {
    pub(crate) fn beginning(start: i64, state: State, arg: u32) -> Lane {
        Lane { starts: vec![start], states: vec![state as u8], args: vec![arg], end: start, edits: 0 }
    }

    /// Number of intervals.
    #[inline]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether it has none; the lane of a thread in a model always has one.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Begin of each interval, ns, ascending.
    #[inline]
    pub fn starts(&self) -> &[i64] {
        &self.starts
    }

    /// [`State`] of each interval as a number.
    #[inline]
    pub fn states(&self) -> &[u8] {
        &self.states
    }

    /// Argument of each interval; what it is depends on the state.
    #[inline]
    pub fn args(&self) -> &[u32] {
        &self.args
    }

    /// Begin of the first interval.
    pub fn start(&self) -> i64 {
        self.starts.first().copied().unwrap_or(self.end)
    }

    /// End of the last interval; provisional while the thread lives.
    #[inline]
    pub fn end(&self) -> i64 {
        self.end
    }

    /// Grows whenever an interval before the last was changed or removed. An index built for the same number needs only to
    /// take in what was appended (from the interval that was last at that time on).
    pub fn edits(&self) -> u32 {
        self.edits
    }

    /// The interval at `place`, which must be less than [`Lane::len`].
    #[inline]
    pub fn get(&self, place: usize) -> Interval {
        Interval {
            start: self.starts[place],
            end: self.starts.get(place + 1).copied().unwrap_or(self.end),
            state: State::from_u8(self.states[place]),
            arg: self.args[place],
        }
    }

    /// Place of the interval that contains `time`, if the thread lived then.
    pub fn at(&self, time: i64) -> Option<usize> {
        let place = self.starts.partition_point(|&start| start <= time).checked_sub(1)?;
        (time < self.end).then_some(place)
    }

    /// The intervals that share time with `from..to`, not clipped.
    pub fn range(&self, from: i64, to: i64) -> impl DoubleEndedIterator<Item = Interval> + '_ {
        let first = self.starts.partition_point(|&start| start <= from).saturating_sub(1);
        let last = self.starts.partition_point(|&start| start < to).max(first);
        (first..last)
            .map(|place| self.get(place))
            .filter(move |interval| interval.end > from && interval.end > interval.start)
    }

    /// All intervals.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Interval> + ExactSizeIterator + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    #[inline]
    pub(crate) fn last(&self) -> (i64, State, u32) {
        match (self.starts.last(), self.states.last(), self.args.last()) {
            (Some(&start), Some(&state), Some(&arg)) => (start, State::from_u8(state), arg),
            _ => (self.end, State::Unknown, 0),
        }
    }

    /// From `time` on (not before the last start) the thread is in `state`.
    #[inline]
    pub(crate) fn set(&mut self, time: i64, state: State, arg: u32) {
        if let (Some(&start), Some(last_state), Some(last_arg)) =
            (self.starts.last(), self.states.last_mut(), self.args.last_mut())
        {
            if *last_state == state as u8 && *last_arg == arg {
                return;
            }
            if time <= start {
                *last_state = state as u8;
                *last_arg = arg;
                self.join_last();
                return;
            }
        }
        self.starts.push(time);
        self.states.push(state as u8);
        self.args.push(arg);
        self.end = self.end.max(time);
    }

    /// From `time` on the thread is in `state`, whatever was said before; `time` is not before the lane's start.
    pub(crate) fn rewrite(&mut self, time: i64, state: State, arg: u32) {
        let keep = self.starts.partition_point(|&start| start < time).max(1);
        self.starts.truncate(keep);
        self.states.truncate(keep);
        self.args.truncate(keep);
        self.edits = self.edits.wrapping_add(1);
        self.set(time.max(self.start()), state, arg);
    }

    /// Replacing the last interval's state may have made it equal to the one before.
    fn join_last(&mut self) {
        let count = self.len();
        if count >= 2
            && self.states[count - 1] == self.states[count - 2]
            && self.args[count - 1] == self.args[count - 2]
        {
            self.starts.pop();
            self.states.pop();
            self.args.pop();
            self.edits = self.edits.wrapping_add(1);
        }
    }
}
