//! Where functions begin and end, and what they are called.
//!
//! `.eh_frame` survives stripping, since C++ exceptions and thread cancellation need it, so it gives the bounds. A
//! function that the compiler split into a hot and a cold part has an entry for each.

use std::ops::Range;

use gimli::{BaseAddresses, EhFrame, EhFrameHdr, EndianSlice, LittleEndian, ParsedEhFrameHdr, UnwindSection};

use super::elf::{Image, Symbol, Table, symbols};

/// Frame descriptions looked at where there is no table to search: ten times what the largest interpreter has.
const MAX_ENTRIES: usize = 400_000;

/// Version 1; `.eh_frame` relative to here in four bytes, a four-byte count, a table of four-byte offsets from the header.
const USUAL_HEADER: [u8; 4] = [1, 0x1b, 0x03, 0x3b];

type Slice<'a> = EndianSlice<'a, LittleEndian>;

/// The functions of an image.
pub(crate) struct Functions<'a> {
    bases: BaseAddresses,
    frames: EhFrame<Slice<'a>>,
    frames_at: u64,
    table: Option<ParsedEhFrameHdr<Slice<'a>>>,
    /// From `.eh_frame` where it comes without a table to search, else from sized symbols: sorted by start.
    ranges: Vec<Range<u64>>,
}

impl<'a> Functions<'a> {
    /// Read what the image says about its functions. Never fails: a file that says nothing has none.
    pub(crate) fn of(image: &Image<'a>) -> Functions<'a> {
        let (frames_at, frames) = image.section(".eh_frame").unwrap_or_default();
        let (header_at, header) = image.section(".eh_frame_hdr").unwrap_or_default();
        let bases = BaseAddresses::default().set_eh_frame(frames_at).set_eh_frame_hdr(header_at);
        // Any other encoding than the one that all linkers write is left to the slow path: gimli's search multiplies the
        // number of entries, and an eight-byte number from a hostile file overflows there.
        let usual = header.get(..4).is_some_and(|start| start == USUAL_HEADER);
        let table = usual.then(|| EhFrameHdr::new(header, LittleEndian).parse(&bases, 8).ok()).flatten();
        let table = table.filter(|header| header.table().is_some());
        let mut functions = Functions {
            frames: EhFrame::new(frames, LittleEndian),
            frames_at,
            bases,
            table,
            ranges: Vec::new(),
        };
        if functions.table.is_none() {
            functions.ranges = functions.described();
        }
        if functions.table.is_none() && functions.ranges.is_empty() {
            let sized = |symbol: Symbol<'_>| {
                (symbol.function && symbol.size > 0)
                    .then(|| symbol.vaddr..symbol.vaddr.saturating_add(symbol.size))
            };
            functions.ranges = [Table::Full, Table::Dynamic]
                .into_iter()
                .flat_map(|table| symbols(&image.file, table).filter_map(sized))
                .collect();
        }
        functions.ranges.sort_unstable_by_key(|range| (range.start, range.end));
        functions
    }

    fn described(&self) -> Vec<Range<u64>> {
        let mut entries = self.frames.entries(&self.bases);
        let mut ranges = Vec::new();
        for _ in 0..MAX_ENTRIES {
            let Ok(Some(entry)) = entries.next() else { break };
            let gimli::CieOrFde::Fde(partial) = entry else {
                continue;
            };
            if let Ok(entry) = partial.parse(EhFrame::cie_from_offset) {
                ranges.push(entry.initial_address()..entry.end_address());
            }
        }
        ranges
    }

    /// The function, or the part of one, that contains this address.
    pub(crate) fn containing(&self, vaddr: u64) -> Option<Range<u64>> {
        if let Some(table) = self.table.as_ref().and_then(ParsedEhFrameHdr::table) {
            // By hand rather than with gimli's fde_for_address, whose subtraction overflows on a table that lies.
            let entry_at = table.lookup(vaddr, &self.bases).ok()?.direct().ok()?;
            let offset = usize::try_from(entry_at.checked_sub(self.frames_at)?).ok()?;
            let entry =
                self.frames.fde_from_offset(&self.bases, offset.into(), EhFrame::cie_from_offset).ok()?;
            let range = entry.initial_address()..entry.end_address();
            return range.contains(&vaddr).then_some(range);
        }
        let after = self.ranges.partition_point(|range| range.start <= vaddr);
        let range = self.ranges[..after].last()?;
        range.contains(&vaddr).then(|| range.clone())
    }
}

/// The names of the functions that contain these addresses, from `.symtab` where it is there and from `.dynsym`. `None`
/// for addresses in functions that have no name in the file.
pub(crate) fn names(image: &Image<'_>, addresses: &[u64]) -> Vec<Option<String>> {
    let mut best: Vec<Option<Symbol<'_>>> = vec![None; addresses.len()];
    for table in [Table::Full, Table::Dynamic] {
        for symbol in symbols(&image.file, table).filter(|symbol| symbol.function) {
            for (slot, &address) in best.iter_mut().zip(addresses) {
                let inside = address.checked_sub(symbol.vaddr).is_some_and(|into| into < symbol.size);
                // The tightest fit is the function itself, not something that the file claims to span half of it.
                if inside && slot.is_none_or(|known| symbol.size < known.size) {
                    *slot = Some(symbol);
                }
            }
        }
    }
    best.into_iter().map(|symbol| Some(String::from_utf8_lossy(symbol?.name).into_owned())).collect()
}
