//! Where code refers to an address, found without decoding it.
//!
//! Calls, jumps and loads name their target by a 32-bit displacement from the end of the instruction, which is the last
//! thing in it for all that matter here: `call rel32`, `jcc rel32`, `call *disp32(%rip)`, `mov disp32(%rip), %reg`. So
//! every four bytes are taken for such a displacement, and what hits a target is looked at closely by the caller: one hit
//! in four thousand million is chance. This costs a few nanoseconds a byte, a tenth of decoding all code.

use super::super::elf::Image;

/// Four bytes of code that lead to a target if they are the displacement that ends an instruction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Reference {
    /// The address of the displacement.
    pub(super) at: u64,
    /// The address that it leads to.
    pub(super) target: u64,
}

/// References looked at; an interpreter has some hundred.
const MAX_REFERENCES: usize = 65_536;

/// All references from code of the image to one of `targets`, in the order of the segments and upwards in each.
pub(super) fn to_any(image: &Image<'_>, targets: &[u64]) -> Vec<Reference> {
    let mut targets = targets.to_vec();
    targets.sort_unstable();
    let (Some(&lowest), Some(&highest)) = (targets.first(), targets.last()) else {
        return Vec::new();
    };
    to_span(image, lowest, highest.saturating_sub(lowest))
        .filter(|reference| targets.binary_search(&reference.target).is_ok())
        .take(MAX_REFERENCES)
        .collect()
}

/// All references from code of the image to `first` or one of the `span` bytes after it.
pub(super) fn to_span<'a>(
    image: &'a Image<'_>,
    first: u64,
    span: u64,
) -> impl Iterator<Item = Reference> + 'a {
    image.code().flat_map(move |(start, bytes)| {
        bytes.windows(4).zip(start..).filter_map(move |(displacement, at)| {
            let displacement =
                i32::from_le_bytes([displacement[0], displacement[1], displacement[2], displacement[3]]);
            let target = at.wrapping_add(4).wrapping_add_signed(i64::from(displacement));
            (target.wrapping_sub(first) <= span).then_some(Reference { at, target })
        })
    })
}
