//! From a PID to an ordered stream of GIL events.
//!
//! Things that do not know each other, and one that joins them:
//!
//! - [`interpreter`] and [`sites`] find out what to probe: which file holds the interpreter, and at which instructions its GIL is
//!   waited for, taken and given back. They only read.
//! - [`source`] is the small interface behind which records come from; [`perf`] and [`tracefs`] are the source of today.
//! - [`descriptors`], [`process`], [`privilege`], [`syscalls`], [`clock`] tell what the records are about.
//! - [`python`] looks into the process's memory, without pausing it: names of threads, Python stacks.
//! - [`frameworks`] finds the processes of a Dask cluster and says what each is.
//! - [`session`] joins them into a recording. [`checkup`] says beforehand whether there could be one.

#![deny(unsafe_code)]

pub mod checkup;
pub mod clock;
pub mod descriptors;
pub mod frameworks;
pub mod interpreter;
mod memory;
pub mod perf;
pub mod privilege;
pub mod process;
pub mod python;
pub mod session;
pub mod sites;
pub mod source;
pub mod syscalls;
pub mod tracefs;
