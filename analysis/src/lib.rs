//! What GIL events mean: thread states, stalls, convoys, blame, verdict. Pure: events in, values out.
//!
//! - [`Engine`] takes the batches of a trace as they come and keeps a [`Model`] of it.
//! - [`summarize`] turns a range of the model into a [`Report`]: figures, blame, convoys, verdicts.
//! - [`Model`] holds what happened: a [`Lane`] of states per thread, the [`Holds`] of each GIL, every [`Stall`], every
//!   [`Convoy`]. Hot parts are structures of arrays that refer to each other by index.

pub mod clean;
pub mod compare;
mod convoy;
pub mod drawn;
mod engine;
pub mod holds;
pub mod index;
mod lane;
mod model;
pub mod report;
mod spans;
mod stacks;
pub mod stall;
pub mod state;
pub mod stream;
mod summary;
pub mod words;

pub use convoy::Convoy;
pub use engine::Engine;
pub use holds::{Hold, Holds};
pub use lane::{Interval, Lane};
pub use model::{Blame, Gil, Lost, Model, Process, Thread};
pub use report::Report;
pub use spans::{Calls, Span, Spans};
pub use stacks::{Sample, Samples, Stacks};
pub use stall::Stall;
pub use state::State;
pub use summary::{MAX_CONVOYS, Query, summarize};

/// The index that refers to nothing.
pub const NONE: u32 = u32::MAX;

/// The switch interval of a GIL whose own could not be read, ns: CPython's default.
pub const DEFAULT_INTERVAL_NS: i64 = 5_000_000;
