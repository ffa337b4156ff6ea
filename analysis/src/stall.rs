//! One wait for a GIL.

use crate::NONE;

/// Flag: the first event of the thread, so it may have begun up to a switch interval earlier.
pub const OPEN_START: u8 = 1;
/// Flag: no acquisition was seen: the trace, the process or the thread ended, or records were lost.
pub const OPEN_END: u8 = 1 << 1;
/// Flag: the release before it was forced, so the thread lost the GIL while computing.
pub const AFTER_FORCED: u8 = 1 << 2;
/// Flag: the release before it was voluntary.
pub const AFTER_VOLUNTARY: u8 = 1 << 3;
/// Flag: the thread made a system call between the release and the wait.
pub const AFTER_CALL: u8 = 1 << 4;
/// Flag: a convoy stall: voluntary release for I/O, I/O shorter than the stall, stall of 0.8 switch intervals or more.
pub const CONVOY: u8 = 1 << 5;
/// Flag: it lies in a span whose records were lost, and says nothing. Its length is zero.
pub const VOID: u8 = 1 << 6;

/// One wait for a GIL, from the first `wait` to the acquisition: 56 bytes.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Stall {
    /// When the thread found the GIL taken, ns of the trace clock.
    pub start: i64,
    /// When it got the GIL; provisional while it waits.
    pub end: i64,
    /// When it had released this GIL before; `i64::MIN` if that was not seen.
    pub release: i64,
    /// Time in system calls between that release and the wait, ns; 4.29 s or more reads as `u32::MAX`.
    pub io_ns: u32,
    /// Who waited: index into [`crate::Model::threads`].
    pub thread: u32,
    /// For what: index into [`crate::Model::gils`].
    pub gil: u32,
    /// Who held the GIL longest during the stall: index into [`crate::Model::threads`], or [`NONE`].
    pub culprit: u32,
    /// The convoy it belongs to: index into [`crate::Model::convoys`], or [`NONE`].
    pub convoy: u32,
    /// The last system call before the wait, see [`crate::state::pack_call`]; [`NONE`] if there was none.
    pub call: u32,
    /// The flags of this module.
    pub flags: u8,
}

impl Stall {
    /// Its length in ns.
    #[inline]
    pub fn duration(&self) -> i64 {
        self.end.saturating_sub(self.start)
    }

    /// Whether all of `flags` are set.
    #[inline]
    pub fn has(&self, flags: u8) -> bool {
        self.flags & flags == flags
    }

    /// The culprit, if somebody held the GIL during the stall.
    pub fn culprit(&self) -> Option<usize> {
        (self.culprit != NONE).then_some(self.culprit as usize)
    }

    /// The convoy it belongs to.
    pub fn convoy(&self) -> Option<usize> {
        (self.convoy != NONE).then_some(self.convoy as usize)
    }
}
