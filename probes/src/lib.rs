//! From a PID to an ordered stream of GIL events.

pub mod interpreter;
pub mod sites;
