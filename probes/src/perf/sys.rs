//! The perf requests that the `perf-event` package does not wrap. All `unsafe` of this crate is here.
#![expect(unsafe_code, reason = "ioctl and poll take raw arguments; this file is the island that wraps them")]

use std::{
    ffi::CStr,
    io,
    os::fd::{AsRawFd, BorrowedFd},
    time::Duration,
};

use perf_event_open_sys::ioctls;
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::Errno,
};

/// Makes `event` write into the ring of `ring`. Both must be on the same processor and use the same clock.
pub(super) fn set_output(event: &impl AsRawFd, ring: &impl AsRawFd) -> io::Result<()> {
    // SAFETY: both are open perf events, borrowed for the call; the request takes a descriptor by value and keeps no pointer.
    check(unsafe { ioctls::SET_OUTPUT(event.as_raw_fd(), ring.as_raw_fd()) })
}

/// Lets only those hits of a tracepoint through for which `filter` holds (kernel `Documentation/trace/events.rst`, 5.1).
pub(super) fn set_filter(event: &impl AsRawFd, filter: &CStr) -> io::Result<()> {
    // SAFETY: the kernel copies the string, which ends in a NUL and lives for the call, and does not write to it.
    check(unsafe { ioctls::SET_FILTER(event.as_raw_fd(), filter.as_ptr().cast_mut()) })
}

/// Waits until the kernel says that one of `events` has data, or for `timeout`, or for a signal.
pub(super) fn wait_any<'a>(
    events: impl Iterator<Item = &'a (impl AsRawFd + 'a)>,
    timeout: Duration,
) -> io::Result<()> {
    let mut descriptors: Vec<PollFd<'_>> = events
        .map(|event| {
            // SAFETY: the descriptor is borrowed from `event`, which outlives this call and so every `PollFd`.
            let descriptor = unsafe { BorrowedFd::borrow_raw(event.as_raw_fd()) };
            PollFd::from_borrowed_fd(descriptor, PollFlags::IN)
        })
        .collect();
    let timeout = Timespec { tv_sec: timeout.as_secs() as i64, tv_nsec: i64::from(timeout.subsec_nanos()) };
    match poll(&mut descriptors, Some(&timeout)) {
        Ok(_) | Err(Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn check(result: i32) -> io::Result<()> {
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
