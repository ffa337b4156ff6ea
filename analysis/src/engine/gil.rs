//! Wait, acquire, release.

use super::{
    Engine,
    live::{After, Holder, Release},
};
use crate::{Hold, NONE, Stall, State, holds, stall, state};

/// A waiter asks for the GIL when a switch interval has passed. The clock of the events and that of the wait differ by the
/// microseconds between the probe and the sleep, and the interval may have been read wrong: 0.8 of it counts.
pub(super) fn nearly(interval: i64) -> i64 {
    interval / 5 * 4
}

/// How soon a thread is back at the GIL after a forced release, counted from when it could run again. Nothing lies in between
/// but the wake-up, which takes tens of microseconds, or a slice of the scheduler where processors are short.
fn at_once(interval: i64) -> i64 {
    (interval / 5).max(100_000)
}

impl Engine {
    pub(super) fn wait(&mut self, now: i64, thread: u32, gil: u32) {
        self.model.check.waits += 1;
        self.running(now, thread);
        let waits = self.live[thread as usize].waits;
        if waits != NONE {
            if self.model.stalls[waits as usize].gil == gil {
                return;
            }
            self.close_stall(now, thread, stall::OPEN_END);
        }
        self.end_call(now, thread);
        if let Some(held) = self.close_hold(now, thread, holds::OPEN_END | holds::UNPAIRED) {
            self.disown(held, now);
        }
        let back = self.is_back_at_once(now, thread, gil);
        self.decide(thread, Some(back));

        let live = &mut self.live[thread as usize];
        let mut flags = stall::OPEN_END;
        if !live.seen && !live.known {
            flags |= stall::OPEN_START;
        }
        let after = if live.after.gil == gil { live.after } else { After::NOTHING };
        match after.verdict {
            Some(Release::Forced) => flags |= stall::AFTER_FORCED,
            Some(Release::Voluntary) => flags |= stall::AFTER_VOLUNTARY,
            None => {}
        }
        if after.called {
            flags |= stall::AFTER_CALL;
        }
        let index = self.model.stalls.len() as u32;
        self.model.stalls.push(Stall {
            start: now,
            end: now,
            release: after.time,
            io_ns: u32::try_from(after.io_ns).unwrap_or(u32::MAX),
            thread,
            gil,
            culprit: NONE,
            convoy: NONE,
            call: after.last_call,
            flags,
        });
        live.waits = index;
        live.known = true;
        live.seen = true;
        self.owners[gil as usize].waiters.push(thread);
        let thread = &mut self.model.threads[thread as usize];
        thread.uses_gil = true;
        thread.lane.set(now, State::Waiting, index);
    }

    pub(super) fn acquire(&mut self, now: i64, thread: u32, gil: u32) {
        self.model.check.acquisitions += 1;
        self.running(now, thread);
        let waits = self.live[thread as usize].waits;
        let mut flags = holds::OPEN_END;
        let mut stalled = None;
        if waits != NONE {
            if self.model.stalls[waits as usize].gil == gil {
                self.close_stall(now, thread, 0);
                flags |= holds::CONTENDED;
                stalled = Some(waits);
            } else {
                self.close_stall(now, thread, stall::OPEN_END);
            }
        }
        if stalled.is_none() {
            self.end_call(now, thread);
            let back = self.is_back_at_once(now, thread, gil);
            self.decide(thread, Some(back));
        }
        if let Some(held) = self.close_hold(now, thread, holds::OPEN_END | holds::UNPAIRED) {
            if held == gil {
                self.model.check.acquired_while_held += 1;
                self.owners[gil as usize].holder = Holder::Free;
            } else {
                self.disown(held, now);
            }
        }
        match self.owners[gil as usize].holder {
            Holder::Thread(holder) => {
                self.model.check.acquired_while_held += 1;
                self.dispossess(now, holder);
            }
            Holder::Unknown => self.end_unknown(gil, now),
            Holder::Free => {}
        }
        self.take_from_limbo(now, thread, gil);

        if let Some(stalled) = stalled {
            self.judge_stall(stalled);
        }
        let place = self.model.gils[gil as usize].holds.push(Hold { start: now, end: now, thread, flags });
        self.owners[gil as usize].holder = Holder::Thread(thread);
        let live = &mut self.live[thread as usize];
        live.holds = gil;
        live.hold = place;
        live.known = true;
        live.seen = true;
        live.after = After::NOTHING;
        let thread = &mut self.model.threads[thread as usize];
        thread.uses_gil = true;
        thread.lane.set(now, State::Holding, gil);
    }

    pub(super) fn release(&mut self, now: i64, thread: u32, gil: u32) {
        self.model.check.releases += 1;
        self.running(now, thread);
        self.model.threads[thread as usize].uses_gil = true;
        self.end_held_call(now, thread);
        let waited = self.live[thread as usize].waits != NONE;
        self.close_stall(now, thread, stall::OPEN_END);
        self.decide(thread, None);

        let live = &self.live[thread as usize];
        let mut place = NONE;
        if live.holds == gil {
            place = live.hold;
            self.close_hold(now, thread, 0);
            self.owners[gil as usize].holder = Holder::Free;
        } else {
            let was_known = live.known || waited;
            if let Some(held) = self.close_hold(now, thread, holds::OPEN_END | holds::UNPAIRED) {
                self.disown(held, now);
            }
            match self.owners[gil as usize].holder {
                Holder::Unknown => {
                    // It has held the GIL since before records began.
                    match was_known {
                        false => place = self.hold_since(now, thread, gil),
                        true => self.end_unknown(gil, now),
                    }
                    self.owners[gil as usize].holder = Holder::Free;
                }
                Holder::Free => self.model.check.released_while_free += 1,
                Holder::Thread(_) => self.model.check.released_by_other += 1,
            }
        }
        let requested = place != NONE && self.is_requested(now, thread, gil);
        let live = &mut self.live[thread as usize];
        live.known = true;
        live.seen = true;
        live.call = None;
        live.after = After { time: now, gil, hold: place, requested, ..After::NOTHING };
        let lane = &mut self.model.threads[thread as usize].lane;
        if requested {
            self.owners[gil as usize].limbo.push(thread);
            lane.set(now, State::Limbo, gil);
        } else {
            lane.set(now, State::OffGil, 0);
        }
    }

    /// The thread turns out to have held the GIL up to now. Gives the place of the hold.
    fn hold_since(&mut self, now: i64, thread: u32, gil: u32) -> u32 {
        let live = &self.live[thread as usize];
        let known = &self.model.gils[gil as usize];
        let since = live
            .known_from
            .max(known.unknown.last().map_or(i64::MIN, |span| span.start))
            .max(known.holds.ends.last().copied().unwrap_or(i64::MIN))
            .min(now);
        self.end_unknown(gil, since);
        let thread_index = thread;
        let thread = &mut self.model.threads[thread as usize];
        for interval in thread.lane.range(since, now) {
            if interval.state == State::Syscall {
                let start = interval.start.max(since);
                thread.held_calls.push(crate::Span { start, end: interval.end.max(start) }, interval.arg);
            }
        }
        while thread.runnable.last().is_some_and(|span| span.end > since) {
            thread.runnable.pop();
        }
        thread.lane.end = thread.lane.end.max(now);
        thread.lane.rewrite(since, State::Holding, gil);
        self.model.gils[gil as usize].holds.push(Hold {
            start: since,
            end: now,
            thread: thread_index,
            flags: holds::OPEN_START,
        })
    }

    /// Whether at `now` a thread other than `thread` has waited long enough to have asked for the GIL.
    fn is_requested(&self, now: i64, thread: u32, gil: u32) -> bool {
        let enough = nearly(self.model.gils[gil as usize].interval_ns());
        self.owners[gil as usize].waiters.iter().any(|&waiter| {
            let stall = self.model.stalls.get(self.live[waiter as usize].waits as usize);
            waiter != thread && stall.is_some_and(|stall| now.saturating_sub(stall.start) >= enough)
        })
    }

    /// Tells a forced release from a voluntary one when the thread is back at the GIL.
    ///
    /// A forced release is one that another thread had asked for, after which another thread took the GIL, and the thread
    /// was back at once, without a system call other than the futex calls of the release itself. A system call of a kind that
    /// was not recorded takes longer than *at once*, or does not: then its release counts as forced.
    fn is_back_at_once(&self, now: i64, thread: u32, gil: u32) -> Release {
        let live = &self.live[thread as usize];
        let after = &live.after;
        if !after.requested || after.called || after.taken == i64::MAX || after.gil != gil {
            return Release::Voluntary;
        }
        let ready = after.taken.max(live.on_cpu);
        let limit = at_once(self.model.gils[gil as usize].interval_ns());
        match now.saturating_sub(ready) <= limit {
            true => Release::Forced,
            false => Release::Voluntary,
        }
    }

    /// Notes what kind the last release of the thread was, unless that is known; `None` if it will never be.
    pub(super) fn decide(&mut self, thread: u32, release: Option<Release>) {
        let live = &mut self.live[thread as usize];
        let after = &mut live.after;
        if after.time == i64::MIN || after.verdict.is_some() {
            return;
        }
        if after.requested {
            self.owners[after.gil as usize].limbo.retain(|&other| other != thread);
        }
        let Some(release) = release else { return };
        after.verdict = Some(release);
        let flag = match release {
            Release::Forced => holds::FORCED,
            Release::Voluntary => {
                live.voluntary += 1;
                holds::VOLUNTARY
            }
        };
        let gil = &mut self.model.gils[after.gil as usize];
        if let Some(flags) = gil.holds.flags.get_mut(after.hold as usize) {
            *flags |= flag;
        }
    }

    /// Another thread took the GIL: those kept in their release come free.
    fn take_from_limbo(&mut self, now: i64, taker: u32, gil: u32) {
        for &thread in &self.owners[gil as usize].limbo {
            let after = &mut self.live[thread as usize].after;
            if thread == taker || after.taken != i64::MAX {
                continue;
            }
            after.taken = now;
            let lane = &mut self.model.threads[thread as usize].lane;
            if lane.last().1 == State::Limbo {
                lane.set(now, State::OffGil, 0);
            }
        }
    }

    /// The thread held a GIL that another has now acquired: its release was not seen, and what it does is not known.
    fn dispossess(&mut self, now: i64, thread: u32) {
        self.end_held_call(now, thread);
        self.close_hold(now, thread, holds::OPEN_END | holds::UNPAIRED);
        let live = &mut self.live[thread as usize];
        live.after = After::NOTHING;
        live.off_cpu = None;
        self.model.threads[thread as usize].lane.set(now, State::Unknown, state::NOT_SEEN);
    }

    /// Ends the stall that the thread is in, if any.
    pub(super) fn close_stall(&mut self, now: i64, thread: u32, flags: u8) {
        let live = &mut self.live[thread as usize];
        if live.waits == NONE {
            return;
        }
        let stall = &mut self.model.stalls[live.waits as usize];
        live.waits = NONE;
        stall.end = now;
        stall.flags = stall.flags & !stall::OPEN_END | flags;
        self.owners[stall.gil as usize].waiters.retain(|&other| other != thread);
    }
}
