//! What each GIL saw: one pass over its holds.

use rustc_hash::FxHashMap;

use super::{View, lanes::LaneSums, stalls::Stalls};
use crate::{Gil, Span, holds, report, words};

/// A GIL of the report with what its holders did.
pub(super) struct GilSums {
    pub(super) report: report::Gil,
    pub(super) by_thread: FxHashMap<u32, Counts>,
}

/// Acquisitions and releases of one thread.
#[derive(Clone, Copy, Default)]
pub(super) struct Counts {
    pub(super) acquisitions: u64,
    pub(super) contended: u64,
    pub(super) forced: u64,
    pub(super) voluntary: u64,
}

pub(super) fn gils(view: &View, stalls: &Stalls, lanes: &[LaneSums]) -> Vec<GilSums> {
    let all = view.model.gils.iter().enumerate();
    all.filter(|(_, gil)| view.has_process(gil.process))
        .map(|(index, gil)| sums(view, index, gil, stalls, lanes))
        .collect()
}

fn sums(view: &View, index: usize, gil: &Gil, stalls: &Stalls, lanes: &[LaneSums]) -> GilSums {
    let process = view.model.processes.get(gil.process as usize);
    let (begin, end) = view.clip(gil.start, gil.end.unwrap_or(view.to));
    let contended = &stalls.contended[index];
    let (mut held, mut held_contended, mut handovers) = (0, 0, 0);
    let mut by_thread: FxHashMap<u32, Counts> = FxHashMap::default();
    let places = gil.holds.places(view.from, view.to);
    let mut before = places.start.checked_sub(1).map(|place| gil.holds.threads()[place]);
    let mut next = 0;
    for place in places {
        let hold = gil.holds.get(place);
        if hold.has(holds::VOID) {
            continue;
        }
        let (from, to) = view.clip(hold.start, hold.end);
        held += to - from;
        while contended.get(next).is_some_and(|span| span.end <= from) {
            next += 1;
        }
        let overlapping = contended[next..].iter().take_while(|span| span.start < to);
        held_contended += overlapping.map(|span| span.overlap(from, to)).sum::<i64>();
        let counts = by_thread.entry(hold.thread).or_default();
        if hold.start >= view.from && !hold.has(holds::OPEN_START) {
            counts.acquisitions += 1;
            counts.contended += u64::from(hold.has(holds::CONTENDED));
            handovers += u64::from(before.is_some_and(|before| before != hold.thread));
        }
        if hold.end <= view.to {
            counts.forced += u64::from(hold.has(holds::FORCED));
            counts.voluntary += u64::from(hold.has(holds::VOLUNTARY));
        }
        before = Some(hold.thread);
    }
    let contended_ns: i64 = contended.iter().map(Span::duration).sum();
    let unknown_ns: i64 = gil
        .unknown
        .iter()
        .map(|span| view.clip(span.start, span.end))
        .map(|(from, to)| uncovered(gil, contended, from, to))
        .sum();
    let lifetime_ns = end - begin;
    let handover_ns = contended_ns - held_contended;
    let sum = |of: fn(&Counts) -> u64| by_thread.values().map(of).sum::<u64>();
    let report = report::Gil {
        id: view.model.gil_name(index as u32),
        pid: process.map_or(0, |process| process.pid),
        address: format!("{:#x}", gil.address),
        interpreter: gil.detail.interpreter,
        switch_interval_us: gil.detail.interval_us,
        lifetime_ns,
        held_ns: held,
        contended_ns,
        idle_ns: (lifetime_ns - held - handover_ns - unknown_ns).max(0),
        handover_ns,
        unknown_ns,
        limbo_ns: lanes.iter().filter_map(|lane| lane.limbo.get(&index)).sum(),
        descheduled_ns: lanes.iter().filter_map(|lane| lane.descheduled.get(&index)).sum(),
        acquisitions: sum(|counts| counts.acquisitions),
        contended: sum(|counts| counts.contended),
        handovers,
        handovers_per_second: words::per_second(handovers, lifetime_ns),
        forced: sum(|counts| counts.forced),
        voluntary: sum(|counts| counts.voluntary),
    };
    GilSums { report, by_thread }
}

/// Time of `from..to` in which nobody held the GIL nor waited for it.
fn uncovered(gil: &Gil, contended: &[Span], from: i64, to: i64) -> i64 {
    let first = contended.partition_point(|span| span.end <= from);
    let mut covers: Vec<(i64, i64)> = gil.holds.range(from, to).map(|hold| (hold.start, hold.end)).collect();
    covers.extend(
        contended[first..].iter().take_while(|span| span.start < to).map(|span| (span.start, span.end)),
    );
    covers.sort_unstable();
    let (mut free, mut at) = (0, from);
    for (start, end) in covers {
        free += start.min(to).saturating_sub(at).max(0);
        at = at.max(end);
    }
    free + to.saturating_sub(at).max(0)
}
