//! What a GIL says of itself in memory.

use super::{PythonViewError, memory::Memory};

/// `struct _gil_runtime_state` of CPython 3.7 to 3.15 on 64-bit glibc, as far as it is read:
/// `unsigned long interval` at 0, `PyThreadState *last_holder` at 8, `int locked` at 16, `unsigned long switch_number` at 24.
const LAST_HOLDER: u64 = 8;

/// Longest switch interval that is believed: a day. `sys.setswitchinterval` takes any number, but memory holds more garbage than days.
const MAX_INTERVAL_US: u64 = 86_400_000_000;

/// A GIL at a moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GilFacts {
    /// The switch interval in microseconds (`sys.setswitchinterval`).
    pub interval_us: u64,
    /// Whether a thread has it.
    pub locked: bool,
    /// Address of the thread state that has it or had it last; 0 before the first.
    pub last_holder: u64,
    /// How often it went from one thread to another.
    pub switch_number: u64,
}

/// Reads the GIL whose `struct _gil_runtime_state` is at `address`: 0x20 below the condition variable of a release or wait,
/// 0x78 below that of an acquisition.
///
/// # Errors
/// [`PythonViewError::NotAGil`] if the bytes there cannot be one, others if the memory cannot be read.
pub fn gil_facts(pid: i32, address: u64) -> Result<GilFacts, PythonViewError> {
    read(&Memory::open(pid)?, address)
        .map_err(|error| match error {
            PythonViewError::Torn { .. } => PythonViewError::NotAGil { pid, address },
            other => other,
        })?
        .ok_or(PythonViewError::NotAGil { pid, address })
}

/// `None` if the bytes cannot be a GIL.
pub(super) fn read(memory: &Memory, address: u64) -> Result<Option<GilFacts>, PythonViewError> {
    let [interval_us, last_holder, locked, switch_number] = memory.words(address)?;
    // `locked` is an int, and the 4 bytes behind it are padding. It is -1 before the GIL is made.
    let locked = locked.to_ne_bytes();
    let locked = i32::from_ne_bytes([locked[0], locked[1], locked[2], locked[3]]);
    let is_gil = (1..=MAX_INTERVAL_US).contains(&interval_us) && (-1..=1).contains(&locked);
    Ok(is_gil.then_some(GilFacts { interval_us, locked: locked == 1, last_holder, switch_number }))
}

/// The thread state that has the GIL at `address` right now, if any.
pub(super) fn holder(memory: &Memory, address: u64) -> Option<u64> {
    let [last_holder, locked] = memory.words(address + LAST_HOLDER).ok()?;
    (locked & 0xffff_ffff == 1 && last_holder != 0).then_some(last_holder)
}
