//! Which stalls are convoy stalls, and which of these make a convoy.

use super::{Engine, gil::nearly};
use crate::{Convoy, NONE, model::blame_of, stall};

/// A run of fewer convoy stalls is not called a convoy: one or two can be chance.
pub(super) const MIN_STALLS: usize = 3;
/// The gap between two stalls of a convoy is at most this many times their mean length: the victim is stalled for at least a
/// third of the time.
const MAX_GAP: i64 = 2;

/// Convoy stalls of one thread that follow each other closely.
#[derive(Clone, Debug)]
pub(super) struct Run {
    convoy: Convoy,
    /// Index of the convoy in the model once it is one.
    index: u32,
    first_stalls: Vec<u32>,
    /// Voluntary releases of the victim before the run.
    releases_before: u64,
}

impl Engine {
    /// The stall has ended in an acquisition (not yet among the holds): finds its culprit, and whether it is a convoy stall.
    pub(super) fn judge_stall(&mut self, index: u32) {
        let stall = self.model.stalls[index as usize];
        let gil = &self.model.gils[stall.gil as usize];
        let (mut holders, mut held): (Vec<(u32, i64)>, i64) = (Vec::new(), 0);
        blame_of(gil, stall.thread, stall.start, stall.end, |thread, ns| {
            held += ns;
            match holders.iter_mut().find(|(other, _)| *other == thread) {
                Some((_, sum)) => *sum += ns,
                None => holders.push((thread, ns)),
            }
        });
        let culprit = holders.iter().max_by_key(|&&(thread, ns)| (ns, std::cmp::Reverse(thread)));
        let duration = stall.duration();
        let io = stall.flags & stall::AFTER_CALL != 0 || self.model.header.syscalls == "none";
        let away = match stall.flags & stall::AFTER_CALL != 0 {
            true => i64::from(stall.io_ns),
            // No calls were recorded: the whole time off the GIL stands for them.
            false => stall.start.saturating_sub(stall.release),
        };
        let convoy = io
            && stall.has(stall::AFTER_VOLUNTARY)
            && duration >= nearly(gil.interval_ns())
            && away < duration
            && held >= duration / 2;
        let stall = &mut self.model.stalls[index as usize];
        stall.culprit = culprit.map_or(NONE, |&(thread, _)| thread);
        if convoy {
            stall.flags |= stall::CONVOY;
            self.add_to_run(index, away, &holders);
        }
    }

    fn add_to_run(&mut self, index: u32, io_ns: i64, holders: &[(u32, i64)]) {
        let stall = self.model.stalls[index as usize];
        let live = &mut self.live[stall.thread as usize];
        let goes_on = live.run.as_ref().is_some_and(|run| {
            let mean = run.convoy.stalled_ns / run.convoy.stalls.max(1) as i64;
            run.convoy.gil == stall.gil && stall.start.saturating_sub(run.convoy.end) <= MAX_GAP * mean
        });
        if !goes_on {
            live.run = Some(Run {
                convoy: Convoy {
                    victim: stall.thread,
                    gil: stall.gil,
                    start: stall.release,
                    end: stall.end,
                    first_stall: index,
                    last_stall: index,
                    stalls: 0,
                    releases: 0,
                    stalled_ns: 0,
                    io_ns: 0,
                    culprits: Vec::new(),
                },
                index: NONE,
                first_stalls: Vec::new(),
                releases_before: live.voluntary.saturating_sub(1),
            });
        }
        let Some(run) = &mut live.run else { return };
        let convoy = &mut run.convoy;
        convoy.end = stall.end;
        convoy.last_stall = index;
        convoy.stalls += 1;
        convoy.releases = live.voluntary - run.releases_before;
        convoy.stalled_ns += stall.duration();
        convoy.io_ns += io_ns;
        for &(thread, ns) in holders {
            match convoy.culprits.iter_mut().find(|(other, _)| *other == thread) {
                Some((_, sum)) => *sum += ns,
                None => convoy.culprits.push((thread, ns)),
            }
        }
        convoy.culprits.sort_by_key(|&(thread, ns)| (std::cmp::Reverse(ns), thread));
        if run.index != NONE {
            self.model.stalls[index as usize].convoy = run.index;
            self.model.convoys[run.index as usize] = convoy.clone();
            return;
        }
        run.first_stalls.push(index);
        if run.first_stalls.len() >= MIN_STALLS {
            run.index = self.model.convoys.len() as u32;
            self.model.convoys.push(convoy.clone());
            for stall in run.first_stalls.drain(..) {
                self.model.stalls[stall as usize].convoy = run.index;
            }
        }
    }
}
