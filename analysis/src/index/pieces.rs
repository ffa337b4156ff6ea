//! From a lane and a view to pieces.

use std::ops::Range;

use super::{
    Forest, Intervals, MAX_STATES,
    forest::{BLOCK, Node, size},
};

/// The grain of a view: a power of two of a nanosecond.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Bucket {
    shift: u32,
}

impl Bucket {
    /// The smallest bucket that is at least `nanos` long.
    pub fn at_least(nanos: f64) -> Bucket {
        let nanos = (nanos.ceil() as u64).clamp(1, 1 << 62);
        Bucket { shift: nanos.next_power_of_two().trailing_zeros() }
    }

    /// Its length in ns.
    #[inline]
    pub fn nanos(self) -> i64 {
        1 << self.shift
    }

    /// The number of the bucket that `time` falls in.
    #[inline]
    pub fn of(self, time: i64) -> i64 {
        time >> self.shift
    }

    /// Where the bucket that `time` falls in begins, ns.
    #[inline]
    pub fn start_of(self, time: i64) -> i64 {
        (time >> self.shift) << self.shift
    }
}

/// A stretch of a lane that is drawn as one.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Piece<const C: usize> {
    /// Where it begins, ns.
    pub start: i64,
    /// Where it ends, ns.
    pub end: i64,
    /// Index of its first interval.
    pub first: usize,
    /// Number of intervals; 1 for one that stands for itself.
    pub count: usize,
    /// Bit `s` for each state `s` that occurs.
    pub mask: u16,
    /// Share of the time of each class, 0 to 1. Exact to about a percent.
    pub shares: [f32; C],
}

impl<const C: usize> Piece<C> {
    /// The state of a piece that is one interval; `None` for a merged one.
    pub fn state(&self) -> Option<u8> {
        (self.count == 1).then(|| self.mask.trailing_zeros() as u8)
    }

    /// Whether `state` occurs in it.
    pub fn has(&self, state: u8) -> bool {
        self.mask & (1 << (usize::from(state) % MAX_STATES)) != 0
    }
}

impl<const C: usize> Forest<C> {
    /// The pieces of `lane` that cover the time from `from` to `until` (ns), in order and without gap, into `out`.
    ///
    /// There are at most two for each bucket. The first and the last may reach beyond the view.
    pub fn pieces(
        &self,
        lane: impl Intervals,
        from: i64,
        until: i64,
        bucket: Bucket,
        out: &mut Vec<Piece<C>>,
    ) {
        if lane.is_empty() || until <= from {
            return;
        }
        let mut merge = Merge::new(bucket, out);
        let mut place = self.place_of(lane, bucket.start_of(from), bucket);
        while place < lane.len() && lane.start(place) < until {
            if place.is_multiple_of(BLOCK)
                && let Some((level, node, end)) = self.largest_within(lane, place, bucket)
            {
                merge.add_node(place, size(level), node, end);
                place += size(level);
                continue;
            }
            let block_end = (place / BLOCK + 1) * BLOCK;
            while place < block_end.min(lane.len()) {
                let start = lane.start(place);
                if start >= until {
                    break;
                }
                let next = lane.end_of(place);
                let state = lane.state(place);
                let nanos = lane.state_end(place, next) - start;
                merge.add_interval(
                    place,
                    start..next,
                    state,
                    self.classes().of(state).map(|class| (class, nanos)),
                );
                place += 1;
            }
        }
        merge.flush();
    }

    /// Where to begin so that `from` is covered: at the node that will be taken whole, if one covers it.
    fn place_of(&self, lane: impl Intervals, from: i64, bucket: Bucket) -> usize {
        let place = lane.first_after(from).saturating_sub(1);
        for (level, nodes) in self.levels.iter().enumerate().rev() {
            let index = place / size(level);
            if let Some(node) = nodes.get(index)
                && self.end_of(lane, level, index) - node.start <= bucket.nanos()
            {
                return index * size(level);
            }
        }
        place
    }

    /// The largest node that begins at `place` and is no longer than a bucket: its level, itself and its end.
    #[inline]
    fn largest_within(
        &self,
        lane: impl Intervals,
        place: usize,
        bucket: Bucket,
    ) -> Option<(usize, &Node<C>, i64)> {
        let mut found = None;
        for (level, nodes) in self.levels.iter().enumerate() {
            let index = place / size(level);
            if !place.is_multiple_of(size(level)) {
                break;
            }
            let Some(node) = nodes.get(index) else { break };
            let end = self.end_of(lane, level, index);
            if end - node.start > bucket.nanos() {
                break;
            }
            found = Some((level, node, end));
        }
        found
    }
}

/// Gathers what is shorter than a bucket.
struct Merge<'a, const C: usize> {
    bucket: Bucket,
    out: &'a mut Vec<Piece<C>>,
    number: i64,
    /// The piece so far; its shares are sums of ns until it is flushed. Empty while `count` is 0.
    piece: Piece<C>,
}

impl<'a, const C: usize> Merge<'a, C> {
    fn new(bucket: Bucket, out: &'a mut Vec<Piece<C>>) -> Merge<'a, C> {
        let piece = Piece { start: 0, end: 0, first: 0, count: 0, mask: 0, shares: [0.0; C] };
        Merge { bucket, out, number: 0, piece }
    }

    #[inline]
    fn add_interval(&mut self, index: usize, time: Range<i64>, state: u8, class: Option<(usize, i64)>) {
        let mask = 1 << (usize::from(state) % MAX_STATES);
        let long = time.end - time.start >= self.bucket.nanos();
        self.begin(index, time.start, long);
        self.piece.mask |= mask;
        self.piece.end = time.end;
        self.piece.count += 1;
        if let Some((class, nanos)) = class {
            self.piece.shares[class] += nanos as f32;
        }
        if long {
            self.flush();
        }
    }

    #[inline]
    fn add_node(&mut self, first: usize, count: usize, node: &Node<C>, end: i64) {
        self.begin(first, node.start, false);
        let span = (end - node.start) as f32 / 255.0;
        self.piece.mask |= node.mask;
        self.piece.end = end;
        self.piece.count += count;
        for (sum, &share) in self.piece.shares.iter_mut().zip(&node.shares) {
            *sum += span * f32::from(share);
        }
    }

    /// Makes room for something that begins at `start`: what belongs to an earlier bucket, or must stand alone, is given out.
    #[inline]
    fn begin(&mut self, first: usize, start: i64, alone: bool) {
        let number = self.bucket.of(start);
        if self.piece.count > 0 && (alone || number != self.number) {
            self.flush();
        }
        if self.piece.count == 0 {
            self.number = number;
            self.piece.start = start;
            self.piece.first = first;
        }
    }

    fn flush(&mut self) {
        if self.piece.count == 0 {
            return;
        }
        let span = (self.piece.end - self.piece.start).max(1) as f32;
        self.piece.shares.iter_mut().for_each(|sum| *sum /= span);
        self.out.push(self.piece);
        self.piece.count = 0;
        self.piece.mask = 0;
        self.piece.shares = [0.0; C];
    }
}
