//! Why a process has no interpreter to trace.

use std::{
    io,
    path::{Path, PathBuf},
};

use crate::privilege;

/// Why a process has no interpreter to trace.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum InterpreterError {
    /// It has ended, or never was.
    #[error("no process has PID {pid}")]
    NoSuchProcess {
        /// The PID asked for.
        pid: i32,
    },
    /// A thread of the kernel.
    #[error("PID {pid} is a thread of the kernel ({name})")]
    KernelThread {
        /// The PID asked for.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// It has ended, but its parent has not asked how.
    #[error("PID {pid} has ended ({name}, a zombie)")]
    Zombie {
        /// The PID asked for.
        pid: i32,
        /// Its name.
        name: String,
    },
    /// No CPython in it.
    #[error("PID {pid} is not a Python process: no CPython interpreter is in {}", exe.display())]
    NotPython {
        /// The PID asked for.
        pid: i32,
        /// Its executable.
        exe: PathBuf,
    },
    /// It will be Python when the dynamic linker is done: ask again.
    #[error("PID {pid} has not loaded its Python library yet: {}", exe.display())]
    NotYetMapped {
        /// The PID asked for.
        pid: i32,
        /// Its executable.
        exe: PathBuf,
    },
    /// Another implementation of Python.
    #[error("PID {pid} runs PyPy, and only CPython is supported: {}", path.display())]
    PyPy {
        /// The PID asked for.
        pid: i32,
        /// The file that holds it.
        path: PathBuf,
    },
    /// Another version.
    #[error("PID {pid} runs Python {version}, and 3.8 to 3.15 are supported: {}", path.display())]
    Unsupported {
        /// The PID asked for.
        pid: i32,
        /// The version, as far as it is known.
        version: String,
        /// The file that holds the interpreter.
        path: PathBuf,
    },
    /// A build without a GIL.
    #[error("PID {pid} runs Python {version}, and this is a free-threaded build: no GIL to trace")]
    FreeThreaded {
        /// The PID asked for.
        pid: i32,
        /// The version.
        version: String,
    },
    /// The process belongs to someone else.
    #[error("no permission to look into PID {pid} ({}); {advice}: {command}", path.display())]
    NoPermission {
        /// The PID asked for.
        pid: i32,
        /// What could not be read.
        path: PathBuf,
        /// What the command does.
        advice: &'static str,
        /// The command that mends it.
        command: String,
    },
    /// Not even root with all that recording needs may look into it.
    #[error("not even root may look into PID {pid} ({}): the kernel or a security module shields it", path.display())]
    Shielded {
        /// The PID asked for.
        pid: i32,
        /// What could not be read.
        path: PathBuf,
    },
    /// An interpreter for another processor, or of 32 bits.
    #[error("PID {pid} runs code for another processor, and only x86-64 is supported ({reason}): {}", path.display())]
    DifferentArchitecture {
        /// The PID asked for.
        pid: i32,
        /// What the file is.
        reason: String,
        /// The file.
        path: PathBuf,
    },
    /// Something could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Io {
        /// What could not be read.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

impl InterpreterError {
    /// What a failure to read something of this process means.
    pub(super) fn from_io(pid: i32, path: &Path, source: io::Error) -> InterpreterError {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied if privilege::is_root() && privilege::SYS_PTRACE.is_held() => {
                InterpreterError::Shielded { pid, path }
            }
            io::ErrorKind::PermissionDenied if privilege::is_root() => InterpreterError::NoPermission {
                pid,
                path,
                advice: "root may not here without CAP_SYS_PTRACE; in a container, start it with",
                command: format!("docker run --pid=host {}", privilege::docker_options(&privilege::NEEDED)),
            },
            io::ErrorKind::PermissionDenied => InterpreterError::NoPermission {
                pid,
                path,
                advice: "run",
                command: format!("sudo gilscope attach -p {pid}"),
            },
            // Files below /proc/PID give ESRCH when the process ends while they are open.
            _ if source.raw_os_error() == Some(libc::ESRCH) => InterpreterError::NoSuchProcess { pid },
            _ => InterpreterError::Io { path, source },
        }
    }
}
