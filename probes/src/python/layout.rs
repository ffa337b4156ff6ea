//! Where CPython links its interpreters, thread states and GILs together, per minor version, on 64-bit glibc.
//!
//! Only the links are here; frames, code objects, strings and dictionaries are py-spy's. The figures are `offsetof` of the structures
//! in py-spy 0.4.3's bindings (`src/python_bindings/v3_*.rs`, generated from CPython's headers). They are the same that py-spy
//! goes by, so they hold for exactly the builds that it can read; [`super::PythonView::open`] checks them against what py-spy found.

/// Byte offsets of the links.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Layout {
    /// `_PyRuntimeState.interpreters.head`: the newest interpreter. `None`: the runtime itself notes the offset (3.13+), at
    /// [`RUNTIME_NOTED_INTERPRETERS`].
    pub(super) runtime_interpreters: Option<u64>,
    /// `PyInterpreterState.next`: the next older one.
    pub(super) interpreter_next: u64,
    /// `PyInterpreterState.id`
    pub(super) interpreter_id: u64,
    /// `PyInterpreterState.threads.head` (`tstate_head` until 3.10): the newest thread state.
    pub(super) interpreter_threads: u64,
    /// `PyInterpreterState.ceval.gil`, a pointer (3.12+); before, there is one GIL in the runtime.
    pub(super) interpreter_gil: Option<u64>,
    /// `PyThreadState.thread_id`, a `pthread_t`
    pub(super) thread_pthread: u64,
    /// `PyThreadState.native_thread_id` (3.11+), as the target's PID namespace counts
    pub(super) thread_native: Option<u64>,
    /// `PyThreadState.id`: counts up within an interpreter, so that a thread state is told from one that was there before
    pub(super) thread_id: u64,
}

/// `PyThreadState.prev`, the next newer one; the same in all versions.
pub(super) const THREAD_PREV: u64 = 0;
/// `PyThreadState.next`, the next older one; the same in all versions.
pub(super) const THREAD_NEXT: u64 = 8;
/// `PyThreadState.interp`; the same in all versions.
pub(super) const THREAD_INTERPRETER: u64 = 16;
/// Bytes of a thread state that hold all of the above.
pub(super) const THREAD_BYTES: usize = 264;

/// `_Py_DebugOffsets.free_threaded`, at the start of the runtime (3.13+): not 0 in a build without a GIL.
pub(super) const RUNTIME_FREE_THREADED: u64 = 16;
/// `_Py_DebugOffsets.runtime_state.interpreters_head`: the offset of the newest interpreter in the runtime (3.13+).
pub(super) const RUNTIME_NOTED_INTERPRETERS: u64 = 40;

impl Layout {
    /// The layout of CPython 3.`minor`; `None` outside of 3.8 to 3.15.
    pub(super) fn of(minor: u64) -> Option<Layout> {
        // runtime: head; interpreter: next, id, threads, gil; thread: pthread, native, id
        let (runtime, next, id, threads, gil, pthread, native, thread_id) = match minor {
            8 => (Some(32), 0, 16, 8, None, 176, None, 256),
            9 | 10 => (Some(32), 0, 24, 8, None, 176, None, 256),
            11 => (Some(40), 0, 48, 16, None, 152, Some(160), 240),
            12 => (Some(40), 0, 8, 72, Some(384), 136, Some(144), 224),
            13 => (None, 7264, 7272, 7344, Some(16), 152, Some(160), 224),
            14 => (None, 7272, 7280, 7344, Some(16), 152, Some(160), 224),
            15 => (None, 7264, 7272, 7336, Some(16), 176, Some(184), 248),
            _ => return None,
        };
        Some(Layout {
            runtime_interpreters: runtime,
            interpreter_next: next,
            interpreter_id: id,
            interpreter_threads: threads,
            interpreter_gil: gil,
            thread_pthread: pthread,
            thread_native: native,
            thread_id,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_is_read_of_a_thread_state_is_in_the_bytes_that_are_read() {
        for layout in (8..=15).map(|minor| Layout::of(minor).unwrap()) {
            let offsets = [Some(layout.thread_pthread), layout.thread_native, Some(layout.thread_id)];
            let end = offsets.into_iter().flatten().max().unwrap() + 8;
            assert!(end <= THREAD_BYTES as u64);
        }
    }

    #[test]
    fn only_3_8_to_3_15_are_known() {
        let known: Vec<u64> = (0..30).filter(|&minor| Layout::of(minor).is_some()).collect();
        assert_eq!(known, (8..=15).collect::<Vec<u64>>());
    }
}
