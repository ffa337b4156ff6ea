//! The last look at rows before they are given out: order of time and the pairing check. Pure.

use gilscope_trace::{Detail, Pairing};

use super::Row;

/// Keeps the order of time and runs the pairing check.
#[derive(Default)]
pub(crate) struct Seal {
    pub(crate) pairing: Pairing,
    /// Time of the last row given out.
    pub(crate) last_time: i64,
    /// Rows whose time had to be moved forward to keep the order. Zero unless the kernel surprises us.
    pub(crate) late: u64,
}

impl Seal {
    pub(crate) fn seal(&mut self, rows: &mut [Row]) {
        for row in rows {
            if row.event.time < self.last_time {
                // Rows with a detail are ours, and are timed when they are made.
                self.late += u64::from(row.detail.is_none());
                row.event.time = self.last_time;
            }
            self.last_time = row.event.time;
            match &row.detail {
                Some(Detail::Lost(lost)) => self.pairing.observe_lost(lost),
                _ => self.pairing.observe(&row.event),
            }
        }
    }
}
