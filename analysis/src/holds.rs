//! Who held a GIL over time.

/// Flag: the holder had to wait for it.
pub const CONTENDED: u8 = 1;
/// Flag: it ended because another thread asked for the GIL after a switch interval.
pub const FORCED: u8 = 1 << 1;
/// Flag: it ended because the holder gave the GIL away, such as around a system call.
pub const VOLUNTARY: u8 = 1 << 2;
/// Flag: it had begun before records did, or before the end of a loss.
pub const OPEN_START: u8 = 1 << 3;
/// Flag: no release was seen: the trace, the process or the thread ended, or records were lost.
pub const OPEN_END: u8 = 1 << 4;
/// Flag: it ended because another thread acquired the GIL, although no release was seen.
pub const UNPAIRED: u8 = 1 << 5;
/// Flag: it lies in a span whose records were lost, and says nothing. Its length is zero.
pub const VOID: u8 = 1 << 6;

/// One hold.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Hold {
    /// Acquisition, ns of the trace clock.
    pub start: i64,
    /// Release.
    pub end: i64,
    /// Index into [`crate::Model::threads`].
    pub thread: u32,
    /// The flags of this module.
    pub flags: u8,
}

impl Hold {
    /// Its length in ns.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether all of `flags` are set.
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }
}

/// The holds of one GIL, ascending, never overlapping: 21 bytes each.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Holds {
    pub(crate) starts: Vec<i64>,
    pub(crate) ends: Vec<i64>,
    pub(crate) threads: Vec<u32>,
    pub(crate) flags: Vec<u8>,
}

impl Holds {
    /// Number of holds.
    #[inline]
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// Acquisition of each, ns, ascending.
    pub fn starts(&self) -> &[i64] {
        &self.starts
    }

    /// Release of each, ns, ascending; that of an open hold is provisional.
    pub fn ends(&self) -> &[i64] {
        &self.ends
    }

    /// Holder of each, as index into [`crate::Model::threads`].
    pub fn threads(&self) -> &[u32] {
        &self.threads
    }

    /// The hold at `place`, which must be less than [`Holds::len`].
    #[inline]
    pub fn get(&self, place: usize) -> Hold {
        Hold {
            start: self.starts[place],
            end: self.ends[place],
            thread: self.threads[place],
            flags: self.flags[place],
        }
    }

    /// The hold that contains `time`.
    pub fn at(&self, time: i64) -> Option<Hold> {
        let place = self.starts.partition_point(|&start| start <= time).checked_sub(1)?;
        Some(self.get(place)).filter(|hold| time < hold.end)
    }

    /// The places of the holds that share time with `from..to`.
    pub fn places(&self, from: i64, to: i64) -> std::ops::Range<usize> {
        let first = self.ends.partition_point(|&end| end <= from);
        let last = self.starts.partition_point(|&start| start < to);
        first..last.max(first)
    }

    /// The holds that share time with `from..to`, not clipped.
    pub fn range(
        &self,
        from: i64,
        to: i64,
    ) -> impl DoubleEndedIterator<Item = Hold> + ExactSizeIterator + '_ {
        self.places(from, to).map(|place| self.get(place))
    }

    /// All holds.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = Hold> + ExactSizeIterator + '_ {
        (0..self.len()).map(|place| self.get(place))
    }

    #[inline]
    pub(crate) fn push(&mut self, hold: Hold) -> u32 {
        self.starts.push(hold.start);
        self.ends.push(hold.end);
        self.threads.push(hold.thread);
        self.flags.push(hold.flags);
        (self.len() - 1) as u32
    }
}
