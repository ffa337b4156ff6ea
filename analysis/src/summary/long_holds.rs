//! Holds that did not listen: longer than the switch interval although a thread waited.
//!
//! The eval loop lets go of the GIL when it is asked, so such a holder was in C code that does not release it.

use rustc_hash::FxHashMap;

use super::{
    View,
    stalls::{Stalls, too_long},
};
use crate::{NONE, State, report, state};

/// GIL, holder, innermost frame.
type Key = (u32, u32, u32);

/// The rows of the report, those that caused most stall time first.
pub(super) fn long_holds(view: &View, stalls: &Stalls) -> Vec<report::LongHold> {
    let model = view.model;
    // The row, and its system calls by number.
    let mut rows: FxHashMap<Key, (report::LongHold, FxHashMap<i16, i64>)> = FxHashMap::default();
    let mut caused: FxHashMap<(u32, u32), i64> = stalls.long.iter().map(|&key| (key, 0)).collect();
    if caused.is_empty() {
        return Vec::new();
    }
    // Every stall that such a hold caused counts, not only that of the thread that waited longest.
    for (_, stall) in model.stalls_in(view.from, view.to) {
        let (from, to) = view.clip(stall.start, stall.end);
        let holds = &model.gils[stall.gil as usize].holds;
        for place in holds.places(from, to) {
            if let Some(sum) = caused.get_mut(&(stall.gil, place as u32))
                && holds.threads()[place] != stall.thread
            {
                *sum += holds.ends()[place].min(to) - holds.starts()[place].max(from);
            }
        }
    }
    let mut caused: Vec<_> = caused.into_iter().collect();
    caused.sort_unstable();
    for ((gil, place), stalled_ns) in caused {
        let hold = model.gils[gil as usize].holds.get(place as usize);
        let Some(thread) = model.threads.get(hold.thread as usize) else {
            continue;
        };
        if !view.has_thread(hold.thread) {
            continue;
        }
        let (from, to) = view.clip(hold.start, hold.end);
        let lane = thread.lane.range(from, to);
        let descheduled: i64 = lane
            .filter(|interval| interval.state == State::Descheduled && interval.arg & state::PREEMPTED != 0)
            .map(|interval| interval.end.min(to) - interval.start.max(from))
            .sum();
        let ran = to - from - descheduled;
        if ran <= too_long(model.gils[gil as usize].interval_ns()) {
            // It would have let go, had it had a processor.
            continue;
        }
        let (frame, samples) = usual_frame(view, hold.thread, from, to);
        let (row, calls) = rows.entry((gil, hold.thread, frame)).or_default();
        row.holds += 1;
        row.samples += samples;
        row.stalled_ns += stalled_ns;
        if ran > row.longest_ns {
            row.longest_ns = ran;
            row.longest_start_ns = view.relative(hold.start);
        }
        for (span, arg) in thread.held_calls.range(from, to) {
            let ns = span.overlap(from, to);
            row.syscall_ns += ns;
            *calls.entry(state::call_nr(arg)).or_default() += ns;
        }
    }
    let mut rows: Vec<_> = rows
        .into_iter()
        .map(|((gil, thread, frame), (row, calls))| report::LongHold {
            gil: model.gil_name(gil),
            pid: model.pid(thread),
            tid: view.tid(thread),
            name: view.name(thread),
            location: super::code::location(view, frame),
            syscall: calls.into_iter().max_by_key(|&(nr, ns)| (ns, nr)).map(|(nr, _)| view.syscall_name(nr)),
            ..row
        })
        .collect();
    rows.sort_by(|a, b| (b.stalled_ns, &a.location, a.tid).cmp(&(a.stalled_ns, &b.location, b.tid)));
    rows
}

/// The innermost frame that most samples of the thread in `from..to` saw, and how many did.
fn usual_frame(view: &View, thread: u32, from: i64, to: i64) -> (u32, u64) {
    let mut counts: FxHashMap<u32, u64> = FxHashMap::default();
    for sample in view.model.threads[thread as usize].samples.range(from, to) {
        if let Some(&frame) = view.model.stacks.stack(sample.stack).first() {
            *counts.entry(frame).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|&(frame, count)| (count, std::cmp::Reverse(frame)));
    most.unwrap_or((NONE, 0))
}
