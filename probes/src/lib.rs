//! From a PID to an ordered stream of GIL events.
