//! What a thread does at a moment, in one byte, and its argument in four.

/// State of a thread. Each interval of a [`crate::Lane`] has one; they partition the thread's lifetime.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum State {
    /// Not known. Argument: [`NOT_SEEN`] or [`LOST`].
    Unknown = 0,
    /// Off the GIL and in no traced system call. Argument 0.
    OffGil = 1,
    /// In a system call without the GIL. Argument: [`pack_call`].
    Syscall = 2,
    /// Has the GIL. Argument: index into [`crate::Model::gils`].
    Holding = 3,
    /// Has the GIL but no processor. Argument: index into [`crate::Model::gils`], with [`PREEMPTED`] if the kernel took the
    /// processor away, without if the thread blocked.
    Descheduled = 4,
    /// Released the GIL on request and is kept inside the release until another thread has taken it: neither holding nor
    /// waiting. Argument: index into [`crate::Model::gils`].
    Limbo = 5,
    /// Waits for the GIL. Argument: index into [`crate::Model::stalls`].
    Waiting = 6,
}

/// Argument of [`State::Unknown`]: no event has told yet.
pub const NOT_SEEN: u32 = 0;
/// Argument of [`State::Unknown`]: records were lost.
pub const LOST: u32 = 1;
/// Bit in the argument of [`State::Descheduled`]: the thread was still runnable.
pub const PREEMPTED: u32 = 1 << 31;

impl State {
    /// Every state, in the order of its number.
    pub const ALL: [State; 7] = [
        State::Unknown,
        State::OffGil,
        State::Syscall,
        State::Holding,
        State::Descheduled,
        State::Limbo,
        State::Waiting,
    ];

    /// The state of that number; `Unknown` if there is none.
    #[inline]
    pub fn from_u8(number: u8) -> State {
        *Self::ALL.get(usize::from(number)).unwrap_or(&State::Unknown)
    }

    /// A word or two for a legend.
    pub fn name(self) -> &'static str {
        match self {
            State::Unknown => "unknown",
            State::OffGil => "off the GIL",
            State::Syscall => "system call",
            State::Holding => "holding",
            State::Descheduled => "holding, not running",
            State::Limbo => "forced-switch limbo",
            State::Waiting => "waiting",
        }
    }

    /// Whether the thread owns a GIL in this state.
    #[inline]
    pub fn owns(self) -> bool {
        matches!(self, State::Holding | State::Descheduled)
    }
}

const NO_NR: u32 = 0xfff;
const NO_FD: u32 = 0xf_ffff;

/// Packs a system call into an argument: 12 bits of number, 20 bits of descriptor. What does not fit becomes *none*: Linux has
/// under 600 calls, and descriptors end at 2²⁰ unless `fs.nr_open` was raised.
#[inline]
pub fn pack_call(nr: i16, fd: i32) -> u32 {
    let nr = u32::try_from(nr).map_or(NO_NR, |nr| nr.min(NO_NR));
    let fd = u32::try_from(fd).map_or(NO_FD, |fd| fd.min(NO_FD));
    nr << 20 | fd
}

/// The number of a packed system call; -1 for none.
#[inline]
pub fn call_nr(arg: u32) -> i16 {
    match arg >> 20 {
        NO_NR => -1,
        nr => nr as i16,
    }
}

/// The descriptor of a packed system call; -1 for none.
#[inline]
pub fn call_fd(arg: u32) -> i32 {
    match arg & NO_FD {
        NO_FD => -1,
        fd => fd as i32,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_packed_call_gives_back_its_number_and_descriptor() {
        for (nr, fd) in [(44, 5), (0, 0), (-1, -1), (547, 1_000_000)] {
            let arg = pack_call(nr, fd);
            assert_eq!((call_nr(arg), call_fd(arg)), (nr, fd));
        }
    }

    #[test]
    fn a_state_is_found_again_by_its_number() {
        for state in State::ALL {
            assert_eq!(State::from_u8(state as u8), state);
        }
    }
}
