//! Ring buffers shared with the kernel.

use std::os::fd::AsRawFd;

use perf_event::Sampler;

use super::record::{self, Subscription};
use crate::source::{Body, Record};

/// Records taken from one ring at a time, so that a thread that writes as fast as we read does not keep the others waiting.
const MAX_RECORDS: usize = 1 << 19;

/// A ring and the event that owns it.
pub(super) struct Ring {
    sampler: Sampler,
    /// Time of the last record read, ns of `CLOCK_MONOTONIC`.
    last_time: i64,
}

impl Ring {
    pub(super) fn new(sampler: Sampler, now: i64) -> Ring {
        Ring { sampler, last_time: now }
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
            if !matches!(parsed.body, Body::Lost { .. }) {
                self.last_time = parsed.time;
            }
            into.push(parsed);
        }
    }
}

impl AsRawFd for Ring {
    fn as_raw_fd(&self) -> i32 {
        self.sampler.as_raw_fd()
    }
}
