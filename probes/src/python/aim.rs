//! py-spy, aimed.
//!
//! py-spy reads the stacks of all threads of one interpreter, or of the one that holds its GIL, and one failure spoils them all. Who stalls
//! whom needs two or three threads out of hundreds. The addresses that py-spy starts from are public, though, and all of them
//! are addresses of *pointers*. So for one thread its list of threads is made to start at the pointer to that thread,
//! and the holder of the GIL to be read from that pointer too; then "the holder of the GIL only" means this thread and no other.
//! The same goes for the modules, from which it reads thread names, of one interpreter or another.

use std::{
    cell::Cell,
    collections::HashMap,
    panic::{self, AssertUnwindSafe},
    sync::Once,
};

use py_spy::{
    PythonSpy, StackTrace,
    config::{Config, LockingStrategy},
    python_process_info::PythonProcessInfo,
};

use super::{
    Frame, PythonViewError,
    layout::{Layout, THREAD_PREV},
    memory::Memory,
    stack::Reading,
    walk::{RawInterpreter, RawThread},
};

/// Where py-spy looks for the holder inside what it takes for a GIL (3.12+): `last_holder` at 8, `locked`, not 0, at 16.
const GIL_LAST_HOLDER: u64 = 8;

pub(super) struct Spy {
    spy: PythonSpy,
    /// py-spy's offset from an interpreter to the head of its list of threads.
    threads_offset: u64,
    /// From an interpreter to its `sys.modules`.
    modules_offset: usize,
    /// Whether the holder is read from a GIL (3.12+) or from a plain pointer.
    has_gil_struct: bool,
    /// Address of the real GIL (3.12+), or of the pointer to the thread state that has it; 0 if py-spy did not find it.
    holder_address: u64,
}

/// What py-spy found at first.
pub(super) struct Found {
    pub(super) minor: u64,
    /// As py-spy writes it, such as `3.11.2`.
    pub(super) version: String,
    /// One interpreter; with several, the newest.
    pub(super) interpreter: u64,
    /// Address of `_PyRuntime`, which is exported by stripped builds too.
    pub(super) runtime: Option<u64>,
}

/// How to make py-spy read one thread.
#[derive(Debug, PartialEq, Eq)]
enum Aim {
    /// Take this address for that of the GIL, or of the pointer to its holder: the holder is then the thread.
    Holder(u64),
    /// No such address: read the whole list from the thread on, and take the first.
    List,
}

impl Spy {
    pub(super) fn open(pid: i32) -> Result<(Spy, Found), PythonViewError> {
        let config = Config { blocking: LockingStrategy::NonBlocking, native: false, ..Config::default() };
        let opened = quietly(|| PythonSpy::new(pid, &config)).map_err(|why| match deleted_library(pid) {
            Some(path) => PythonViewError::LibraryDeleted { pid, path },
            None => PythonViewError::NoInterpreter { pid, why },
        })?;
        let version = opened.version.to_string();
        let is_known = opened.version.major == 3;
        let Some(layout) = Layout::of(opened.version.minor).filter(|_| is_known) else {
            return Err(PythonViewError::Unsupported { pid, version });
        };
        let runtime = quietly(|| PythonProcessInfo::new(&opened.process))
            .ok()
            .and_then(|info| info.get_symbol("_PyRuntime").copied());
        let interpreter = opened.addresses.interpreter_address;
        let found = Found { minor: opened.version.minor, version, interpreter: interpreter as u64, runtime };
        let spy = Spy {
            threads_offset: layout.interpreter_threads,
            modules_offset: opened.addresses.imports_modules_address.wrapping_sub(interpreter),
            has_gil_struct: layout.interpreter_gil.is_some(),
            holder_address: opened.addresses.threadstate_address as u64,
            spy: opened,
        };
        Ok((spy, found))
    }

    /// See the field.
    pub(super) fn holder_address(&self) -> u64 {
        self.holder_address
    }

    /// Reads the stack of one thread.
    pub(super) fn stack(&mut self, memory: &Memory, thread: &RawThread) -> Reading {
        self.spy.config.collect_thread_names = false;
        let Ok(traces) = self.traces(memory, thread) else {
            return match memory.word(thread.cell) {
                Ok(pointer) if pointer == thread.address => Reading::Failed,
                _ => Reading::Gone,
            };
        };
        match traces.into_iter().next() {
            Some(trace) if trace.thread_id == thread.pthread => {
                Reading::Frames(trace.frames.into_iter().map(Frame::from).collect())
            }
            _ => Reading::Gone,
        }
    }

    /// Looks up the names that `threading` of one interpreter has, by `pthread_t`. `thread` is any thread of the process: py-spy
    /// looks names up only for a thread whose stack it has read. Empty if it failed or `threading` was never imported.
    pub(super) fn names(
        &mut self,
        memory: &Memory,
        interpreter: &RawInterpreter,
        thread: &RawThread,
    ) -> HashMap<u64, String> {
        self.spy.config.collect_thread_names = true;
        self.spy.python_thread_names.clear();
        self.spy.addresses.imports_modules_address =
            usize_from(interpreter.address).wrapping_add(self.modules_offset);
        // A failure behind the lookup has filled the names all the same.
        let _: Result<Vec<StackTrace>, String> = self.traces(memory, thread);
        let names = self.spy.python_thread_names.drain();
        names.filter_map(|(pthread, name)| Some((pthread, name?))).collect()
    }

    fn traces(&mut self, memory: &Memory, thread: &RawThread) -> Result<Vec<StackTrace>, String> {
        let aim = aim(self.has_gil_struct, thread, |address| memory.word(address).ok());
        let holder = match aim {
            Aim::Holder(address) => address,
            Aim::List => self.holder_address,
        };
        self.spy.config.gil_only = aim != Aim::List;
        self.spy.addresses.threadstate_address = usize_from(holder);
        self.spy.addresses.interpreter_address = usize_from(thread.cell.wrapping_sub(self.threads_offset));
        quietly(|| self.spy.get_stack_traces())
    }
}

/// The path of a libpython that is mapped and whose file is gone.
fn deleted_library(pid: i32) -> Option<String> {
    let maps = std::fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let mut paths = maps.lines().filter_map(|line| Some(&line[line.find('/')?..]));
    paths.find_map(|path| {
        let path = path.strip_suffix(" (deleted)")?;
        path.contains("/libpython").then(|| path.to_owned())
    })
}

/// Where to aim for a thread. `word` reads a word of the target.
fn aim(has_gil_struct: bool, thread: &RawThread, word: impl Fn(u64) -> Option<u64>) -> Aim {
    if !has_gil_struct {
        return Aim::Holder(thread.cell);
    }
    // 3.12+: a pointer to the thread with an int that is not 0 behind. Behind a newer neighbour's `next` is its `interp`, which always
    // will do. Behind the head of the list is a count (3.12), or pointers that may be null.
    let is_set = |word: u64| word & 0xffff_ffff != 0;
    if is_set(thread.behind_cell) {
        return Aim::Holder(thread.cell - GIL_LAST_HOLDER);
    }
    // An older neighbour points back with its `prev`, and behind that is its `next`.
    if thread.older != 0 && word(thread.older + THREAD_PREV + 8).is_some_and(is_set) {
        return Aim::Holder(thread.older + THREAD_PREV - GIL_LAST_HOLDER);
    }
    // The newest of at most two threads: reading both costs little.
    Aim::List
}

impl From<py_spy::Frame> for Frame {
    fn from(frame: py_spy::Frame) -> Frame {
        Frame {
            function: frame.name,
            file: frame.filename,
            short_file: frame.short_filename,
            line: frame.line,
        }
    }
}

#[expect(
    clippy::cast_possible_truncation,
    reason = "py-spy's addresses are usize; the target is of our word size"
)]
fn usize_from(address: u64) -> usize {
    address as usize
}

thread_local! {
    static IN_PY_SPY: Cell<bool> = const { Cell::new(false) };
}

/// Runs py-spy on memory that may be garbage: what it may do with that, panicking included, becomes an error, and nothing of it is printed.
fn quietly<T, E: std::fmt::Display>(work: impl FnOnce() -> Result<T, E>) -> Result<T, String> {
    static HOOK: Once = Once::new();
    HOOK.call_once(|| {
        let previous = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            if IN_PY_SPY.get() {
                tracing::debug!("py-spy panicked on a torn reading: {info}");
            } else {
                previous(info);
            }
        }));
    });
    IN_PY_SPY.set(true);
    let outcome = panic::catch_unwind(AssertUnwindSafe(work));
    IN_PY_SPY.set(false);
    match outcome {
        // `{:#}` is anyhow's whole chain of causes.
        Ok(result) => result.map_err(|error| format!("{error:#}")),
        Err(_) => Err("py-spy panicked".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Thread states at 0x1000 (newest), 0x2000, 0x3000 (oldest); the head of the list at 0x500.
    fn thread(address: u64, cell: u64, behind_cell: u64, older: u64) -> RawThread {
        RawThread { address, id: 1, cell, behind_cell, older, pthread: 1, native: None, interpreter: 0 }
    }

    #[test]
    fn until_3_11_the_pointer_to_the_thread_is_the_aim() {
        let newest = thread(0x1000, 0x500, 0, 0x2000);
        assert_eq!(aim(false, &newest, |_| None), Aim::Holder(0x500));
    }

    #[test]
    fn from_3_12_a_newer_neighbour_serves_as_the_gil() {
        //  0x1008  next  -> 0x2000    last_holder
        //  0x1010  interp             locked
        let middle = thread(0x2000, 0x1008, 0x400, 0x3000);
        assert_eq!(aim(true, &middle, |_| None), Aim::Holder(0x1000));
    }

    #[test]
    fn the_newest_thread_is_aimed_at_through_its_older_neighbour_or_read_with_the_list() {
        //  0x2000  prev -> 0x1000     last_holder
        //  0x2008  next -> 0x3000     locked
        let newest = thread(0x1000, 0x500, 0, 0x2000);
        assert_eq!(aim(true, &newest, |address| (address == 0x2008).then_some(0x3000)), Aim::Holder(0x1ff8));
        // its neighbour is the oldest
        assert_eq!(aim(true, &newest, |_| Some(0)), Aim::List);
        // it is alone
        assert_eq!(aim(true, &thread(0x1000, 0x500, 0, 0), |_| None), Aim::List);
    }

    #[test]
    fn a_panic_in_py_spy_is_an_error() {
        let outcome = quietly(|| -> Result<(), String> { panic!("garbage") });
        assert_eq!(outcome, Err("py-spy panicked".to_owned()));
        assert_eq!(quietly(|| Ok::<_, String>(7)), Ok(7));
    }
}
