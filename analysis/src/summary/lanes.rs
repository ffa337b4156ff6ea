//! What each thread did: one pass over its lane.

use rayon::prelude::*;
use rustc_hash::FxHashMap;

use super::{View, gil_of, gils::GilSums, stalls::Stalls};
use crate::{Span, State, report, spans::overlap, state};

/// What one lane says of the range.
#[derive(Default)]
pub(super) struct LaneSums {
    by_state: [i64; 7],
    preempted_holding: i64,
    runnable: i64,
    calls: FxHashMap<i16, report::Syscall>,
    /// Time in forced releases by GIL.
    pub(super) limbo: FxHashMap<usize, i64>,
    /// Time of holding without a processor by GIL.
    pub(super) descheduled: FxHashMap<usize, i64>,
    /// Of it, while another thread waited: preempted, blocked.
    pub(super) descheduled_contended: (i64, i64),
}

/// A pass over every lane, in parallel.
pub(super) fn lanes(view: &View, stalls: &Stalls) -> Vec<LaneSums> {
    let threads = &view.model.threads;
    threads.par_iter().map(|thread| lane(view, thread, stalls)).collect()
}

fn lane(view: &View, thread: &crate::Thread, stalls: &Stalls) -> LaneSums {
    let mut sums = LaneSums::default();
    // The call that has ended since when the GIL was not acquired again, the time waited for it, and that without a processor.
    let mut returning: Option<(i16, i64, i64, i64)> = None;
    for interval in thread.lane.range(view.from, view.to) {
        let (from, to) = view.clip(interval.start, interval.end);
        let ns = to - from;
        sums.by_state[interval.state as usize] += ns;
        match interval.state {
            State::Syscall => {
                let nr = state::call_nr(interval.arg);
                let call = sums.calls.entry(nr).or_default();
                call.calls += 1;
                call.kernel_ns += ns;
                let runnable = overlap(&thread.runnable, from, to);
                call.runnable_ns += runnable;
                sums.runnable += runnable;
                returning = Some((nr, interval.end, 0, 0));
            }
            State::Waiting => {
                if let Some((_, _, waited, _)) = &mut returning {
                    *waited += ns;
                }
            }
            State::Holding => {
                if let Some((nr, end, waited, runnable)) = returning.take() {
                    let call = sums.calls.entry(nr).or_default();
                    call.reacquire_ns += from.saturating_sub(end.max(view.from)).max(0);
                    call.waiting_ns += waited;
                    call.runnable_ns += runnable;
                }
            }
            State::Descheduled => {
                let preempted = interval.arg & state::PREEMPTED != 0;
                if preempted {
                    sums.preempted_holding += ns;
                }
                if let Some(gil) = gil_of(interval.state, interval.arg) {
                    *sums.descheduled.entry(gil).or_default() += ns;
                    let contended = stalls.contended.get(gil).map_or(0, |spans| overlap(spans, from, to));
                    match preempted {
                        true => sums.descheduled_contended.0 += contended,
                        false => sums.descheduled_contended.1 += contended,
                    }
                }
            }
            State::Limbo => {
                if let Some(gil) = gil_of(interval.state, interval.arg) {
                    *sums.limbo.entry(gil).or_default() += ns;
                }
            }
            State::Unknown => returning = None,
            State::OffGil => {
                let runnable = overlap(&thread.runnable, from, to);
                sums.runnable += runnable;
                if let Some((.., without_processor)) = &mut returning {
                    *without_processor += runnable;
                }
            }
        }
    }
    for (Span { start, end }, arg) in thread.held_calls.range(view.from, view.to) {
        let (from, to) = view.clip(start, end);
        let call = sums.calls.entry(state::call_nr(arg)).or_default();
        call.calls += 1;
        call.kernel_ns += to - from;
        call.held_calls += 1;
        call.held_ns += to - from;
    }
    sums
}

/// The threads of the report.
pub(super) fn threads(
    view: &View,
    lanes: Vec<LaneSums>,
    gils: &[GilSums],
    stalls: &Stalls,
) -> Vec<report::Thread> {
    let mut rows = Vec::new();
    for (index, (thread, sums)) in view.model.threads.iter().zip(lanes).enumerate() {
        let lifetime: i64 = sums.by_state.iter().sum();
        let idle = !thread.uses_gil && sums.calls.is_empty();
        if idle || lifetime == 0 || !view.has_thread(index as u32) {
            continue;
        }
        let mut row = report::Thread {
            pid: view.model.pid(index as u32),
            tid: thread.tid,
            incarnation: thread.incarnation,
            name: thread.name(),
            foreign: thread.detail.foreign,
            lifetime_ns: lifetime,
            held_ns: sums.by_state[State::Holding as usize],
            descheduled_holding_ns: sums.by_state[State::Descheduled as usize],
            waiting_ns: sums.by_state[State::Waiting as usize],
            syscall_ns: sums.by_state[State::Syscall as usize],
            offgil_ns: sums.by_state[State::OffGil as usize],
            limbo_ns: sums.by_state[State::Limbo as usize],
            unknown_ns: sums.by_state[State::Unknown as usize],
            preempted_holding_ns: sums.preempted_holding,
            runnable_ns: sums.runnable,
            states_made: view.count(&thread.states_made),
            states_destroyed: view.count(&thread.states_destroyed),
            wait_ns: percentiles(&stalls.waits[index]),
            wait_histogram: histogram(&stalls.waits[index]),
            ..report::Thread::default()
        };
        for counts in gils.iter().filter_map(|gil| gil.by_thread.get(&(index as u32))) {
            row.acquisitions += counts.acquisitions;
            row.contended += counts.contended;
            row.forced_releases += counts.forced;
            row.voluntary_releases += counts.voluntary;
        }
        row.syscalls = sums
            .calls
            .into_iter()
            .map(|(nr, call)| report::Syscall { name: view.syscall_name(nr), nr, ..call })
            .collect();
        row.syscalls.sort_by_key(|call| (-(call.kernel_ns + call.reacquire_ns), call.nr));
        rows.push(row);
    }
    rows
}

/// Percentiles of ascending values: the smallest value that at least that part of them do not exceed.
pub(super) fn percentiles(ascending: &[i64]) -> report::Percentiles {
    let at = |percent: usize| {
        let place = (ascending.len() * percent).div_ceil(100).saturating_sub(1);
        ascending.get(place).copied().unwrap_or(0)
    };
    report::Percentiles { p50: at(50), p90: at(90), p99: at(99), max: at(100) }
}

/// Buckets of powers of two microseconds, without the empty ones at both ends.
fn histogram(ascending: &[i64]) -> Vec<report::Bucket> {
    let bucket = |ns: i64| (ns / 1000).max(0).checked_ilog2().map_or(0, |log| log as usize + 1);
    let mut buckets: Vec<report::Bucket> = Vec::new();
    let Some(&first) = ascending.first() else {
        return buckets;
    };
    let first = bucket(first);
    for &ns in ascending {
        let place = bucket(ns) - first;
        while buckets.len() <= place {
            let power = first + buckets.len();
            buckets.push(report::Bucket {
                from_ns: if power == 0 { 0 } else { 1000 << (power - 1) },
                to_ns: 1000 << power,
                count: 0,
            });
        }
        buckets[place].count += 1;
    }
    buckets
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_values() {
        let values: Vec<i64> = (1..=100).collect();
        assert_eq!(percentiles(&values), report::Percentiles { p50: 50, p90: 90, p99: 99, max: 100 });
        assert_eq!(percentiles(&[]), report::Percentiles::default());
        assert_eq!(percentiles(&[7]), report::Percentiles { p50: 7, p90: 7, p99: 7, max: 7 });
    }

    #[test]
    fn every_value_is_in_the_bucket_that_spans_it() {
        let values = [10, 999, 1000, 1999, 2000, 5_000_000, 2_199_000_000_000];
        let buckets = histogram(&values);
        assert_eq!(buckets.iter().map(|bucket| bucket.count).sum::<u64>(), values.len() as u64);
        for value in values {
            assert!(buckets.iter().any(|b| b.from_ns <= value && value < b.to_ns && b.count > 0));
        }
    }
}
