//! Threads come and go; their IDs return.

use gilscope_trace::Event;

use super::{
    Engine,
    live::{Holder, Live, Release},
};
use crate::{Lane, NONE, State, Thread, holds, stall, state};

impl Engine {
    /// Index of the living thread of the event, which is noted to have run on the event's processor.
    #[inline]
    pub(super) fn thread(&mut self, event: &Event) -> u32 {
        let key = (event.pid, event.tid);
        let thread = match self.thread_by_tid.get(&key) {
            Some(&thread) if self.live[thread as usize].alive => thread,
            _ => self.appear(event.pid, event.tid),
        };
        let live = &mut self.live[thread as usize];
        if live.cpu != event.cpu {
            live.moved_from = live.cpu;
            live.moved_at = self.now;
            live.cpu = event.cpu;
        }
        thread
    }

    /// A thread whose begin was not seen: if it is the first of its ID it has lived as long as its process.
    pub(super) fn appear(&mut self, pid: i32, tid: i32) -> u32 {
        let process = self.process(pid);
        let first = !self.thread_by_tid.contains_key(&(pid, tid));
        let since = match first {
            true => self.model.processes[process as usize].start.min(self.now),
            false => self.now,
        };
        self.add_thread(pid, tid, since, false)
    }

    fn add_thread(&mut self, pid: i32, tid: i32, since: i64, started: bool) -> u32 {
        let process = self.process(pid);
        let index = self.model.threads.len() as u32;
        let before = self.thread_by_tid.insert((pid, tid), index);
        let incarnation = before.map_or(0, |thread| self.model.threads[thread as usize].incarnation + 1);
        let state = if started { State::OffGil } else { State::Unknown };
        self.model.threads.push(Thread {
            process,
            tid,
            incarnation,
            detail: Default::default(),
            started,
            ended: false,
            uses_gil: false,
            lane: Lane::beginning(since, state, state::NOT_SEEN),
            held_calls: Default::default(),
            runnable: Vec::new(),
            samples: Default::default(),
            states_made: Vec::new(),
            states_destroyed: Vec::new(),
        });
        self.live.push(Live::new(since, started));
        if !started {
            self.unsure.entry(process).or_default().push(index);
        }
        index
    }

    pub(super) fn thread_start(&mut self, event: &Event) {
        if let Some(&thread) = self.thread_by_tid.get(&(event.pid, event.tid))
            && self.live[thread as usize].alive
        {
            let live = &self.live[thread as usize];
            let lane = &self.model.threads[thread as usize].lane;
            // Its name may have been learned an instant before its start was read.
            if !live.seen && lane.len() == 1 {
                let now = self.now;
                let thread = &mut self.model.threads[thread as usize];
                thread.lane = Lane::beginning(now, State::OffGil, state::NOT_SEEN);
                thread.started = true;
                let live = &mut self.live[self.thread_by_tid[&(event.pid, event.tid)] as usize];
                live.known = true;
                live.known_from = now;
                return;
            }
            self.end_thread(self.now, thread);
        }
        let thread = self.add_thread(event.pid, event.tid, self.now, true);
        self.live[thread as usize].cpu = event.cpu;
    }

    /// The thread is gone: whatever it did ends here.
    pub(super) fn end_thread(&mut self, now: i64, thread: u32) {
        if !self.live[thread as usize].alive {
            return;
        }
        self.running(now, thread);
        self.decide(thread, Some(Release::Voluntary));
        self.close_stall(now, thread, stall::OPEN_END);
        if let Some(gil) = self.close_hold(now, thread, holds::OPEN_END) {
            self.disown(gil, now);
        }
        self.end_held_call(now, thread);
        self.model.threads[thread as usize].lane.end = now;
        self.model.threads[thread as usize].ended = true;
        self.live[thread as usize].alive = false;
        self.live[thread as usize].run = None;
    }

    /// A thread has acquired a GIL: if that is the only one of its process, no other thread has it. Nor does one wait for it that has
    /// let several intervals pass without a `wait`. So threads that were blocked when recording began become *off the GIL*.
    #[inline]
    pub(super) fn rule_out(&mut self, now: i64, gil: u32) {
        let process = self.model.gils[gil as usize].process;
        let Some(unsure) = self.unsure.get_mut(&process).filter(|unsure| !unsure.is_empty()) else {
            return;
        };
        if self.model.gils.iter().filter(|other| other.process == process).nth(1).is_some() {
            return;
        }
        let interval = self.model.gils[gil as usize].interval_ns();
        unsure.retain(|&thread| {
            let live = &mut self.live[thread as usize];
            if live.known || !live.alive {
                return false;
            }
            if now.saturating_sub(live.known_from) < interval.saturating_mul(4) {
                return true;
            }
            live.known = true;
            if live.call.is_none() {
                self.model.threads[thread as usize].lane.set(now, State::OffGil, 0);
            }
            false
        });
    }

    /// Who owns the GIL is not known from `since` on.
    pub(super) fn disown(&mut self, gil: u32, since: i64) {
        let owner = &mut self.owners[gil as usize];
        if owner.holder != Holder::Unknown {
            owner.holder = Holder::Unknown;
            self.begin_unknown(gil, since);
        }
    }

    /// Opens a span of [`crate::Gil::unknown`].
    pub(super) fn begin_unknown(&mut self, gil: u32, since: i64) {
        let spans = &mut self.model.gils[gil as usize].unknown;
        match spans.last_mut() {
            Some(last) if last.end >= since => {}
            _ => spans.push(crate::Span { start: since, end: since }),
        }
    }

    /// Ends the open span of [`crate::Gil::unknown`].
    pub(super) fn end_unknown(&mut self, gil: u32, until: i64) {
        let spans = &mut self.model.gils[gil as usize].unknown;
        if let Some(last) = spans.last_mut() {
            last.end = until.max(last.start);
            if last.start == last.end {
                spans.pop();
            }
        }
    }

    /// Ends what the thread holds, if it holds; gives the GIL.
    pub(super) fn close_hold(&mut self, now: i64, thread: u32, flags: u8) -> Option<u32> {
        let live = &mut self.live[thread as usize];
        if live.holds == NONE {
            return None;
        }
        let gil = std::mem::replace(&mut live.holds, NONE);
        let place = std::mem::replace(&mut live.hold, NONE) as usize;
        let holds = &mut self.model.gils[gil as usize].holds;
        holds.ends[place] = now;
        holds.flags[place] = holds.flags[place] & !holds::OPEN_END | flags;
        Some(gil)
    }
}
