//! Which processes and threads there are, and what they are called.

use std::sync::Arc;

use gilscope_trace::detail;
use rustc_hash::{FxHashMap, FxHashSet};

use super::probe_set::SharedSet;
use crate::interpreter::Interpreter;

/// One process.
#[derive(Clone, Default)]
pub(crate) struct Process {
    /// Its interpreter's probes; `None` while it runs no Python that we know.
    pub(crate) python: Option<Python>,
    /// Its threads that live.
    pub(crate) threads: FxHashSet<i32>,
    /// As last written to the trace.
    pub(crate) detail: detail::Process,
}

/// The interpreter of a process.
#[derive(Clone)]
pub(crate) struct Python {
    /// Its place in the session's list of sets.
    pub(crate) set: u16,
    /// The interpreter itself.
    pub(crate) interpreter: Arc<Interpreter>,
    /// When the process was looked at to find it, ns of the trace clock. It is of the program that ran then.
    pub(crate) seen: i64,
    /// Held so that a set lives as long as somebody uses it.
    pub(crate) _probes: SharedSet,
}

/// All processes and threads of a session.
#[derive(Default)]
pub(crate) struct Roster {
    pub(crate) processes: FxHashMap<i32, Process>,
    names: FxHashMap<i32, detail::Thread>,
}

impl Roster {
    /// Notes what the kernel calls a thread. Gives what is known of it now, if that is new.
    pub(crate) fn learn_os_name(&mut self, tid: i32, name: String) -> Option<detail::Thread> {
        self.change(tid, |thread| thread.os_name = Some(name))
    }

    /// Notes what `threading` calls a thread (`None`: it does not know it). Gives what is known of it now, if that is new.
    pub(crate) fn learn_python_name(
        &mut self,
        tid: i32,
        name: Option<String>,
        foreign: bool,
    ) -> Option<detail::Thread> {
        self.change(tid, |thread| {
            if name.is_some() {
                thread.name = name;
            }
            thread.foreign = Some(foreign);
        })
    }

    /// Whether `threading` knows the thread, or is known not to.
    pub(crate) fn is_named(&self, tid: i32) -> bool {
        self.names.get(&tid).is_some_and(|thread| thread.foreign.is_some())
    }

    /// Forgets a thread that ended. Gives `true` if it was the last of its process.
    pub(crate) fn end_thread(&mut self, pid: i32, tid: i32) -> bool {
        self.names.remove(&tid);
        let Some(process) = self.processes.get_mut(&pid) else {
            return false;
        };
        process.threads.remove(&tid) && process.threads.is_empty()
    }

    /// Forgets what the threads of a process were called: it has become another program, and its main thread keeps its ID.
    pub(crate) fn forget_names(&mut self, pid: i32) {
        if let Some(process) = self.processes.get(&pid) {
            process.threads.iter().for_each(|tid| _ = self.names.remove(tid));
        }
        self.names.remove(&pid);
    }

    fn change(&mut self, tid: i32, change: impl FnOnce(&mut detail::Thread)) -> Option<detail::Thread> {
        let thread = self.names.entry(tid).or_default();
        let before = thread.clone();
        change(thread);
        (*thread != before).then(|| thread.clone())
    }
}
