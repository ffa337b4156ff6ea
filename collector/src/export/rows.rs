//! The table of intervals, as CSV and Parquet have it. `docs/exports.md` describes the columns.

use gilscope_analysis::{
    Model, State, stall,
    stream::{Record, SystemCall},
};

use super::names::{self, Names};

/// What a system call is called that a thread makes with the GIL in its hands: its row lies within a `holding` row.
pub(super) const CALL_WHILE_HOLDING: &str = "syscall_while_holding";

/// A row of the table. Texts are harmless.
pub(super) struct Row<'a> {
    pub(super) pid: i32,
    pub(super) tid: i32,
    pub(super) thread: &'a str,
    pub(super) start_ns: i64,
    pub(super) end_ns: i64,
    pub(super) wall_start_ns: i64,
    pub(super) state: &'static str,
    pub(super) gil: Option<&'a str>,
    pub(super) syscall: Option<String>,
    pub(super) fd: Option<i32>,
    pub(super) descriptor: Option<String>,
    pub(super) result: Option<i64>,
    pub(super) preempted: bool,
    pub(super) blamed_tid: Option<i32>,
    pub(super) blamed_thread: Option<&'a str>,
    pub(super) blamed_ns: Option<i64>,
    pub(super) held_ns: Option<i64>,
    pub(super) free_ns: Option<i64>,
    pub(super) convoy: Option<bool>,
    pub(super) open_start: bool,
    pub(super) open_end: bool,
}

impl<'a> Row<'a> {
    /// The row of a record, if it has one.
    pub(super) fn of(names: &'a Names, model: &Model, record: &Record) -> Option<Row<'a>> {
        match record {
            Record::State(lived) => {
                let mut row =
                    Row::new(names, lived.thread, (lived.start, lived.end), names::state(lived.state));
                row.set_call(names, model, lived.thread, lived.call);
                row.gil = names.gil(lived.gil).map(|gil| gil.name.as_str());
                row.preempted = lived.state == State::Descheduled && lived.preempted;
                row.open_start = lived.open_start;
                row.open_end = lived.open_end;
                if let Some(stalled) = &lived.stall {
                    let culprit = names.culprit(stalled);
                    row.blamed_tid = culprit.map(|(thread, _)| thread.tid);
                    row.blamed_thread = culprit.map(|(thread, _)| thread.name.as_str());
                    row.blamed_ns = culprit.map(|(_, ns)| ns);
                    row.held_ns = Some(stalled.holders.iter().map(|(_, ns)| ns).sum());
                    row.free_ns = Some(stalled.free_ns);
                    row.convoy = Some(stalled.flags & stall::CONVOY != 0);
                }
                Some(row)
            }
            Record::Call(held) => {
                let mut row = Row::new(names, held.thread, (held.start, held.end), CALL_WHILE_HOLDING);
                row.set_call(names, model, held.thread, Some(held.call));
                row.open_end = held.open_end;
                Some(row)
            }
            Record::Hold(_) | Record::Waiters { .. } | Record::Sample { .. } => None,
        }
    }

    fn new(names: &'a Names, thread: u32, (start_ns, end_ns): (i64, i64), state: &'static str) -> Row<'a> {
        let thread = names.thread(thread);
        Row {
            pid: thread.pid,
            tid: thread.tid,
            thread: &thread.name,
            start_ns,
            end_ns,
            wall_start_ns: start_ns.saturating_add(names.header.utc_offset),
            state,
            gil: None,
            syscall: None,
            fd: None,
            descriptor: None,
            result: None,
            preempted: false,
            blamed_tid: None,
            blamed_thread: None,
            blamed_ns: None,
            held_ns: None,
            free_ns: None,
            convoy: None,
            open_start: false,
            open_end: false,
        }
    }

    fn set_call(&mut self, names: &Names, model: &Model, thread: u32, call: Option<SystemCall>) {
        let Some(call) = call else { return };
        self.syscall = Some(names.call(call));
        self.fd = (call.fd >= 0).then_some(call.fd);
        self.descriptor = names.descriptor(model, thread, call, self.start_ns);
        self.result = call.result;
    }
}
