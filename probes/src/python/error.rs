//! Why a look into a process failed. Each ends in a sentence that can stand in the record: recording goes on without stacks.

/// Why the Python side of a process cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PythonViewError {
    /// There is no such process, or it has ended.
    #[error("no Python names or stacks of process {pid}: it is gone")]
    Gone {
        /// The process.
        pid: i32,
    },
    /// The memory of the process may not be read.
    #[error(
        "no Python names or stacks of process {pid}: its memory may not be read; run as root, or grant CAP_SYS_PTRACE"
    )]
    Denied {
        /// The process.
        pid: i32,
    },
    /// `py-spy` did not find an interpreter.
    #[error("no Python names or stacks of process {pid}: py-spy finds no interpreter in it ({why})")]
    NoInterpreter {
        /// The process.
        pid: i32,
        /// `py-spy`'s own words.
        why: String,
    },
    /// The file of its libpython is not there any more, as after an upgrade; `py-spy` cannot do without.
    #[error(
        "no Python names or stacks of process {pid}: its libpython was deleted or replaced on disk since it started, \
         and py-spy needs the file; restart the process to have them: {path}"
    )]
    LibraryDeleted {
        /// The process.
        pid: i32,
        /// The path that it had.
        path: String,
    },
    /// An interpreter whose layouts are not known.
    #[error(
        "no Python names or stacks of process {pid}: CPython {version} is not among those that can be read (3.8 to 3.15)"
    )]
    Unsupported {
        /// The process.
        pid: i32,
        /// Version as found.
        version: String,
    },
    /// A build without a GIL.
    #[error(
        "no Python names or stacks of process {pid}: CPython {version} is a free-threaded build, which has no GIL to trace"
    )]
    FreeThreaded {
        /// The process.
        pid: i32,
        /// Version as found.
        version: String,
    },
    /// The memory does not look like the CPython that it is said to be.
    #[error(
        "no Python names or stacks of process {pid}: its memory does not look like CPython {version} ({what})"
    )]
    Shape {
        /// The process.
        pid: i32,
        /// Version as found.
        version: String,
        /// What did not fit.
        what: String,
    },
    /// The process executed another program, or its memory is being torn down.
    #[error("process {pid} has ended or begun another program while it was read")]
    Replaced {
        /// The process.
        pid: i32,
    },
    /// Nothing consistent could be read this time; the next reading may succeed.
    #[error("a reading of process {pid} was torn ({what})")]
    Torn {
        /// The process.
        pid: i32,
        /// What could not be read.
        what: String,
    },
    /// The bytes at an address are not a GIL.
    #[error("there is no GIL at {address:#x} of process {pid}")]
    NotAGil {
        /// The process.
        pid: i32,
        /// Where it was looked for.
        address: u64,
    },
}
