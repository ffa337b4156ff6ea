//! What an access to `locked` just before a call says about the call. Pure.
//!
//! The GIL signals its condition variables right after it has changed `locked`, and waits right after it has read it:
//!
//! ```text
//! release   gil->locked = 0;  pthread_cond_signal(&gil->cond)           cond        = locked + 0x10
//! acquire   gil->locked = 1;  pthread_cond_signal(&gil->switch_cond)    switch_cond = locked + 0x68
//! wait      gil->locked != 0; pthread_cond_timedwait(&gil->cond, …)     cond        = locked + 0x10
//! ```

use super::layout::{COND_OFFSET, COND_TO_SWITCH_COND, LOCKED_OFFSET};
use super::{SiteKind, Target};

const COND_FROM_LOCKED: i64 = (COND_OFFSET - LOCKED_OFFSET) as i64;
const SWITCH_COND_FROM_LOCKED: i64 = COND_FROM_LOCKED + COND_TO_SWITCH_COND as i64;

/// A 4-byte access to memory at a known distance from the condition variable that a later call is given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Access {
    /// The address of the condition variable less the address accessed, in bytes.
    pub(super) distance: i64,
    /// What was done there.
    pub(super) what: What,
}

/// What an access does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum What {
    /// This constant was stored.
    Store(i32),
    /// The memory was read.
    Load,
}

/// The kind of site that a call of `target` is, if `access` comes before it.
pub(super) fn kind(target: Target, access: Access) -> Option<SiteKind> {
    match (target, access.what, access.distance) {
        (Target::Signal, What::Store(0), COND_FROM_LOCKED) => Some(SiteKind::Release),
        (Target::Signal, What::Store(1), SWITCH_COND_FROM_LOCKED) => Some(SiteKind::Acquire),
        (Target::TimedWait, What::Load, COND_FROM_LOCKED) => Some(SiteKind::Wait),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn store(value: i32, distance: i64) -> Access {
        Access { distance, what: What::Store(value) }
    }

    #[test]
    fn a_zero_stored_sixteen_bytes_below_the_signalled_condition_is_a_release() {
        assert_eq!(kind(Target::Signal, store(0, 0x10)), Some(SiteKind::Release));
    }

    #[test]
    fn a_one_stored_a_condition_and_a_mutex_further_below_is_an_acquisition() {
        assert_eq!(kind(Target::Signal, store(1, 0x68)), Some(SiteKind::Acquire));
    }

    #[test]
    fn a_value_that_does_not_fit_its_distance_says_nothing() {
        for access in [store(1, 0x10), store(0, 0x68), store(2, 0x68), store(0, -0x10), store(0, 0)] {
            assert_eq!(kind(Target::Signal, access), None, "{access:?}");
        }
        assert_eq!(kind(Target::Signal, Access { distance: 0x10, what: What::Load }), None);
    }

    #[test]
    fn locked_read_before_a_timed_wait_makes_it_the_wait_for_the_gil() {
        assert_eq!(
            kind(Target::TimedWait, Access { distance: 0x10, what: What::Load }),
            Some(SiteKind::Wait)
        );
        assert_eq!(kind(Target::TimedWait, store(0, 0x10)), None);
    }
}
