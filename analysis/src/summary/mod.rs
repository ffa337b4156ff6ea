//! From a [`Model`] and a range to a [`Report`].
//!
//! One pass over the stalls (who waited for whom), one over the lanes (what each thread did), one over the holds; each is linear
//! in what lies in the range.

mod code;
mod convoys;
mod gils;
mod lanes;
mod long_holds;
mod stalls;
mod verdict;

use gilscope_trace::syscalls;

use crate::{
    Model, State,
    report::{self, Report},
    state,
};

/// Most convoys that a report lists one by one.
pub const MAX_CONVOYS: usize = 1000;

/// What to report on.
#[derive(Clone, PartialEq, Debug)]
pub struct Query {
    /// Begin of the range, ns of the trace clock; what lies outside the trace is cut off.
    pub from: i64,
    /// End of the range, exclusive.
    pub to: i64,
    /// Only this process.
    pub pid: Option<i32>,
    /// Only threads of this name, or with this number as thread ID, and what concerns them.
    pub thread: Option<String>,
    /// How many of the longest stalls to list.
    pub top: usize,
}

impl Default for Query {
    /// The whole trace.
    fn default() -> Query {
        Query { from: i64::MIN, to: i64::MAX, pid: None, thread: None, top: 10 }
    }
}

/// The range of a model with what was asked for.
struct View<'a> {
    model: &'a Model,
    from: i64,
    to: i64,
    query: &'a Query,
}

impl View<'_> {
    fn duration(&self) -> i64 {
        self.to.saturating_sub(self.from)
    }

    /// A time as the report says it.
    fn relative(&self, time: i64) -> i64 {
        time.saturating_sub(self.model.start)
    }

    /// How many of ascending times lie in the range.
    fn count(&self, times: &[i64]) -> u64 {
        let before = |limit: i64| times.partition_point(|&time| time < limit);
        (before(self.to) - before(self.from)) as u64
    }

    /// The part of `from..to` inside the range.
    fn clip(&self, from: i64, to: i64) -> (i64, i64) {
        let from = from.max(self.from);
        (from, to.min(self.to).max(from))
    }

    fn has_process(&self, process: u32) -> bool {
        let pid = self.model.processes.get(process as usize).map(|process| process.pid);
        self.query.pid.is_none_or(|wanted| Some(wanted) == pid)
    }

    fn has_thread(&self, thread: u32) -> bool {
        let Some(this) = self.model.threads.get(thread as usize) else {
            return false;
        };
        self.has_process(this.process)
            && self.query.thread.as_deref().is_none_or(|wanted| {
                wanted.parse() == Ok(this.tid)
                    || this.detail.best_name() == Some(wanted)
                    || this.name() == wanted
            })
    }

    fn name(&self, thread: u32) -> String {
        self.model.threads.get(thread as usize).map_or_else(String::new, crate::Thread::name)
    }

    fn tid(&self, thread: u32) -> i32 {
        self.model.threads.get(thread as usize).map_or(0, |thread| thread.tid)
    }

    fn who(&self, thread: u32) -> report::Who {
        report::Who { tid: self.tid(thread), name: self.name(thread) }
    }

    fn syscall_name(&self, nr: i16) -> String {
        match self.model.header.arch.as_str() {
            // An empty header says nothing: the only recorder there is writes x86-64.
            "x86_64" | "" => syscalls::name(nr).into_owned(),
            _ => format!("syscall {nr}"),
        }
    }
}

/// What the model says about a range.
///
/// Takes time linear in the intervals of the range, about 0.1 s for ten million events; call it off the drawing thread.
pub fn summarize(model: &Model, query: &Query) -> Report {
    let from = query.from.clamp(model.start, model.end.max(model.start));
    let to = query.to.clamp(from, model.end.max(from));
    let view = View { model, from, to, query };
    let stalls = stalls::Stalls::of(&view);
    let lanes = lanes::lanes(&view, &stalls);
    let gils = gils::gils(&view, &stalls, &lanes);
    let descheduled: Vec<(i64, i64)> = lanes.iter().map(|lane| lane.descheduled_contended).collect();
    let mut threads = lanes::threads(&view, lanes, &gils, &stalls);
    threads.sort_by(|a, b| {
        (b.waiting_ns, b.held_ns, &a.name, a.tid, a.incarnation).cmp(&(
            a.waiting_ns,
            a.held_ns,
            &b.name,
            b.tid,
            b.incarnation,
        ))
    });
    let gils: Vec<_> = gils.into_iter().map(|gil| gil.report).collect();
    let (convoys, victims) = convoys::convoys(&view, &stalls);
    let convoys_total = convoys.len() as u64;
    let blamed = code::code(&view, &stalls);
    let mut report = Report {
        version: report::REPORT_VERSION,
        trace: trace(&view),
        pairing: pairing(model),
        processes: processes(&view, &threads),
        blame: stalls.blame(&view),
        stalls: stalls.longest(&view),
        victims,
        convoys: convoys.into_iter().take(MAX_CONVOYS).collect(),
        convoys_total,
        long_holds: long_holds::long_holds(&view),
        code: blamed.code,
        sampling: blamed.sampling,
        gils,
        threads,
        verdicts: Vec::new(),
        notes: model.notes.iter().map(|(_, text)| text.clone()).collect(),
    };
    report.verdicts = verdict::verdicts(&view, &report, &stalls, &descheduled);
    report
}

fn trace(view: &View) -> report::Trace {
    let (model, header) = (view.model, &view.model.header);
    report::Trace {
        path: String::new(),
        duration_ns: view.duration(),
        events: model.events,
        gil_events: model.gil_events,
        lost: model.check.lost,
        from_ns: view.relative(view.from),
        to_ns: view.relative(view.to),
        trace_duration_ns: view.relative(model.end),
        start_utc_ns: match header.utc_offset {
            0 => 0,
            offset => model.start.saturating_add(offset),
        },
        complete: model.end_reason.is_some(),
        end_reason: model.end_reason.clone(),
        host: crate::clean::clean(&header.host).into_owned(),
        arch: crate::clean::clean(&header.arch).into_owned(),
        cpus: header.cpus,
        gilscope: crate::clean::clean(&header.gilscope).into_owned(),
        syscalls: crate::clean::clean(&header.syscalls).into_owned(),
        switches: header.switches,
    }
}

/// The check as counted while recording, where the trace has it: it saw every event, also of a trace that was cut off since.
fn pairing(model: &Model) -> report::Pairing {
    let own = &model.check;
    report::Pairing {
        acquisitions: own.acquisitions,
        releases: own.releases,
        waits: own.waits,
        unpaired: own.unpaired().max(model.recorded_check.as_ref().map_or(0, |check| check.unpaired())),
    }
}

fn processes(view: &View, threads: &[report::Thread]) -> Vec<report::Process> {
    let all = view.model.processes.iter().enumerate();
    all.filter(|&(index, _)| view.has_process(index as u32))
        .map(|(index, process)| report::Process {
            pid: process.pid,
            command: process.detail.command.join(" "),
            python: process.detail.python.clone(),
            sites: process.detail.sites.clone(),
            role: process.detail.role.clone(),
            address: process.detail.address.clone(),
            gils: (0..view.model.gils.len())
                .filter(|&gil| view.model.gils[gil].process as usize == index)
                .map(|gil| view.model.gil_name(gil as u32))
                .collect(),
            threads: threads
                .iter()
                .filter(|thread| thread.pid == process.pid)
                .map(|thread| thread.tid)
                .collect(),
        })
        .collect()
}

/// Index of the GIL in the argument of an owning or limbo state.
fn gil_of(state: State, arg: u32) -> Option<usize> {
    match state {
        State::Holding | State::Descheduled | State::Limbo => Some((arg & !state::PREEMPTED) as usize),
        _ => None,
    }
}
