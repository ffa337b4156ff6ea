//! Perfetto's trace: a track for each thread and each GIL, a counter of waiters, a flow from each stall to the hold behind it.
//!
//! Slices are written as a begin and an end. A reader sorts packets by time and keeps the order of those at the same time: on
//! each track, what ends somewhere is written before what begins there, and what contains before what is contained.

use std::{collections::HashMap, io::Write};

use gilscope_analysis::{
    Model, NONE, State, holds,
    stream::{Held, HeldCall, Lived, Record, SystemCall},
};

use super::{
    Export, Out,
    names::Names,
    proto::{
        COUNTER, Callstack, Clock, ClockSnapshot, CounterDescriptor, DebugAnnotation, Frame, InternedData,
        InternedName, MONOTONIC, Mapping, NEEDS_STATE, PerfSample, ProcessDescriptor, REALTIME, SLICE_BEGIN,
        SLICE_END, STATE_CLEARED, ThreadDescriptor, TracePacket, TracePacketDefaults, TrackDescriptor,
        TrackEvent, UNIT_COUNT, encode,
    },
};

/// The one writer of the trace.
const SEQUENCE: u32 = 1;

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

/// Names that were written once, by what they are names of.
#[derive(Default)]
struct Interned {
    categories: HashMap<String, u64>,
    events: HashMap<String, u64>,
    arguments: HashMap<String, u64>,
    /// Of the packet that comes next.
    new: InternedData,
}

fn intern(known: &mut HashMap<String, u64>, new: &mut Vec<InternedName>, name: &str) -> u64 {
    if let Some(&iid) = known.get(name) {
        return iid;
    }
    let iid = known.len() as u64 + 1;
    known.insert(name.to_owned(), iid);
    new.push(InternedName { iid: Some(iid), name: Some(name.to_owned()) });
    iid
}

pub(super) struct Perfetto<'a> {
    names: &'a Names,
    out: Out,
    buffer: Vec<u8>,
    interned: Interned,
    /// By thread: the GIL of the hold whose begin is written but not its end, and until when it is known to last.
    holding: Vec<(u32, i64)>,
    stacks_written: Vec<bool>,
    frames_written: Vec<bool>,
    files: HashMap<String, u64>,
}

enum Value {
    Number(i64),
    Text(String),
    Yes,
}

impl<'a> Perfetto<'a> {
    pub(super) fn new(names: &'a Names, out: Out) -> anyhow::Result<Perfetto<'a>> {
        let mut perfetto = Perfetto {
            names,
            out,
            buffer: Vec::new(),
            interned: Interned::default(),
            holding: vec![(NONE, 0); names.threads.len()],
            stacks_written: Vec::new(),
            frames_written: vec![false; names.frames.len()],
            files: HashMap::new(),
        };
        perfetto.begin()?;
        perfetto.describe()?;
        Ok(perfetto)
    }

    /// The clocks: times are those of `CLOCK_MONOTONIC`, and what wall time that was.
    fn begin(&mut self) -> anyhow::Result<()> {
        let start = self.names.start;
        let wall = start.saturating_add(self.names.header.utc_offset);
        let clock = |id, time: i64| Clock { clock_id: Some(id), timestamp: Some(time.max(0) as u64) };
        self.packet(TracePacket {
            clock_snapshot: Some(ClockSnapshot {
                clocks: vec![clock(MONOTONIC, start), clock(REALTIME, wall)],
                primary_trace_clock: Some(MONOTONIC),
            }),
            trace_packet_defaults: Some(TracePacketDefaults { timestamp_clock_id: Some(MONOTONIC) }),
            first_packet_on_sequence: Some(true),
            sequence_flags: Some(STATE_CLEARED),
            ..TracePacket::default()
        })
    }

    fn describe(&mut self) -> anyhow::Result<()> {
        let names = self.names;
        for (index, process) in (0..).zip(&names.processes) {
            self.track(TrackDescriptor {
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
            self.track(TrackDescriptor {
                uuid: Some(Track::Gil.of(index)),
                name: Some(format!("owner of {}", gil.name)),
                parent_uuid,
                ..TrackDescriptor::default()
            })?;
            self.track(TrackDescriptor {
                uuid: Some(Track::Waiters.of(index)),
                name: Some(format!("waiting for {}", gil.name)),
                parent_uuid,
                counter: Some(CounterDescriptor { unit: Some(UNIT_COUNT) }),
                ..TrackDescriptor::default()
            })?;
        }
        for (index, thread) in (0..).zip(&names.threads) {
            self.track(TrackDescriptor {
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

    fn track(&mut self, track: TrackDescriptor) -> anyhow::Result<()> {
        self.packet(TracePacket { track_descriptor: Some(track), ..TracePacket::default() })
    }

    fn packet(&mut self, mut packet: TracePacket) -> anyhow::Result<()> {
        packet.trusted_packet_sequence_id = Some(SEQUENCE);
        packet.sequence_flags.get_or_insert(NEEDS_STATE);
        let new = std::mem::take(&mut self.interned.new);
        packet.interned_data = (new != InternedData::default()).then_some(new);
        self.buffer.clear();
        encode(&packet, &mut self.buffer);
        Ok(self.out.write_all(&self.buffer)?)
    }

    fn event(&mut self, time: i64, event: TrackEvent) -> anyhow::Result<()> {
        let timestamp = Some(time.max(0) as u64);
        self.packet(TracePacket { timestamp, track_event: Some(event), ..TracePacket::default() })
    }

    fn begin_slice(
        &mut self,
        track: u64,
        time: i64,
        (category, name): (&str, &str),
        arguments: Vec<(&str, Value)>,
        flow_ids: Vec<u64>,
    ) -> anyhow::Result<()> {
        let Interned { categories, events, arguments: known, new } = &mut self.interned;
        let annotation = |(name, value): (&str, Value)| {
            let name_iid = Some(intern(known, &mut new.debug_annotation_names, name));
            let mut annotation = DebugAnnotation { name_iid, ..DebugAnnotation::default() };
            match value {
                Value::Number(number) => annotation.int_value = Some(number),
                Value::Text(text) => annotation.string_value = Some(text),
                Value::Yes => annotation.bool_value = Some(true),
            }
            annotation
        };
        let event = TrackEvent {
            debug_annotations: arguments.into_iter().map(annotation).collect(),
            category_iids: vec![intern(categories, &mut new.event_categories, category)],
            name_iid: Some(intern(events, &mut new.event_names, name)),
            r#type: Some(SLICE_BEGIN),
            track_uuid: Some(track),
            flow_ids,
            ..TrackEvent::default()
        };
        self.event(time, event)
    }

    fn end_slice(&mut self, track: u64, time: i64) -> anyhow::Result<()> {
        let event = TrackEvent { r#type: Some(SLICE_END), track_uuid: Some(track), ..TrackEvent::default() };
        self.event(time, event)
    }

    fn state(&mut self, model: &Model, lived: &Lived) -> anyhow::Result<()> {
        let track = Track::Thread.of(lived.thread);
        let (held, _) = self.holding[lived.thread as usize];
        let owned = if lived.state.owns() { lived.gil } else { NONE };
        if held != NONE && held != owned {
            self.end_slice(track, lived.start)?;
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
            self.begin_slice(track, lived.start, name, std::mem::take(&mut arguments), Vec::new())?;
        }
        self.holding[lived.thread as usize] = (owned, lived.end);
        let mut flows = Vec::new();
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
                    flows.push(stall.id);
                    if let Some((thread, ns)) = self.names.culprit(stall) {
                        arguments.push(("held by", Value::Text(thread.name.clone())));
                        arguments.push(("held by it, ns", Value::Number(ns)));
                    }
                }
                ("waiting", "waiting for the GIL")
            }
        };
        self.begin_slice(track, lived.start, name, arguments, flows)?;
        self.end_slice(track, lived.end)
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
        self.begin_slice(track, held.start, ("syscall", &name), arguments, Vec::new())?;
        self.end_slice(track, held.end)
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
        self.begin_slice(track, held.start, ("owner", &thread.name), arguments, held.stalls)?;
        self.end_slice(track, held.end)
    }

    fn sample(&mut self, thread: u32, time: i64, stack: u32) -> anyhow::Result<()> {
        if self.names.stack(stack).is_empty() {
            return Ok(());
        }
        self.intern_stack(stack);
        let thread = self.names.thread(thread);
        self.packet(TracePacket {
            timestamp: Some(time.max(0) as u64),
            perf_sample: Some(PerfSample {
                pid: Some(thread.pid as u32),
                tid: Some(thread.unique_tid as u32),
                callstack_iid: Some(u64::from(stack) + 1),
            }),
            ..TracePacket::default()
        })
    }

    fn intern_stack(&mut self, stack: u32) {
        if self.stacks_written.len() <= stack as usize {
            self.stacks_written.resize(stack as usize + 1, false);
        }
        if std::mem::replace(&mut self.stacks_written[stack as usize], true) {
            return;
        }
        let new = &mut self.interned.new;
        let frames = self.names.stack(stack);
        for &frame in frames {
            if std::mem::replace(&mut self.frames_written[frame as usize], true) {
                continue;
            }
            let known = &self.names.frames[frame as usize];
            let before = self.files.len();
            let file = intern(&mut self.files, &mut new.mapping_paths, &known.file);
            if self.files.len() > before {
                new.mappings.push(Mapping { iid: Some(file), path_string_ids: vec![file] });
            }
            let iid = Some(u64::from(frame) + 1);
            new.function_names.push(InternedName { iid, name: Some(self.names.frame(frame)) });
            new.frames.push(Frame {
                iid,
                function_name_id: iid,
                mapping_id: Some(file),
                line_number: u32::try_from(known.line).ok().filter(|&line| line > 0),
            });
        }
        new.callstacks.push(Callstack {
            iid: Some(u64::from(stack) + 1),
            frame_ids: frames.iter().map(|&frame| u64::from(frame) + 1).collect(),
        });
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
                let event = TrackEvent {
                    r#type: Some(COUNTER),
                    track_uuid: Some(Track::Waiters.of(gil)),
                    counter_value: Some(count.into()),
                    ..TrackEvent::default()
                };
                self.event(time, event)
            }
        }
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        for thread in 0..self.holding.len() {
            let (gil, end) = self.holding[thread];
            if gil != NONE {
                self.end_slice(Track::Thread.of(thread as u32), end)?;
            }
        }
        self.out.flush()?;
        Ok(Vec::new())
    }
}
