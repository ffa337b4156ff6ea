//! Ring buffers shared with the kernel.

use std::os::fd::AsRawFd;

use perf_event::Sampler;

use super::record::{self, Subscription};
use crate::source::{Body, Group, Origin, Record};

/// Records taken from one ring at a time, so that a thread that writes as fast as we read does not keep the others waiting.
const MAX_RECORDS: usize = 1 << 19;

/// A ring and the event that owns it.
pub(super) struct Ring {
    sampler: Sampler,
    /// Time of the last record read, ns of `CLOCK_MONOTONIC`.
    last_time: i64,
    /// Lost records that were reported in the ring so far.
    reported_lost: u64,
}

impl Ring {
    pub(super) fn new(sampler: Sampler, now: i64) -> Ring {
        Ring { sampler, last_time: now, reported_lost: 0 }
    }

    /// Appends what is there to `into`.
    pub(super) fn drain(
        &mut self,
        into: &mut Vec<Record>,
        subscription: impl Fn(u64) -> Option<Subscription>,
    ) {
        for _ in 0..MAX_RECORDS {
            let Some(raw) = self.sampler.next_record() else {
                break;
            };
            let data = raw.to_contiguous();
            let Some(parsed) = record::parse(raw.ty(), raw.misc(), &data, self.last_time, &subscription)
            else {
                continue;
            };
            match parsed.body {
                Body::Lost { records, .. } => self.reported_lost += records,
                _ => self.last_time = parsed.time,
            }
            into.push(parsed);
        }
    }

    /// The loss after the last record in the ring, up to `until`, if of the `lost` records some have not been reported yet. The
    /// kernel reports a loss with the next record that fits, so the last one never is.
    pub(super) fn unreported(&self, lost: u64, until: i64, cpu: u16) -> Option<Record> {
        let records = lost.checked_sub(self.reported_lost).filter(|records| *records > 0)?;
        Some(Record {
            time: until,
            pid: 0,
            tid: 0,
            cpu,
            origin: Origin { tid: 0, group: Group::Base },
            body: Body::Lost { records, since: self.last_time.min(until) },
        })
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> i32 {
        self.sampler.as_raw_fd()
    }
}
