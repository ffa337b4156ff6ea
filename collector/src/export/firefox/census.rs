//! How many markers a profile would have, known before it is built.

use gilscope_analysis::{State, stream::Record};

/// Markers and samples that are kept at most, each. A marker takes about 150 bytes here and as much again in the file.
pub(super) const MAX_MARKERS: u64 = 1_000_000;
pub(super) const MAX_SAMPLES: u64 = 1_000_000;

/// How many markers there would be, by the number of binary digits of their length in ns.
#[derive(Clone)]
pub(in crate::export) struct Census {
    markers: [u64; 65],
    pub(super) samples: u64,
}

impl Default for Census {
    fn default() -> Census {
        Census { markers: [0; 65], samples: 0 }
    }
}

impl Census {
    /// Counts a record as far as it lies in `from..to`.
    pub(in crate::export) fn count(&mut self, record: &Record, from: i64, to: i64) {
        let (start, end) = record.span();
        let (start, end) = (start.max(from), end.min(to));
        match record {
            Record::Sample { .. } => self.samples += u64::from(start <= end),
            // A hold is marked twice: on its thread and on its GIL.
            Record::Hold(_) if start < end => self.markers[digits(end.saturating_sub(start))] += 2,
            record if is_marked(record) && start < end => {
                self.markers[digits(end.saturating_sub(start))] += 1
            }
            _ => {}
        }
    }

    /// The shortest length that is kept, ns, with how many are left out and how many there are.
    pub(super) fn threshold(&self, most: u64) -> (i64, u64, u64) {
        let all: u64 = self.markers.iter().sum();
        let (mut kept, mut digits) = (0, 65);
        while digits > 0 && kept + self.markers[digits - 1] <= most {
            digits -= 1;
            kept += self.markers[digits];
        }
        (
            if digits == 0 { 0 } else { 1_i64.checked_shl(digits as u32 - 1).unwrap_or(i64::MAX) },
            all - kept,
            all,
        )
    }
}

fn digits(length: i64) -> usize {
    (i64::BITS - length.leading_zeros()) as usize
}

pub(super) fn is_marked(record: &Record) -> bool {
    match record {
        Record::State(lived) => match lived.state {
            State::OffGil | State::Holding => false,
            State::Unknown => lived.lost,
            State::Syscall | State::Descheduled | State::Limbo | State::Waiting => true,
        },
        Record::Call(_) | Record::Hold(_) => true,
        Record::Waiters { .. } | Record::Sample { .. } => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_keeps_as_many_as_fit_and_the_longest() {
        let mut census = Census::default();
        for (length, count) in [(3, 50), (100, 20), (5000, 5)] {
            census.markers[digits(length)] += count;
        }
        assert_eq!(census.threshold(100), (0, 0, 75));
        assert_eq!(census.threshold(30), (4, 50, 75));
        let (threshold, left_out, _) = census.threshold(24);
        assert!((101..=5000).contains(&threshold) && left_out == 70);
        assert_eq!(census.threshold(0).1, 75);
    }
}
