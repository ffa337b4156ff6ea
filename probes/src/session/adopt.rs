//! How processes and threads come into a session: what they run is found out, and they are subscribed to.

use std::sync::Arc;

use gilscope_trace::{Event, Kind, detail};
use tracing::{debug, info, warn};

use super::{
    AttachError, Follow, Row, Session, found_by_name,
    probe_set::{CodeFile, ProbeSet},
    roster::{Process, Python},
    row,
};
use crate::{
    clock::monotonic_nanos,
    interpreter::{Foreseen, Interpreter, InterpreterError},
    perf::SubscribeError,
    process,
    source::{Group, Origin},
};

impl Session {
    /// Adds a process that runs Python. Its events are recorded from [`Session::start`] on.
    pub fn attach(&mut self, pid: i32) -> Result<(), AttachError> {
        let seen = monotonic_nanos();
        let interpreter = Interpreter::of(pid)?;
        interpreter.check_traceable()?;
        let result = self.watch(pid).and_then(|()| self.adopt(pid, &interpreter, seen).map(drop));
        // Whatever failed, it failed because the process ended meanwhile.
        result.map_err(|error| match process::is_alive(pid) {
            true => error,
            false => InterpreterError::NoSuchProcess { pid }.into(),
        })
    }

    /// Adds a process that does not run Python yet: it is recorded as soon as it maps an interpreter.
    pub fn watch(&mut self, pid: i32) -> Result<(), AttachError> {
        self.subscribe(pid, None)?;
        let detail = detail::Process {
            parent: process::parent(pid).unwrap_or(0),
            command: process::command_line(pid),
            ..detail::Process::default()
        };
        let threads = process::threads(pid).into_iter().collect();
        self.translator.roster.processes.insert(pid, Process { python: None, threads, detail });
        Ok(())
    }

    /// Sets the probes in a file that a watched process will run as its interpreter, so that nothing of it is missed. Before
    /// [`Session::start`].
    pub fn expect(&mut self, pid: i32, foreseen: &Foreseen) -> Result<(), AttachError> {
        let elf = foreseen.read_elf()?;
        let open_path = foreseen.open_path();
        let code = CodeFile { name: &foreseen.path, open_path: &open_path, id: foreseen.file_id, elf: &elf };
        let set = self.define_set(&code)?;
        self.subscribe(pid, Some(set))?;
        self.expected = Some((pid, set));
        Ok(())
    }

    /// Defines the probes in a file, and gives the number of their set.
    fn define_set(&mut self, code: &CodeFile<'_>) -> Result<u16, AttachError> {
        let roles = &mut self.translator.roles;
        let set = ProbeSet::define(&mut self.source, code, self.options.thread_states, roles)?;
        self.sets.push(Arc::new(set));
        Ok((self.sets.len() - 1) as u16)
    }

    /// Says what an attached process is to a framework, and where it listens, for the trace to tell. Before [`Session::start`].
    pub fn label(&mut self, pid: i32, role: &str, address: Option<&str>) {
        if let Some(process) = self.translator.roster.processes.get_mut(&pid) {
            process.detail.role = Some(role.to_owned());
            process.detail.address = address.map(str::to_owned);
        }
    }

    pub(super) fn try_adopt(&mut self, pid: i32, time: i64, rows: &mut Vec<Row>) {
        let Some(process) = self.translator.roster.processes.get(&pid) else {
            return;
        };
        let has_first = || self.translator.roster.processes.values().any(|process| process.python.is_some());
        if process.python.is_some() || (self.options.follow == Follow::First && has_first()) {
            return;
        }
        let seen = monotonic_nanos();
        let interpreter = match Interpreter::of(pid) {
            Ok(interpreter) => interpreter,
            Err(error) => {
                debug!(pid, %error, "no interpreter yet");
                return;
            }
        };
        let result = interpreter.check_traceable().map_err(AttachError::from);
        let result = result.and_then(|()| self.adopt(pid, &interpreter, seen)).and_then(|set| {
            match self.source.enable() {
                Ok(()) => Ok(set),
                Err(error) => Err(SubscribeError::Kernel(error).into()),
            }
        });
        match result {
            Ok(set) => {
                // What was expected, or inherited from the parent, has been listened to since before the program began.
                let is_early = self.expected == Some((pid, set)) || self.translator.has_inherited(pid, set);
                self.translator.arm(pid, set, if is_early { time } else { monotonic_nanos() });
                self.introduce(pid, time, rows);
                info!(pid, python = %interpreter.version, "a new Python is recorded");
            }
            Err(error) => {
                let version = &interpreter.version;
                // Whatever failed, it failed because the process ended meanwhile.
                let text = match process::is_alive(pid) {
                    true => format!("process {pid} runs Python {version} but is not recorded: {error}"),
                    false => format!(
                        "process {pid} ran Python {version} and ended before its probes were in place"
                    ),
                };
                warn!("{text}");
                rows.push(row(time, pid, detail::Note { text }));
            }
        }
    }

    /// Sets the probes of a process whose interpreter is known, as it was at the time `seen`. Gives the number of their set.
    fn adopt(&mut self, pid: i32, interpreter: &Interpreter, seen: i64) -> Result<u16, AttachError> {
        let set = match self.sets.iter().position(|set| set.file_id == interpreter.file_id) {
            Some(set) => set as u16,
            None => {
                let elf = interpreter.read_elf()?;
                let (name, open_path, id) =
                    (&*interpreter.path, &*interpreter.open_path, interpreter.file_id);
                self.define_set(&CodeFile { name, open_path, id, elf: &elf })?
            }
        };
        if !self.translator.has_inherited(pid, set) {
            self.subscribe(pid, Some(set))?;
        }
        self.insight.follow(pid);
        let probes = self.sets[usize::from(set)].clone();
        if let Some(process) = self.translator.roster.processes.get_mut(&pid) {
            process.detail.command = process::command_line(pid);
            process.detail.python = Some(interpreter.version.to_string());
            process.detail.interpreter = Some(interpreter.path.to_string_lossy().into_owned());
            process.detail.sites = Some(found_by_name(probes.sites.found_by).to_owned());
            let interpreter = Arc::new(interpreter.clone());
            process.python = Some(Python { set, interpreter, seen, _probes: probes });
        }
        Ok(set)
    }

    /// Subscribes to all threads of a process, those too that are born meanwhile: to the base, or to a set of probes.
    fn subscribe(&mut self, pid: i32, set: Option<u16>) -> Result<(), SubscribeError> {
        let mut done: Vec<i32> = Vec::new();
        loop {
            let new: Vec<i32> = process::threads(pid).into_iter().filter(|tid| !done.contains(tid)).collect();
            if new.is_empty() {
                break;
            }
            for tid in new {
                done.push(tid);
                match self.subscribe_thread(tid, set.is_none(), set) {
                    Ok(()) => {}
                    Err(SubscribeError::Gone(_)) if tid != pid => debug!(tid, "thread ended meanwhile"),
                    Err(error) => return Err(error),
                }
            }
        }
        if done.is_empty() { Err(SubscribeError::Gone(pid)) } else { Ok(()) }
    }

    pub(super) fn subscribe_thread(
        &mut self,
        tid: i32,
        base: bool,
        set: Option<u16>,
    ) -> Result<(), SubscribeError> {
        let owned = |group| self.translator.owns(Origin { tid, group });
        // After `execve` a thread still has the subscriptions of the program before.
        let (base, set) = (base && !owned(Group::Base), set.filter(|set| !owned(Group::Probes(*set))));
        if base {
            self.source.subscribe_base(tid)?;
            self.translator.own(Origin { tid, group: Group::Base });
        }
        if let Some(set) = set {
            self.source.subscribe_probes(tid, set, &self.sets[usize::from(set)].probes)?;
            self.translator.own(Origin { tid, group: Group::Probes(set) });
        }
        Ok(())
    }

    pub(super) fn arm(&mut self, pid: i32, time: i64) {
        let python = self.translator.roster.processes.get(&pid).and_then(|process| process.python.as_ref());
        if let Some(set) = python.map(|python| python.set) {
            self.translator.arm(pid, set, time);
        }
    }

    /// Rows that say what a process is and what its threads are called.
    pub(super) fn introduce(&mut self, pid: i32, time: i64, rows: &mut Vec<Row>) {
        let Some(process) = self.translator.roster.processes.get_mut(&pid) else {
            return;
        };
        let tids = process::threads(pid);
        process.threads.extend(&tids);
        rows.push(row(time, pid, process.detail.clone()));
        for tid in tids {
            if let Some(name) = process::thread_name(pid, tid)
                && let Some(news) = self.translator.roster.learn_os_name(tid, name)
            {
                rows.push(Row { event: Event::new(time, Kind::Thread, pid, tid), detail: Some(news.into()) });
            }
        }
    }
}
