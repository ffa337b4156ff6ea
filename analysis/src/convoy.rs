//! A run of convoy stalls of one victim.

/// A run of convoy stalls of one victim, with gaps that stay small against the stalls.
#[derive(Clone, PartialEq, Debug)]
pub struct Convoy {
    /// Who stalls: index into [`crate::Model::threads`].
    pub victim: u32,
    /// On which GIL: index into [`crate::Model::gils`].
    pub gil: u32,
    /// The release before the first stall, ns of the trace clock.
    pub start: i64,
    /// The end of the last stall.
    pub end: i64,
    /// The first stall: index into [`crate::Model::stalls`].
    pub first_stall: u32,
    /// The last stall.
    pub last_stall: u32,
    /// Number of convoy stalls.
    pub stalls: u64,
    /// Voluntary releases by the victim from `start` to `end`; on several processors not each of them stalls.
    pub releases: u64,
    /// Time in the stalls, ns.
    pub stalled_ns: i64,
    /// Time in system calls between the releases and the stalls, ns.
    pub io_ns: i64,
    /// Who held the GIL meanwhile, and for how many ns of the stalls; longest first.
    pub culprits: Vec<(u32, i64)>,
}
