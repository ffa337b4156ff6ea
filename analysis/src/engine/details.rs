//! The rare rows: names, descriptors, stacks.

use gilscope_trace::{
    Detail, Event,
    detail::{self, Frame},
};

use super::Engine;
use crate::{NONE, Sample, clean::clean};

impl Engine {
    pub(super) fn sample(&mut self, event: &Event) {
        let thread = self.latest_thread(event.pid, event.tid);
        let stack = u32::try_from(event.value).map_or(NONE, |id| self.model.stacks.index_of(id));
        let time = self.now;
        self.model.threads[thread as usize].samples.all.push(Sample {
            time,
            stack,
            on_demand: event.nr == 1,
        });
    }

    pub(super) fn detail(&mut self, event: &Event, detail: Detail) {
        match detail {
            Detail::Process(process) => self.joined(event.pid, process),
            Detail::ProcessEnd(end) => {
                self.end_threads_of(event.pid);
                let process = self.process(event.pid);
                self.model.processes[process as usize].end = Some((self.now, clean_string(end.reason)));
            }
            Detail::Thread(thread) => {
                let index = self.latest_thread(event.pid, event.tid);
                self.model.threads[index as usize].detail = detail::Thread {
                    name: thread.name.map(clean_string),
                    os_name: thread.os_name.map(clean_string),
                    ..thread
                };
            }
            Detail::Gil(gil) => {
                let index = self.gil_at(event.pid, event.gil);
                self.model.gils[index as usize].detail = gil;
            }
            Detail::Descriptor(descriptor) => self.descriptor(event, descriptor),
            Detail::Stack(stack) => {
                let frames = stack.frames.into_iter().map(|frame| Frame {
                    function: clean_string(frame.function),
                    file: clean_string(frame.file),
                    ..frame
                });
                self.model.stacks.add(stack.id, frames);
            }
            Detail::Lost(lost) => self.lost(self.now, &lost),
            Detail::Check(check) => self.model.recorded_check = Some(check),
            Detail::Sampling(sampling) => self.model.sampling = Some(sampling),
            Detail::Note(note) => self.model.notes.push((self.now, clean_string(note.text))),
            Detail::End(end) => self.model.end_reason = Some(clean_string(end.reason)),
            _ => {}
        }
    }

    /// A row that names a thread may come after the thread's end: it means the last of that ID.
    fn latest_thread(&mut self, pid: i32, tid: i32) -> u32 {
        match self.thread_by_tid.get(&(pid, tid)) {
            Some(&thread) => thread,
            None => self.appear(pid, tid),
        }
    }

    fn joined(&mut self, pid: i32, mut detail: detail::Process) {
        detail.command.iter_mut().for_each(|word| *word = clean(word).into_owned());
        for text in [
            &mut detail.python,
            &mut detail.interpreter,
            &mut detail.sites,
            &mut detail.role,
            &mut detail.address,
        ] {
            *text = text.take().map(clean_string);
        }
        let process = self.process(pid) as usize;
        if self.model.processes[process].described {
            // It became another program: its threads and GILs are gone.
            self.end_threads_of(pid);
            // Its own may be at the same address.
            self.gil_by_address.retain(|&(of, _), _| of != pid);
            self.model.processes[process].program_start = self.now;
        }
        let process = &mut self.model.processes[process];
        process.described = true;
        process.detail = detail;
    }

    fn end_threads_of(&mut self, pid: i32) {
        let process = self.process(pid);
        for thread in 0..self.model.threads.len() {
            if self.model.threads[thread].process == process {
                self.end_thread(self.now, thread as u32);
            }
        }
        for gil in 0..self.model.gils.len() {
            if self.model.gils[gil].process == process {
                self.disown(gil as u32, self.now);
                self.model.gils[gil].end.get_or_insert(self.now);
            }
        }
    }

    fn descriptor(&mut self, event: &Event, mut descriptor: detail::Descriptor) {
        descriptor.kind = clean_string(descriptor.kind);
        for text in [&mut descriptor.path, &mut descriptor.local, &mut descriptor.peer] {
            *text = text.take().map(clean_string);
        }
        let process = self.process(event.pid);
        let (fd, time) = (event.fd, self.now);
        let all = &mut self.model.processes[process as usize].descriptors;
        let place = all.partition_point(|&(other, from, _)| (other, from) <= (fd, time));
        all.insert(place, (fd, time, descriptor));
    }
}

fn clean_string(text: String) -> String {
    match clean(&text) {
        std::borrow::Cow::Borrowed(_) => text,
        std::borrow::Cow::Owned(clean) => clean,
    }
}
