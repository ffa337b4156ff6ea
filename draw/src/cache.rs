//! Pieces of the lanes in sight, kept from frame to frame.
//!
//! Buckets do not depend on where the view is, so pieces that were found for a somewhat wider view serve until it is left, and
//! while zooming until the bucket doubles.

use gilscope_analysis::{
    Model,
    index::{Bucket, Forest, Intervals, Piece},
};
use rustc_hash::FxHashMap;

use crate::{Owners, THREAD_COLORS, TraceIndex, View, look::class};

/// Pieces of the lanes in sight.
#[derive(Debug, Default)]
pub struct Cache {
    threads: FxHashMap<u32, Kept<{ class::COUNT }>>,
    gils: FxHashMap<u32, Kept<THREAD_COLORS>>,
    frame: u64,
}

#[derive(Debug)]
struct Kept<const C: usize> {
    version: u64,
    bucket: Bucket,
    from: i64,
    until: i64,
    /// The frame that used it last.
    frame: u64,
    pieces: Vec<Piece<C>>,
}

impl Cache {
    /// A new frame begins: what the last one did not use is dropped.
    pub fn begin_frame(&mut self) {
        let frame = self.frame;
        self.threads.retain(|_, kept| kept.frame == frame);
        self.gils.retain(|_, kept| kept.frame == frame);
        self.frame += 1;
    }

    /// The pieces of a thread's lane that cover the view, and some on both sides.
    pub fn thread(
        &mut self,
        model: &Model,
        index: &TraceIndex,
        thread: u32,
        view: View,
        bucket: Bucket,
    ) -> &[Piece<{ class::COUNT }>] {
        let looks = index.threads[thread as usize].looks(&model.threads[thread as usize].lane);
        let forest = &index.threads[thread as usize].forest;
        let kept = self.threads.entry(thread).or_insert_with(Kept::new);
        kept.renew(forest, looks, index.version(), view, bucket, self.frame);
        kept.cover(view)
    }

    /// The pieces of a GIL's holds that cover the view, and some on both sides.
    pub fn gil(
        &mut self,
        model: &Model,
        index: &TraceIndex,
        gil: u32,
        view: View,
        bucket: Bucket,
    ) -> &[Piece<THREAD_COLORS>] {
        let owners = Owners { holds: &model.gils[gil as usize].holds };
        let kept = self.gils.entry(gil).or_insert_with(Kept::new);
        kept.renew(&index.gils[gil as usize], owners, index.version(), view, bucket, self.frame);
        kept.cover(view)
    }
}

impl<const C: usize> Kept<C> {
    fn new() -> Kept<C> {
        Kept { version: 0, bucket: Bucket::at_least(1.0), from: 0, until: 0, frame: 0, pieces: Vec::new() }
    }

    fn renew(
        &mut self,
        forest: &Forest<C>,
        lane: impl Intervals,
        version: u64,
        view: View,
        bucket: Bucket,
        frame: u64,
    ) {
        self.frame = frame;
        let serves = self.version == version
            && self.bucket == bucket
            && self.from <= view.from
            && view.until <= self.until;
        if serves {
            return;
        }
        // When panning goes on, the next frames will need what lies beside: half a view is a third of a second of a fast pan.
        let margin = view.span() / 4;
        self.from = view.from.saturating_sub(margin);
        self.until = view.until.saturating_add(margin);
        self.version = version;
        self.bucket = bucket;
        self.pieces.clear();
        forest.pieces(lane, self.from, self.until, bucket, &mut self.pieces);
    }

    /// Of the pieces those that share time with the view.
    fn cover(&self, view: View) -> &[Piece<C>] {
        let first = self.pieces.partition_point(|piece| piece.end <= view.from);
        let last = self.pieces.partition_point(|piece| piece.start < view.until).max(first);
        &self.pieces[first..last]
    }
}
