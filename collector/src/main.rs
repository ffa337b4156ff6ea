//! Attach to a running CPython, record its GIL, explain who stalled whom.
fn main() {}
