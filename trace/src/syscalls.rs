//! Names and classes of system calls, so that a trace can be read on a machine other than the one it was made on.
//!
//! Numbers are those of `arch/x86/entry/syscalls/syscall_64.tbl`.

/// What a system call is about, as far as it matters for reading a timeline.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Class {
    /// Moves data over a socket, or makes a connection.
    Socket,
    /// Waits for descriptors to become ready.
    Poll,
    /// Reads or writes whatever the descriptor is.
    ReadWrite,
    /// Files, pipes and asynchronous I/O.
    File,
    /// Anything else.
    Other,
}

/// One system call.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Syscall {
    /// Number on x86-64.
    pub nr: i16,
    /// Name as in the manual.
    pub name: &'static str,
    /// What it is about.
    pub class: Class,
    /// Whether its first argument is a file descriptor.
    pub takes_fd: bool,
}

const fn row(nr: i16, name: &'static str, class: Class, takes_fd: bool) -> Syscall {
    Syscall { nr, name, class, takes_fd }
}

/// The calls that gilscope knows by name, ascending by number.
pub const X86_64: &[Syscall] = &[
    row(0, "read", Class::ReadWrite, true),
    row(1, "write", Class::ReadWrite, true),
    row(2, "open", Class::File, false),
    row(3, "close", Class::File, true),
    row(7, "poll", Class::Poll, false),
    row(17, "pread64", Class::File, true),
    row(18, "pwrite64", Class::File, true),
    row(19, "readv", Class::ReadWrite, true),
    row(20, "writev", Class::ReadWrite, true),
    row(22, "pipe", Class::File, false),
    row(23, "select", Class::Poll, false),
    row(32, "dup", Class::Other, true),
    row(33, "dup2", Class::Other, true),
    row(35, "nanosleep", Class::Other, false),
    row(40, "sendfile", Class::File, true),
    row(41, "socket", Class::Other, false),
    row(42, "connect", Class::Socket, true),
    row(43, "accept", Class::Socket, true),
    row(44, "sendto", Class::Socket, true),
    row(45, "recvfrom", Class::Socket, true),
    row(46, "sendmsg", Class::Socket, true),
    row(47, "recvmsg", Class::Socket, true),
    row(48, "shutdown", Class::Other, true),
    row(53, "socketpair", Class::Other, false),
    row(61, "wait4", Class::Other, false),
    row(74, "fsync", Class::File, true),
    row(75, "fdatasync", Class::File, true),
    row(202, "futex", Class::Other, false),
    row(230, "clock_nanosleep", Class::Other, false),
    row(232, "epoll_wait", Class::Poll, true),
    row(257, "openat", Class::File, false),
    row(270, "pselect6", Class::Poll, false),
    row(271, "ppoll", Class::Poll, false),
    row(275, "splice", Class::File, true),
    row(281, "epoll_pwait", Class::Poll, true),
    row(288, "accept4", Class::Socket, true),
    row(292, "dup3", Class::Other, true),
    row(293, "pipe2", Class::File, false),
    row(295, "preadv", Class::File, true),
    row(296, "pwritev", Class::File, true),
    row(299, "recvmmsg", Class::Socket, true),
    row(307, "sendmmsg", Class::Socket, true),
    row(326, "copy_file_range", Class::File, true),
    row(327, "preadv2", Class::File, true),
    row(328, "pwritev2", Class::File, true),
    row(426, "io_uring_enter", Class::File, true),
    row(436, "close_range", Class::Other, false),
    row(441, "epoll_pwait2", Class::Poll, true),
];

/// What is known of the call of that number on x86-64.
pub fn lookup(nr: i16) -> Option<&'static Syscall> {
    X86_64.binary_search_by_key(&nr, |call| call.nr).ok().map(|place| &X86_64[place])
}

/// Name of the call of that number on x86-64, or `syscall 123`.
pub fn name(nr: i16) -> std::borrow::Cow<'static, str> {
    match lookup(nr) {
        Some(call) => call.name.into(),
        None => format!("syscall {nr}").into(),
    }
}

/// Class of the call of that number on x86-64.
pub fn class(nr: i16) -> Class {
    lookup(nr).map_or(Class::Other, |call| call.class)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_ascends_so_that_it_can_be_searched() {
        assert!(X86_64.windows(2).all(|pair| pair[0].nr < pair[1].nr));
        assert_eq!(name(44), "sendto");
        assert_eq!(name(999), "syscall 999");
        assert_eq!(class(232), Class::Poll);
    }
}
