//! The clock of a trace: `CLOCK_MONOTONIC` in nanoseconds, the same that the kernel stamps its records with.

use rustix::time::{ClockId, Timespec, clock_gettime};

fn nanos(time: Timespec) -> i64 {
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Now, in nanoseconds of `CLOCK_MONOTONIC`.
pub fn monotonic_nanos() -> i64 {
    nanos(clock_gettime(ClockId::Monotonic))
}

/// What to add to a monotonic time to get nanoseconds since 1970-01-01 UTC.
///
/// Taken between two readings of the monotonic clock; the closest of several tries counts.
pub fn utc_offset_nanos() -> i64 {
    let attempt = || {
        let before = monotonic_nanos();
        let utc = nanos(clock_gettime(ClockId::Realtime));
        let after = monotonic_nanos();
        (after - before, utc - (before + (after - before) / 2))
    };
    (0..5).map(|_| attempt()).min().map_or(0, |(_, offset)| offset)
}
