//! One row of a trace.

use std::fmt;

macro_rules! kinds {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// What happened. The names are those of the `kind` column in the file.
        #[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Debug)]
        #[non_exhaustive]
        #[repr(u8)]
        pub enum Kind { $($(#[$doc])* $variant,)* }

        impl Kind {
            /// Every kind, in the order of its dictionary key.
            pub const ALL: &[Kind] = &[$(Kind::$variant,)*];

            /// The name in the `kind` column.
            pub fn name(self) -> &'static str {
                match self { $(Kind::$variant => $name,)* }
            }

            /// The kind of that name; [`Kind::Unknown`] for one that a newer gilscope may have written.
            pub fn from_name(name: &str) -> Kind {
                match name { $($name => Kind::$variant,)* _ => Kind::Unknown }
            }
        }
    };
}

kinds! {
    /// A row of a kind that this version does not know. Readers skip it.
    Unknown = "unknown",
    /// The thread found the GIL taken and waits for it; again for every switch interval that passes.
    Wait = "wait",
    /// The thread owns the GIL from here.
    Acquire = "acquire",
    /// The thread has given the GIL away.
    Release = "release",
    /// A system call begins: `nr`, and `fd` where its first argument is a descriptor.
    SyscallEnter = "syscall_enter",
    /// A system call ends: `nr`, and its result or negative errno in `value`.
    SyscallExit = "syscall_exit",
    /// The kernel took the processor from the thread; `value` is 1 if it was still runnable (preempted).
    SwitchOut = "switch_out",
    /// The thread runs again.
    SwitchIn = "switch_in",
    /// A thread began; `value` is the TID of the thread that made it.
    ThreadStart = "thread_start",
    /// A thread ended.
    ThreadExit = "thread_exit",
    /// `PyThreadState_New` was called (only on request).
    ThreadStateNew = "threadstate_new",
    /// `PyThreadState_Clear` was called (only on request).
    ThreadStateClear = "threadstate_clear",
    /// A thread state was deleted (only on request).
    ThreadStateDelete = "threadstate_delete",
    /// The Python stack of `tid` was seen to be stack `value` (see [`Kind::Stack`]); `nr` is 1 if asked for by a stall.
    Sample = "sample",
    /// A process joined the trace, or became another program. Detail: [`crate::detail::Process`].
    Process = "process",
    /// A process left the trace. Detail: [`crate::detail::ProcessEnd`].
    ProcessEnd = "process_end",
    /// What is known of a thread, as learned by now; later rows replace earlier ones. Detail: [`crate::detail::Thread`].
    Thread = "thread",
    /// What is known of a GIL. Detail: [`crate::detail::Gil`].
    Gil = "gil",
    /// What a descriptor is from here on. Detail: [`crate::detail::Descriptor`].
    Descriptor = "descriptor",
    /// A distinct Python stack, once. Detail: [`crate::detail::Stack`].
    Stack = "stack",
    /// Records were lost. Detail: [`crate::detail::Lost`].
    Lost = "lost",
    /// The pairing check so far (the last row counts). Detail: [`crate::detail::Check`].
    Check = "check",
    /// Stack sampling so far (the last row counts). Detail: [`crate::detail::Sampling`].
    Sampling = "sampling",
    /// A sentence to the reader of the trace. Detail: [`crate::detail::Note`].
    Note = "note",
    /// Recording ended in order. Detail: [`crate::detail::End`]. A trace without it was cut off.
    End = "end",
}

impl Kind {
    /// Whether rows of this kind carry a [`crate::Detail`].
    pub fn has_detail(self) -> bool {
        self >= Kind::Process
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// One row of a trace, without its detail.
///
/// Fields that a kind does not use hold the *none* value named at each.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub struct Event {
    /// Nanoseconds of `CLOCK_MONOTONIC`.
    pub time: i64,
    /// What happened.
    pub kind: Kind,
    /// The processor it happened on; meaningless for kinds with a detail.
    pub cpu: u16,
    /// Process ID, in the collector's PID namespace.
    pub pid: i32,
    /// Thread ID, in the collector's PID namespace; 0 where the row is about a process.
    pub tid: i32,
    /// Address of the GIL in the target (`struct _gil_runtime_state`); 0 for none.
    pub gil: u64,
    /// System-call number on [`crate::Header::arch`]; -1 for none.
    pub nr: i16,
    /// File descriptor; -1 for none.
    pub fd: i32,
    /// Result, flag or identifier, as the kind says; 0 for none.
    pub value: i64,
}

impl Event {
    /// An event of a thread with every optional field at *none*.
    pub fn new(time: i64, kind: Kind, pid: i32, tid: i32) -> Event {
        Event { time, kind, cpu: 0, pid, tid, gil: 0, nr: -1, fd: -1, value: 0 }
    }

    /// The same event on processor `cpu`.
    pub fn on_cpu(self, cpu: u16) -> Event {
        Event { cpu, ..self }
    }

    /// The same event of the GIL at `gil`.
    pub fn of_gil(self, gil: u64) -> Event {
        Event { gil, ..self }
    }

    /// The same event as system call `nr` on descriptor `fd` (-1 for none).
    pub fn of_syscall(self, nr: i16, fd: i32) -> Event {
        Event { nr, fd, ..self }
    }

    /// The same event with `value`.
    pub fn with_value(self, value: i64) -> Event {
        Event { value, ..self }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_again_by_its_name() {
        for &kind in Kind::ALL {
            assert_eq!(Kind::from_name(kind.name()), kind);
        }
        assert_eq!(Kind::from_name("something a later version writes"), Kind::Unknown);
    }

    #[test]
    fn the_dictionary_key_of_a_kind_is_its_place() {
        for (place, &kind) in Kind::ALL.iter().enumerate() {
            assert_eq!(kind as usize, place);
        }
    }
}
