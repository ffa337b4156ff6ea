//! gilscope from end to end, on real interpreters.
//!
//! A Python program whose every event is known (`samples/puppet.py`) is driven over its standard input, while `gilscope`
//! records it; then the trace is held against what the program said it did. Nothing sleeps: the puppet answers when it has done
//! what it was told, `gilscope` says on standard error when all probes are in place.
//!
//! These tests need root, since uprobes do. Where one cannot run it says so by name; with `CI=true` that is a failure.

mod bad_outputs;
mod bad_targets;
mod capabilities;
mod children;
mod doctor;
mod endings;
mod fates;
mod first_moment;
mod ground_truth;
mod harness;
mod interpreters;
mod pyarrow;
mod samples;
mod target_unharmed;
