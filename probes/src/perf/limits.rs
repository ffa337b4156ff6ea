//! How many perf events may be open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

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
