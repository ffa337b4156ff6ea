//! Packets, one after the other: names, frames and stacks are written once and referred to by number.

use std::{collections::HashMap, io::Write};

use super::proto::{
    COUNTER, Callstack, Clock, ClockSnapshot, DebugAnnotation, Frame, INSTANT, InternedData, InternedName,
    MONOTONIC, Mapping, NEEDS_STATE, PerfSample, REALTIME, SLICE_BEGIN, SLICE_END, STATE_CLEARED,
    TracePacket, TracePacketDefaults, TrackDescriptor, TrackEvent, encode,
};
use crate::export::{Out, names::Names};

/// The one writer of the trace.
const SEQUENCE: u32 = 1;

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

/// Value of an argument.
pub(super) enum Value {
    Number(i64),
    Text(String),
    Yes,
}

/// Writes packets.
pub(super) struct Packets<'a> {
    names: &'a Names,
    out: Out,
    buffer: Vec<u8>,
    interned: Interned,
    stacks_written: Vec<bool>,
    frames_written: Vec<bool>,
    files: HashMap<String, u64>,
}

impl<'a> Packets<'a> {
    /// Begins the trace.
    pub(super) fn new(names: &'a Names, out: Out) -> anyhow::Result<Packets<'a>> {
        let mut packets = Packets {
            names,
            out,
            buffer: Vec::new(),
            interned: Interned::default(),
            stacks_written: Vec::new(),
            frames_written: vec![false; names.frames.len()],
            files: HashMap::new(),
        };
        packets.begin()?;
        Ok(packets)
    }

    pub(super) fn flush(&mut self) -> std::io::Result<()> {
        self.out.flush()
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

    pub(super) fn track(&mut self, track: TrackDescriptor) -> anyhow::Result<()> {
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

    pub(super) fn begin_slice(
        &mut self,
        track: u64,
        time: i64,
        label: (&str, &str),
        arguments: Vec<(&str, Value)>,
        flow: Option<u64>,
    ) -> anyhow::Result<()> {
        self.labelled(SLICE_BEGIN, track, time, label, arguments, flow)
    }

    /// Where a flow ends, in the midst of a slice.
    pub(super) fn end_flow(
        &mut self,
        track: u64,
        time: i64,
        label: (&str, &str),
        flow: u64,
    ) -> anyhow::Result<()> {
        self.labelled(INSTANT, track, time, label, Vec::new(), Some(flow))
    }

    fn labelled(
        &mut self,
        kind: i32,
        track: u64,
        time: i64,
        (category, name): (&str, &str),
        arguments: Vec<(&str, Value)>,
        flow: Option<u64>,
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
            r#type: Some(kind),
            track_uuid: Some(track),
            flow_ids: flow.into_iter().collect(),
            ..TrackEvent::default()
        };
        self.event(time, event)
    }

    pub(super) fn end_slice(&mut self, track: u64, time: i64) -> anyhow::Result<()> {
        let event = TrackEvent { r#type: Some(SLICE_END), track_uuid: Some(track), ..TrackEvent::default() };
        self.event(time, event)
    }

    pub(super) fn count(&mut self, track: u64, time: i64, value: i64) -> anyhow::Result<()> {
        let event = TrackEvent {
            r#type: Some(COUNTER),
            track_uuid: Some(track),
            counter_value: Some(value),
            ..TrackEvent::default()
        };
        self.event(time, event)
    }

    /// A sample of the stack of thread `tid`.
    pub(super) fn sample(&mut self, (pid, tid): (i32, i64), time: i64, stack: u32) -> anyhow::Result<()> {
        self.intern_stack(stack);
        self.packet(TracePacket {
            timestamp: Some(time.max(0) as u64),
            perf_sample: Some(PerfSample {
                pid: Some(pid as u32),
                tid: Some(tid as u32),
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
