//! A processed profile for profiler.firefox.com: a thread for each thread, with markers for what it did and samples of its
//! Python stacks, and one for each GIL with markers for who owned it.
//!
//! The profile is built in memory, and so it is in the browser: of the markers only the longest million are kept. The first
//! reading of the trace counts lengths ([`Census`]), so that what is left out is known in advance and can be told.

mod census;

use std::io::Write;

use fxprof_processed_profile::{
    CategoryColor, CategoryHandle, CpuDelta, Frame, FrameFlags, FrameInfo, MarkerFieldFlags,
    MarkerFieldFormat, MarkerTiming, Profile, ReferenceTimestamp, SamplingInterval, StaticSchemaMarker,
    StaticSchemaMarkerField, StringHandle, ThreadHandle, Timestamp,
};
use gilscope_analysis::{
    Model, State,
    stream::{Lived, Record},
    words,
};

pub(super) use self::census::Census;
use self::census::{MAX_MARKERS, MAX_SAMPLES, is_marked};
use super::{Export, Out, names::Names};

struct Span {
    name: StringHandle,
    detail: StringHandle,
    category: CategoryHandle,
}

impl StaticSchemaMarker for Span {
    const UNIQUE_MARKER_TYPE_NAME: &'static str = "GIL";
    const CHART_LABEL: Option<&'static str> = Some("{marker.name} {marker.data.detail}");
    const TABLE_LABEL: Option<&'static str> = Some("{marker.name} {marker.data.detail}");
    const FIELDS: &'static [StaticSchemaMarkerField] = &[StaticSchemaMarkerField {
        key: "detail",
        label: "Detail",
        format: MarkerFieldFormat::String,
        flags: MarkerFieldFlags::SEARCHABLE,
    }];

    fn name(&self, _: &mut Profile) -> StringHandle {
        self.name
    }

    fn category(&self, _: &mut Profile) -> CategoryHandle {
        self.category
    }

    fn string_field_value(&self, _: u32) -> StringHandle {
        self.detail
    }

    fn number_field_value(&self, _: u32) -> f64 {
        0.0
    }
}

struct Categories {
    waiting: CategoryHandle,
    holding: CategoryHandle,
    syscall: CategoryHandle,
    other: CategoryHandle,
    python: CategoryHandle,
}

pub(super) struct Firefox<'a> {
    names: &'a Names,
    out: Out,
    profile: Profile,
    threads: Vec<ThreadHandle>,
    gils: Vec<ThreadHandle>,
    categories: Categories,
    threshold: i64,
    left_out: (u64, u64),
    /// Every how many-th sample is kept.
    stride: u64,
    samples: u64,
}

impl<'a> Firefox<'a> {
    pub(super) fn new(names: &'a Names, census: &Census, out: Out) -> Firefox<'a> {
        let wall_ms = names.start.saturating_add(names.header.utc_offset) as f64 / 1e6;
        let product = names.processes.first().map_or("python", |process| process.name.as_str());
        let reference = ReferenceTimestamp::from_millis_since_unix_epoch(wall_ms);
        let mut profile = Profile::new(product, reference, SamplingInterval::from_millis(20));
        profile.set_os_name(&format!("Linux {}", names.header.kernel));
        profile.set_symbolicated(true);
        let categories = Categories {
            waiting: profile.add_category("Waiting for the GIL", CategoryColor::Red),
            holding: profile.add_category("Holding the GIL", CategoryColor::Green),
            syscall: profile.add_category("System calls", CategoryColor::Blue),
            other: profile.add_category("Other states", CategoryColor::Yellow),
            python: profile.add_category("Python", CategoryColor::Orange),
        };
        let zero = Timestamp::from_nanos_since_reference(0);
        let add_process =
            |process: &super::names::Process| profile.add_process(&process.name, process.pid as u32, zero);
        let processes: Vec<_> = names.processes.iter().map(add_process).collect();
        let mut gils = Vec::new();
        for (index, gil) in (0..).zip(&names.gils) {
            // After all thread IDs: a GIL is no thread.
            let handle =
                profile.add_thread(processes[gil.process as usize], 2_000_000_000 + index, zero, false);
            profile.set_thread_name(handle, &format!("owner of {}", gil.name));
            profile.set_thread_show_markers_in_timeline(handle, true);
            gils.push(handle);
        }
        let mut threads = Vec::new();
        for thread in &names.threads {
            let (process, main) = (processes[thread.process as usize], thread.tid == thread.pid);
            let handle = profile.add_thread(process, thread.unique_tid as u32, zero, main);
            profile.set_thread_name(handle, &thread.name);
            profile.set_thread_show_markers_in_timeline(handle, true);
            if thread.uses_gil {
                profile.add_initial_visible_thread(handle);
            }
            threads.push(handle);
        }
        let (threshold, left_out, all) = census.threshold(MAX_MARKERS);
        let stride = census.samples.div_ceil(MAX_SAMPLES).max(1);
        let left_out = (left_out, all);
        Firefox { names, out, profile, threads, gils, categories, threshold, left_out, stride, samples: 0 }
    }

    fn at(&self, time: i64) -> Timestamp {
        Timestamp::from_nanos_since_reference(time.saturating_sub(self.names.start).max(0) as u64)
    }

    fn mark(
        &mut self,
        thread: ThreadHandle,
        (start, end): (i64, i64),
        category: CategoryHandle,
        name: &str,
        detail: &str,
    ) {
        let span = Span {
            name: self.profile.intern_string(name),
            detail: self.profile.intern_string(detail),
            category,
        };
        let timing = MarkerTiming::Interval(self.at(start), self.at(end));
        self.profile.add_marker(thread, timing, span);
    }

    fn state(&mut self, model: &Model, lived: &Lived) {
        let names = self.names;
        let (thread, span) = (self.threads[lived.thread as usize], (lived.start, lived.end));
        let Categories { waiting, syscall, other, .. } = self.categories;
        match lived.state {
            State::OffGil | State::Holding => {}
            State::Unknown => self.mark(thread, span, other, "records lost", ""),
            State::Limbo => self.mark(thread, span, other, "giving the GIL away", ""),
            State::Descheduled => {
                let why = if lived.preempted { "preempted" } else { "blocked" };
                self.mark(thread, span, other, "holding, not running", why);
            }
            State::Syscall => {
                if let Some(call) = lived.call {
                    let detail = names.descriptor(model, lived.thread, call, lived.start).unwrap_or_default();
                    self.mark(thread, span, syscall, &names.call(call), &detail);
                }
            }
            State::Waiting => {
                let culprit = lived.stall.as_ref().and_then(|stall| names.culprit(stall));
                let detail = culprit.map_or(String::new(), |(thread, _)| format!("held by {}", thread.name));
                self.mark(thread, span, waiting, "waiting for the GIL", &detail);
            }
        }
    }

    fn sample(&mut self, thread: u32, time: i64, stack: u32) {
        self.samples += 1;
        if !self.samples.is_multiple_of(self.stride) {
            return;
        }
        let handle = self.threads[thread as usize];
        let mut frames = Vec::new();
        for &frame in self.names.stack(stack) {
            frames.push(FrameInfo {
                frame: Frame::Label(self.profile.intern_string(&self.names.frame(frame))),
                category_pair: self.categories.python.into(),
                flags: FrameFlags::empty(),
            });
        }
        let stack = self.profile.intern_stack_frames(handle, frames.into_iter());
        let time = self.at(time);
        self.profile.add_sample(handle, time, stack, CpuDelta::ZERO, 1);
    }
}

impl Export for Firefox<'_> {
    fn record(&mut self, model: &Model, record: Record) -> anyhow::Result<()> {
        let (start, end) = record.span();
        if let Record::Sample { thread, time, stack } = record {
            self.sample(thread, time, stack);
            return Ok(());
        }
        if !is_marked(&record) || end.saturating_sub(start) < self.threshold {
            return Ok(());
        }
        match record {
            Record::State(lived) => self.state(model, &lived),
            Record::Call(held) => {
                let detail = self.names.descriptor(model, held.thread, held.call, start).unwrap_or_default();
                let (thread, name) = (self.threads[held.thread as usize], self.names.call(held.call));
                self.mark(thread, (start, end), self.categories.syscall, &name, &detail);
            }
            Record::Hold(held) => {
                let category = self.categories.holding;
                let name = self.names.thread(held.thread).name.as_str();
                self.mark(self.threads[held.thread as usize], (start, end), category, "holding the GIL", "");
                self.mark(self.gils[held.gil as usize], (start, end), category, name, "");
            }
            Record::Waiters { .. } | Record::Sample { .. } => {}
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<Vec<String>> {
        serde_json::to_writer(&mut self.out, &self.profile)?;
        self.out.flush()?;
        let (left_out, all) = self.left_out;
        let mut notes = Vec::new();
        if left_out > 0 {
            notes.push(format!(
                "left out the {left_out} of {all} markers that are shorter than {}: the profile holds a million; use --from and --to, or another format",
                words::time(self.threshold)
            ));
        }
        if self.stride > 1 {
            notes.push(format!("kept one of {} Python stacks: the profile holds a million", self.stride));
        }
        Ok(notes)
    }
}
