//! Per-thread GIL ownership timelines in a window.
fn main() {}
