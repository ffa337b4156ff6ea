//! What the index asks of a sequence of intervals.

/// States are numbered below this, so that a set of them is a `u16`.
pub const MAX_STATES: usize = 16;

/// Intervals in order of time: interval `i` begins at `start(i)` and the next one at `start(i + 1)`.
///
/// A thread's states follow each other without gap. The holds of a GIL do not: [`Intervals::state_end`] tells them apart.
pub trait Intervals: Copy {
    /// Number of intervals.
    fn len(self) -> usize;

    /// Begin of interval `index`, ns of the trace clock; ascending.
    fn start(self, index: usize) -> i64;

    /// State of interval `index`, below [`MAX_STATES`].
    fn state(self, index: usize) -> u8;

    /// End of the last interval, ns of the trace clock.
    fn end(self) -> i64;

    /// The first index in `0..len` whose start is later than `time`.
    fn first_after(self, time: i64) -> usize;

    /// Where the state of interval `index` ends, at most `next_start`, where the next interval begins.
    #[inline]
    fn state_end(self, index: usize, next_start: i64) -> i64 {
        let _ = index;
        next_start
    }

    /// Whether there are none.
    fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Where the interval behind `index` begins, or where the last one ends.
    #[inline]
    fn end_of(self, index: usize) -> i64 {
        if index + 1 < self.len() { self.start(index + 1) } else { self.end() }
    }

    /// The interval that covers `time` or the gap behind it, or `None` outside.
    ///
    /// Where intervals of no length share a start it is the last of them, the one that goes on.
    fn at(self, time: i64) -> Option<usize> {
        if time >= self.end() {
            return None;
        }
        self.first_after(time).checked_sub(1)
    }
}
