//! Walks the lists of interpreters and thread states.

use rustc_hash::FxHashSet;

use super::{
    PythonViewError,
    layout::{self, Layout, THREAD_BYTES, THREAD_INTERPRETER, THREAD_NEXT, THREAD_PREV},
    memory::Memory,
};

/// Lists longer than this are garbage, not lists. (Linux allows 4 million threads; CPython's slow down long before this many.)
const MAX_LIST: usize = 65_536;

/// An interpreter as linked in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawInterpreter {
    /// `PyInterpreterState *`
    pub(super) address: u64,
    pub(super) id: i64,
    /// `struct _gil_runtime_state *` (3.12+)
    pub(super) gil: Option<u64>,
}

/// A thread state as linked in memory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct RawThread {
    /// `PyThreadState *`
    pub(super) address: u64,
    /// Counts up within its interpreter: addresses and `pthread_t`s are used again, this is not.
    pub(super) id: u64,
    /// Where the pointer to it is: its newer neighbour's `next`, or the head of the list.
    pub(super) cell: u64,
    /// The word behind `cell`.
    pub(super) behind_cell: u64,
    /// `next`: its older neighbour, or 0.
    pub(super) older: u64,
    /// `pthread_t`; 0 while the thread is being made.
    pub(super) pthread: u64,
    /// The kernel's id in the target's PID namespace, if the thread state has it (3.11+).
    pub(super) native: Option<i32>,
    /// Its interpreter, as an index into the list of interpreters.
    pub(super) interpreter: usize,
}

/// All interpreters, newest first as they are linked. `known` is one that is certain to exist; without the address of
/// `_PyRuntime` only it and the older ones can be found.
pub(super) fn interpreters(
    memory: &Memory,
    layout: &Layout,
    runtime: Option<u64>,
    known: u64,
) -> Result<Vec<RawInterpreter>, PythonViewError> {
    let mut address = match runtime {
        Some(runtime) => {
            let offset = match layout.runtime_interpreters {
                Some(offset) => offset,
                None => memory.word(runtime + layout::RUNTIME_NOTED_INTERPRETERS)?,
            };
            memory.word(runtime.wrapping_add(offset))?
        }
        None => known,
    };
    let mut found = Vec::new();
    let mut seen = FxHashSet::default();
    while address != 0 && found.len() < MAX_LIST && seen.insert(address) {
        let id = memory.word(address + layout.interpreter_id)?;
        let gil = match layout.interpreter_gil {
            Some(offset) => Some(memory.word(address + offset)?),
            None => None,
        };
        found.push(RawInterpreter { address, id: id.cast_signed(), gil });
        address = memory.word(address + layout.interpreter_next)?;
    }
    Ok(found)
}

/// Appends the thread states of one interpreter, newest first as they are linked. False if the list was torn: then what could
/// be read before the tear has been appended.
pub(super) fn threads(
    memory: &Memory,
    layout: &Layout,
    interpreter: (usize, &RawInterpreter),
    found: &mut Vec<RawThread>,
) -> bool {
    let (index, interpreter) = interpreter;
    let mut cell = interpreter.address + layout.interpreter_threads;
    let Ok([mut address, mut behind_cell]) = memory.words(cell) else {
        return false;
    };
    let first = found.len();
    let mut newer = None;
    while address != 0 {
        let mut bytes = [0; THREAD_BYTES];
        if found.len() - first >= MAX_LIST || memory.read(address, &mut bytes).is_err() {
            return false;
        }
        let word = |offset: u64| word_at(&bytes, offset);
        // A thread state that was freed and used for something else neither points home nor back to where we come from.
        let points_home = word(THREAD_INTERPRETER) == interpreter.address;
        let points_back = newer.is_none_or(|newer| word(THREAD_PREV) == newer);
        if !points_home || !points_back {
            return false;
        }
        let thread = RawThread {
            address,
            id: word(layout.thread_id),
            cell,
            behind_cell,
            older: word(THREAD_NEXT),
            pthread: word(layout.thread_pthread),
            native: layout
                .thread_native
                .and_then(|offset| i32::try_from(word(offset)).ok())
                .filter(|&native| native > 0),
            interpreter: index,
        };
        newer = Some(address);
        cell = address + THREAD_NEXT;
        behind_cell = word(THREAD_INTERPRETER);
        address = thread.older;
        found.push(thread);
    }
    true
}

fn word_at(bytes: &[u8; THREAD_BYTES], offset: u64) -> u64 {
    let word = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)?.first_chunk());
    // The offsets are those of `Layout`, all inside; a test holds them to it.
    word.map_or(0, |word| u64::from_ne_bytes(*word))
}
