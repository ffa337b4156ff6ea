//! Takes out of an engine's model what can no longer change. See [`crate::stream`].
//!
//! Whatever refers to a place in a list is moved along with the list: a hold by its thread, a stall by its thread and lane.

use std::collections::VecDeque;

use gilscope_trace::Event;
use rustc_hash::FxHashMap;

use super::Engine;
use crate::{
    Interval, Model, NONE, State, holds, stall, state,
    stream::{Held, HeldCall, Lived, Piece, Record, Stalled, SystemCall},
};

/// Intervals kept of a thread of which it is not known whether it holds a GIL: they would be holding if it turns out to.
const MAX_UNDECIDED: usize = 4096;
/// Holds kept for a stall that is still going on: five minutes of switching every 5 ms. Older ones only count as time.
const MAX_HOLDS: usize = 1 << 16;
/// Samples kept of a thread for stalls that are still going on.
const MAX_SAMPLES: usize = 1 << 14;
/// Descriptors of a process from which on outdated ones are looked for.
const MANY_DESCRIPTORS: usize = 64;

/// Bits of [`Tail::counted`]: the stall's begin and end are in the number of waiters.
const BEGUN: u8 = 1;
const ENDED: u8 = 2;

/// What draining remembers beside the model.
#[derive(Debug, Default)]
pub(crate) struct Tail {
    /// Up to when things were taken out although they might have changed.
    pub(crate) forced_until: i64,
    threads: Vec<ThreadTail>,
    gils: Vec<GilTail>,
    /// By stall in the model.
    counted: Vec<u8>,
    /// By stall in the model: blame whose holds are gone.
    carried: FxHashMap<u32, Vec<(u32, i64)>>,
    /// By GIL and number of the hold: stalls whose longest piece lies in it.
    longest: FxHashMap<(u32, u64), Vec<u64>>,
    stalls_told: u64,
}

#[derive(Debug, Default)]
struct ThreadTail {
    /// Whether an interval was told, and up to when.
    told: bool,
    until: i64,
    samples_told: usize,
    /// End and result of system calls.
    results: VecDeque<(i64, i64)>,
}

#[derive(Debug, Default)]
struct GilTail {
    /// Holds told.
    told: u64,
    waiters: u32,
}

impl ThreadTail {
    /// The result of the call that ended at `end`.
    fn result(&self, end: i64) -> Option<i64> {
        let place = self.results.partition_point(|&(at, _)| at < end);
        self.results.get(place).filter(|&&(at, _)| at == end).map(|&(_, result)| result)
    }
}

impl Engine {
    /// Remembers the result of the system call whose end was just taken.
    pub(crate) fn note_result(&self, tail: &mut Tail, event: &Event) {
        if let Some(&thread) = self.thread_by_tid.get(&(event.pid, event.tid)) {
            grow(&mut tail.threads, thread as usize + 1);
            tail.threads[thread as usize].results.push_back((self.now, event.value));
        }
    }

    /// What is left when all was taken out.
    pub(crate) fn into_drained(self) -> Model {
        self.model
    }

    /// Up to when everything was taken out.
    pub(crate) fn drained_until(&self, tail: &Tail) -> i64 {
        let threads = self.live.iter().zip(&tail.threads);
        threads.filter(|(live, _)| live.alive).map(|(_, tail)| tail.until).min().unwrap_or(i64::MIN)
    }

    /// Moves what has ended by `until` into `records`; all of it if that is `None`. The ends must have been settled.
    pub(crate) fn drain(&mut self, tail: &mut Tail, until: Option<i64>, records: &mut Vec<Record>) {
        let (last, until) = (until.is_none(), until.unwrap_or(i64::MAX));
        grow(&mut tail.threads, self.live.len());
        grow(&mut tail.gils, self.owners.len());
        tail.counted.resize(self.model.stalls.len(), 0);
        self.count_waiters(tail, last, until, records);
        for thread in 0..self.live.len() {
            self.drain_lane(tail, thread, last, until, records);
        }
        self.forget_stalls(tail);
        let oldest = self.model.stalls.iter().map(|stall| stall.start).min().unwrap_or(i64::MAX);
        for thread in 0..self.live.len() {
            self.drain_beside(tail, thread, last, oldest.min(until), records);
        }
        for gil in 0..self.owners.len() {
            self.drain_holds(tail, gil, last, until, records);
        }
        self.forget_descriptors(until);
        self.model.convoys.clear();
        for live in &mut self.live {
            live.run = None;
        }
    }

    fn count_waiters(&self, tail: &mut Tail, last: bool, until: i64, records: &mut Vec<Record>) {
        let mut changes: Vec<(i64, u32, bool)> = Vec::new();
        for (place, (stall, counted)) in self.model.stalls.iter().zip(&mut tail.counted).enumerate() {
            let goes_on = self.live[stall.thread as usize].waits as usize == place;
            if *counted & BEGUN == 0 && stall.has(stall::VOID) {
                *counted = BEGUN | ENDED;
            }
            if *counted & BEGUN == 0 && (last || stall.start < until) {
                *counted |= BEGUN;
                changes.push((stall.start, stall.gil, true));
            }
            if *counted == BEGUN && !goes_on && (last || stall.end < until) {
                *counted |= ENDED;
                changes.push((stall.end, stall.gil, false));
            }
        }
        changes.sort_by_key(|&(time, ..)| time);
        for (time, gil, more) in changes {
            let count = &mut tail.gils[gil as usize].waiters;
            *count = if more { *count + 1 } else { count.saturating_sub(1) };
            records.push(Record::Waiters { gil, time, count: *count });
        }
    }

    fn drain_lane(
        &mut self,
        tail: &mut Tail,
        thread: usize,
        last: bool,
        until: i64,
        records: &mut Vec<Record>,
    ) {
        let live = &mut self.live[thread];
        let lane = &mut self.model.threads[thread].lane;
        let count = lane.len();
        let mut limit = until;
        if live.alive && !live.known && !last {
            if count > MAX_UNDECIDED {
                live.known_from = live.known_from.max(lane.starts[count - 2].min(until));
            }
            limit = limit.min(live.known_from);
        }
        // Of a thread that lives, the last interval goes on, and the one before may yet turn out to be one with it.
        let most = if live.alive && !last { count.saturating_sub(2) } else { count };
        let ended = match most {
            0 => 0,
            _ => lane.starts[1..count].partition_point(|&start| start <= limit).min(most),
        };
        let ended = if most == count && lane.end <= limit { count } else { ended };
        let alive = live.alive;
        let ended = if last || count > MAX_UNDECIDED { ended } else { self.blamable(thread, ended) };
        for place in 0..ended {
            let interval = self.model.threads[thread].lane.get(place);
            if interval.start < interval.end {
                let mut lived = self.lived(tail, thread, interval);
                lived.open_end |= last && alive && place + 1 == count;
                records.push(Record::State(lived));
            }
            tail.threads[thread].until = interval.end;
        }
        let lane = &mut self.model.threads[thread].lane;
        lane.starts.drain(..ended);
        lane.states.drain(..ended);
        lane.args.drain(..ended);
    }

    /// How many of the first `ended` intervals stand before a wait during which somebody may yet turn out to have held the GIL.
    fn blamable(&self, thread: usize, ended: usize) -> usize {
        let lane = &self.model.threads[thread].lane;
        let is_open = |place: &usize| {
            let Interval { end, state, arg, .. } = lane.get(*place);
            state == State::Waiting && {
                let gil = self.model.stalls[arg as usize].gil as usize;
                let unknown = self.model.gils[gil].unknown.last();
                self.owners[gil].is_unknown() && unknown.is_some_and(|span| span.start < end)
            }
        };
        (0..ended).find(is_open).unwrap_or(ended)
    }

    fn lived(&self, tail: &mut Tail, thread: usize, interval: Interval) -> Lived {
        let Interval { start, end, state, arg } = interval;
        let known = &mut tail.threads[thread];
        let first = !std::mem::replace(&mut known.told, true);
        let mut lived = Lived {
            thread: thread as u32,
            start,
            end,
            state,
            gil: NONE,
            call: None,
            preempted: false,
            lost: false,
            open_start: first && !self.model.threads[thread].started,
            open_end: false,
            stall: None,
        };
        match state {
            State::Unknown => lived.lost = arg == state::LOST,
            State::OffGil => {}
            State::Syscall => {
                let (nr, fd) = (state::call_nr(arg), state::call_fd(arg));
                lived.call = Some(SystemCall { nr, fd, result: known.result(end) });
            }
            State::Holding | State::Limbo => lived.gil = arg,
            State::Descheduled => {
                lived.gil = arg & !state::PREEMPTED;
                lived.preempted = arg & state::PREEMPTED != 0;
            }
            State::Waiting => {
                let stall = &self.model.stalls[arg as usize];
                lived.gil = stall.gil;
                lived.open_start |= stall.has(stall::OPEN_START);
                lived.open_end = stall.has(stall::OPEN_END);
                lived.stall = Some(Box::new(self.stalled(tail, arg)));
            }
        }
        lived
    }

    fn stalled(&self, tail: &mut Tail, index: u32) -> Stalled {
        let stall = &self.model.stalls[index as usize];
        let mut blame = self.model.blame(stall, i64::MIN, i64::MAX);
        for (thread, ns) in tail.carried.remove(&index).unwrap_or_default() {
            blame.free_ns = (blame.free_ns - ns).max(0);
            add(&mut blame.holders, thread, ns);
        }
        blame.holders.sort_by_key(|&(thread, ns)| (std::cmp::Reverse(ns), thread));
        tail.stalls_told += 1;
        let id = tail.stalls_told;
        let all = &self.model.gils[stall.gil as usize].holds;
        let (mut pieces, mut longest) = (Vec::new(), None);
        for place in all.places(stall.start, stall.end) {
            let hold = all.get(place);
            let (start, end) = (hold.start.max(stall.start), hold.end.min(stall.end));
            if hold.thread == stall.thread || start >= end {
                continue;
            }
            let ns = end.saturating_sub(start);
            if longest.is_none_or(|(most, _)| ns > most) {
                longest = Some((ns, place));
            }
            let samples = self.model.threads[hold.thread as usize].samples.range(start, end);
            let stacks = samples.iter().map(|sample| sample.stack).filter(|&stack| stack != NONE).collect();
            pieces.push(Piece { thread: hold.thread, start, end, stacks });
        }
        if let Some((_, place)) = longest {
            let number = tail.gils[stall.gil as usize].told + place as u64;
            tail.longest.entry((stall.gil, number)).or_default().push(id);
        }
        Stalled {
            id,
            flags: stall.flags,
            holders: blame.holders,
            free_ns: blame.free_ns,
            unknown_ns: blame.unknown_ns,
            pieces,
        }
    }

    /// Keeps the stalls that go on or that an interval still refers to.
    fn forget_stalls(&mut self, tail: &mut Tail) {
        let mut kept: Vec<bool> = tail.counted.iter().map(|&counted| counted != BEGUN | ENDED).collect();
        for (thread, live) in self.model.threads.iter().zip(&self.live) {
            if let Some(keep) = kept.get_mut(live.waits as usize) {
                *keep = true;
            }
            for (&state, &arg) in thread.lane.states.iter().zip(&thread.lane.args) {
                if state == State::Waiting as u8 {
                    kept[arg as usize] = true;
                }
            }
        }
        let mut moved = vec![NONE; kept.len()];
        let mut next = 0;
        for (place, _) in kept.iter().enumerate().filter(|(_, kept)| **kept) {
            moved[place] = next;
            tail.counted[next as usize] = tail.counted[place];
            self.model.stalls[next as usize] = self.model.stalls[place];
            self.model.stalls[next as usize].convoy = NONE;
            next += 1;
        }
        self.model.stalls.truncate(next as usize);
        tail.counted.truncate(next as usize);
        let carried = std::mem::take(&mut tail.carried).into_iter();
        tail.carried = carried
            .map(|(stall, blame)| (moved[stall as usize], blame))
            .filter(|&(stall, _)| stall != NONE)
            .collect();
        for (thread, live) in self.model.threads.iter_mut().zip(&mut self.live) {
            if live.waits != NONE {
                live.waits = moved[live.waits as usize];
            }
            for (&state, arg) in thread.lane.states.iter().zip(&mut thread.lane.args) {
                if state == State::Waiting as u8 {
                    *arg = moved[*arg as usize];
                }
            }
        }
    }

    /// Calls with the GIL, samples, and what is of no use here.
    fn drain_beside(
        &mut self,
        tail: &mut Tail,
        index: usize,
        last: bool,
        oldest: i64,
        records: &mut Vec<Record>,
    ) {
        let (thread, live) = (&mut self.model.threads[index], &self.live[index]);
        let tail = &mut tail.threads[index];
        let until = if last { i64::MAX } else { tail.until };
        let calls = &mut thread.held_calls;
        let count = calls.ends.partition_point(|&end| end <= until);
        for place in 0..count {
            let (start, end, arg) = (calls.starts[place], calls.ends[place], calls.args[place]);
            let call =
                SystemCall { nr: state::call_nr(arg), fd: state::call_fd(arg), result: tail.result(end) };
            records.push(Record::Call(HeldCall { thread: index as u32, start, end, call, open_end: false }));
        }
        calls.starts.drain(..count);
        calls.ends.drain(..count);
        calls.args.drain(..count);
        if let (true, true, Some((start, arg))) = (last, live.holds != NONE, live.call) {
            let call = SystemCall { nr: state::call_nr(arg), fd: state::call_fd(arg), result: None };
            let (thread, end) = (index as u32, self.now);
            records.push(Record::Call(HeldCall { thread, start, end, call, open_end: true }));
        }
        // Results up to here belong to what was told.
        while tail.results.front().is_some_and(|&(at, _)| at <= until) {
            tail.results.pop_front();
        }
        let samples = &mut thread.samples.all;
        for sample in &samples[tail.samples_told..] {
            let (time, stack) = (sample.time, sample.stack);
            records.push(Record::Sample { thread: index as u32, time, stack });
        }
        let outdated = samples.partition_point(|sample| sample.time < oldest);
        let outdated = outdated.max(samples.len().saturating_sub(MAX_SAMPLES));
        samples.drain(..outdated);
        tail.samples_told = samples.len();
        let runnable = &mut thread.runnable;
        runnable.drain(..runnable.len().saturating_sub(1));
    }

    fn drain_holds(
        &mut self,
        tail: &mut Tail,
        gil: usize,
        last: bool,
        until: i64,
        records: &mut Vec<Record>,
    ) {
        let stalls = self.model.stalls.iter().filter(|stall| stall.gil as usize == gil);
        let oldest = stalls.map(|stall| stall.start).min().unwrap_or(i64::MAX);
        let known = &mut self.model.gils[gil];
        let all = &known.holds;
        // The last may go on; and its end bounds a hold whose begin was not seen.
        let most = if last { all.len() } else { all.len().saturating_sub(1) };
        let limit = if last { i64::MAX } else { until.min(oldest) };
        let mut count = all.ends[..most].partition_point(|&end| end <= limit);
        if all.len() - count > MAX_HOLDS {
            let forced = count..all.ends[..most].partition_point(|&end| end <= until).max(count);
            count = forced.end;
            for (place, stall) in self.model.stalls.iter().enumerate() {
                if stall.gil as usize == gil {
                    let carried = tail.carried.entry(place as u32).or_default();
                    for hold in forced.clone().map(|place| all.get(place)) {
                        let ns = hold.end.min(stall.end).saturating_sub(hold.start.max(stall.start));
                        if hold.thread != stall.thread && ns > 0 {
                            add(carried, hold.thread, ns);
                        }
                    }
                }
            }
        }
        let told = &mut tail.gils[gil].told;
        for place in 0..count {
            let hold = known.holds.get(place);
            let stalls = tail.longest.remove(&(gil as u32, *told)).unwrap_or_default();
            *told += 1;
            if hold.start < hold.end && !hold.has(holds::VOID) {
                let (start, end, thread, flags) = (hold.start, hold.end, hold.thread, hold.flags);
                records.push(Record::Hold(Held { gil: gil as u32, thread, start, end, flags, stalls }));
            }
        }
        let all = &mut known.holds;
        all.starts.drain(..count);
        all.ends.drain(..count);
        all.threads.drain(..count);
        all.flags.drain(..count);
        let unknown = &mut known.unknown;
        let outdated = unknown.partition_point(|span| span.end <= limit).min(unknown.len().saturating_sub(1));
        unknown.drain(..outdated);
        let less = |place: u32| place.checked_sub(count as u32).unwrap_or(NONE);
        known.requests.retain(|&(place, _)| place as usize >= count);
        known.requests.iter_mut().for_each(|(place, _)| *place = less(*place));
        for live in &mut self.live {
            if live.holds == gil as u32 {
                live.hold = less(live.hold);
            }
            if live.after.gil == gil as u32 && live.after.hold != NONE {
                live.after.hold = less(live.after.hold);
            }
        }
    }

    /// Of each descriptor, what it was before what it was at `until` is of no use any more.
    fn forget_descriptors(&mut self, until: i64) {
        for process in &mut self.model.processes {
            let all = &mut process.descriptors;
            if all.len() > MANY_DESCRIPTORS {
                let replaced: Vec<bool> =
                    all.windows(2).map(|pair| pair[0].0 == pair[1].0 && pair[1].1 <= until).collect();
                let mut replaced = replaced.into_iter();
                all.retain(|_| !replaced.next().unwrap_or(false));
            }
        }
    }
}

fn add(holders: &mut Vec<(u32, i64)>, thread: u32, ns: i64) {
    match holders.iter_mut().find(|(other, _)| *other == thread) {
        Some((_, sum)) => *sum += ns,
        None => holders.push((thread, ns)),
    }
}

fn grow<T: Default>(list: &mut Vec<T>, count: usize) {
    if list.len() < count {
        list.resize_with(count, T::default);
    }
}
