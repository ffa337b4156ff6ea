//! Holds that did not listen: longer than the switch interval although a thread waited.
//!
//! The eval loop lets go of the GIL within microseconds of being asked. A holder that ran on for long after that was in C code that
//! does not release it.

use rustc_hash::FxHashMap;

use super::{
    View,
    code::{Line, location},
};
use crate::{NONE, State, Thread, report, state};

/// GIL, holder, innermost frame.
type Key = (u32, u32, u32);

/// The rows of the report, those that caused most stall time first.
pub(super) fn long_holds(view: &View) -> Vec<report::LongHold> {
    let model = view.model;
    // The row, and its system calls by number.
    let mut rows: FxHashMap<Key, (report::LongHold, FxHashMap<i16, i64>)> = FxHashMap::default();
    let mut caused: FxHashMap<(u32, u32), i64> = deaf_holds(view).map(|key| (key, 0)).collect();
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
        let ran = to - from - preempted(thread, from, to);
        let (Line { frame, caller }, samples) = usual_line(view, hold.thread, from, to);
        let (row, calls) = rows.entry((gil, hold.thread, frame)).or_default();
        row.holds += 1;
        row.samples += samples;
        row.stalled_ns += stalled_ns;
        if ran > row.longest_ns {
            row.longest_ns = ran;
            row.longest_start_ns = view.relative(hold.start);
            row.caller = location(view, caller);
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
            location: location(view, frame),
            syscall: calls.into_iter().max_by_key(|&(nr, ns)| (ns, nr)).map(|(nr, _)| view.syscall_name(nr)),
            ..row
        })
        .collect();
    rows.sort_by(|a, b| (b.stalled_ns, &a.location, a.tid).cmp(&(a.stalled_ns, &b.location, b.tid)));
    rows
}

/// GIL and place of each hold of the range that ran on for half an interval after it was asked to let go. What is shorter can be
/// one slow bytecode.
fn deaf_holds(view: &View) -> impl Iterator<Item = (u32, u32)> {
    let gils = view.model.gils.iter().enumerate();
    gils.flat_map(move |(index, gil)| {
        let slack = (gil.interval_ns() / 2).max(1_000_000);
        let deaf = gil.requests.iter().filter(move |&&(place, asked)| {
            let hold = gil.holds.get(place as usize);
            let (from, to) = view.clip(asked, hold.end);
            let thread = view.model.threads.get(hold.thread as usize);
            to - from > slack && thread.is_some_and(|thread| to - from - letting_go(thread, from, to) > slack)
        });
        deaf.map(move |&(place, _)| (index as u32, place))
    })
}

/// Time of `from..to` in which the thread held the GIL but was preempted: it would have let go, had it had a processor.
fn preempted(thread: &Thread, from: i64, to: i64) -> i64 {
    let lane = thread.lane.range(from, to);
    lane.filter(|interval| interval.state == State::Descheduled && interval.arg & state::PREEMPTED != 0)
        .map(|interval| interval.end.min(to) - interval.start.max(from))
        .sum()
}

/// As [`preempted`], for a holder that was asked at `from`, and with the time for which it slept in letting go itself. The waiter has
/// the GIL's mutex when it asks; a holder that obeys at once finds it locked, sleeps, and then may have to wait for a processor.
fn letting_go(thread: &Thread, from: i64, to: i64) -> i64 {
    /// From the request to the sleep: a probe hit or two.
    const AT_ONCE: i64 = 100_000;
    let lane = thread.lane.range(from, to);
    let slept = lane.filter(|interval| {
        let at_once = interval.start >= from && interval.start - from < AT_ONCE;
        interval.state == State::Descheduled && interval.arg & state::PREEMPTED == 0 && at_once
    });
    preempted(thread, from, to) + slept.map(|interval| interval.end.min(to) - interval.start).sum::<i64>()
}

/// The line that most samples of the thread in `from..to` saw, and how many did.
fn usual_line(view: &View, thread: u32, from: i64, to: i64) -> (Line, u64) {
    let mut counts: FxHashMap<Line, u64> = FxHashMap::default();
    for sample in view.model.threads[thread as usize].samples.range(from, to) {
        if let Some(line) = Line::of(view, sample) {
            *counts.entry(line).or_default() += 1;
        }
    }
    let most = counts.into_iter().max_by_key(|&(line, count)| (count, std::cmp::Reverse(line)));
    most.unwrap_or((Line { frame: NONE, caller: NONE }, 0))
}
