//! Which system calls are recorded.

use std::{fmt, str::FromStr};

use gilscope_trace::syscalls::{Class, X86_64};

/// Which system calls are recorded.
#[derive(Clone, Copy, PartialEq, Eq, Default, Debug)]
pub enum SyscallSet {
    /// Those on sockets, and those that wait for descriptors; `read` and the like where the descriptor is a socket.
    #[default]
    Socket,
    /// Also those on files and pipes.
    Io,
    /// Every one.
    All,
    /// None.
    None,
}

/// Calls after which a descriptor number may mean something else. They are watched for that, not recorded for themselves:
/// `close`, `dup2`, `dup3`, `close_range`. A number is not given out again before one of these.
const REUSE: [i16; 4] = [CLOSE, DUP2, DUP3, CLOSE_RANGE];
pub(crate) const CLOSE: i16 = 3;
pub(crate) const DUP2: i16 = 33;
pub(crate) const DUP3: i16 = 292;
pub(crate) const CLOSE_RANGE: i16 = 436;
pub(crate) const CONNECT: i16 = 42;
pub(crate) const ACCEPT: i16 = 43;
pub(crate) const ACCEPT4: i16 = 288;

impl SyscallSet {
    /// The name on the command line and in the header of a trace.
    pub fn name(self) -> &'static str {
        match self {
            SyscallSet::Socket => "socket",
            SyscallSet::Io => "io",
            SyscallSet::All => "all",
            SyscallSet::None => "none",
        }
    }

    /// Whether calls of that number are recorded, leaving aside what their descriptor is.
    pub fn records(self, nr: i16) -> bool {
        let class = gilscope_trace::syscalls::class(nr);
        match self {
            SyscallSet::Socket => matches!(class, Class::Socket | Class::Poll | Class::ReadWrite),
            SyscallSet::Io => class != Class::Other,
            SyscallSet::All => true,
            SyscallSet::None => false,
        }
    }

    /// Numbers whose begin the kernel must deliver; `None` for all.
    pub fn enters(self) -> Option<Vec<i16>> {
        let mut numbers = self.exits()?;
        if !numbers.is_empty() {
            numbers.extend(REUSE.iter().filter(|nr| !self.records(**nr)));
        }
        Some(numbers)
    }

    /// Numbers whose end the kernel must deliver; `None` for all.
    pub fn exits(self) -> Option<Vec<i16>> {
        match self {
            SyscallSet::All => None,
            _ => Some(X86_64.iter().map(|call| call.nr).filter(|&nr| self.records(nr)).collect()),
        }
    }
}

impl fmt::Display for SyscallSet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for SyscallSet {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [SyscallSet::Socket, SyscallSet::Io, SyscallSet::All, SyscallSet::None]
            .into_iter()
            .find(|set| set.name() == text)
            .ok_or_else(|| format!("`{text}` is none of socket, io, all, none"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_set_records_what_its_name_says() {
        let (sendto, read, openat, futex) = (44, 0, 257, 202);
        let recorded = |set: SyscallSet| [sendto, read, openat, futex].map(|nr| set.records(nr));
        assert_eq!(recorded(SyscallSet::Socket), [true, true, false, false]);
        assert_eq!(recorded(SyscallSet::Io), [true, true, true, false]);
        assert_eq!(recorded(SyscallSet::All), [true; 4]);
        assert_eq!(recorded(SyscallSet::None), [false; 4]);
    }

    #[test]
    fn closing_is_watched_even_where_it_is_not_recorded() {
        assert!(SyscallSet::Socket.enters().unwrap().contains(&CLOSE));
        assert!(!SyscallSet::Socket.exits().unwrap().contains(&CLOSE));
        assert_eq!(SyscallSet::None.enters(), Some(vec![]));
        assert_eq!(SyscallSet::All.enters(), None);
    }
}
