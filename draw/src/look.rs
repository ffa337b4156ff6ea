//! How an interval looks: the states of the model, told apart as far as the eye should.

use gilscope_analysis::{
    Holds, Lane, NONE, Stall, State,
    index::{Classes, Intervals},
    stall, state,
};
use gilscope_trace::syscalls::{Class, X86_64};

/// What an interval of a thread's lane is drawn as. Ascending by how much it matters.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
#[repr(u8)]
pub enum Look {
    /// Not known: no event has told yet.
    Unknown = 0,
    /// Off the GIL.
    Off = 1,
    /// In a system call that waits for descriptors.
    Poll = 2,
    /// In another system call.
    Call = 3,
    /// In a system call on files.
    File = 4,
    /// In a system call on sockets.
    Socket = 5,
    /// Holds the GIL.
    Holding = 6,
    /// Kept inside a forced release.
    Limbo = 7,
    /// Holds the GIL but does not run.
    Descheduled = 8,
    /// Waits for the GIL.
    Waiting = 9,
    /// Waits for the GIL after a system call that was shorter than the wait: a convoy stall.
    Stalled = 10,
    /// Not known: records were lost.
    Lost = 11,
}

/// The look of each system call by its number: looked up once for every interval of a trace, which a search would make the
/// slowest part of loading one.
const CALLS: [Look; 512] = {
    let mut looks = [Look::Call; 512];
    let mut place = 0;
    while place < X86_64.len() {
        looks[X86_64[place].nr as usize] = match X86_64[place].class {
            Class::Poll => Look::Poll,
            Class::Socket | Class::ReadWrite => Look::Socket,
            Class::File => Look::File,
            Class::Other => Look::Call,
        };
        place += 1;
    }
    looks
};

impl Look {
    /// All, in the order of their number.
    pub const ALL: [Look; 12] = [
        Look::Unknown,
        Look::Off,
        Look::Poll,
        Look::Call,
        Look::File,
        Look::Socket,
        Look::Holding,
        Look::Limbo,
        Look::Descheduled,
        Look::Waiting,
        Look::Stalled,
        Look::Lost,
    ];

    /// The look of that number; `Unknown` if there is none.
    #[inline]
    pub fn from_u8(number: u8) -> Look {
        *Self::ALL.get(usize::from(number)).unwrap_or(&Look::Unknown)
    }

    /// A word or two for a legend.
    pub fn name(self) -> &'static str {
        match self {
            Look::Unknown => "unknown",
            Look::Off => "off the GIL",
            Look::Poll => "polling",
            Look::Call => "other call",
            Look::File => "file call",
            Look::Socket => "socket call",
            Look::Holding => "holding the GIL",
            Look::Limbo => "forced-switch limbo",
            Look::Descheduled => "holding, not running",
            Look::Waiting => "waiting",
            Look::Stalled => "convoy stall",
            Look::Lost => "records lost",
        }
    }

    /// How much of a lane's height it takes, 0 to 1: what does not concern the GIL is drawn thin.
    pub fn height(self) -> f32 {
        match self {
            Look::Off | Look::Unknown => 0.12,
            Look::Poll => 0.3,
            Look::Limbo => 0.5,
            _ => 1.0,
        }
    }

    /// The look of an interval of that state and argument.
    #[inline]
    pub fn of(state: u8, arg: u32, stalls: &[Stall]) -> Look {
        match State::from_u8(state) {
            State::Unknown if arg == state::LOST => Look::Lost,
            State::Unknown => Look::Unknown,
            State::OffGil => Look::Off,
            State::Syscall => *CALLS.get((arg >> 20) as usize).unwrap_or(&Look::Call),
            State::Holding => Look::Holding,
            State::Descheduled => Look::Descheduled,
            State::Limbo => Look::Limbo,
            State::Waiting => match stalls.get(arg as usize) {
                Some(stall) if stall.flags & stall::CONVOY != 0 => Look::Stalled,
                _ => Look::Waiting,
            },
        }
    }
}

/// Classes of looks whose shares of time the index keeps, by place in a piece's shares.
pub mod class {
    /// Convoy stalls.
    pub const STALLED: usize = 0;
    /// Other waits.
    pub const WAITING: usize = 1;
    /// Holding and running.
    pub const HOLDING: usize = 2;
    /// Holding and not running, and forced-switch limbo.
    pub const DESCHEDULED: usize = 3;
    /// System calls but those that poll.
    pub const CALLS: usize = 4;
    /// Polling.
    pub const POLL: usize = 5;
    /// How many.
    pub const COUNT: usize = 6;
}

/// The classes of looks, for the index of a thread's lane.
pub fn look_classes() -> Classes<{ class::COUNT }> {
    Classes::new(|number| match Look::from_u8(number) {
        Look::Stalled => Some(class::STALLED as u8),
        Look::Waiting => Some(class::WAITING as u8),
        Look::Holding => Some(class::HOLDING as u8),
        Look::Descheduled | Look::Limbo => Some(class::DESCHEDULED as u8),
        Look::Call | Look::File | Look::Socket => Some(class::CALLS as u8),
        Look::Poll => Some(class::POLL as u8),
        Look::Unknown | Look::Off | Look::Lost => None,
    })
}

/// A thread's lane as the index sees it: its states are [`Look`]s.
#[derive(Clone, Copy, Debug)]
pub struct Looks<'a> {
    /// The lane.
    pub lane: &'a Lane,
    /// The look of each of its intervals, as a number.
    pub looks: &'a [u8],
}

impl Intervals for Looks<'_> {
    #[inline]
    fn len(self) -> usize {
        self.looks.len().min(self.lane.len())
    }

    #[inline]
    fn start(self, index: usize) -> i64 {
        self.lane.starts()[index]
    }

    #[inline]
    fn state(self, index: usize) -> u8 {
        self.looks[index]
    }

    #[inline]
    fn end(self) -> i64 {
        self.lane.end()
    }

    fn first_after(self, time: i64) -> usize {
        self.lane.starts()[..self.len()].partition_point(|&start| start <= time)
    }
}

/// The holds of a GIL as the index sees them: its states are the colours of the holders.
#[derive(Clone, Copy, Debug)]
pub struct Owners<'a> {
    /// The holds.
    pub holds: &'a Holds,
}

impl Intervals for Owners<'_> {
    #[inline]
    fn len(self) -> usize {
        self.holds.len()
    }

    #[inline]
    fn start(self, index: usize) -> i64 {
        self.holds.starts()[index]
    }

    #[inline]
    fn state(self, index: usize) -> u8 {
        match self.holds.threads()[index] {
            NONE => crate::THREAD_COLORS as u8,
            thread => (thread as usize % crate::THREAD_COLORS) as u8,
        }
    }

    #[inline]
    fn end(self) -> i64 {
        self.holds.ends().last().copied().unwrap_or(i64::MIN)
    }

    fn first_after(self, time: i64) -> usize {
        self.holds.starts().partition_point(|&start| start <= time)
    }

    #[inline]
    fn state_end(self, index: usize, next_start: i64) -> i64 {
        self.holds.ends()[index].min(next_start)
    }
}

#[cfg(test)]
mod tests {
    use gilscope_trace::syscalls;

    use super::*;

    #[test]
    fn a_call_looks_like_what_it_is_about() {
        let look = |nr| Look::of(State::Syscall as u8, state::pack_call(nr, 3), &[]);
        for call in syscalls::X86_64 {
            let expected = match call.class {
                Class::Poll => Look::Poll,
                Class::Socket | Class::ReadWrite => Look::Socket,
                Class::File => Look::File,
                Class::Other => Look::Call,
            };
            assert_eq!(look(call.nr), expected, "{}", call.name);
        }
        assert_eq!([look(-1), look(511), look(4000)], [Look::Call; 3]);
    }
}
