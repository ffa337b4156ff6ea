//! A look into one process.

use std::time::Duration;

use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Frame, PythonViewError,
    aim::{Found, Spy},
    gil,
    layout::{self, Layout},
    memory::Memory,
    names::{CONFIRM_NANOS, Name, Names, ThreadKey},
    stack::{self, History, Verdict},
    tids::Tids,
    walk::{self, RawInterpreter, RawThread},
};
use crate::{clock, process};

/// How often a list that was torn is walked again.
const WALKS: usize = 4;
/// With more threads than this the list is not walked for each sample but for each [`WALK_NANOS`]: a thread costs about half a microsecond.
const WALK_ALWAYS: usize = 32;
const WALK_NANOS: i64 = 100_000_000;
/// A thread can be given another name while it runs.
const RENAME_NANOS: i64 = 5_000_000_000;
/// So many looks settle what can be settled, also when one or two of them fail.
const IN_VAIN: u32 = 8;

/// A look into one process, by reading its memory. Never pauses it.
///
/// Belongs on one thread; opening takes 10 to 100 ms and sampling up to milliseconds, so not on the one that drains rings.
/// It stays with the program that the process ran when it was opened: after an exec every sample fails with
/// [`PythonViewError::Replaced`], until [`PythonView::refresh`].
pub struct PythonView {
    pid: i32,
    version: String,
    layout: Layout,
    runtime: Option<u64>,
    first_interpreter: u64,
    memory: Memory,
    spy: Spy,
    tids: Tids,
    names: Names,
    histories: FxHashMap<(u64, u64), History>,
    map: Map,
    looked: Looked,
}

/// The lists as last walked.
#[derive(Debug, Default)]
struct Map {
    interpreters: Vec<RawInterpreter>,
    threads: Vec<RawThread>,
    tids: Vec<Option<i32>>,
    walked_nanos: i64,
}

/// The last look for names.
#[derive(Debug, Default)]
struct Looked {
    keys: Vec<ThreadKey>,
    time_nanos: i64,
    /// Looks since the threads changed.
    in_vain: u32,
}

/// What to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Want {
    /// All threads with their names, no stacks.
    Names,
    /// All threads with their stacks.
    Stacks,
    /// The threads with these ids and their stacks, and no others.
    StacksOf(Vec<i32>),
    /// The threads that hold a GIL, those with these ids, and no others, with their stacks.
    StacksOfHoldersAnd(Vec<i32>),
}

/// What was read.
#[derive(Debug, Clone, Default)]
pub struct Sample {
    /// A thread state each; holders of a GIL first. A thread that runs in several interpreters has a state in each.
    pub threads: Vec<PythonThread>,
    /// Threads that were asked for and whose stack could not be read consistently: they are not in `threads`.
    pub torn: u32,
    /// Nanoseconds of `CLOCK_MONOTONIC` just before reading.
    pub begin_nanos: i64,
    /// Nanoseconds of `CLOCK_MONOTONIC` just after reading.
    pub end_nanos: i64,
}

impl Sample {
    /// How long the reading took.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(u64::try_from(self.end_nanos - self.begin_nanos).unwrap_or(0))
    }
}

/// A thread state of an interpreter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PythonThread {
    /// The kernel's id as in `/proc/PID/task` here, whatever PID namespace the target is in; `None` while the thread is being made.
    pub tid: Option<i32>,
    /// `pthread_t`, Python's `threading.get_ident()`.
    pub pthread_id: u64,
    /// `threading`'s name. `None` if `threading` does not know the thread, then it is `foreign`, or if that is not known yet.
    pub name: Option<String>,
    /// `threading` does not know the thread, or only as a dummy. A thread is called foreign only after two looks 0.1 s apart;
    /// one with neither a name nor this mark has not been found out yet.
    pub foreign: bool,
    /// It had its interpreter's GIL just before it was read.
    pub owns_gil: bool,
    /// `id` of its interpreter: 0 is the main one.
    pub interpreter_id: i64,
    /// Frames, innermost first; empty if not asked for, and for a thread that is not in Python.
    pub frames: Vec<Frame>,
    /// Nanoseconds of `CLOCK_MONOTONIC` just before this thread was read.
    pub time_nanos: i64,
}

/// An interpreter of a process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Interpreter {
    /// 0 is the main one.
    pub id: i64,
    /// Address of its GIL, `struct _gil_runtime_state`: the same for interpreters that share one. `None` before 3.12, where all
    /// interpreters of a process share the one GIL that is not noted in them.
    pub gil_address: Option<u64>,
}

impl PythonView {
    /// Opens a view of a process.
    ///
    /// # Errors
    /// A sentence that says why there will be no names and stacks of this process: recording goes on without.
    pub fn open(pid: i32) -> Result<PythonView, PythonViewError> {
        if !process::is_alive(pid) {
            return Err(PythonViewError::Gone { pid });
        }
        let memory = Memory::open(pid)?;
        let (spy, found) = Spy::open(pid)?;
        let Found { minor, version, interpreter, runtime } = found;
        let Some(layout) = Layout::of(minor) else {
            return Err(PythonViewError::Unsupported { pid, version });
        };
        if let (Some(runtime), None) = (runtime, layout.runtime_interpreters)
            && memory.word(runtime + layout::RUNTIME_FREE_THREADED)? != 0
        {
            return Err(PythonViewError::FreeThreaded { pid, version });
        }
        let mut view = PythonView {
            pid,
            version,
            layout,
            runtime,
            first_interpreter: interpreter,
            memory,
            spy,
            tids: Tids::new(pid),
            names: Names::default(),
            histories: FxHashMap::default(),
            map: Map::default(),
            looked: Looked::default(),
        };
        view.check()?;
        Ok(view)
    }

    /// Holds what the layouts give against what py-spy found.
    fn check(&mut self) -> Result<(), PythonViewError> {
        let shape = |what: &str| PythonViewError::Shape {
            pid: self.pid,
            version: self.version.clone(),
            what: what.to_owned(),
        };
        let interpreters = self.interpreters_now()?;
        let first = interpreters.iter().find(|it| it.address == self.first_interpreter);
        let Some(first) = first else {
            return Err(shape("the interpreter that py-spy found is not in the runtime's list"));
        };
        if first.gil.is_some_and(|gil| gil != self.spy.holder_address()) {
            return Err(shape("the GIL that py-spy found is not the interpreter's"));
        }
        if interpreters.iter().all(|it| it.id != 0) {
            return Err(shape("there is no main interpreter"));
        }
        let none = shape("its thread states cannot be followed");
        self.walk()?;
        if self.map.threads.is_empty() { Err(none) } else { Ok(()) }
    }

    /// The process.
    pub fn pid(&self) -> i32 {
        self.pid
    }

    /// Version as found, such as `3.11.2`.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// The interpreters as last read, by `id`.
    pub fn interpreters(&self) -> Vec<Interpreter> {
        let mut interpreters: Vec<Interpreter> = self
            .map
            .interpreters
            .iter()
            .map(|raw| Interpreter { id: raw.id, gil_address: raw.gil })
            .collect();
        interpreters.sort_by_key(|interpreter| interpreter.id);
        interpreters
    }

    /// Opens the view anew, for the program that the process runs now.
    ///
    /// # Errors
    /// As [`PythonView::open`].
    pub fn refresh(&mut self) -> Result<(), PythonViewError> {
        *self = PythonView::open(self.pid)?;
        Ok(())
    }

    /// Reads the threads and what is wanted of them.
    ///
    /// # Errors
    /// [`PythonViewError::Torn`] when the lists could not be followed this time; [`PythonViewError::Replaced`] and
    /// [`PythonViewError::Gone`] when there is nothing to read any more.
    pub fn sample(&mut self, want: Want) -> Result<Sample, PythonViewError> {
        let begin_nanos = clock::monotonic_nanos();
        let (stacks, tids, and_holders) = match want {
            Want::Names => (false, None, false),
            Want::Stacks => (true, None, false),
            Want::StacksOf(tids) => (true, Some(tids), false),
            Want::StacksOfHoldersAnd(tids) => (true, Some(tids), true),
        };
        let knows = |map: &Map, tids: &[i32]| tids.iter().all(|tid| map.tids.contains(&Some(*tid)));
        let is_fresh =
            self.map.threads.len() > WALK_ALWAYS && begin_nanos - self.map.walked_nanos < WALK_NANOS;
        if !(is_fresh && tids.as_ref().is_some_and(|tids| knows(&self.map, tids))) {
            self.walk()?;
        }
        if !stacks {
            self.look_up_names();
        }
        let holders = self.holders();
        let is_holder = |thread: &RawThread| holders.contains(&thread.address);
        let is_wanted = |(index, thread): &(usize, &RawThread)| match &tids {
            None => true,
            Some(tids) => {
                self.map.tids[*index].is_some_and(|tid| tids.contains(&tid))
                    || and_holders && is_holder(thread)
            }
        };
        let mut wanted: Vec<(usize, RawThread)> = (self.map.threads.iter().enumerate())
            .filter(is_wanted)
            .map(|(index, thread)| (index, thread.clone()))
            .collect();
        // The holder is the one that runs on: it is read while it still is the holder.
        wanted.sort_by_key(|(_, thread)| !is_holder(thread));

        let mut sample = Sample { begin_nanos, ..Sample::default() };
        for (index, thread) in wanted {
            let time_nanos = clock::monotonic_nanos();
            let frames = match stacks.then(|| self.stack(&thread)) {
                None => Vec::new(),
                Some(Verdict::Believed(frames)) => frames,
                Some(Verdict::Torn) => {
                    sample.torn += 1;
                    continue;
                }
                Some(Verdict::Gone) => {
                    self.map.walked_nanos = 0;
                    continue;
                }
            };
            let owns_gil = is_holder(&thread);
            sample.threads.push(self.describe(index, &thread, owns_gil, frames, time_nanos));
        }
        sample.end_nanos = clock::monotonic_nanos();
        Ok(sample)
    }

    /// Whether reading names once more, 0.1 s after the last time, would tell more about some thread.
    pub fn names_are_unsettled(&self) -> bool {
        self.names.is_unsettled(&self.keys())
    }

    /// Whether it is time to read names again: the threads have changed since, some are not settled, or it is long ago.
    /// Walks the list of threads, which costs far less than names.
    ///
    /// # Errors
    /// As [`PythonView::sample`].
    pub fn names_are_due(&mut self) -> Result<bool, PythonViewError> {
        self.walk()?;
        let age = clock::monotonic_nanos() - self.looked.time_nanos;
        let has_changed = self.looked.keys != self.keys();
        // Where `threading` was never imported no number of looks settles anything.
        let wants_to_settle =
            age >= CONFIRM_NANOS && self.looked.in_vain < IN_VAIN && self.names_are_unsettled();
        Ok(has_changed || wants_to_settle || age >= RENAME_NANOS)
    }

    fn describe(
        &self,
        index: usize,
        thread: &RawThread,
        owns_gil: bool,
        frames: Vec<Frame>,
        time_nanos: i64,
    ) -> PythonThread {
        let tid = self.map.tids[index];
        let (name, foreign) = match self.names.of((thread.pthread, tid)) {
            Name::Known(name) => (Some(name), false),
            Name::Dummy(name) => (Some(name), true),
            Name::Foreign => (None, true),
            Name::Unknown => (None, false),
        };
        PythonThread {
            tid,
            pthread_id: thread.pthread,
            name,
            foreign,
            owns_gil,
            interpreter_id: self.map.interpreters[thread.interpreter].id,
            frames,
            time_nanos,
        }
    }

    fn interpreters_now(&self) -> Result<Vec<RawInterpreter>, PythonViewError> {
        walk::interpreters(&self.memory, &self.layout, self.runtime, self.first_interpreter)
    }

    /// Walks the lists anew.
    fn walk(&mut self) -> Result<(), PythonViewError> {
        for _ in 0..WALKS {
            let interpreters = self.interpreters_now()?;
            let mut threads = Vec::new();
            let is_whole = interpreters
                .iter()
                .enumerate()
                .map(|interpreter| walk::threads(&self.memory, &self.layout, interpreter, &mut threads))
                .fold(true, |all, one| all & one);
            if is_whole && !threads.is_empty() {
                drop_unborn(&mut threads);
                self.take(interpreters, threads);
                return Ok(());
            }
        }
        // Reading one word more tells whether there still is anything to read.
        self.memory.word(self.first_interpreter)?;
        Err(PythonViewError::Torn {
            pid: self.pid,
            what: "the list of its threads changed all the time".to_owned(),
        })
    }

    fn take(&mut self, interpreters: Vec<RawInterpreter>, threads: Vec<RawThread>) {
        if threads != self.map.threads {
            let tids = self.tids.resolve(&self.memory, &threads);
            let alive: FxHashSet<(u64, u64)> =
                threads.iter().map(|thread| (thread.address, thread.id)).collect();
            self.histories.retain(|key, _| alive.contains(key));
            self.map.tids = tids;
            self.map.threads = threads;
        } else if self.map.tids.contains(&None) {
            self.map.tids = self.tids.resolve(&self.memory, &self.map.threads);
        }
        self.map.interpreters = interpreters;
        self.map.walked_nanos = clock::monotonic_nanos();
    }

    fn keys(&self) -> Vec<ThreadKey> {
        let threads = self.map.threads.iter().zip(&self.map.tids);
        threads.map(|(thread, tid)| (thread.pthread, *tid)).collect()
    }

    /// Asks `threading` of every interpreter; the main one has the last word on a thread that is in several.
    fn look_up_names(&mut self) {
        // The oldest interpreter is the last of the list, and its oldest thread is the last of all.
        let mut looked = std::collections::HashMap::new();
        for (index, interpreter) in self.map.interpreters.iter().enumerate() {
            let threads = self.map.threads.iter().rev();
            let own = threads.filter(|thread| thread.interpreter == index);
            let names = own
                .take(WALKS)
                .map(|thread| self.spy.names(&self.memory, interpreter, thread))
                .find(|names| !names.is_empty());
            looked.extend(names.unwrap_or_default());
        }
        let keys = self.keys();
        let now = clock::monotonic_nanos();
        self.names.update(looked, &keys, now);
        let in_vain = if self.looked.keys == keys { self.looked.in_vain + 1 } else { 0 };
        self.looked = Looked { keys, time_nanos: now, in_vain };
    }

    /// The thread states that hold a GIL right now.
    fn holders(&self) -> Vec<u64> {
        let mut gils: Vec<u64> = self.map.interpreters.iter().filter_map(|it| it.gil).collect();
        gils.sort_unstable();
        gils.dedup();
        if self.layout.interpreter_gil.is_some() {
            return gils.iter().filter_map(|&gil| gil::holder(&self.memory, gil)).collect();
        }
        let address = self.spy.holder_address();
        let holder = (address != 0).then(|| self.memory.word(address).ok()).flatten();
        holder.into_iter().filter(|&holder| holder != 0).collect()
    }

    fn stack(&mut self, thread: &RawThread) -> Verdict {
        let history = self.histories.entry((thread.address, thread.id)).or_default();
        stack::believe(history, || self.spy.stack(&self.memory, thread))
    }
}

/// Until 3.11 a thread state has its maker's `pthread_t` until the new thread has started: of two with the same
/// in one interpreter the newer is not a thread yet.
fn drop_unborn(threads: &mut Vec<RawThread>) {
    let mut seen = FxHashSet::default();
    let mut kept: Vec<RawThread> = threads
        .drain(..)
        .rev()
        .filter(|thread| thread.pthread == 0 || seen.insert((thread.interpreter, thread.pthread)))
        .collect();
    kept.reverse();
    *threads = kept;
}
