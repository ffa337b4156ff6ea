//! The intervals of one thread, or of one GIL, as the analysis keeps them.

/// States are numbered below this, so that a set of them is a `u16`.
pub const MAX_STATES: usize = 16;

/// States that follow each other without gap: interval `i` lasts from `starts[i]` to `starts[i + 1]`, the last one to `end`.
#[derive(Clone, Copy, Debug)]
pub struct Lane<'a> {
    /// Where each interval begins, ns of the trace clock, ascending.
    pub starts: &'a [i64],
    /// The state of each, below [`MAX_STATES`].
    pub states: &'a [u8],
    /// Where the last one ends, ns of the trace clock.
    pub end: i64,
}

impl Lane<'_> {
    /// Number of intervals.
    #[inline]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Where interval `index` ends, ns of the trace clock.
    #[inline]
    pub fn end_of(&self, index: usize) -> i64 {
        self.starts.get(index + 1).copied().unwrap_or(self.end)
    }

    /// The interval that covers `time`, or `None` outside the lane.
    ///
    /// Where intervals of no length share a start it is the last of them, the one that goes on.
    pub fn at(&self, time: i64) -> Option<usize> {
        if time >= self.end {
            return None;
        }
        self.starts.partition_point(|&start| start <= time).checked_sub(1)
    }
}
