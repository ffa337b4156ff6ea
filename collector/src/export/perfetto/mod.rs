//! Perfetto's trace: a track for each thread and each GIL, a counter of waiters, a flow from each stall to the thread behind it.
//!
//! Slices are written as a begin and an end. A reader sorts packets by time and keeps the order of those at the same time: on
//! each track, what ends somewhere is written before what begins there, and what contains before what is contained.

mod packets;
mod proto;

use gilscope_analysis::{
    Model, NONE, State, holds,
    stream::{Held, HeldCall, Lived, Record, Stalled, SystemCall},
};

use self::{
    packets::{Packets, Value},
    proto::{CounterDescriptor, ProcessDescriptor, ThreadDescriptor, TrackDescriptor, UNIT_COUNT},
};
use super::{Export, Out, names::Names};

/// Which track: the high half of its ID; the low half is an index, from 1 on.
#[derive(Clone, Copy)]
enum Track {
    Process = 1,
    Thread,
    Gil,
    Waiters,
}

impl Track {
    fn of(self, index: u32) -> u64 {
        ((self as u64) << 32) | (u64::from(index) + 1)
    }
}

pub(super) struct Perfetto<'a> {
    names: &'a Names,
    packets: Packets<'a>,
    /// By thread: the GIL of the hold whose begin is written but not its end, and until when it is known to last.
    holding: Vec<(u32, i64)>,
}

impl<'a> Perfetto<'a> {
    pub(super) fn new(names: &'a Names, out: Out) -> anyhow::Result<Perfetto<'a>> {
        let packets = Packets::new(names, out)?;
        let mut perfetto = Perfetto { names, packets, holding: vec![(NONE, 0); names.threads.len()] };
        perfetto.describe()?;
        Ok(perfetto)
    }

    fn describe(&mut self) -> anyhow::Result<()> {
        let names = self.names;
        for (index, process) in (0..).zip(&names.processes) {
            self.packets.track(TrackDescriptor {
                uuid: Some(Track::Process.of(index)),
                process: Some(ProcessDescriptor {
                    pid: Some(process.pid),
                    cmdline: process.command.clone(),
                    process_name: Some(process.name.clone()),
                }),
                ..TrackDescriptor::default()
            })?;
        }
        for (index, gil) in (0..).zip(&names.gils) {
            let parent_uuid = Some(Track::Process.of(gil.process));
            self.packets.track(TrackDescriptor {
                uuid: Some(Track::Gil.of(index)),
                name: Some(format!("owner of {}", gil.name)),
                parent_uuid,
                ..TrackDescriptor::default()
            })?;
            self.packets.track(TrackDescriptor {
                uuid: Some(Track::Waiters.of(index)),
                name: Some(format!("waiting for {}", gil.name)),
                parent_uuid,
                counter: Some(CounterDescriptor { unit: Some(UNIT_COUNT) }),
                ..TrackDescriptor::default()
            })?;
        }
        for (index, thread) in (0..).zip(&names.threads) {
            self.packets.track(TrackDescriptor {
                uuid: Some(Track::Thread.of(index)),
                parent_uuid: Some(Track::Process.of(thread.process)),
                thread: Some(ThreadDescriptor {
                    pid: Some(thread.pid),
                    tid: Some(thread.unique_tid),
                    thread_name: Some(thread.name.clone()),
                }),
                ..TrackDescriptor::default()
            })?;
        }
        Ok(())
    }

    fn state(&mut self, model: &Model, lived: &Lived) -> anyhow::Result<()> {
        let track = Track::Thread.of(lived.thread);
        let (held, _) = self.holding[lived.thread as usize];
        let owned = if lived.state.owns() { lived.gil } else { NONE };
        if held != NONE && held != owned {
            self.packets.end_slice(track, lived.start)?;
        }
        let gil = self.names.gil(lived.gil).map(|gil| Value::Text(gil.name.clone()));
        let mut arguments: Vec<_> = gil.map(|gil| ("gil", gil)).into_iter().collect();
        for (name, open) in [("began before records", lived.open_start), ("end not seen", lived.open_end)] {
            if open {
                arguments.push((name, Value::Yes));
            }
        }
        if owned != NONE && held != owned {
            let name = ("holding", "holding the GIL");
            self.packets.begin_slice(track, lived.start, name, std::mem::take(&mut arguments), None)?;
        }
        self.holding[lived.thread as usize] = (owned, lived.end);
        let mut flow = None;
        let call;
        let name = match lived.state {
            State::OffGil | State::Holding => return Ok(()),
            State::Unknown if !lived.lost => return Ok(()),
            State::Unknown => ("lost", "records lost"),
            State::Limbo => ("limbo", "giving the GIL away"),
            State::Descheduled => {
                let preempted = Value::Text(if lived.preempted { "preempted" } else { "blocked" }.into());
                arguments = vec![("why", preempted)];
                ("descheduled", "not running")
            }
            State::Syscall => {
                let Some(this) = lived.call else { return Ok(()) };
                arguments.extend(self.call_arguments(model, lived.thread, this, lived.start));
                call = self.names.call(this);
                ("syscall", call.as_str())
            }
            State::Waiting => {
                if let Some(stall) = &lived.stall {
                    flow = self.flow(lived.thread, stall)?;
                    if let Some((thread, ns)) = self.names.culprit(stall) {
                        arguments.push(("held by", Value::Text(thread.name.clone())));
                        arguments.push(("held by it, ns", Value::Number(ns)));
                    }
                }
                ("waiting", "waiting for the GIL")
            }
        };
        self.packets.begin_slice(track, lived.start, name, arguments, flow)?;
        self.packets.end_slice(track, lived.end)
    }

    /// Ends the flow of a stall on the track of the thread that held the GIL for most of it, within that hold.
    fn flow(&mut self, waiter: u32, stall: &Stalled) -> anyhow::Result<Option<u64>> {
        let Some(piece) = stall.longest() else { return Ok(None) };
        let name = format!("stalls {}", self.names.thread(waiter).name);
        self.packets.end_flow(Track::Thread.of(piece.thread), piece.start, ("stall", &name), stall.id)?;
        Ok(Some(stall.id))
    }

    fn call_arguments(
        &self,
        model: &Model,
        thread: u32,
        call: SystemCall,
        time: i64,
    ) -> Vec<(&'static str, Value)> {
        let mut arguments = Vec::new();
        if call.fd >= 0 {
            arguments.push(("fd", Value::Number(call.fd.into())));
        }
        if let Some(descriptor) = self.names.descriptor(model, thread, call, time) {
            arguments.push(("descriptor", Value::Text(descriptor)));
        }
        if let Some(result) = call.result {
            arguments.push(("result", Value::Number(result)));
        }
        arguments
    }

    fn call(&mut self, model: &Model, held: &HeldCall) -> anyhow::Result<()> {
        let track = Track::Thread.of(held.thread);
        let arguments = self.call_arguments(model, held.thread, held.call, held.start);
        let name = self.names.call(held.call);
        self.packets.begin_slice(track, held.start, ("syscall", &name), arguments, None)?;
        self.packets.end_slice(track, held.end)
    }

    fn hold(&mut self, held: Held) -> anyhow::Result<()> {
        let track = Track::Gil.of(held.gil);
        let thread = self.names.thread(held.thread);
        let mut arguments = vec![("tid", Value::Number(thread.tid.into()))];
        for (name, flag) in [("began before records", holds::OPEN_START), ("end not seen", holds::OPEN_END)] {
            if held.flags & flag != 0 {
                arguments.push((name, Value::Yes));
            }
        }
        self.packets.begin_slice(track, held.start, ("owner", &thread.name), arguments, None)?;
        self.packets.end_slice(track, held.end)
    }

    fn sample(&mut self, thread: u32, time: i64, stack: u32) -> anyhow::Result<()> {
        if self.names.stack(stack).is_empty() {
            return Ok(());
        }
        let thread = self.names.thread(thread);
        self.packets.sample((thread.pid, thread.unique_tid), time, stack)
    }
}

impl Export for Perfetto<'_> {
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()> {
        match record {
            Record::State(lived) => self.state(model, &lived),
            Record::Call(held) => self.call(model, &held),
            Record::Hold(held) => self.hold(held),
            Record::Sample { thread, time, stack } => self.sample(thread, time, stack),
            Record::Waiters { gil, time, count } => {
                self.packets.count(Track::Waiters.of(gil), time, count.into())
            }
        }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        for thread in 0..self.holding.len() {
            let (gil, end) = self.holding[thread];
            if gil != NONE {
                self.packets.end_slice(Track::Thread.of(thread as u32), end)?;
            }
        }
        self.packets.flush()?;
        Ok(Vec::new())
    }
}
