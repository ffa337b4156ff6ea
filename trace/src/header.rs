//! What is known once per file.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};

/// Version of the file format.
///
/// A reader reads every file of its own major version, skipping what it does not know, and refuses a greater one.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub struct FormatVersion {
    /// Grows when an older reader would misunderstand.
    pub major: u16,
    /// Grows when columns, kinds or fields are added.
    pub minor: u16,
}

impl FormatVersion {
    /// The version that this crate writes.
    pub const CURRENT: FormatVersion = FormatVersion { major: 1, minor: 0 };

    /// Whether this crate can read a file of this version.
    pub fn is_readable(self) -> bool {
        self.major <= Self::CURRENT.major
    }
}

impl fmt::Display for FormatVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

impl FromStr for FormatVersion {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, ()> {
        let (major, minor) = text.split_once('.').ok_or(())?;
        Ok(FormatVersion { major: major.parse().map_err(|_| ())?, minor: minor.parse().map_err(|_| ())? })
    }
}

/// What is known once per file, in the metadata of its schema.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Header {
    /// Version of the gilscope that wrote it.
    pub gilscope: String,
    /// Name of the machine.
    pub host: String,
    /// Kernel release.
    pub kernel: String,
    /// Processor architecture, such as `x86_64`; system-call numbers are its.
    pub arch: String,
    /// Number of processors.
    pub cpus: u32,
    /// Moment at which all probes were in place, ns of `CLOCK_MONOTONIC`. No event is older.
    pub start_time: i64,
    /// Add this to a time of the trace to get nanoseconds since 1970-01-01 UTC.
    pub utc_offset: i64,
    /// The command line that recorded it.
    pub command: Vec<String>,
    /// The processes that were asked for.
    pub targets: Vec<i32>,
    /// Which system calls were recorded: `socket`, `io`, `all`, `none`.
    pub syscalls: String,
    /// How the kernel was asked: `per-thread-and-cpu` or `per-thread`.
    pub mode: String,
    /// Whether context switches were recorded.
    pub switches: bool,
}
