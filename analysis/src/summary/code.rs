//! What the holders ran while others stalled, by stack samples.
//!
//! Each piece of a stall belongs to one hold. A piece in which its holder was sampled is divided among those samples. Pieces
//! without a sample, most of them short, are divided like the samples that the same holder has in other pieces. What a holder
//! without any sample did is not said.

use rustc_hash::FxHashMap;

use super::{View, stalls::Stalls};
use crate::{NONE, Sample, report, words::share};

/// Rows of a list of code.
const MAX_ROWS: usize = 50;

/// What a sample saw: the innermost frame, and if that belongs to a library the line of the program that led there.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
pub(super) struct Line {
    pub(super) frame: u32,
    pub(super) caller: u32,
}

impl Line {
    /// Of a sample with a stack that is known.
    pub(super) fn of(view: &View, sample: &Sample) -> Option<Line> {
        let stacks = &view.model.stacks;
        Some(Line { frame: *stacks.stack(sample.stack).first()?, caller: stacks.caller(sample.stack) })
    }
}

/// The code of the whole range.
#[derive(Default)]
pub(super) struct Blamed {
    pub(super) code: Vec<report::Code>,
    pub(super) sampling: Option<report::Sampling>,
}

/// Stall time of one holder.
#[derive(Default)]
struct Holder {
    /// By line: ns of pieces that were sampled, samples.
    lines: FxHashMap<Line, (i64, u64)>,
    unsampled_ns: i64,
}

/// Stall time by holder.
#[derive(Default)]
pub(super) struct Attribution {
    holders: FxHashMap<u32, Holder>,
    total_ns: i64,
}

impl Attribution {
    /// Adds the pieces of `from..to`, in which `waiter` stalled for `gil`.
    pub(super) fn add(&mut self, view: &View, waiter: u32, gil: u32, from: i64, to: i64) {
        let model = view.model;
        self.total_ns += to - from;
        for hold in model.gils[gil as usize].holds.range(from, to) {
            let (start, end) = (hold.start.max(from), hold.end.min(to));
            if hold.thread == waiter || start >= end {
                continue;
            }
            let holder = self.holders.entry(hold.thread).or_default();
            let samples = model.threads[hold.thread as usize].samples.range(start, end);
            let known = samples.iter().filter_map(|sample| Line::of(view, sample));
            let count = known.clone().count() as i64;
            if count == 0 {
                holder.unsampled_ns += end - start;
                continue;
            }
            let mut rest = end - start;
            for (place, line) in known.enumerate() {
                let part = rest / (count - place as i64);
                rest -= part;
                let (ns, samples) = holder.lines.entry(line).or_default();
                *ns += part;
                *samples += 1;
            }
        }
    }

    /// The rows, longest first, and the time that could be attributed.
    pub(super) fn rows(&self, view: &View) -> (Vec<report::Code>, i64) {
        let mut lines: FxHashMap<Line, (f64, u64)> = FxHashMap::default();
        for holder in self.holders.values() {
            let samples: u64 = holder.lines.values().map(|(_, samples)| samples).sum();
            for (&line, &(ns, count)) in &holder.lines {
                let pooled = holder.unsampled_ns as f64 * count as f64 / samples as f64;
                let (sum, all) = lines.entry(line).or_default();
                *sum += ns as f64 + pooled;
                *all += count;
            }
        }
        rows(view, lines.into_iter().map(|(line, (ns, count))| (line, ns.round() as i64, count)))
    }
}

/// A row for each frame, longest first, of lines with their ns and samples; and the sum of all.
fn rows(view: &View, lines: impl Iterator<Item = (Line, i64, u64)>) -> (Vec<report::Code>, i64) {
    #[derive(Default)]
    struct Row {
        ns: i64,
        samples: u64,
        callers: Vec<(i64, u32)>,
    }
    let mut frames: FxHashMap<u32, Row> = FxHashMap::default();
    for (line, ns, samples) in lines {
        let row = frames.entry(line.frame).or_default();
        row.ns += ns;
        row.samples += samples;
        row.callers.push((ns, line.caller));
    }
    let sum: i64 = frames.values().map(|row| row.ns).sum();
    let mut frames: Vec<(u32, Row)> = frames.into_iter().collect();
    frames.sort_by_key(|(frame, row)| (-row.ns, *frame));
    let code = frames.into_iter().take(MAX_ROWS).filter_map(|(index, row)| {
        let frame = view.model.stacks.frame(index)?;
        let caller = row.callers.iter().max_by_key(|(ns, caller)| (*ns, std::cmp::Reverse(*caller)));
        Some(report::Code {
            location: location(view, index)?,
            function: frame.function.clone(),
            file: frame.file.clone(),
            line: frame.line,
            caller: caller.and_then(|&(_, caller)| location(view, caller)),
            stalled_ns: row.ns,
            share: share(row.ns, sum),
            samples: row.samples,
        })
    });
    (code.collect(), sum)
}

/// `file:line function`.
pub(super) fn location(view: &View, frame: u32) -> Option<String> {
    if frame == NONE {
        return None;
    }
    let frame = view.model.stacks.frame(frame)?;
    Some(match frame.line {
        0 => format!("{} {}", frame.file, frame.function),
        line => format!("{}:{line} {}", frame.file, frame.function),
    })
}

/// The code of the whole range; nothing without samples.
pub(super) fn code(view: &View, stalls: &Stalls) -> Blamed {
    let model = view.model;
    let samples: usize =
        model.threads.iter().map(|thread| thread.samples.range(view.from, view.to).len()).sum();
    if samples == 0 && model.sampling.is_none() {
        return Blamed::default();
    }
    let mut all = Attribution::default();
    if samples > 0 {
        for (_, stall) in model.stalls_in(view.from, view.to) {
            if view.has_process(model.gils[stall.gil as usize].process) {
                let (from, to) = view.clip(stall.start, stall.end);
                all.add(view, stall.thread, stall.gil, from, to);
            }
        }
    }
    let (code, attributed_ns) = all.rows(view);
    let sampling = model.sampling.clone().unwrap_or_default();
    // The last row of the trace speaks of the time since the one before, which may be an instant.
    let achieved_hz = match sampling.rounds {
        0 => sampling.achieved_hz,
        rounds => crate::words::per_second(rounds, model.end - model.start),
    };
    Blamed {
        code,
        sampling: Some(report::Sampling {
            requested_hz: sampling.requested_hz,
            achieved_hz,
            samples: samples as u64,
            torn: sampling.torn,
            stalled_ns: stalls.stalled_ns,
            attributed_ns,
        }),
    }
}

/// The code of some stalls: that of the holders and that of the victim.
#[derive(Default)]
pub(super) struct Sides {
    culprits: Attribution,
    /// Samples of the victim while it waited.
    victim: FxHashMap<Line, u64>,
    stalled_ns: i64,
}

impl Sides {
    fn add(&mut self, view: &View, stall: &crate::Stall, from: i64, to: i64) {
        self.culprits.add(view, stall.thread, stall.gil, from, to);
        self.stalled_ns += to - from;
        let model = view.model;
        for sample in model.threads[stall.thread as usize].samples.range(from, to) {
            if let Some(line) = Line::of(view, sample) {
                *self.victim.entry(line).or_default() += 1;
            }
        }
    }

    /// The rows of the culprits and those of the victim.
    pub(super) fn rows(&self, view: &View) -> (Vec<report::Code>, Vec<report::Code>) {
        let samples: u64 = self.victim.values().sum();
        let victim = self.victim.iter().map(|(&line, &count)| {
            let ns = self.stalled_ns as f64 * count as f64 / samples as f64;
            (line, ns.round() as i64, count)
        });
        (self.culprits.rows(view).0, rows(view, victim).0)
    }
}

/// The code of each convoy of the range, and of each victim: (thread, GIL). Empty without samples.
pub(super) fn sides(view: &View) -> (FxHashMap<u32, Sides>, FxHashMap<(u32, u32), Sides>) {
    let (mut convoys, mut victims) = (FxHashMap::default(), FxHashMap::default());
    if view.model.stacks.is_empty() {
        return (convoys, victims);
    }
    for (_, stall) in view.model.stalls_in(view.from, view.to) {
        if stall.convoy != NONE {
            let (from, to) = view.clip(stall.start, stall.end);
            let convoy: &mut Sides = convoys.entry(stall.convoy).or_default();
            convoy.add(view, stall, from, to);
            let victim: &mut Sides = victims.entry((stall.thread, stall.gil)).or_default();
            victim.add(view, stall, from, to);
        }
    }
    (convoys, victims)
}
