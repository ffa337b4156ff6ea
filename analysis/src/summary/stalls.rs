//! One pass over the stalls of the range: blame, waits, contended time, the longest, those of each convoy.

use std::{cmp::Reverse, collections::BinaryHeap};

use rustc_hash::FxHashMap;

use super::View;
use crate::{NONE, Span, Stall, holds, report, stall, state};

/// Holds inside one of the longest stalls that are listed.
const MAX_HOLDERS: usize = 32;

/// What the stalls of the range say.
pub(super) struct Stalls {
    /// ns by (gil, waiter, holder); holder [`FREE`] or [`NONE`] for nobody known.
    pub(super) blame: FxHashMap<(u32, u32, u32), i64>,
    /// Lengths of the waits that ended in the range, by thread, ascending.
    pub(super) waits: Vec<Vec<i64>>,
    /// When at least one thread waited, by GIL: ascending, apart.
    pub(super) contended: Vec<Vec<Span>>,
    /// Per convoy.
    pub(super) convoys: Vec<Sums>,
    /// Parts of holds that made one thread wait for longer than the switch interval explains: GIL, place of the hold.
    pub(super) long: Vec<(u32, u32)>,
    /// Stall time, all threads together.
    pub(super) stalled_ns: i64,
    /// Of it, after a forced release; and the number of these stalls.
    pub(super) forced_ns: i64,
    /// Indices of the longest stalls, longest first.
    longest: Vec<u32>,
}

/// What the stalls of one convoy add up to.
#[derive(Clone, Default)]
pub(super) struct Sums {
    pub(super) stalls: u64,
    pub(super) stalled_ns: i64,
    pub(super) io_ns: i64,
    pub(super) durations: Vec<i64>,
    pub(super) culprits: Vec<(u32, i64)>,
}

/// In place of a holder: the GIL was free.
pub(super) const FREE: u32 = NONE - 1;

/// The eval loop lets go of the GIL within microseconds of being asked, which is one interval after the wait began. A hold that
/// makes a thread wait half as long again did not listen.
pub(super) fn too_long(interval: i64) -> i64 {
    (interval / 2 * 3).max(interval.saturating_add(1_000_000))
}

impl Stalls {
    pub(super) fn of(view: &View) -> Stalls {
        let model = view.model;
        let mut all = Stalls {
            blame: FxHashMap::default(),
            waits: vec![Vec::new(); model.threads.len()],
            contended: vec![Vec::new(); model.gils.len()],
            convoys: vec![Sums::default(); model.convoys.len()],
            long: Vec::new(),
            stalled_ns: 0,
            forced_ns: 0,
            longest: Vec::new(),
        };
        let mut longest = BinaryHeap::new();
        let too_long: Vec<i64> = model.gils.iter().map(|gil| too_long(gil.interval_ns())).collect();
        let mut holders: Vec<(u32, i64)> = Vec::new();
        for (index, stall) in model.stalls_in(view.from, view.to) {
            let (from, to) = view.clip(stall.start, stall.end);
            let gil = stall.gil as usize;
            match all.contended[gil].last_mut() {
                Some(last) if last.end >= from => last.end = last.end.max(to),
                _ => all.contended[gil].push(Span { start: from, end: to }),
            }
            let this = &model.gils[gil];
            if !view.has_process(this.process) {
                continue;
            }
            all.stalled_ns += to - from;
            if stall.has(stall::AFTER_FORCED) {
                all.forced_ns += to - from;
            }
            if !stall.has(stall::OPEN_END) && stall.end <= view.to {
                all.waits[stall.thread as usize].push(stall.duration());
            }

            holders.clear();
            let mut held = 0;
            for place in this.holds.places(from, to) {
                let (start, end) = (this.holds.starts()[place].max(from), this.holds.ends()[place].min(to));
                let (holder, ns) = (this.holds.threads()[place], end - start);
                if ns <= 0 || holder == stall.thread {
                    continue;
                }
                held += ns;
                match holders.iter_mut().find(|(other, _)| *other == holder) {
                    Some((_, sum)) => *sum += ns,
                    None => holders.push((holder, ns)),
                }
                if ns > too_long[gil] {
                    all.long.push((stall.gil, place as u32));
                }
            }
            for &(holder, ns) in &holders {
                *all.blame.entry((stall.gil, stall.thread, holder)).or_default() += ns;
            }
            let rest = to - from - held;
            if rest > 0 {
                let blame = match this.unknown.is_empty() {
                    true => (rest, 0),
                    false => {
                        let blame = model.blame(stall, from, to);
                        (blame.free_ns, blame.unknown_ns)
                    }
                };
                for (nobody, ns) in [(FREE, blame.0), (NONE, blame.1)] {
                    if ns > 0 {
                        *all.blame.entry((stall.gil, stall.thread, nobody)).or_default() += ns;
                    }
                }
            }
            if let Some(convoy) = stall.convoy().and_then(|convoy| all.convoys.get_mut(convoy)) {
                convoy.add(stall, to - from, &holders);
            }
            if view.query.top > 0 && view.has_thread(stall.thread) {
                longest.push(Reverse((stall.duration(), Reverse(index as u32))));
                if longest.len() > view.query.top {
                    longest.pop();
                }
            }
        }
        all.longest =
            longest.into_sorted_vec().into_iter().map(|Reverse((_, Reverse(index)))| index).collect();
        all.waits.iter_mut().for_each(|waits| waits.sort_unstable());
        all.long.sort_unstable();
        all.long.dedup();
        all
    }

    /// The blame matrix.
    pub(super) fn blame(&self, view: &View) -> Vec<report::Blame> {
        let mut rows: Vec<_> = self
            .blame
            .iter()
            .filter(|&(&(_, waiter, holder), _)| view.has_thread(waiter) || view.has_thread(holder))
            .map(|(&(gil, waiter, holder), &ns)| report::Blame {
                gil: view.model.gil_name(gil),
                pid: view.model.pid(waiter),
                waiter_tid: view.tid(waiter),
                waiter: view.name(waiter),
                holder_tid: (holder < FREE).then(|| view.tid(holder)),
                holder: match holder {
                    FREE => String::from("(free)"),
                    NONE => String::from("(unknown)"),
                    holder => view.name(holder),
                },
                ns,
            })
            .collect();
        rows.sort_by(|a, b| {
            (b.ns, &a.waiter, &a.holder, a.waiter_tid, a.holder_tid).cmp(&(
                a.ns,
                &b.waiter,
                &b.holder,
                b.waiter_tid,
                b.holder_tid,
            ))
        });
        rows
    }

    /// The longest stalls.
    pub(super) fn longest(&self, view: &View) -> Vec<report::Stall> {
        let model = view.model;
        let describe = |&index: &u32| {
            let stall = model.stalls.get(index as usize)?;
            let gil = model.gils.get(stall.gil as usize)?;
            let holders = gil.holds.range(stall.start, stall.end).filter(|hold| {
                hold.thread != stall.thread && !hold.has(holds::VOID) && hold.end > hold.start
            });
            Some(report::Stall {
                gil: model.gil_name(stall.gil),
                pid: model.pid(stall.thread),
                tid: view.tid(stall.thread),
                name: view.name(stall.thread),
                start_ns: view.relative(stall.start),
                duration_ns: stall.duration(),
                after_call: (stall.call != NONE).then(|| view.syscall_name(state::call_nr(stall.call))),
                open: stall.flags & (stall::OPEN_START | stall::OPEN_END) != 0,
                convoy: stall.has(stall::CONVOY),
                holders: holders
                    .take(MAX_HOLDERS)
                    .map(|hold| {
                        let (start, end) = (hold.start.max(stall.start), hold.end.min(stall.end));
                        report::Held {
                            tid: view.tid(hold.thread),
                            name: view.name(hold.thread),
                            start_ns: view.relative(start),
                            duration_ns: end - start,
                        }
                    })
                    .collect(),
            })
        };
        self.longest.iter().filter_map(describe).collect()
    }
}

impl Sums {
    fn add(&mut self, stall: &Stall, ns: i64, holders: &[(u32, i64)]) {
        self.stalls += 1;
        self.stalled_ns += ns;
        self.io_ns += i64::from(stall.io_ns);
        self.durations.push(stall.duration());
        self.blame(holders);
    }

    pub(super) fn blame(&mut self, holders: &[(u32, i64)]) {
        for &(holder, ns) in holders {
            match self.culprits.iter_mut().find(|(other, _)| *other == holder) {
                Some((_, sum)) => *sum += ns,
                None => self.culprits.push((holder, ns)),
            }
        }
    }

    /// Takes in the stalls of another convoy of the same victim.
    pub(super) fn merge(&mut self, other: &Sums) {
        self.stalls += other.stalls;
        self.stalled_ns += other.stalled_ns;
        self.io_ns += other.io_ns;
        self.durations.extend_from_slice(&other.durations);
        self.blame(&other.culprits);
    }

    /// The culprits with their share of the stalled time, longest first; who has under a hundredth is left out.
    pub(super) fn shares(&self, view: &View) -> Vec<report::Share> {
        let mut culprits = self.culprits.clone();
        culprits.sort_by_key(|&(thread, ns)| (Reverse(ns), thread));
        culprits
            .into_iter()
            .filter(|&(_, ns)| ns > self.stalled_ns / 100)
            .map(|(thread, ns)| report::Share {
                tid: view.tid(thread),
                name: view.name(thread),
                share: super::words::share(ns, self.stalled_ns),
            })
            .collect()
    }
}
