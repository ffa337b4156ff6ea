//! Chrome's trace event format: JSON, an event a line, times in microseconds from the begin of the trace.

use std::io::Write;

use gilscope_analysis::{
    Model, State, holds,
    stream::{Held, HeldCall, Lived, Record},
};
use serde_json::{Value, json};

use super::{Export, Out, json::json as text, names::Names};

/// A GIL's row is a thread of its process with an ID that no thread has. Readers take IDs of 31 bits.
const FIRST_GIL_TID: i64 = 2_000_000_000;

pub(super) struct Chrome<'a> {
    names: &'a Names,
    out: Out,
    first: bool,
}

impl<'a> Chrome<'a> {
    pub(super) fn new(names: &'a Names, mut out: Out) -> anyhow::Result<Chrome<'a>> {
        write!(out, "{{\"displayTimeUnit\":\"ns\",\"otherData\":")?;
        let header = &names.header;
        let about = json!({
            "gilscope": header.gilscope, "host": header.host, "kernel": header.kernel,
            "command": header.command.join(" "), "start_unix_ns": names.start.saturating_add(header.utc_offset).to_string(),
        });
        write!(out, "{},\"traceEvents\":[", text(&about))?;
        let mut chrome = Chrome { names, out, first: true };
        chrome.describe()?;
        Ok(chrome)
    }

    fn event(&mut self, event: &Value) -> anyhow::Result<()> {
        let comma = if std::mem::replace(&mut self.first, false) { "\n" } else { ",\n" };
        self.out.write_all(comma.as_bytes())?;
        Ok(self.out.write_all(text(event).as_bytes())?)
    }

    fn describe(&mut self) -> anyhow::Result<()> {
        let names = self.names;
        let about = |what: &str, pid: i32, tid: i64, args: Value| json!({"ph": "M", "name": what, "pid": pid, "tid": tid, "ts": 0, "args": args});
        for process in &names.processes {
            self.event(&about("process_name", process.pid, 0, json!({"name": process.name})))?;
        }
        for (index, gil) in (0..).zip(&names.gils) {
            let (tid, name) = (FIRST_GIL_TID + index, format!("owner of {}", gil.name));
            self.event(&about("thread_name", gil.pid, tid, json!({"name": name})))?;
            self.event(&about("thread_sort_index", gil.pid, tid, json!({"sort_index": -1})))?;
        }
        for thread in &names.threads {
            let name = json!({"name": thread.name});
            self.event(&about("thread_name", thread.pid, thread.unique_tid, name))?;
        }
        Ok(())
    }

    fn micros(&self, time: i64) -> f64 {
        time.saturating_sub(self.names.start) as f64 / 1000.0
    }

    fn slice(
        &mut self,
        at: (i32, i64),
        name: &str,
        span: (i64, i64),
        category: &str,
        args: Value,
    ) -> anyhow::Result<()> {
        let (ts, dur) = (self.micros(span.0), span.1.saturating_sub(span.0) as f64 / 1000.0);
        self.event(&json!({
            "ph": "X", "name": name, "cat": category, "pid": at.0, "tid": at.1, "ts": ts, "dur": dur, "args": args,
        }))
    }

    fn state(&mut self, model: &Model, lived: &Lived) -> anyhow::Result<()> {
        let names = self.names;
        let thread = names.thread(lived.thread);
        let (at, span) = ((thread.pid, thread.unique_tid), (lived.start, lived.end));
        let gil = names.gil(lived.gil).map(|gil| gil.name.as_str());
        match lived.state {
            // Holding comes with the hold, which contains the time without processor.
            State::OffGil | State::Holding => Ok(()),
            State::Unknown if !lived.lost => Ok(()),
            State::Unknown => self.slice(at, "records lost", span, "lost", json!({})),
            State::Descheduled => {
                self.slice(at, "not running", span, "descheduled", json!({"preempted": lived.preempted}))
            }
            State::Limbo => self.slice(at, "giving the GIL away", span, "limbo", json!({"gil": gil})),
            State::Syscall => match lived.call {
                Some(call) => {
                    let descriptor = names.descriptor(model, lived.thread, call, lived.start);
                    let args = json!({"fd": call.fd, "descriptor": descriptor, "result": call.result});
                    self.slice(at, &names.call(call), span, "syscall", args)
                }
                None => Ok(()),
            },
            State::Waiting => {
                let Some(stall) = &lived.stall else { return Ok(()) };
                let blame: Vec<Value> = stall
                    .holders
                    .iter()
                    .map(|&(holder, ns)| json!({"thread": names.thread(holder).name, "us": ns as f64 / 1000.0}))
                    .collect();
                let args = json!({"gil": gil, "held_by": blame, "open_end": lived.open_end});
                self.slice(at, "waiting for the GIL", span, "waiting", args)?;
                let Some(piece) = stall.longest() else { return Ok(()) };
                let holder = names.thread(piece.thread);
                let flow = |ph: &str, pid: i32, tid: i64, ts: f64| json!({"ph": ph, "id": stall.id, "name": "stalled by", "cat": "stall", "pid": pid, "tid": tid, "ts": ts});
                self.event(&flow("s", at.0, at.1, self.micros(lived.start)))?;
                let mut end = flow("f", holder.pid, holder.unique_tid, self.micros(piece.start));
                end["bp"] = json!("e");
                self.event(&end)
            }
        }
    }

    fn call(&mut self, model: &Model, held: &HeldCall) -> anyhow::Result<()> {
        let thread = self.names.thread(held.thread);
        let descriptor = self.names.descriptor(model, held.thread, held.call, held.start);
        let args = json!({"fd": held.call.fd, "descriptor": descriptor, "result": held.call.result});
        let at = (thread.pid, thread.unique_tid);
        self.slice(at, &self.names.call(held.call), (held.start, held.end), "syscall", args)
    }

    fn hold(&mut self, held: &Held) -> anyhow::Result<()> {
        let names = self.names;
        let (thread, span) = (names.thread(held.thread), (held.start, held.end));
        let Some(gil) = names.gil(held.gil) else { return Ok(()) };
        let args = json!({
            "gil": gil.name, "thread": thread.name, "stalls": held.stalls.len(),
            "open_start": held.flags & holds::OPEN_START != 0, "open_end": held.flags & holds::OPEN_END != 0,
        });
        self.slice((thread.pid, thread.unique_tid), "holding the GIL", span, "holding", args.clone())?;
        let row = FIRST_GIL_TID + i64::from(held.gil);
        self.slice((gil.pid, row), &thread.name, span, "owner", args)
    }

    fn sample(&mut self, thread: u32, time: i64, stack: u32) -> anyhow::Result<()> {
        let frames = self.names.stack(stack);
        if frames.is_empty() {
            return Ok(());
        }
        let thread = self.names.thread(thread);
        let stack: Vec<String> = frames.iter().rev().map(|&frame| self.names.frame(frame)).collect();
        self.event(&json!({
            "ph": "i", "s": "t", "name": "Python stack", "cat": "sample", "pid": thread.pid, "tid": thread.unique_tid,
            "ts": self.micros(time), "args": {"stack": stack},
        }))
    }
}

impl Export for Chrome<'_> {
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()> {
        match record {
            Record::State(lived) => self.state(model, &lived),
            Record::Call(held) => self.call(model, &held),
            Record::Hold(held) => self.hold(&held),
            Record::Waiters { gil, time, count } => {
                let Some(gil) = self.names.gil(gil) else { return Ok(()) };
                self.event(&json!({
                    "ph": "C", "name": format!("waiting for {}", gil.name), "pid": gil.pid, "tid": 0,
                    "ts": self.micros(time), "args": {"threads": count},
                }))
            }
            Record::Sample { thread, time, stack } => self.sample(thread, time, stack),
        }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        self.out.write_all(b"\n]}\n")?;
        self.out.flush()?;
        Ok(Vec::new())
    }
}
