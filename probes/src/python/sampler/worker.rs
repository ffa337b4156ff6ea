//! What the sampler's thread does.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use crossbeam_channel::{Receiver, Sender, select_biased};
use rustix::time::{ClockId, clock_gettime};

use super::{
    Demand, Order, PythonNews, SamplerOptions, SamplerStats, Watched,
    budget::Budget,
    target::{Look, Target},
};
use crate::clock::monotonic_nanos;

/// How often it tells how it goes.
const STATS_NANOS: i64 = 1_000_000_000;
/// What a stack costs until it was measured.
const STACK_NANOS: f64 = 100_000.0;
/// How fast the measured cost of a stack follows the last one.
const SMOOTHING: f64 = 0.1;
/// A rate beyond this is a busy loop.
const MAX_HZ: f64 = 1000.0;

pub(super) struct Worker {
    period_nanos: Option<i64>,
    orders: Receiver<Order>,
    demands: Receiver<Demand>,
    news: Sender<PythonNews>,
    watched: Watched,
    refused: Arc<AtomicU64>,
    targets: BTreeMap<i32, Target>,
    budget: Budget,
    round_nanos: i64,
    /// What a stack costs of late.
    stack_nanos: f64,
    /// Whose turn it is, of more waiters than a round can read.
    turn: usize,
    stats: SamplerStats,
    told: Told,
}

/// The counts when they were told last.
#[derive(Debug, Default)]
struct Told {
    time_nanos: i64,
    cpu_nanos: i64,
    rounds: u64,
}

impl Worker {
    pub(super) fn new(
        options: SamplerOptions,
        orders: Receiver<Order>,
        demands: Receiver<Demand>,
        news: Sender<PythonNews>,
        watched: Watched,
        refused: Arc<AtomicU64>,
    ) -> Worker {
        let now = monotonic_nanos();
        let hz = options.hz.filter(|hz| *hz > 0.0);
        Worker {
            period_nanos: hz.map(|hz| (1e9 / hz.min(MAX_HZ)) as i64),
            orders,
            demands,
            news,
            watched,
            refused,
            targets: BTreeMap::new(),
            budget: Budget::new(options.cpu_share, now),
            round_nanos: now,
            stack_nanos: STACK_NANOS,
            turn: 0,
            stats: SamplerStats::default(),
            told: Told { time_nanos: now, ..Told::default() },
        }
    }

    /// Works until it is told to stop.
    pub(super) fn run(mut self) -> SamplerStats {
        loop {
            let wait = self.due_nanos().saturating_sub(monotonic_nanos());
            let wait = Duration::from_nanos(u64::try_from(wait).unwrap_or(0));
            let (orders, demands) = (self.orders.clone(), self.demands.clone());
            select_biased! {
                recv(orders) -> order => match order {
                    Ok(Order::Stop) | Err(_) => break,
                    Ok(order) => self.obey(&order),
                },
                recv(demands) -> demand => match demand {
                    Ok(demand) => self.charged(|worker| worker.serve(demand)),
                    Err(_) => break,
                },
                default(wait) => self.work(),
            }
        }
        self.tell_stats(monotonic_nanos());
        self.stats
    }

    /// When there is something to do without being asked.
    fn due_nanos(&self) -> i64 {
        let due = |is_open: bool| {
            let targets = self.targets.values().filter(move |target| target.is_open() == is_open);
            targets.filter_map(Target::due_nanos).min()
        };
        let is_any_open = self.targets.values().any(Target::is_open);
        let round = self.period_nanos.filter(|_| is_any_open).map(|_| self.round_nanos);
        let paid = due(true).into_iter().chain(round).min();
        let paid = paid.map(|due| due.max(self.budget.ready_nanos()));
        let stats = self.told.time_nanos + STATS_NANOS;
        due(false).into_iter().chain(paid).fold(stats, i64::min)
    }

    fn obey(&mut self, order: &Order) {
        let now = monotonic_nanos();
        match *order {
            Order::Follow(pid) => {
                self.targets.entry(pid).or_insert_with(|| Target::new(pid, now));
            }
            Order::Renew(pid) => {
                self.targets.insert(pid, Target::new(pid, now));
            }
            Order::Forget(pid) => self.forget(pid),
            Order::Stop => {}
        }
    }

    fn forget(&mut self, pid: i32) {
        self.targets.remove(&pid);
        self.watched.lock().unwrap_or_else(PoisonError::into_inner).remove(&pid);
    }

    /// What is due: threads that changed first, since a stack is worth little without the thread it belongs to.
    fn work(&mut self) {
        let now = monotonic_nanos();
        self.budget.earn(now);
        // Opening is paid once, and not from the budget: of many processes the last would wait for minutes.
        self.look_after_targets(now, false);
        if now >= self.budget.ready_nanos() {
            self.charged(|worker| {
                worker.look_after_targets(now, true);
                worker.round(now);
            });
        }
        if now >= self.told.time_nanos + STATS_NANOS {
            self.tell_stats(now);
        }
    }

    /// Opens those that are not open yet, or looks at the threads of those that are.
    fn look_after_targets(&mut self, now: i64, is_open: bool) {
        let is_due =
            |target: &Target| target.is_open() == is_open && target.due_nanos().is_some_and(|due| due <= now);
        let due: Vec<i32> =
            (self.targets.iter()).filter_map(|(pid, target)| is_due(target).then_some(*pid)).collect();
        for pid in due {
            let Some(target) = self.targets.get_mut(&pid) else {
                continue;
            };
            let before = cpu_nanos();
            let look = target.look_after(now);
            if is_open {
                // With very many threads names are read more rarely, so that they leave half of the budget to the stacks.
                target.postpone_names(now + self.budget.half_share_period_nanos(cpu_nanos() - before));
            }
            self.take(pid, look);
        }
    }

    fn round(&mut self, now: i64) {
        let Some(period) = self.period_nanos.filter(|_| now >= self.round_nanos) else {
            return;
        };
        let open: Vec<i32> =
            (self.targets.iter()).filter_map(|(pid, target)| target.is_open().then_some(*pid)).collect();
        if open.is_empty() {
            return;
        }
        // The holder in every round, and of the waiters as many as fit, in turn: sixty waiters shall not make the holder sixty times rarer.
        let affordable = self.budget.earned_in(period) / self.stack_nanos / open.len() as f64;
        let count = (affordable as usize).saturating_sub(1).max(1);
        for pid in open {
            let watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner).get(&pid).cloned();
            let tids = some_in_turn(watched.unwrap_or_default(), self.turn, count);
            self.stacks(pid, tids, false);
        }
        self.turn = self.turn.wrapping_add(count);
        self.stats.rounds += 1;
        // From when it was due, so that the rate is kept; but rounds that were missed are not made up for.
        let next = self.round_nanos + period;
        self.round_nanos = if next > now { next } else { now + period };
    }

    fn serve(&mut self, demand: Demand) {
        self.budget.earn(monotonic_nanos());
        let (Demand::Stacks { pid, .. } | Demand::Names { pid }) = demand;
        let is_open = self.targets.get(&pid).is_some_and(Target::is_open);
        let is_wanted = matches!(demand, Demand::Names { .. }) || self.period_nanos.is_some();
        if !is_open || !is_wanted || !self.budget.allows_demand() {
            self.stats.demands_refused += 1;
            return;
        }
        self.stats.demands += 1;
        match demand {
            Demand::Stacks { pid, tids } => self.stacks(pid, tids, true),
            Demand::Names { pid } => {
                if let Some(look) = self.targets.get_mut(&pid).map(|target| target.names(true)) {
                    self.take(pid, look);
                }
            }
        }
    }

    fn stacks(&mut self, pid: i32, tids: Vec<i32>, on_demand: bool) {
        let Some(target) = self.targets.get_mut(&pid) else {
            return;
        };
        let before = cpu_nanos();
        let sample = match target.stacks(tids) {
            Ok(sample) => sample,
            Err(look) => return self.take(pid, look),
        };
        if !sample.threads.is_empty() {
            let each = (cpu_nanos() - before) as f64 / sample.threads.len() as f64;
            self.stack_nanos += (each - self.stack_nanos) * SMOOTHING;
        }
        self.stats.stacks += sample.threads.len() as u64;
        self.stats.torn += u64::from(sample.torn);
        if sample.threads.is_empty() && sample.torn == 0 && !on_demand {
            return;
        }
        let news = PythonNews::Sample {
            pid,
            time_begin_nanos: sample.begin_nanos,
            time_end_nanos: sample.end_nanos,
            threads: sample.threads,
            torn: sample.torn,
            on_demand,
        };
        self.tell(news);
    }

    fn take(&mut self, pid: i32, look: Look) {
        match look {
            Look::Quiet => {}
            Look::Failed => self.stats.failed += 1,
            Look::News(news) => {
                if !self.tell(news)
                    && let Some(target) = self.targets.get_mut(&pid)
                {
                    target.was_not_heard();
                }
            }
            Look::Ended => {
                self.forget(pid);
                self.tell(PythonNews::Ended { pid });
            }
        }
    }

    fn tell(&mut self, news: PythonNews) -> bool {
        let heard = self.news.try_send(news).is_ok();
        self.stats.news_dropped += u64::from(!heard);
        heard
    }

    /// Does some work, and takes its cost off the budget.
    fn charged(&mut self, work: impl FnOnce(&mut Worker)) {
        let before = cpu_nanos();
        work(self);
        self.budget.earn(monotonic_nanos());
        self.budget.spend(cpu_nanos() - before);
    }

    fn tell_stats(&mut self, now: i64) {
        self.stats.demands_refused += self.refused.swap(0, Ordering::Relaxed);
        let seconds = (now - self.told.time_nanos).max(1) as f64 / 1e9;
        let cpu = cpu_nanos();
        self.stats.achieved_hz = (self.stats.rounds - self.told.rounds) as f64 / seconds;
        self.stats.cpu_share = (cpu - self.told.cpu_nanos) as f64 / 1e9 / seconds;
        self.told = Told { time_nanos: now, cpu_nanos: cpu, rounds: self.stats.rounds };
        self.tell(PythonNews::Stats(self.stats));
    }
}

/// What this thread has taken of a processor so far, in nanoseconds.
fn cpu_nanos() -> i64 {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// `count` of these, starting where it is whose turn it is.
fn some_in_turn(tids: Vec<i32>, turn: usize, count: usize) -> Vec<i32> {
    if tids.len() <= count {
        return tids;
    }
    let start = turn % tids.len();
    tids.iter().cycle().skip(start).take(count).copied().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_many_waiters_each_has_its_turn() {
        //  waiters  a b c d e
        //  round 1  x x
        //  round 2      x x
        //  round 3  x       x
        let round = |turn| some_in_turn(vec![1, 2, 3, 4, 5], turn, 2);
        assert_eq!([round(0), round(2), round(4)], [vec![1, 2], vec![3, 4], vec![5, 1]]);
        assert_eq!(some_in_turn(vec![1, 2], 1, 2), [1, 2]);
        assert_eq!(some_in_turn(Vec::new(), 7, 2), Vec::<i32>::new());
    }
}
