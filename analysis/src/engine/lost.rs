//! Records were lost: what the threads of that processor did meanwhile is not known.

use gilscope_trace::detail;

use super::{
    Engine,
    live::{After, Holder, Live},
};
use crate::{Lost, NONE, State, holds, stall, state};

impl Engine {
    pub(super) fn lost(&mut self, now: i64, lost: &detail::Lost) {
        let already = |cpu| self.lost_until.get(&cpu).copied().unwrap_or(i64::MIN);
        let from = lost.from.max(already(lost.cpu)).max(already(None)).max(self.model.start).min(now);
        self.lost_until.insert(lost.cpu, now);
        self.model.check.lost = self.model.check.lost.saturating_add(lost.records);
        self.model.lost.push(Lost { start: from, end: now, cpu: lost.cpu, records: lost.records });
        if from >= now {
            return;
        }
        let mut processes = vec![false; self.model.processes.len()];
        for thread in 0..self.live.len() {
            if self.ran_on(&self.live[thread], lost.cpu, from) {
                processes[self.model.threads[thread].process as usize] = true;
                self.forget(thread as u32, from, now);
            }
        }
        for gil in 0..self.model.gils.len() {
            // A GIL that seems free may have been taken by a thread of that processor; one that a thread of another
            // processor holds is still held, since its release would have been seen.
            if processes[self.model.gils[gil].process as usize] {
                let (at, holder) = (gil as u32, self.owners[gil].holder);
                match holder {
                    Holder::Unknown => {}
                    Holder::Free => self.disown(at, from),
                    Holder::Thread(_) => self.begin_unknown(at, from),
                }
                if let Some(span) = self.model.gils[gil].unknown.last_mut() {
                    span.end = span.end.max(now);
                }
            }
        }
    }

    /// Whether the thread may have run on that processor since `from`.
    fn ran_on(&self, live: &Live, cpu: Option<u16>, from: i64) -> bool {
        match cpu {
            None => true,
            Some(cpu) => live.cpu == cpu || live.moved_at >= from && live.moved_from == cpu,
        }
    }

    /// Makes `from..now` of the thread unknown, and lets its next event decide anew.
    fn forget(&mut self, index: u32, from: i64, now: i64) {
        let (thread, live) = (&mut self.model.threads[index as usize], &mut self.live[index as usize]);
        let end = if live.alive { now } else { thread.lane.end };
        let from = from.max(thread.lane.start());
        if from >= end {
            return;
        }
        thread.lane.end = end;
        for interval in thread.lane.range(from, end) {
            match interval.state {
                State::Waiting => {
                    let stall = &mut self.model.stalls[interval.arg as usize];
                    stall.flags |= stall::OPEN_END;
                    if stall.start >= from {
                        stall.flags |= stall::VOID;
                    }
                    stall.end = from.max(stall.start);
                }
                State::Holding | State::Descheduled => {
                    let gil = &mut self.model.gils[(interval.arg & !state::PREEMPTED) as usize];
                    for place in gil.holds.ends.partition_point(|&end| end <= from)..gil.holds.len() {
                        if gil.holds.threads[place] == index {
                            forget_hold(&mut gil.holds, place, from);
                        }
                    }
                }
                _ => {}
            }
        }
        // The hold that is still open has a provisional end that may lie before the span.
        if live.holds != NONE {
            let holds = &mut self.model.gils[live.holds as usize].holds;
            forget_hold(holds, live.hold as usize, from);
            let owner = &mut self.owners[live.holds as usize];
            owner.holder = Holder::Free;
        }
        thread.lane.rewrite(from, State::Unknown, state::LOST);
        if live.alive {
            thread.lane.set(now, State::Unknown, state::NOT_SEEN);
        }
        while thread.runnable.last().is_some_and(|span| span.end > from) {
            thread.runnable.pop();
        }
        while thread.held_calls.ends.last().is_some_and(|&end| end > from) {
            thread.held_calls.starts.pop();
            thread.held_calls.ends.pop();
            thread.held_calls.args.pop();
        }
        for owner in &mut self.owners {
            owner.waiters.retain(|&other| other != index);
            owner.limbo.retain(|&other| other != index);
        }
        live.known = false;
        live.seen = false;
        live.known_from = now;
        live.holds = NONE;
        live.hold = NONE;
        live.waits = NONE;
        live.off_cpu = None;
        live.call = None;
        live.after = After::NOTHING;
        live.run = None;
    }
}

/// Cuts a hold off at `from`; one that began later becomes empty and [`holds::VOID`].
fn forget_hold(all: &mut crate::Holds, place: usize, from: i64) {
    all.ends[place] = from.max(all.starts[place]);
    all.flags[place] = all.flags[place] & !(holds::FORCED | holds::VOLUNTARY) | holds::OPEN_END;
    if all.starts[place] >= from {
        all.flags[place] |= holds::VOID;
    }
}
