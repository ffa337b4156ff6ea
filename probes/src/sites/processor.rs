//! What differs between processors, behind one interface.

use std::ops::Range;

use super::classify::Access;
use super::elf::Image;
use super::functions::Functions;
use super::{CondArg, SiteKind, Stepping, Target};

/// A call of one of the functions looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Call {
    /// The address of the call instruction.
    pub(super) vaddr: u64,
    /// What is called.
    pub(super) target: Target,
    /// The code that it is part of: its function, or the part of one.
    pub(super) stretch: Range<u64>,
}

/// Where to put a probe, and what to read there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placement {
    pub(super) vaddr: u64,
    pub(super) stepping: Stepping,
    pub(super) instruction: String,
    pub(super) cond: CondArg,
}

/// Where calls can lead to and be looked for.
#[derive(Debug, Default)]
pub(super) struct Destinations {
    /// GOT slots of the imported functions.
    pub(super) slots: Vec<(u64, Target)>,
    /// The functions themselves, where the image holds them.
    pub(super) functions: Vec<(u64, Target)>,
}

/// Reading machine code.
pub(super) trait Processor {
    /// All calls of these functions: direct, through a stub of the PLT, through the GOT, or through a register.
    fn calls(&self, destinations: &Destinations) -> Vec<Call>;

    /// What `decide` says to the nearest access before the call for which it says anything.
    fn nearest_access(&self, call: &Call, decide: &dyn Fn(Access) -> Option<SiteKind>) -> Option<SiteKind>;

    /// Where to put the probe for this call.
    fn placement(&self, call: &Call, kind: SiteKind) -> Placement;

    /// A probe at the first instruction of a function.
    fn entry(&self, function: u64) -> Placement;

    /// Probes at all instructions that return from this function, or from those that it ends in a jump to.
    fn returns(&self, function: u64) -> Vec<Placement>;
}

/// The means to read the code of an image.
pub(super) fn of<'a>(image: &'a Image<'a>, functions: &'a Functions<'a>) -> impl Processor + 'a {
    super::x86_64::X86_64::new(image, functions)
}
