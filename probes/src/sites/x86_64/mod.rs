//! Reading x86-64 code: System V calling convention, with glibc or musl.

mod emulation;
mod listing;
mod references;
mod values;
mod walk;

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::ops::Range;
use std::rc::Rc;

use iced_x86::{FlowControl, Instruction, InstructionInfoFactory, Mnemonic, OpKind, Register};
use rustc_hash::FxHashMap;

use super::classify::Access;
use super::elf::Image;
use super::functions::Functions;
use super::processor::{Call, Destinations, Placement, Processor};
use super::{CondArg, SiteKind, Stepping, Target};
use listing::Listing;
use references::Reference;
use values::{Base, Effect, Value};
use walk::Kept;

/// Functions that jump into a split-off part, decoded together with it when that part alone does not say enough.
const MAX_NEIGHBOURS: usize = 8;

/// Instructions between a call and the conditional jump on its result.
const MAX_TO_TEST: usize = 4;

/// x86-64.
pub(super) struct X86_64<'a> {
    image: &'a Image<'a>,
    functions: &'a Functions<'a>,
    listings: RefCell<FxHashMap<(u64, u64), Rc<Listing>>>,
}

impl<'a> X86_64<'a> {
    /// A reader of this image.
    pub(super) fn new(image: &'a Image<'a>, functions: &'a Functions<'a>) -> X86_64<'a> {
        X86_64 { image, functions, listings: RefCell::default() }
    }

    fn stretch(&self, vaddr: u64) -> Range<u64> {
        listing::stretch_around(self.image, self.functions, vaddr)
    }

    fn listing(&self, stretch: &Range<u64>) -> Rc<Listing> {
        let key = (stretch.start, stretch.end);
        let decode = || Rc::new(Listing::decode(self.image, [stretch.clone()]));
        Rc::clone(self.listings.borrow_mut().entry(key).or_insert_with(decode))
    }

    /// The stubs among references to GOT slots: `[endbr64] [bnd] jmp *slot(%rip)`, each under every address by which it
    /// may be called.
    fn stubs(&self, reference: Reference) -> Vec<u64> {
        const ENDBR64: [u8; 4] = [0xf3, 0x0f, 0x1e, 0xfa];
        const BND: u8 = 0xf2;
        let from = reference.at.saturating_sub(7);
        let before = self.image.bytes(from, reference.at - from);
        let Some(mut rest) = before.strip_suffix(&[0xff, 0x25]) else {
            return Vec::new();
        };
        let mut starts = vec![from + rest.len() as u64];
        if let Some(without) = rest.strip_suffix(&[BND]) {
            rest = without;
            starts.push(from + rest.len() as u64);
        }
        if let Some(without) = rest.strip_suffix(&ENDBR64) {
            starts.push(from + without.len() as u64);
        }
        starts
    }

    /// The call, or calls, that a reference to a GOT slot or to a function is part of.
    fn calls_at(&self, reference: Reference, target: Target) -> Vec<Call> {
        let stretch = self.stretch(reference.at);
        let listing = self.listing(&stretch);
        let Some(index) = listing.index_over(reference.at) else {
            return Vec::new();
        };
        let Some(instruction) = listing.get(index) else {
            return Vec::new();
        };
        let call = |vaddr| Call { vaddr, target, stretch: stretch.clone() };
        let through_slot =
            instruction.is_ip_rel_memory_operand() && instruction.ip_rel_memory_address() == reference.target;
        match instruction.mnemonic() {
            Mnemonic::Call if through_slot => vec![call(instruction.ip())],
            Mnemonic::Call
                if instruction.op0_kind() == OpKind::NearBranch64
                    && instruction.near_branch_target() == reference.target =>
            {
                vec![call(instruction.ip())]
            }
            // The address is fetched first, often once for several calls.
            Mnemonic::Mov if through_slot => {
                calls_through_register(&listing, reference.target).into_iter().map(call).collect()
            }
            _ => Vec::new(),
        }
    }

    fn place(&self, instruction: &Instruction, text: String, cond: CondArg) -> Placement {
        let bytes = self.image.bytes(instruction.ip(), instruction.len() as u64);
        let stepping = emulation::stepping(instruction, bytes);
        Placement { vaddr: instruction.ip(), stepping, instruction: text, cond }
    }
}

impl Processor for X86_64<'_> {
    fn calls(&self, destinations: &Destinations) -> Vec<Call> {
        let slots: FxHashMap<u64, Target> = destinations.slots.iter().copied().collect();
        let slot_addresses: Vec<u64> = slots.keys().copied().collect();
        let to_slots = references::to_any(self.image, &slot_addresses);
        let mut callable: FxHashMap<u64, Target> = destinations.functions.iter().copied().collect();
        let mut found = Vec::new();
        for reference in to_slots {
            let Some(&target) = slots.get(&reference.target) else {
                continue;
            };
            let stubs = self.stubs(reference);
            if stubs.is_empty() {
                found.extend(self.calls_at(reference, target));
            }
            callable.extend(stubs.into_iter().map(|stub| (stub, target)));
        }
        let addresses: Vec<u64> = callable.keys().copied().collect();
        for reference in references::to_any(self.image, &addresses) {
            if let Some(&target) = callable.get(&reference.target) {
                found.extend(self.calls_at(reference, target));
            }
        }
        found.sort_by_key(|call| call.vaddr);
        found.dedup_by_key(|call| call.vaddr);
        found
    }

    fn nearest_access(&self, call: &Call, decide: &dyn Fn(Access) -> Option<SiteKind>) -> Option<SiteKind> {
        let listing = self.listing(&call.stretch);
        let from = listing.index_of(call.vaddr)?;
        walk::nearest_access(&listing, from, decide).or_else(|| {
            // The store may be in another part of a split function, which jumps here.
            let span = (call.stretch.end - call.stretch.start).checked_sub(1)?;
            let outside = references::to_span(self.image, call.stretch.start, span)
                .filter(|reference| !call.stretch.contains(&reference.at));
            let parts: BTreeSet<(u64, u64)> = outside
                .map(|reference| self.stretch(reference.at))
                .map(|stretch| (stretch.start, stretch.end))
                .take(MAX_NEIGHBOURS)
                .collect();
            let parts = parts.into_iter().map(|(start, end)| start..end);
            let listing = Listing::decode(self.image, parts.chain([call.stretch.clone()]));
            walk::nearest_access(&listing, listing.index_of(call.vaddr)?, decide)
        })
    }

    fn placement(&self, call: &Call, kind: SiteKind) -> Placement {
        let listing = self.listing(&call.stretch);
        let Some(index) = listing.index_of(call.vaddr) else {
            return Placement {
                vaddr: call.vaddr,
                stepping: Stepping::SingleStepped,
                instruction: format!("call {}", call.target.name()),
                cond: CondArg::Di,
            };
        };
        let instruction = listing.instructions()[index];
        if instruction.op0_kind() == OpKind::NearBranch64 {
            return self.place(&instruction, format!("call {}", call.target.name()), CondArg::Di);
        }
        // A wait is over when its call returns, so it can only be probed at the call.
        let after = (kind != SiteKind::Wait).then(|| test_of_result(&listing, index)).flatten();
        let kept = |(test, written): (Instruction, Vec<Register>)| {
            Some((test, walk::kept_over(&listing, index, written)?))
        };
        if let Some((test, cond)) = after.and_then(kept) {
            let cond = match cond {
                Kept::Absolute(vaddr) => CondArg::Absolute { vaddr },
                Kept::Register(name, delta) => CondArg::Register { name, delta },
            };
            let jump = format!("{:?}", test.mnemonic()).to_lowercase();
            return self.place(&test, format!("{jump} after call *{}", call.target.name()), cond);
        }
        self.place(&instruction, format!("call *{}", call.target.name()), CondArg::Di)
    }

    fn entry(&self, function: u64) -> Placement {
        let listing = Listing::decode(self.image, std::iter::once(function..function.saturating_add(16)));
        match listing.instructions().first() {
            Some(first) => self.place(first, format!("{:?}", first.mnemonic()).to_lowercase(), CondArg::None),
            None => Placement {
                vaddr: function,
                stepping: Stepping::SingleStepped,
                instruction: "?".to_owned(),
                cond: CondArg::None,
            },
        }
    }

    fn returns(&self, function: u64) -> Vec<Placement> {
        let mut seen = BTreeSet::new();
        let mut todo = vec![function];
        let mut placements = Vec::new();
        while let Some(function) = todo.pop() {
            let stretch = self.stretch(function);
            if seen.len() >= MAX_NEIGHBOURS || !seen.insert(stretch.start) {
                continue;
            }
            let listing = self.listing(&stretch);
            for instruction in listing.instructions() {
                if instruction.flow_control() == FlowControl::Return {
                    placements.push(self.place(instruction, "ret".to_owned(), CondArg::None));
                }
                todo.extend(
                    listing::jump_target(instruction)
                        .filter(|target| !stretch.contains(target) && self.image.is_code(*target)),
                );
            }
        }
        placements.sort_by_key(|placement| placement.vaddr);
        placements
    }
}

/// The calls through a register that holds what is in this GOT slot.
fn calls_through_register(listing: &Listing, slot: u64) -> Vec<u64> {
    let from_slot = |value: &Value| match &value.base {
        Base::Memory(address) => {
            (address.as_constant() == Some(slot as i64) && value.offset == 0).then_some(())
        }
        _ => None,
    };
    let through = |(index, instruction): (usize, &Instruction)| {
        let register = instruction.op0_register();
        let indirect = instruction.mnemonic() == Mnemonic::Call && instruction.op0_kind() == OpKind::Register;
        let resolved = indirect && walk::resolve(listing, index, register, from_slot).is_some();
        resolved.then(|| instruction.ip())
    };
    listing.instructions().iter().enumerate().filter_map(through).collect()
}

/// The conditional jump that tests the result of the call at this index and is reached in no other way, and the registers
/// that change before it.
fn test_of_result(listing: &Listing, call: usize) -> Option<(Instruction, Vec<Register>)> {
    let mut factory = InstructionInfoFactory::new();
    let mut tested = false;
    let mut written = Vec::new();
    for index in call + 1..=call + MAX_TO_TEST {
        if !listing.falls_through(index - 1) || listing.predecessors(index).count() != 1 {
            return None;
        }
        let instruction = listing.get(index)?;
        if tested && instruction.is_jcc_short_or_near() {
            return Some((*instruction, written));
        }
        if instruction.flow_control() != FlowControl::Next {
            return None;
        }
        let of_result = instruction.op0_register().full_register() == Register::RAX;
        tested |= of_result && matches!(instruction.mnemonic(), Mnemonic::Test | Mnemonic::Cmp);
        written.extend(Effect::of(instruction, &mut factory).written());
        if written.contains(&Register::RAX) {
            return None;
        }
    }
    None
}
