//! What is read of live CPythons without pausing them, under every CPython of this machine.

mod puppet;
mod sampler;
mod view;
