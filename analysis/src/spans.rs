//! Rarer spans that lie beside the lanes.

/// A span of time, ns of the trace clock; the end is exclusive.
#[derive(Clone, Copy, Default, PartialEq, Eq, Debug)]
pub struct Span {
    /// Begin.
    pub start: i64,
    /// End.
    pub end: i64,
}

impl Span {
    /// Its length in ns.
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// The part of `from..to` that lies inside, in ns.
    pub fn overlap(&self, from: i64, to: i64) -> i64 {
        self.end.min(to).saturating_sub(self.start.max(from)).max(0)
    }
}

/// Spans that do not overlap, ascending.
pub type Spans = Vec<Span>;

/// Total time that `spans`, which ascend and do not overlap, share with `from..to`.
pub(crate) fn overlap(spans: &[Span], from: i64, to: i64) -> i64 {
    let first = spans.partition_point(|span| span.end <= from);
    spans[first..].iter().take_while(|span| span.start < to).map(|span| span.overlap(from, to)).sum()
}

/// System calls that a thread made with the GIL in its hands. They lie inside its holds: 20 bytes each.
#[derive(Clone, Default, PartialEq, Eq, Debug)]
pub struct Calls {
    pub(crate) starts: Vec<i64>,
    pub(crate) ends: Vec<i64>,
    pub(crate) args: Vec<u32>,
}

impl Calls {
    /// Number of calls.
    pub fn len(&self) -> usize {
        self.starts.len()
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.starts.is_empty()
    }

    /// The calls that share time with `from..to`, with what [`crate::state::pack_call`] says of each.
    pub fn range(&self, from: i64, to: i64) -> impl Iterator<Item = (Span, u32)> + '_ {
        let first = self.ends.partition_point(|&end| end <= from);
        let last = self.starts.partition_point(|&start| start < to).max(first);
        (first..last).map(|place| {
            let span = Span { start: self.starts[place], end: self.ends[place] };
            (span, self.args[place])
        })
    }

    pub(crate) fn push(&mut self, span: Span, arg: u32) {
        self.starts.push(span.start);
        self.ends.push(span.end);
        self.args.push(arg);
    }
}
