//! From what the kernel says to what the trace says.
//!
//! Takes records in order of time and gives rows in order of time. It drops records of threads that inherited a subscription they
//! also have of their own, keeps track of descriptors and of the life of processes, and asks the session for what only the session
//! can do.

use gilscope_trace::{
    Detail, Event, Kind,
    detail::{self, Lost},
    syscalls::{self as names, Class},
};
use rustc_hash::{FxHashMap, FxHashSet};

use super::{
    Follow, Row,
    insight::Insight,
    probe_set::{Role, gil_of},
    roster::{Process, Python, Roster},
};
use crate::{
    descriptors::Descriptors,
    process,
    sites::SiteKind,
    source::{Body, Group, Origin, Record},
    syscalls::{ACCEPT, ACCEPT4, CLOSE, CLOSE_RANGE, CONNECT, DUP2, DUP3, SyscallSet},
};

/// What only the session can do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Request {
    /// The process may have become a Python.
    Interpreter(i32),
    /// A process was forked off one that runs Python.
    Forked(i32),
    /// A thread must be subscribed to: `pid`, `tid`. (Only where subscriptions are not inherited.)
    Thread(i32, i32),
    /// A GIL was seen for the first time: `pid`, address.
    Gil(i32, u64),
}

/// A system call that a thread is in.
#[derive(Clone, Copy)]
struct Call {
    nr: i16,
    fd: i32,
    recorded: bool,
}

/// The state of the translation.
pub(crate) struct Translator {
    pub(crate) roster: Roster,
    pub(crate) roles: Vec<Role>,
    pub(crate) descriptors: Descriptors,
    /// Threads that were subscribed to explicitly.
    owned: FxHashSet<Origin>,
    /// From when on the probes of a process were all in place, ns of the trace clock.
    armed: FxHashMap<(i32, u16), i64>,
    calls: FxHashMap<i32, Call>,
    gils: FxHashSet<(i32, u64)>,
    pub(crate) requests: Vec<Request>,
    syscalls: SyscallSet,
    follow: Follow,
    inherits: bool,
}

impl Translator {
    pub(crate) fn new(syscalls: SyscallSet, follow: Follow, inherits: bool) -> Translator {
        Translator {
            roster: Roster::default(),
            roles: Vec::new(),
            descriptors: Descriptors::default(),
            owned: FxHashSet::default(),
            armed: FxHashMap::default(),
            calls: FxHashMap::default(),
            gils: FxHashSet::default(),
            requests: Vec::new(),
            syscalls,
            follow,
            inherits,
        }
    }

    /// Notes that a thread was subscribed to explicitly.
    pub(crate) fn own(&mut self, origin: Origin) {
        self.owned.insert(origin);
    }

    /// Whether a thread was subscribed to explicitly.
    pub(crate) fn owns(&self, origin: Origin) -> bool {
        self.owned.contains(&origin)
    }

    /// Notes that from `time` on the probes of set `set` are in place for all threads of `pid`.
    pub(crate) fn arm(&mut self, pid: i32, set: u16, time: i64) {
        self.armed.insert((pid, set), time);
    }

    /// Whether a process has the subscriptions of a set from its parent.
    pub(crate) fn has_inherited(&self, pid: i32, set: u16) -> bool {
        self.inherits && self.armed.contains_key(&(pid, set))
    }

    /// Looks at records before their turn, for what must be known early.
    pub(crate) fn preview(&mut self, records: &[Record], insight: &mut Insight) {
        for record in records {
            if let Body::Probe { probe, .. } = record.body
                && let Role::Gil { site, .. } = self.roles[usize::from(probe)]
            {
                insight.glimpse(record.time, kind_of(site), record.pid, record.tid);
            }
            if let Body::SyscallEnter { nr, arguments } = record.body {
                match i16::try_from(nr) {
                    Ok(CLOSE) => self.descriptors.note_close(record.pid, arguments[0] as i32, record.time),
                    Ok(DUP2 | DUP3) => {
                        self.descriptors.note_close(record.pid, arguments[1] as i32, record.time)
                    }
                    _ => {}
                }
            }
        }
    }

    /// Translates one record.
    pub(crate) fn translate(&mut self, record: Record, rows: &mut Vec<Row>) {
        let Record { time, pid, tid, cpu, origin, body } = record;
        if let Body::Lost { records, since } = body {
            let lost = Lost { from: since, until: time, cpu: Some(cpu), records };
            rows.push(Row::of(Event::new(time, Kind::Lost, 0, 0).on_cpu(cpu), lost));
            return;
        }
        // The subscription of its maker, which the thread also has of its own.
        if origin.tid != tid && self.owned.contains(&Origin { tid, ..origin }) {
            return;
        }
        let Some(process) = self.roster.processes.get(&pid) else {
            return;
        };
        let python = process.python.as_ref();
        let at = |kind| Event::new(time, kind, pid, tid).on_cpu(cpu);
        match body {
            Body::Probe { probe, argument } => {
                let (Some(python), Group::Probes(set)) = (python, origin.group) else {
                    return;
                };
                if set != python.set {
                    // Of a program before, or of one that was expected and did not come.
                    return;
                }
                if self.armed.get(&(pid, set)).is_some_and(|armed| time < *armed) {
                    return;
                }
                let load_bias = python.interpreter.load_bias;
                self.translate_probe(at, probe, argument, load_bias, rows);
            }
            Body::SyscallEnter { nr, arguments } if python.is_some() => {
                if let Ok(nr) = i16::try_from(nr) {
                    self.translate_enter(at(Kind::SyscallEnter), nr, arguments, rows);
                }
            }
            Body::SyscallExit { nr, result } if python.is_some() => {
                if let Ok(nr) = i16::try_from(nr) {
                    self.translate_exit(at(Kind::SyscallExit), nr, result, rows);
                }
            }
            Body::SwitchOut { preempted } if python.is_some() => {
                rows.push(at(Kind::SwitchOut).with_value(preempted.into()).into());
            }
            Body::SwitchIn if python.is_some() => rows.push(at(Kind::SwitchIn).into()),
            Body::Fork { child_pid, child_tid } => self.translate_fork(at, child_pid, child_tid, rows),
            Body::Exit => self.translate_exit_of_thread(at, rows),
            Body::Name { name, exec } => self.translate_name(at, name, exec, rows),
            Body::Map { path } if python.is_none() && may_hold_interpreter(&path) => {
                self.requests.push(Request::Interpreter(pid));
            }
            _ => {}
        }
    }

    fn translate_probe(
        &mut self,
        at: impl Fn(Kind) -> Event,
        probe: u16,
        argument: u64,
        load_bias: u64,
        rows: &mut Vec<Row>,
    ) {
        match self.roles[usize::from(probe)] {
            Role::Gil { site, cond } => {
                let kind = kind_of(site);
                let gil = gil_of(site, cond, argument, load_bias);
                let event = at(kind).of_gil(gil);
                if self.gils.insert((event.pid, gil)) {
                    self.requests.push(Request::Gil(event.pid, gil));
                }
                rows.push(event.into());
            }
            Role::ThreadState(kind) => rows.push(at(kind).into()),
        }
    }

    fn translate_enter(&mut self, event: Event, nr: i16, arguments: [u64; 2], rows: &mut Vec<Row>) {
        let known = names::lookup(nr);
        // The kernel takes descriptors as 32-bit numbers and ignores the upper half of the register.
        let fd = if known.is_some_and(|call| call.takes_fd) { arguments[0] as i32 } else { -1 };
        let mut recorded = self.syscalls.records(nr);
        if recorded && fd >= 0 && nr != CLOSE {
            let class = names::class(nr);
            let seen = self.descriptors.see(event.pid, fd, event.time, class);
            recorded = self.syscalls != SyscallSet::Socket || class != Class::ReadWrite || seen.maybe_socket;
            if let Some(news) = seen.news
                && recorded
            {
                rows.push(Row::of(event.of_syscall(-1, fd), news));
            }
        }
        self.calls.insert(event.tid, Call { nr, fd, recorded });
        if recorded {
            rows.push(event.of_syscall(nr, fd).into());
        }
        match nr {
            CLOSE => self.descriptors.forget(event.pid, fd),
            DUP2 | DUP3 => self.descriptors.forget(event.pid, arguments[1] as i32),
            CLOSE_RANGE => self.descriptors.forget_process(event.pid),
            _ => {}
        }
    }

    fn translate_exit(&mut self, event: Event, nr: i16, result: i64, rows: &mut Vec<Row>) {
        let call = self.calls.remove(&event.tid).filter(|call| call.nr == nr);
        let recorded = match call {
            Some(call) => call.recorded,
            // It began before recording did. Whether a read was of a socket is not known then.
            None => {
                self.syscalls.records(nr)
                    && (self.syscalls != SyscallSet::Socket || names::class(nr) != Class::ReadWrite)
            }
        };
        if recorded {
            rows.push(event.of_syscall(nr, -1).with_value(result).into());
        }
        match nr {
            ACCEPT | ACCEPT4 if result >= 0 => self.descriptors.forget(event.pid, result as i32),
            // From now on it has a peer.
            CONNECT => self.descriptors.forget(event.pid, call.map_or(-1, |call| call.fd)),
            _ => {}
        }
    }

    fn translate_fork(
        &mut self,
        at: impl Fn(Kind) -> Event,
        child_pid: i32,
        child_tid: i32,
        rows: &mut Vec<Row>,
    ) {
        let parent = at(Kind::ThreadStart);
        let start = Event { pid: child_pid, tid: child_tid, value: i64::from(parent.tid), ..parent };
        if child_pid != parent.pid {
            let parent_has_python =
                self.roster.processes.get(&parent.pid).is_some_and(|process| process.python.is_some());
            if self.follow == Follow::None || (self.follow == Follow::First && parent_has_python) {
                return;
            }
            self.fork_process(parent.pid, child_pid, parent.time);
            if let Some(child) = self.roster.processes.get(&child_pid)
                && child.python.is_some()
            {
                rows.push(Row::of(Event { tid: 0, ..start }, child.detail.clone()));
                self.requests.push(Request::Forked(child_pid));
            }
        }
        if let Some(process) = self.roster.processes.get_mut(&child_pid) {
            process.threads.insert(child_tid);
        }
        rows.push(start.into());
        if !self.inherits {
            self.requests.push(Request::Thread(child_pid, child_tid));
        }
    }

    /// A forked process is a copy: same program, same interpreter, same probes.
    fn fork_process(&mut self, parent: i32, child: i32, time: i64) {
        let Some(process) = self.roster.processes.get(&parent) else {
            return;
        };
        let mut copy = Process { threads: FxHashSet::default(), ..process.clone() };
        copy.detail.parent = parent;
        if let Some(Python { seen, .. }) = &mut copy.python {
            // The child may have become another program by the time its parent was looked at.
            *seen = time.min(*seen);
        }
        // Those too that the parent has of a program before, in case the child becomes it again.
        let inherited: Vec<(u16, i64)> = self
            .armed
            .iter()
            .filter(|((pid, _), _)| *pid == parent)
            .map(|(&(_, set), &armed)| (set, armed))
            .collect();
        self.armed.extend(inherited.into_iter().map(|(set, armed)| ((child, set), armed)));
        self.roster.processes.insert(child, copy);
    }

    fn translate_exit_of_thread(&mut self, at: impl Fn(Kind) -> Event, rows: &mut Vec<Row>) {
        let event = at(Kind::ThreadExit);
        rows.push(event.into());
        self.owned.retain(|origin| origin.tid != event.tid);
        self.calls.remove(&event.tid);
        if self.roster.end_thread(event.pid, event.tid) {
            self.end_process(event.time, event.pid, "exited", rows);
        }
    }

    /// The process is gone.
    pub(crate) fn end_process(&mut self, time: i64, pid: i32, reason: &str, rows: &mut Vec<Row>) {
        self.roster.processes.remove(&pid);
        self.descriptors.forget_process(pid);
        self.gils.retain(|&(of, _)| of != pid);
        self.armed.retain(|&(of, _), _| of != pid);
        let end = detail::ProcessEnd { reason: reason.to_owned() };
        rows.push(Row::of(Event::new(time, Kind::ProcessEnd, pid, 0), end));
    }

    fn translate_name(&mut self, at: impl Fn(Kind) -> Event, name: String, exec: bool, rows: &mut Vec<Row>) {
        let event = at(Kind::Thread);
        let python = self.roster.processes.get(&event.pid).and_then(|process| process.python.as_ref());
        // An interpreter that was found after this `execve` is that of the new program: two in quick succession.
        if exec && python.is_none_or(|python| python.seen <= event.time) {
            self.descriptors.forget_process(event.pid);
            self.gils.retain(|&(of, _)| of != event.pid);
            self.roster.forget_names(event.pid);
            if let Some(process) = self.roster.processes.get_mut(&event.pid) {
                process.python = None;
                // All others are gone, and this one is the main thread now.
                process.threads = [event.tid].into_iter().collect();
                process.detail = detail::Process {
                    parent: process.detail.parent,
                    command: process::command_line(event.pid),
                    ..detail::Process::default()
                };
                rows.push(Row::of(Event { tid: 0, ..event }, process.detail.clone()));
            }
            self.requests.push(Request::Interpreter(event.pid));
        }
        if let Some(news) = self.roster.learn_os_name(event.tid, name) {
            rows.push(Row::of(event, news));
        }
    }
}

/// Whether a mapped file may be an interpreter, by its name. Extension modules, which are named after one, are not.
fn may_hold_interpreter(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path);
    name.starts_with("libpython") || name.starts_with("python")
}

fn kind_of(site: SiteKind) -> Kind {
    match site {
        SiteKind::Wait => Kind::Wait,
        SiteKind::Acquire => Kind::Acquire,
        SiteKind::Release => Kind::Release,
    }
}

impl Row {
    fn of(event: Event, detail: impl Into<Detail>) -> Row {
        let detail = detail.into();
        Row { event: Event { kind: detail.kind(), ..event }, detail: Some(detail) }
    }
}

impl From<Event> for Row {
    fn from(event: Event) -> Row {
        Row { event, detail: None }
    }
}
