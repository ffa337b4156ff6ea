//! How much time the sampler may take.

/// A share of one processor: credit comes with time, and work costs it.
///
/// Rounds are taken while there is credit. A request may run into debt, which rounds then wait for: a stall that is going on is
/// worth more than the next regular sample.
#[derive(Debug)]
pub(super) struct Budget {
    share: f64,
    credit_nanos: f64,
    last_nanos: i64,
}

/// Credit, and debt, is what comes in this time: enough for one round with some hundred threads.
const BURST_NANOS: f64 = 1e9;

impl Budget {
    /// Starts with all the credit that can be saved.
    pub(super) fn new(share: f64, now_nanos: i64) -> Budget {
        let share = if share.is_finite() { share.clamp(0.001, 1.0) } else { 1.0 };
        Budget { share, credit_nanos: share * BURST_NANOS, last_nanos: now_nanos }
    }

    /// Time has passed.
    pub(super) fn earn(&mut self, now_nanos: i64) {
        let passed = (now_nanos - self.last_nanos).max(0);
        self.last_nanos = now_nanos.max(self.last_nanos);
        self.credit_nanos = (self.credit_nanos + self.share * passed as f64).min(self.share * BURST_NANOS);
    }

    /// Work was done that took this much of a processor.
    pub(super) fn spend(&mut self, cpu_nanos: i64) {
        self.credit_nanos -= cpu_nanos as f64;
    }

    /// Whether a request may be served.
    pub(super) fn allows_demand(&self) -> bool {
        self.credit_nanos > -self.share * BURST_NANOS
    }

    /// The earliest time for regular work.
    pub(super) fn ready_nanos(&self) -> i64 {
        self.last_nanos + (-self.credit_nanos / self.share).max(0.0).ceil() as i64
    }

    /// What comes in during a time, in nanoseconds of a processor.
    pub(super) fn earned_in(&self, nanos: i64) -> f64 {
        self.share * nanos as f64
    }

    /// The time from one piece of regular work to the next for it to take no more than half of the share.
    pub(super) fn half_share_period_nanos(&self, cpu_nanos: i64) -> i64 {
        (cpu_nanos as f64 / (self.share / 2.0)) as i64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MS: i64 = 1_000_000;

    /// Works `cost` ms whenever the period and the budget allow, for so many seconds; gives the times in ms.
    fn rounds(share: f64, period: i64, cost: i64, seconds: i64) -> Vec<i64> {
        let mut budget = Budget::new(share, 0);
        let (mut now, mut times) = (0, Vec::new());
        while now < seconds * 1000 * MS {
            times.push(now / MS);
            budget.earn(now + cost * MS);
            budget.spend(cost * MS);
            now = (now + period * MS).max(budget.ready_nanos());
        }
        times
    }

    #[test]
    fn cheap_rounds_keep_their_rate() {
        // 0.05 of a processor: a round of 1 ms every 20 ms is just what comes in
        let times = rounds(0.05, 20, 1, 10);
        assert_eq!(times.len(), 500);
        assert!(times.windows(2).all(|pair| pair[1] - pair[0] == 20));
    }

    #[test]
    fn rounds_that_cost_too_much_become_rarer_until_they_fit() {
        // a round of 10 ms fits every 200 ms; the credit of the beginning is soon used up
        let times = rounds(0.05, 20, 10, 20);
        let late: Vec<i64> = times.windows(2).skip(20).map(|pair| pair[1] - pair[0]).collect();
        assert!(late.iter().all(|gap| (199..=201).contains(gap)), "{late:?}");
    }

    #[test]
    fn requests_may_run_into_debt_which_rounds_wait_for() {
        let mut budget = Budget::new(0.05, 0);
        budget.spend(60 * MS);
        assert!(budget.allows_demand());
        assert_eq!(budget.ready_nanos(), 200 * MS);
        budget.spend(50 * MS);
        assert!(!budget.allows_demand());
        budget.earn(300 * MS);
        assert!(budget.allows_demand());
    }

    #[test]
    fn a_clock_that_stands_still_earns_nothing() {
        let mut budget = Budget::new(0.05, 100);
        budget.spend(100 * MS);
        let ready = budget.ready_nanos();
        budget.earn(100);
        budget.earn(50);
        assert_eq!(budget.ready_nanos(), ready);
    }
}
