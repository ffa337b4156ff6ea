//! What things are called in exports. Every text in here is [`harmless`].

use gilscope_analysis::{
    Model, NONE, State,
    stream::{Outline, Stalled, SystemCall},
};
use gilscope_trace::{Header, detail::Descriptor, syscalls};

use super::text::harmless;

/// Greater than any thread ID (`PID_MAX_LIMIT`): a thread whose ID was in use before is told apart by a multiple of it.
const REUSED_TID: i64 = 1 << 22;

/// A thread.
pub(super) struct Thread {
    pub(super) pid: i32,
    pub(super) tid: i32,
    /// An ID that no other thread of the process ever had.
    pub(super) unique_tid: i64,
    pub(super) name: String,
    /// Index of the process.
    pub(super) process: u32,
    pub(super) uses_gil: bool,
}

/// A process.
pub(super) struct Process {
    pub(super) pid: i32,
    pub(super) name: String,
    pub(super) command: Vec<String>,
}

/// A GIL.
pub(super) struct Gil {
    pub(super) pid: i32,
    pub(super) process: u32,
    pub(super) name: String,
}

/// A frame of a Python stack.
pub(super) struct Frame {
    pub(super) function: String,
    pub(super) file: String,
    pub(super) line: i32,
}

/// The labels of a trace, by the indices of its model.
pub(super) struct Names {
    pub(super) threads: Vec<Thread>,
    pub(super) processes: Vec<Process>,
    pub(super) gils: Vec<Gil>,
    /// By frame of the stacks.
    pub(super) frames: Vec<Frame>,
    /// Frames of each stack, outermost first.
    stacks: Vec<Vec<u32>>,
    pub(super) header: Header,
    /// Begin of what is exported, ns of the trace clock.
    pub(super) start: i64,
}

impl Names {
    pub(super) fn new(outline: &Outline, range: (i64, i64)) -> Names {
        let model = outline.model();
        let text = |text: &str| harmless(text).into_owned();
        let threads = model.threads.iter().map(|thread| Thread {
            pid: model.processes[thread.process as usize].pid,
            tid: thread.tid,
            unique_tid: i64::from(thread.tid) + i64::from(thread.incarnation) * REUSED_TID,
            name: text(&thread.name()),
            process: thread.process,
            uses_gil: thread.uses_gil,
        });
        let processes = model.processes.iter().map(|process| Process {
            pid: process.pid,
            name: process_name(&process.detail.command, process.detail.role.as_deref()),
            command: process.detail.command.iter().map(|word| text(word)).collect(),
        });
        let gils = (0..).zip(&model.gils).map(|(index, gil)| Gil {
            pid: model.processes[gil.process as usize].pid,
            process: gil.process,
            name: text(&model.gil_name(index)),
        });
        let frames = (0..model.stacks.frame_count() as u32).filter_map(|frame| model.stacks.frame(frame));
        let stack = |stack: u32| model.stacks.stack(stack).iter().rev().copied().collect();
        let header = Header {
            gilscope: text(&model.header.gilscope),
            host: text(&model.header.host),
            kernel: text(&model.header.kernel),
            arch: text(&model.header.arch),
            command: model.header.command.iter().map(|word| text(word)).collect(),
            ..model.header.clone()
        };
        Names {
            threads: threads.collect(),
            processes: processes.collect(),
            gils: gils.collect(),
            frames: frames
                .map(|frame| Frame {
                    function: text(&frame.function),
                    file: text(&frame.file),
                    line: frame.line,
                })
                .collect(),
            stacks: (0..model.stacks.len() as u32).map(stack).collect(),
            header,
            start: model.start.max(range.0),
        }
    }

    pub(super) fn thread(&self, thread: u32) -> &Thread {
        &self.threads[thread as usize]
    }

    /// The GIL; `None` for [`NONE`].
    pub(super) fn gil(&self, gil: u32) -> Option<&Gil> {
        self.gils.get(gil as usize)
    }

    /// The frames of a stack, outermost first; none for [`NONE`].
    pub(super) fn stack(&self, stack: u32) -> &[u32] {
        self.stacks.get(stack as usize).map_or(&[], Vec::as_slice)
    }

    /// `function (file:line)`.
    pub(super) fn frame(&self, frame: u32) -> String {
        match self.frames.get(frame as usize) {
            None => String::from("?"),
            Some(Frame { function, file, line: 0 }) => format!("{function} ({file})"),
            Some(Frame { function, file, line }) => format!("{function} ({file}:{line})"),
        }
    }

    /// Name of a system call.
    pub(super) fn call(&self, call: SystemCall) -> String {
        match call.nr {
            nr if nr < 0 => String::from("syscall"),
            // Numbers mean something else elsewhere.
            nr if self.header.arch != "x86_64" && !self.header.arch.is_empty() => format!("syscall {nr}"),
            nr => syscalls::name(nr).into_owned(),
        }
    }

    /// What the descriptor of a call was: `tcp 127.0.0.1:1 → 127.0.0.1:2`.
    pub(super) fn descriptor(
        &self,
        model: &Model,
        thread: u32,
        call: SystemCall,
        time: i64,
    ) -> Option<String> {
        let process = model.processes.get(self.thread(thread).process as usize)?;
        let Descriptor { kind, path, local, peer } =
            process.descriptor(call.fd, time).filter(|_| call.fd >= 0)?;
        let mut text = harmless(kind).into_owned();
        for (before, part) in [(" ", path), (" ", local), (" → ", peer)] {
            if let Some(part) = part {
                text.push_str(before);
                text.push_str(&harmless(part));
            }
        }
        Some(text)
    }

    /// Who held the GIL longest during a stall, and how long.
    pub(super) fn culprit(&self, stall: &Stalled) -> Option<(&Thread, i64)> {
        stall
            .holders
            .first()
            .filter(|(thread, _)| *thread != NONE)
            .map(|&(thread, ns)| (self.thread(thread), ns))
    }
}

/// The word for a state in tables.
pub(super) fn state(state: State) -> &'static str {
    match state {
        State::Unknown => "unknown",
        State::OffGil => "off_gil",
        State::Syscall => "syscall",
        State::Holding => "holding",
        State::Descheduled => "descheduled",
        State::Limbo => "limbo",
        State::Waiting => "waiting",
    }
}

/// The role, or the program with what it runs: `python3 server.py`.
fn process_name(command: &[String], role: Option<&str>) -> String {
    if let Some(role) = role {
        return harmless(role).into_owned();
    }
    let short = |word: &String| word.rsplit('/').next().unwrap_or(word).to_owned();
    let words: Vec<String> = command.iter().take(2).map(short).collect();
    harmless(&words.join(" ")).into_owned()
}
