//! The shape of the GIL, `struct _gil_runtime_state`, on x86-64 with glibc or musl, the same from 3.7 to 3.15.
//!
//! ```text
//!   0 unsigned long   interval        microseconds
//!   8 PyThreadState*  last_holder
//!  16 int             locked
//!  24 unsigned long   switch_number
//!  32 pthread_cond_t  cond            48 bytes   signalled by a release, waited for by take_gil
//!  80 pthread_mutex_t mutex           40 bytes
//! 120 pthread_cond_t  switch_cond     48 bytes   signalled by an acquisition
//! 168 pthread_mutex_t switch_mutex
//! ```
//!
//! A free-threaded build puts an `int enabled` first, which moves everything by 8 and keeps all distances.

use super::SiteKind;

/// Where the switch interval stands in the GIL: an `unsigned long` of microseconds.
pub const INTERVAL_OFFSET: u64 = 0;
/// Where the thread state that held the GIL last stands in the GIL.
pub const LAST_HOLDER_OFFSET: u64 = 8;
/// Where `locked` stands in the GIL: an `int`, 1 while someone holds it, -1 before it was first taken.
pub const LOCKED_OFFSET: u64 = 16;
/// Where the counter of switches stands in the GIL.
pub const SWITCH_NUMBER_OFFSET: u64 = 24;
/// Where `cond` stands in the GIL.
pub const COND_OFFSET: u64 = 0x20;
/// From `cond` to `switch_cond`: a condition variable and a mutex.
pub const COND_TO_SWITCH_COND: u64 = 0x58;

/// From the condition variable that a site of this kind hands over to the address of its GIL.
///
/// ```
/// use gilscope_probes::sites::{SiteKind, gil_address};
/// assert_eq!(gil_address(SiteKind::Release, 0x1020), 0x1000);
/// assert_eq!(gil_address(SiteKind::Wait, 0x1020), 0x1000);
/// assert_eq!(gil_address(SiteKind::Acquire, 0x1078), 0x1000);
/// ```
pub fn gil_address(kind: SiteKind, cond: u64) -> u64 {
    match kind {
        SiteKind::Wait | SiteKind::Release => cond.wrapping_sub(COND_OFFSET),
        SiteKind::Acquire => cond.wrapping_sub(COND_OFFSET + COND_TO_SWITCH_COND),
    }
}
