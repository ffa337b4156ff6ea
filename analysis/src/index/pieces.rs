//! From a lane and a view to pieces.

use super::{
    CLASSES, Forest, Lane, MAX_STATES,
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
        Bucket {
            shift: nanos.next_power_of_two().trailing_zeros(),
        }
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
pub struct Piece {
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
    pub shares: [f32; CLASSES],
}

impl Piece {
    /// The state of a piece that is one interval; `None` for a merged one.
    pub fn state(&self) -> Option<u8> {
        (self.count == 1).then(|| self.mask.trailing_zeros() as u8)
    }

    /// Whether `state` occurs in it.
    pub fn has(&self, state: u8) -> bool {
        self.mask & (1 << (usize::from(state) % MAX_STATES)) != 0
    }
}

impl Forest {
    /// The pieces of `lane` that cover the time from `from` to `until` (ns), in order and without gap, into `out`.
    ///
    /// There are at most two for each bucket. The first and the last may reach beyond the view.
    pub fn pieces(&self, lane: Lane<'_>, from: i64, until: i64, bucket: Bucket, out: &mut Vec<Piece>) {
        if lane.is_empty() || until <= from {
            return;
        }
        let mut merge = Merge::new(bucket, out);
        let mut place = self.place_of(lane, bucket.start_of(from), bucket);
        while place < lane.len() && lane.starts[place] < until {
            if place.is_multiple_of(BLOCK)
                && let Some((level, node, end)) = self.largest_within(lane, place, bucket)
            {
                merge.add_node(place, size(level), node, end);
                place += size(level);
                continue;
            }
            let block_end = (place / BLOCK + 1) * BLOCK;
            while place < block_end.min(lane.len()) {
                let start = lane.starts[place];
                if start >= until {
                    break;
                }
                let state = lane.states[place];
                merge.add_interval(place, start, lane.end_of(place), state, self.classes().of(state));
                place += 1;
            }
        }
        merge.flush();
    }

    /// Where to begin so that `from` is covered: at the node that will be taken whole, if one covers it.
    fn place_of(&self, lane: Lane<'_>, from: i64, bucket: Bucket) -> usize {
        let place = lane
            .starts
            .partition_point(|&start| start <= from)
            .saturating_sub(1);
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
    fn largest_within(&self, lane: Lane<'_>, place: usize, bucket: Bucket) -> Option<(usize, &Node, i64)> {
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
struct Merge<'a> {
    bucket: Bucket,
    out: &'a mut Vec<Piece>,
    number: i64,
    /// The piece so far; its shares are sums of ns until it is flushed. Empty while `count` is 0.
    piece: Piece,
}

impl<'a> Merge<'a> {
    fn new(bucket: Bucket, out: &'a mut Vec<Piece>) -> Merge<'a> {
        let piece = Piece {
            start: 0,
            end: 0,
            first: 0,
            count: 0,
            mask: 0,
            shares: [0.0; CLASSES],
        };
        Merge {
            bucket,
            out,
            number: 0,
            piece,
        }
    }

    #[inline]
    fn add_interval(&mut self, index: usize, start: i64, end: i64, state: u8, class: Option<usize>) {
        let mask = 1 << (usize::from(state) % MAX_STATES);
        let long = end - start >= self.bucket.nanos();
        self.begin(index, start, long);
        self.piece.mask |= mask;
        self.piece.end = end;
        self.piece.count += 1;
        if let Some(class) = class {
            self.piece.shares[class] += (end - start) as f32;
        }
        if long {
            self.flush();
        }
    }

    #[inline]
    fn add_node(&mut self, first: usize, count: usize, node: &Node, end: i64) {
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
        self.piece.shares = [0.0; CLASSES];
    }
}
