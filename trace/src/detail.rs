//! The payload of the rare rows, JSON in the `detail` column.
//!
//! Every field has a default and unknown fields are ignored, so files of other minor versions stay readable.

use serde::{Deserialize, Serialize};

use crate::Kind;

/// The payload of a row whose kind [has one](Kind::has_detail).
#[derive(Clone, PartialEq, Debug)]
#[non_exhaustive]
pub enum Detail {
    /// Of [`Kind::Process`].
    Process(Process),
    /// Of [`Kind::ProcessEnd`].
    ProcessEnd(ProcessEnd),
    /// Of [`Kind::Thread`].
    Thread(Thread),
    /// Of [`Kind::Gil`].
    Gil(Gil),
    /// Of [`Kind::Descriptor`].
    Descriptor(Descriptor),
    /// Of [`Kind::Stack`].
    Stack(Stack),
    /// Of [`Kind::Lost`].
    Lost(Lost),
    /// Of [`Kind::Check`].
    Check(Check),
    /// Of [`Kind::Sampling`].
    Sampling(Sampling),
    /// Of [`Kind::Note`].
    Note(Note),
    /// Of [`Kind::End`].
    End(End),
}

macro_rules! details {
    ($($name:ident,)*) => {
        impl Detail {
            /// The kind of row that carries it.
            pub fn kind(&self) -> Kind {
                match self { $(Detail::$name(_) => Kind::$name,)* }
            }

            /// The text of the `detail` column.
            pub(crate) fn to_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Detail::$name(detail) => serde_json::to_string(detail),)* }
            }

            /// Reads the text of the `detail` column of a row of `kind`; `None` if that kind carries none or the text is
            /// not of its form.
            pub(crate) fn from_json(kind: Kind, text: &str) -> Option<Detail> {
                match kind {
                    $(Kind::$name => serde_json::from_str(text).ok().map(Detail::$name),)*
                    _ => None,
                }
            }
        }

        $(impl From<$name> for Detail {
            fn from(detail: $name) -> Detail { Detail::$name(detail) }
        })*
    };
}

details! { Process, ProcessEnd, Thread, Gil, Descriptor, Stack, Lost, Check, Sampling, Note, End, }

/// A process that joined the trace or became another program by `execve`.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Process {
    /// PID of its parent; 0 if not known.
    pub parent: i32,
    /// Its command line.
    pub command: Vec<String>,
    /// Version of its CPython, such as `3.11.2`; `None` while it runs none.
    pub python: Option<String>,
    /// The file that holds the interpreter, as the process sees it.
    pub interpreter: Option<String>,
    /// How the probe sites were found: `anchors`, `symbols`, `dwarf`, `fallback`.
    pub sites: Option<String>,
    /// What it is to a framework, such as `dask worker`.
    pub role: Option<String>,
    /// Where it listens, such as `tcp://127.0.0.1:8786`.
    pub address: Option<String>,
}

/// A process that left the trace.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct ProcessEnd {
    /// Why: `exited`, or a sentence.
    pub reason: String,
}

/// What is known of a thread.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Thread {
    /// Python's own name (`threading.Thread.name`).
    pub name: Option<String>,
    /// The kernel's name (`/proc/PID/task/TID/comm`).
    pub os_name: Option<String>,
    /// Whether it runs Python without `threading` knowing it; `None` while that is not known.
    pub foreign: Option<bool>,
}

impl Thread {
    /// The best name there is: Python's, else the kernel's.
    pub fn best_name(&self) -> Option<&str> {
        // A name of blanks cannot be seen.
        [&self.name, &self.os_name]
            .into_iter()
            .flatten()
            .map(|name| name.as_str())
            .find(|name| !name.trim().is_empty())
    }
}

/// What is known of a GIL.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Gil {
    /// The interpreter it belongs to: 0 is the main one; `None` if not known.
    pub interpreter: Option<i64>,
    /// Its switch interval in microseconds, as read from the process; `None` if it could not be read.
    pub interval_us: Option<u64>,
}

/// What a file descriptor is.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Descriptor {
    /// `tcp`, `udp`, `unix`, `socket` (of another family), `file`, `pipe`, `epoll`, `eventfd`, `other`, or `unknown` when it
    /// was gone before it could be looked up.
    pub kind: String,
    /// Path of a file; bound name of a Unix socket.
    pub path: Option<String>,
    /// Own address of a socket, `host:port`.
    pub local: Option<String>,
    /// Peer's address of a socket, `host:port`.
    pub peer: Option<String>,
}

/// A frame of a Python stack.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Frame {
    /// Function name.
    pub function: String,
    /// File name, as the code object has it.
    pub file: String,
    /// Line; 0 if not known.
    pub line: i32,
    /// Whether the file belongs to the standard library or to an installed package, not to the program.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub library: bool,
}

/// A distinct Python stack.
#[derive(Clone, Default, PartialEq, Eq, Hash, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Stack {
    /// What [`Kind::Sample`] rows name it by.
    pub id: u32,
    /// Innermost frame first.
    pub frames: Vec<Frame>,
}

/// Records that the kernel could not deliver. The row's time is `until`.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Lost {
    /// Last moment known to be complete, ns of the trace clock.
    pub from: i64,
    /// First moment known to be complete again, ns of the trace clock.
    pub until: i64,
    /// The processor whose ring overflowed; `None` if any may be affected.
    pub cpu: Option<u16>,
    /// How many.
    pub records: u64,
}

/// The pairing check: on one GIL, acquire and release alternate and the releaser is the holder.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Check {
    /// Acquisitions seen.
    pub acquisitions: u64,
    /// Releases seen.
    pub releases: u64,
    /// Waits seen, repeated ones of one stall included.
    pub waits: u64,
    /// Acquisitions of a GIL that was held.
    pub acquired_while_held: u64,
    /// Releases of a GIL that was free.
    pub released_while_free: u64,
    /// Releases by a thread other than the holder.
    pub released_by_other: u64,
    /// Records lost.
    pub lost: u64,
}

impl Check {
    /// All exceptions together.
    pub fn unpaired(&self) -> u64 {
        self.acquired_while_held + self.released_while_free + self.released_by_other
    }
}

/// Stack sampling.
#[derive(Clone, Default, PartialEq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Sampling {
    /// Rate asked for, samples a second.
    pub requested_hz: f64,
    /// Rate reached, samples a second.
    pub achieved_hz: f64,
    /// Rounds taken.
    pub rounds: u64,
    /// Of these, asked for by a stall that was going on.
    pub on_demand: u64,
    /// Stacks that were torn or failed, and dropped.
    pub torn: u64,
}

/// A sentence to the reader of the trace.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct Note {
    /// The sentence.
    pub text: String,
}

/// The end of a recording that ended in order.
#[derive(Clone, Default, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(default)]
pub struct End {
    /// Why it ended: `interrupted`, `duration`, `target exited`, …
    pub reason: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_of_blanks_is_no_name() {
        let named = |name: &str, os_name: &str| Thread {
            name: Some(name.into()),
            os_name: Some(os_name.into()),
            foreign: None,
        };
        assert_eq!(named("worker", "python3").best_name(), Some("worker"));
        assert_eq!(named("  ", "python3").best_name(), Some("python3"));
        assert_eq!(named("", " ").best_name(), None);
    }
}
