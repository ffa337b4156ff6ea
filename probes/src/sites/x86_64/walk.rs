//! Walking backwards from a call until it is clear what it is for.

use std::collections::VecDeque;

use iced_x86::{InstructionInfoFactory, Register};
use rustc_hash::FxHashMap;

use super::super::classify::{Access, What};
use super::listing::Listing;
use super::values::{Base, CALLEE_SAVED, Effect, Value};

/// Instructions looked at for one question. Real answers come within some hundred.
const MAX_STEPS: usize = 20_000;
/// How often one instruction is passed, by different ways.
const MAX_VISITS: u8 = 3;
/// Accesses remembered on one way.
const MAX_ACCESSES: usize = 48;

/// An access on the way, its distance not yet known.
#[derive(Debug, Clone)]
struct Candidate {
    address: Value,
    /// What is stored; `None` for a load.
    stored: Option<Value>,
}

#[derive(Debug, Clone)]
struct State {
    /// The instruction before which the values hold.
    index: usize,
    goal: Value,
    candidates: Vec<Candidate>,
}

/// The answer of `decide` to the nearest access before the call at `call` for which it has one. Accesses are given with
/// their distance from the address in the call's first argument.
pub(super) fn nearest_access<T>(
    listing: &Listing,
    call: usize,
    decide: impl Fn(Access) -> Option<T>,
) -> Option<T> {
    let answer = |state: &State| {
        state.candidates.iter().rev().find_map(|candidate| {
            let distance = state.goal.above(&candidate.address)?;
            let what = match &candidate.stored {
                None => What::Load,
                // Four bytes are stored: the constant's lower half.
                Some(value) => What::Store(value.as_constant()? as i32),
            };
            decide(Access { distance, what })
        })
    };
    walk(listing, call, Value::register(Register::RDI), true, answer)
}

/// The value that a register holds at an instruction, as far back as it must be followed until `enough` says so.
pub(super) fn resolve<T>(
    listing: &Listing,
    at: usize,
    register: Register,
    enough: impl Fn(&Value) -> Option<T>,
) -> Option<T> {
    walk(listing, at, Value::register(register.full_register()), false, |state| enough(&state.goal))
}

fn walk<T>(
    listing: &Listing,
    from: usize,
    goal: Value,
    with_accesses: bool,
    answer: impl Fn(&State) -> Option<T>,
) -> Option<T> {
    let mut factory = InstructionInfoFactory::new();
    let mut visits: FxHashMap<usize, u8> = FxHashMap::default();
    let mut queue = VecDeque::from([State { index: from, goal, candidates: Vec::new() }]);
    for _ in 0..MAX_STEPS {
        let state = queue.pop_front()?;
        for before in listing.predecessors(state.index) {
            let visited = visits.entry(before).or_default();
            if *visited >= MAX_VISITS {
                continue;
            }
            *visited += 1;
            let Some(instruction) = listing.get(before) else {
                continue;
            };
            let effect = Effect::of(instruction, &mut factory);
            let mut next = step(&state, before, &effect);
            if with_accesses {
                note_accesses(&mut next, effect);
            }
            if let Some(answer) = answer(&next) {
                return Some(answer);
            }
            queue.push_back(next);
        }
    }
    None
}

fn step(state: &State, index: usize, effect: &Effect) -> State {
    let candidates = state.candidates.iter().map(|candidate| Candidate {
        address: candidate.address.before(effect),
        stored: candidate.stored.as_ref().map(|value| value.before(effect)),
    });
    State { index, goal: state.goal.before(effect), candidates: candidates.collect() }
}

fn note_accesses(state: &mut State, effect: Effect) {
    let store = effect.store.filter(|store| store.size == 4);
    let load = effect.load.filter(|(_, size)| *size == 4);
    let store = store.map(|store| Candidate { address: store.address, stored: Some(store.value) });
    let load = load.map(|(address, _)| Candidate { address, stored: None });
    state.candidates.extend([store, load].into_iter().flatten());
    if state.candidates.len() > MAX_ACCESSES {
        state.candidates.remove(0);
    }
}

/// Where the condition variable of the call at `call` can still be had after it: an address known before relocation, or a
/// register that calls preserve (by its name in trace events) and the offset from it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kept {
    /// At this address before relocation.
    Absolute(u64),
    /// At this offset from a register.
    Register(&'static str, i64),
}

/// Where the first argument of the call at `call` can still be had after the call, when these registers have changed since.
pub(super) fn kept_over(listing: &Listing, call: usize, mut written: Vec<Register>) -> Option<Kept> {
    let mut factory = InstructionInfoFactory::new();
    let mut goal = Value::register(Register::RDI);
    let mut index = call;
    // Straight back only: where ways join, different registers may be meant.
    while let Some(before) = only_predecessor(listing, index) {
        let effect = Effect::of(listing.get(before)?, &mut factory);
        goal = goal.before(&effect);
        written.extend(effect.written());
        match &goal.base {
            Base::Nothing => return Some(Kept::Absolute(goal.offset as u64)),
            Base::Register(register) => {
                let kept = CALLEE_SAVED.iter().find(|(saved, _)| saved == register);
                if let Some((_, name)) = kept.filter(|(saved, _)| !written.contains(saved)) {
                    return Some(Kept::Register(name, goal.offset));
                }
            }
            Base::Memory(_) => {}
            Base::Result(..) => return None,
        }
        index = before;
    }
    None
}

fn only_predecessor(listing: &Listing, index: usize) -> Option<usize> {
    let mut predecessors = listing.predecessors(index);
    let only = predecessors.next()?;
    predecessors.next().is_none().then_some(only)
}
