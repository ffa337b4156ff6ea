//! What a gilscope event is, and the file that holds them.
//!
//! This is the ground floor: it knows nothing of Linux, perf or drawing, and builds on any desktop system.
//!
//! - [`event`]: one row of a trace, and its [`Kind`].
//! - [`detail`]: the payload of the rare rows (names, descriptors, stacks, losses).
//! - [`header`]: what is known once per file: format version, clocks, host.
//! - [`writer`], [`reader`]: the Arrow IPC stream, specified in `docs/trace-format.md`.
//! - [`pairing`]: the check that acquisitions and releases alternate, which proves the probes.
//! - [`syscalls`]: names and classes of the system calls that a trace may contain.

pub mod detail;
mod encoder;
pub mod event;
mod frame;
pub mod header;
pub mod pairing;
pub mod reader;
mod schema;
pub mod syscalls;
pub mod writer;

pub use detail::Detail;
pub use event::{Event, Kind};
pub use header::{FormatVersion, Header};
pub use pairing::Pairing;
pub use reader::{Batch, Next, ReadError, Reader};
pub use writer::{WriteError, Writer};
