//! System calls, and the processor coming and going.

use super::{Engine, live::Release};
use crate::{NONE, Span, State, state};

/// Number of `futex`, the call that the GIL itself is made of.
const FUTEX: i16 = 202;

impl Engine {
    pub(super) fn syscall_enter(&mut self, now: i64, thread: u32, nr: i16, fd: i32) {
        self.running(now, thread);
        let live = &mut self.live[thread as usize];
        live.seen = true;
        if live.waits != NONE {
            // The sleep of the wait itself.
            return;
        }
        let arg = state::pack_call(nr, fd);
        if live.holds != NONE {
            live.call = Some((now, arg));
            return;
        }
        if nr == FUTEX && live.after.requested && live.after.verdict.is_none() {
            // The sleep and the wake-up of the release itself.
            return;
        }
        self.end_call(now, thread);
        self.decide(thread, Some(Release::Voluntary));
        let live = &mut self.live[thread as usize];
        live.after.called = true;
        live.call = Some((now, arg));
        let lane = &mut self.model.threads[thread as usize].lane;
        lane.set(now, State::Syscall, arg);
    }

    pub(super) fn syscall_exit(&mut self, now: i64, thread: u32, nr: i16, fd: i32) {
        self.running(now, thread);
        let live = &mut self.live[thread as usize];
        let first = !std::mem::replace(&mut live.seen, true);
        if live.waits != NONE {
            return;
        }
        if live.holds != NONE {
            return self.end_held_call(now, thread);
        }
        if live.call.is_some() {
            return self.end_call(now, thread);
        }
        if first && !live.known {
            // It has been in the call since before records began.
            let since = live.known_from;
            let lane = &mut self.model.threads[thread as usize].lane;
            lane.end = lane.end.max(now);
            lane.rewrite(since, State::Syscall, state::pack_call(nr, fd));
            lane.set(now, State::Unknown, state::NOT_SEEN);
        }
    }

    /// Ends the system call that the thread is in without the GIL, if any.
    pub(super) fn end_call(&mut self, now: i64, thread: u32) {
        let live = &mut self.live[thread as usize];
        let Some((start, arg)) = live.call.take() else {
            return;
        };
        live.after.io_ns = live.after.io_ns.saturating_add(now.saturating_sub(start));
        live.after.last_call = arg;
        let state = if live.known { State::OffGil } else { State::Unknown };
        self.model.threads[thread as usize].lane.set(now, state, 0);
    }

    /// Ends the system call that the thread makes with the GIL in its hands, if any.
    pub(super) fn end_held_call(&mut self, now: i64, thread: u32) {
        let live = &mut self.live[thread as usize];
        if live.holds == NONE {
            return;
        }
        if let Some((start, arg)) = live.call.take() {
            self.model.threads[thread as usize].held_calls.push(Span { start, end: now }, arg);
        }
    }

    pub(super) fn switch_out(&mut self, now: i64, thread: u32, preempted: bool) {
        let live = &mut self.live[thread as usize];
        live.off_cpu = Some((now, preempted));
        if live.holds != NONE {
            let arg = live.holds | if preempted { state::PREEMPTED } else { 0 };
            self.model.threads[thread as usize].lane.set(now, State::Descheduled, arg);
        }
    }

    pub(super) fn switch_in(&mut self, now: i64, thread: u32) {
        let live = &mut self.live[thread as usize];
        if let Some((since, true)) = live.off_cpu
            && live.holds == NONE
            && live.waits == NONE
        {
            let runnable = &mut self.model.threads[thread as usize].runnable;
            let start = since.max(runnable.last().map_or(i64::MIN, |last| last.end));
            if start < now {
                runnable.push(Span { start, end: now });
            }
        }
        live.on_cpu = now;
        self.running(now, thread);
    }

    /// The thread runs, as its event shows.
    #[inline]
    pub(super) fn running(&mut self, now: i64, thread: u32) {
        let live = &mut self.live[thread as usize];
        if live.off_cpu.take().is_some() && live.holds != NONE {
            let gil = live.holds;
            self.model.threads[thread as usize].lane.set(now, State::Holding, gil);
        }
    }
}
