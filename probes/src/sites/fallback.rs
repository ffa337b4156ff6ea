//! When the condition signals are not found: the two functions that extensions and the standard library call around
//! blocking work, `PyEval_SaveThread` and `PyEval_RestoreThread`. They are exported, so they are always found, and they
//! are not all there is.

use super::processor::{Placement, Processor};
use super::{FoundBy, Site, SiteError, SiteKind, Sites, elf};

const RELEASE: &str = "PyEval_SaveThread";
const ACQUIRE: &str = "PyEval_RestoreThread";

/// What a user must know of a trace recorded this way.
pub(super) const LOST: [&str; 3] = [
    "only PyEval_SaveThread and PyEval_RestoreThread are probed: when the interpreter itself takes the GIL away from a running \
     thread, or gives it away in code that the compiler inlined, nothing is recorded; times held come out too long, and who \
     stalled whom is often unknown",
    "every acquisition counts as a wait, though most take no time",
    "all GILs of the process are taken for one: these functions do not say which it is",
];

/// Probe the two exported functions.
pub(super) fn find(
    image: &elf::Image<'_>,
    processor: &impl Processor,
    why: String,
) -> Result<Sites, SiteError> {
    let exported = elf::exports(&image.file, &[RELEASE, ACQUIRE]);
    let address = |index: usize| exported.iter().find(|(at, _)| *at == index).map(|(_, symbol)| symbol.vaddr);
    let (Some(release), Some(acquire)) = (address(0), address(1)) else {
        return Err(SiteError::NotFound { reason: why });
    };
    let returns = processor.returns(acquire);
    if returns.is_empty() {
        return Err(SiteError::NotFound { reason: format!("{why}, and {ACQUIRE} never returns") });
    }
    let placements =
        [(SiteKind::Release, processor.entry(release)), (SiteKind::Wait, processor.entry(acquire))];
    let returns = returns.into_iter().map(|placement| (SiteKind::Acquire, placement));
    let mut sites = Vec::new();
    for (kind, placement) in placements.into_iter().chain(returns) {
        sites.extend(site(image, kind, placement));
    }
    let notes = std::iter::once(why).chain(LOST.map(str::to_owned)).collect();
    Ok(Sites { sites, found_by: FoundBy::Fallback, cross_check: Vec::new(), notes })
}

/// A site where this placement has a place in the file.
pub(super) fn site(image: &elf::Image<'_>, kind: SiteKind, placement: Placement) -> Option<Site> {
    let Placement { vaddr, stepping, instruction, cond } = placement;
    let file_offset = image.file_offset(vaddr)?;
    Some(Site { kind, vaddr, file_offset, function: None, stepping, instruction, cond })
}
