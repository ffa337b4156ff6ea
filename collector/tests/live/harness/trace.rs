//! A trace, read back whole.

use std::{collections::HashMap, path::Path};

use gilscope_trace::{
    Detail, Event, Header, Kind, Next, Pairing, Reader,
    detail::{Check, Lost},
};
use serde_json::Value;

/// The number of `sendto`, which Python's `socket.send` is.
pub(crate) const SENDTO: i16 = 44;

/// All of a trace.
pub(crate) struct Trace {
    pub(crate) header: Header,
    pub(crate) rows: Vec<(Event, Option<Detail>)>,
    /// Whether it has its end-of-stream mark.
    pub(crate) complete: bool,
}

/// A thread's ownership of a GIL.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) struct Hold {
    pub(crate) pid: i32,
    pub(crate) tid: i32,
    pub(crate) gil: u64,
    /// Of the acquisition, ns.
    pub(crate) from: i64,
    /// Of the release, ns.
    pub(crate) until: i64,
}

impl Trace {
    /// Reads a trace to its end mark or its last complete batch.
    #[track_caller]
    pub(crate) fn read(path: &Path) -> Trace {
        let mut reader = Reader::open(path).unwrap();
        let header = reader.header().clone();
        let mut rows = Vec::new();
        let complete = loop {
            match reader.next_batch().unwrap() {
                Next::Batch(batch) => {
                    rows.extend((0..batch.len()).map(|row| (batch.event(row), batch.detail(row))))
                }
                Next::End => break true,
                Next::Pending { .. } => break false,
            }
        };
        Trace { header, rows, complete }
    }

    /// The rows without their details.
    pub(crate) fn events(&self) -> impl Iterator<Item = &Event> {
        self.rows.iter().map(|(event, _)| event)
    }

    /// The details of the rows that have one.
    pub(crate) fn details(&self) -> impl Iterator<Item = (&Event, &Detail)> {
        self.rows.iter().filter_map(|(event, detail)| Some((event, detail.as_ref()?)))
    }

    /// The rows of the thread that gave `answer`, between its beginning and its end.
    pub(crate) fn during(&self, answer: &Value) -> Vec<&Event> {
        let tid = number(answer, "tid") as i32;
        self.between(answer).into_iter().filter(|event| event.tid == tid).collect()
    }

    /// The rows of all threads between the beginning and the end of what `answer` is about.
    pub(crate) fn between(&self, answer: &Value) -> Vec<&Event> {
        let span = number(answer, "began_ns")..=number(answer, "ended_ns");
        self.events().filter(|event| span.contains(&event.time)).collect()
    }

    /// How many times a process sent.
    pub(crate) fn sends(&self, pid: i32) -> usize {
        let is_send =
            |event: &&Event| event.kind == Kind::SyscallEnter && event.nr == SENDTO && event.pid == pid;
        self.events().filter(is_send).count()
    }

    /// The last pairing check.
    #[track_caller]
    pub(crate) fn check(&self) -> &Check {
        let checks = self.details().filter_map(|(_, detail)| match detail {
            Detail::Check(check) => Some(check),
            _ => None,
        });
        checks.last().expect("a pairing check")
    }

    /// What was lost.
    pub(crate) fn lost(&self) -> Vec<&Lost> {
        let lost = self.details().filter_map(|(_, detail)| match detail {
            Detail::Lost(lost) => Some(lost),
            _ => None,
        });
        lost.collect()
    }

    /// Why the recording ended, if it ended in order.
    pub(crate) fn end_reason(&self) -> Option<&str> {
        match self.rows.last() {
            Some((_, Some(Detail::End(end)))) if self.complete => Some(&end.reason),
            _ => None,
        }
    }

    /// The PIDs that ran Python, each with the versions it ran, in order of time.
    pub(crate) fn python_versions(&self) -> Vec<(i32, &str)> {
        let versions = self.details().filter_map(|(event, detail)| match detail {
            Detail::Process(process) => Some((event.pid, process.python.as_deref()?)),
            _ => None,
        });
        versions.collect()
    }

    /// The holds that begin and end in the trace.
    pub(crate) fn holds(&self) -> Vec<Hold> {
        let mut begun: HashMap<(i32, u64), (i32, i64)> = HashMap::new();
        let mut holds = Vec::new();
        for event in self.events() {
            let key = (event.pid, event.gil);
            match event.kind {
                Kind::Acquire => {
                    begun.insert(key, (event.tid, event.time));
                }
                Kind::Release => {
                    if let Some((tid, from)) = begun.remove(&key) {
                        let (pid, gil) = key;
                        holds.push(Hold { pid, tid, gil, from, until: event.time });
                    }
                }
                _ => {}
            }
        }
        holds
    }

    /// What every trace must be, except for one with losses: in order of time, paired without exception, ended in order.
    #[track_caller]
    pub(crate) fn assert_sound(&self) {
        self.assert_in_order();
        assert!(self.end_reason().is_some(), "the trace has no end");
        assert_eq!(self.check().lost, 0);
        assert_eq!(self.check().unpaired(), 0, "{:?}", self.check());
        assert_eq!(self.pairing().check(), self.check(), "the check in the trace is not that of its rows");
    }

    /// The pairing check of the rows, without regard to losses.
    pub(crate) fn pairing(&self) -> Pairing {
        let mut pairing = Pairing::new();
        self.events().for_each(|event| pairing.observe(event));
        pairing
    }

    /// Times never fall, and nothing is older than the start.
    #[track_caller]
    pub(crate) fn assert_in_order(&self) {
        let mut last = self.header.start_time;
        for event in self.events() {
            assert!(event.time >= last, "{event:?} is {} ns too early", last - event.time);
            last = event.time;
        }
    }
}

/// A number in an answer of the puppet.
#[track_caller]
pub(crate) fn number(answer: &Value, name: &str) -> i64 {
    answer[name].as_i64().unwrap_or_else(|| panic!("no {name} in {answer}"))
}
