//! Order across rings. Pure.
//!
//! Each ring is in order by itself; records of different processors are not. A record may still be on its way when its ring is
//! drained, but by the end of the *next* round it is there. So what is older than the beginning of the previous round is complete
//! and can be passed on, sorted.

use crate::source::Record;

/// Holds records back until everything older is there.
#[derive(Default)]
pub(crate) struct Sorter {
    pending: Vec<Record>,
    /// Beginning of the previous round, ns of `CLOCK_MONOTONIC`.
    previous: i64,
}

impl Sorter {
    /// The records that wait for their turn; a source appends to them.
    pub(crate) fn pending(&mut self) -> &mut Vec<Record> {
        &mut self.pending
    }

    /// Ends a round that began at `began`, and gives what is complete, in order, and the time up to which it is.
    pub(crate) fn end_round(&mut self, began: i64) -> (Vec<Record>, i64) {
        let horizon = std::mem::replace(&mut self.previous, began);
        (self.take_until(horizon), horizon)
    }

    /// Gives what is older than `time`, in order.
    pub(crate) fn take_until(&mut self, time: i64) -> Vec<Record> {
        // Nearly sorted runs, one a ring: the stable sort merges them.
        self.pending.sort_by_key(|record| record.time);
        let complete = self.pending.partition_point(|record| record.time < time);
        let rest = self.pending.split_off(complete);
        std::mem::replace(&mut self.pending, rest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::{Body, Group, Origin};

    fn at(time: i64) -> Record {
        let origin = Origin { tid: 1, group: Group::Base };
        Record { time, pid: 1, tid: 1, cpu: 0, origin, body: Body::SwitchIn }
    }

    fn times(records: &[Record]) -> Vec<i64> {
        records.iter().map(|record| record.time).collect()
    }

    #[test]
    fn a_record_that_arrives_a_round_late_still_finds_its_place() {
        //  round began at      10        20        30
        //  ring 0              3   8     18
        //  ring 1                        5  15     25      5 was on its way during the first round
        let mut sorter = Sorter::default();
        sorter.pending().extend([at(3), at(8)]);
        assert!(sorter.end_round(10).0.is_empty());
        sorter.pending().extend([at(18), at(5), at(15)]);
        assert_eq!(times(&sorter.end_round(20).0), [3, 5, 8]);
        sorter.pending().extend([at(25)]);
        assert_eq!(times(&sorter.end_round(30).0), [15, 18]);
        assert_eq!(times(&sorter.take_until(i64::MAX)), [25]);
    }
}
