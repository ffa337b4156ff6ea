//! How many perf events may be open, and how large their buffers may be.

use std::fs;

use rustix::{
    param::page_size,
    process::{Resource, Rlimit, getrlimit, setrlimit},
};

use crate::{privilege, process};

/// Descriptors kept for everything that is not a perf event.
const RESERVED: u64 = 128;
/// More than the kernel's default `fs.nr_open` cannot be had.
const MOST: u64 = 1 << 20;

/// Raises the soft limit of open descriptors to the hard one, and the hard one as far as the kernel lets us. Returns how many
/// perf events then fit.
pub fn raise_descriptor_limit() -> u64 {
    let limit = getrlimit(Resource::Nofile);
    let highest = Rlimit { current: Some(MOST), maximum: Some(MOST) };
    if limit.maximum.is_some_and(|hard| hard < MOST) && setrlimit(Resource::Nofile, highest).is_ok() {
        return MOST - RESERVED;
    }
    let hard = limit.maximum.unwrap_or(MOST);
    if let Err(error) = setrlimit(Resource::Nofile, Rlimit { current: Some(hard), ..limit }) {
        tracing::debug!(%error, "descriptor limit stays as it is");
        return limit.current.unwrap_or(hard).saturating_sub(RESERVED);
    }
    hard.saturating_sub(RESERVED)
}

/// Bytes that each of `rings` buffers may take; `None` if there is no limit.
///
/// The kernel lets a user map `kernel.perf_event_mlock_kb` for each processor, and what goes beyond counts against
/// `RLIMIT_MEMLOCK`, unless he has `CAP_IPC_LOCK` (`kernel/events/core.c`, `perf_mmap`). A page in front of each buffer counts too.
pub(super) fn lockable_bytes(rings: usize) -> Option<usize> {
    let setting =
        |name| fs::read_to_string(format!("/proc/sys/kernel/{name}")).ok()?.trim().parse::<i64>().ok();
    if privilege::IPC_LOCK.is_held() || setting("perf_event_paranoid") == Some(-1) {
        return None;
    }
    let free = setting("perf_event_mlock_kb").and_then(|kib| usize::try_from(kib).ok()).unwrap_or(516) << 10;
    let limit = getrlimit(Resource::Memlock);
    let limit = match setrlimit(Resource::Memlock, Rlimit { current: limit.maximum, ..limit }) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    };
    let limit = limit.and_then(|bytes| usize::try_from(bytes).ok())?;
    let all = (free * process::online_cpus().len()).saturating_add(limit);
    Some((all / rings).saturating_sub(page_size()))
}
