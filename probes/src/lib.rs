//! From a PID to an ordered stream of GIL events.
//!
//! - `source` is the interface behind which records come from; [`perf`] and [`tracefs`] are the source of today.
//! - [`process`], [`clock`]: what `/proc` and the kernel's clock tell.

#![deny(unsafe_code)]

pub mod clock;
pub mod perf;
pub mod process;
pub mod python;
pub mod source;
pub mod tracefs;
