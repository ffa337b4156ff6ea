//! The instructions of a function, and from where each can be reached.

use std::ops::Range;

use iced_x86::{Decoder, DecoderOptions, FlowControl, Instruction, OpKind};
use rustc_hash::FxHashMap;

use super::super::elf::Image;
use super::super::functions::Functions;

/// The largest function decoded whole. The largest of CPython, its bytecode loop, has 60 to 100 KB.
const MAX_FUNCTION: u64 = 1 << 20;

/// Decoded before and after an address of which no function is known.
const WINDOW_BEFORE: u64 = 2048;
const WINDOW_AFTER: u64 = 512;

/// Decoded instructions of one or more stretches of code, in the order of their addresses.
pub(super) struct Listing {
    instructions: Vec<Instruction>,
    /// From the index of an instruction to the indices of those that jump to it.
    jumps: FxHashMap<usize, Vec<usize>>,
}

impl Listing {
    /// Decode these stretches of code.
    pub(super) fn decode(image: &Image<'_>, stretches: impl IntoIterator<Item = Range<u64>>) -> Listing {
        let mut instructions = Vec::new();
        for stretch in stretches {
            let bytes =
                image.bytes(stretch.start, stretch.end.saturating_sub(stretch.start).min(MAX_FUNCTION));
            let decoder = Decoder::with_ip(64, bytes, stretch.start, DecoderOptions::NONE);
            instructions.extend(decoder.into_iter().filter(|instruction| !instruction.is_invalid()));
        }
        instructions.sort_by_key(Instruction::ip);
        instructions.dedup_by_key(|instruction| instruction.ip());
        let mut listing = Listing { instructions, jumps: FxHashMap::default() };
        for (from, instruction) in listing.instructions.iter().enumerate() {
            if let Some(to) = jump_target(instruction).and_then(|target| listing.index_of(target)) {
                listing.jumps.entry(to).or_default().push(from);
            }
        }
        listing
    }

    /// The instruction at an index.
    pub(super) fn get(&self, index: usize) -> Option<&Instruction> {
        self.instructions.get(index)
    }

    /// All instructions, upwards.
    pub(super) fn instructions(&self) -> &[Instruction] {
        &self.instructions
    }

    /// The index of the instruction that begins at this address.
    pub(super) fn index_of(&self, vaddr: u64) -> Option<usize> {
        self.instructions.binary_search_by_key(&vaddr, Instruction::ip).ok()
    }

    /// The index of the instruction that has this address inside.
    pub(super) fn index_over(&self, vaddr: u64) -> Option<usize> {
        let index =
            self.instructions.partition_point(|instruction| instruction.ip() <= vaddr).checked_sub(1)?;
        (vaddr < self.instructions[index].next_ip()).then_some(index)
    }

    /// The indices of the instructions after which this one may be next: first the one before it in memory.
    pub(super) fn predecessors(&self, index: usize) -> impl Iterator<Item = usize> + '_ {
        let before = index.checked_sub(1).filter(|&before| self.falls_through(before));
        before.into_iter().chain(self.jumps.get(&index).into_iter().flatten().copied())
    }

    /// Whether control may go from this instruction to the next in memory, and that one is known.
    pub(super) fn falls_through(&self, index: usize) -> bool {
        let (Some(this), Some(next)) = (self.get(index), self.get(index + 1)) else {
            return false;
        };
        let stops = matches!(
            this.flow_control(),
            FlowControl::UnconditionalBranch
                | FlowControl::IndirectBranch
                | FlowControl::Return
                | FlowControl::Exception
        );
        !stops && this.next_ip() == next.ip()
    }
}

/// Where a direct jump, conditional or not, goes. Calls come back and are no jumps.
pub(super) fn jump_target(instruction: &Instruction) -> Option<u64> {
    let jumps = matches!(
        instruction.flow_control(),
        FlowControl::UnconditionalBranch | FlowControl::ConditionalBranch
    );
    (jumps && instruction.op0_kind() == OpKind::NearBranch64).then(|| instruction.near_branch_target())
}

/// The stretch of code to decode in order to understand the instruction at or around this address: its function where it is known,
/// else some code around it.
pub(super) fn stretch_around(image: &Image<'_>, functions: &Functions<'_>, vaddr: u64) -> Range<u64> {
    if let Some(function) = functions.containing(vaddr)
        && function.end - function.start <= MAX_FUNCTION
    {
        return function;
    }
    let end = vaddr.saturating_add(WINDOW_AFTER);
    // Decoding from an arbitrary byte falls into step with the real instructions within a few of them, but not always
    // before they matter; a start right after the padding between two functions is in step from the first.
    let from = vaddr.saturating_sub(WINDOW_BEFORE);
    let before = image.bytes(from, vaddr - from);
    let padding =
        |window: &[u8]| window[0] == 0xc3 && window[1..].iter().all(|&byte| byte == 0xcc || byte == 0x90);
    let aligned = (0..before.len().saturating_sub(4)).rev().find(|&at| padding(&before[at..at + 4]));
    let start = match aligned {
        Some(ret) => from + (ret as u64 + 1),
        None => from,
    };
    start..end
}
