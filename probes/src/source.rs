//! Where records come from, behind one small interface.
//!
//! Today there is one source, [`crate::perf`]: uprobes and perf rings. A source inside the process, without traps, can stand
//! beside it; what lies above (ordering, descriptors, names, the session) does not change with it.

use std::{io, time::Duration};

/// Something that a source saw.
#[derive(Clone, PartialEq, Debug)]
pub struct Record {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: i64,
    /// Process and thread, in this process's PID namespace; 0 for a record about no thread.
    pub pid: i32,
    /// Thread ID.
    pub tid: i32,
    /// The processor it was seen on.
    pub cpu: u16,
    /// Which subscription delivered it.
    pub origin: Origin,
    /// What was seen.
    pub body: Body,
}

impl Record {
    /// Whether it is a sign that a process will run another program, or has just begun to.
    pub(crate) fn heralds_program(&self) -> bool {
        match &self.body {
            Body::Fork { child_pid, .. } => *child_pid != self.pid,
            Body::Name { exec, .. } => *exec,
            _ => false,
        }
    }
}

/// Which subscription delivered a record. A thread that was subscribed explicitly may also have inherited the subscription of
/// the thread that made it; comparing origins tells the two apart.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Origin {
    /// The thread that the subscription was made for.
    pub tid: i32,
    /// The group of subscriptions that were made together.
    pub group: Group,
}

/// A group of subscriptions that are made together for a thread.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub enum Group {
    /// System calls, scheduling, and the life of threads.
    Base,
    /// The probes in one interpreter's file.
    Probes(u16),
}

/// What was seen.
#[derive(Clone, PartialEq, Debug)]
pub enum Body {
    /// A probe was hit.
    Probe {
        /// Number of the probe, as given when the probes were set.
        probe: u16,
        /// The value that it fetched.
        argument: u64,
    },
    /// A system call begins.
    SyscallEnter {
        /// Its number.
        nr: i64,
        /// Its first two arguments.
        arguments: [u64; 2],
    },
    /// A system call ends.
    SyscallExit {
        /// Its number.
        nr: i64,
        /// Its result or negative errno.
        result: i64,
    },
    /// The thread lost the processor.
    SwitchOut {
        /// While it was still runnable.
        preempted: bool,
    },
    /// The thread got a processor.
    SwitchIn,
    /// A thread or process was made by this one.
    Fork {
        /// PID of the new one; equal to the record's for a thread.
        child_pid: i32,
        /// TID of the new one.
        child_tid: i32,
    },
    /// This thread ended.
    Exit,
    /// This thread changed its name, or its process became another program.
    Name {
        /// The new name, at most 15 bytes.
        name: String,
        /// Whether by `execve`.
        exec: bool,
    },
    /// A file was mapped as executable code.
    Map {
        /// The file, as the process sees it.
        path: String,
    },
    /// Records of this processor were lost just before this one.
    Lost {
        /// How many.
        records: u64,
        /// The last moment before the loss, ns of `CLOCK_MONOTONIC`.
        since: i64,
    },
}

/// A source of records.
pub trait EventSource {
    /// Appends all records that are there to `into`, in no particular order.
    ///
    /// Everything that happened before the call began is delivered by the end of the *next* call at the latest.
    fn drain(&mut self, into: &mut Vec<Record>) -> io::Result<()>;

    /// Waits until a good part of a buffer has filled, or for `timeout`.
    fn wait(&self, timeout: Duration) -> io::Result<()>;
}
