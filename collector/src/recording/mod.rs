//! A recording from start to summary: rounds of the session on this thread, writing on another.

mod output;
mod signals;
mod status;
mod summary;
mod writing;

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context, anyhow};
use gilscope_probes::{
    clock::utc_offset_nanos,
    interpreter::InterpreterError,
    perf::{Mode, SubscribeError},
    privilege,
    process::online_cpus,
    python::NO_NATIVE_FRAMES,
    session::{AttachError, Follow, Session, SessionOptions, StackOptions, Status},
};
use gilscope_trace::Header;

pub(crate) use self::{output::Output, signals::Signals};
use self::{status::StatusLine, writing::WriterThread};
use crate::{args::RecordingArguments, commands::view};

/// Longest time that records lie in a ring. With the kernel's wake-up at a quarter of a ring this bounds both delay and loss.
/// Short, because a stall that goes on too long is to be sampled while it does.
const ROUND: Duration = Duration::from_millis(10);

/// Refuses what cannot be done.
pub(crate) fn check(arguments: &RecordingArguments) -> anyhow::Result<()> {
    anyhow::ensure!(!arguments.native, "--native: {NO_NATIVE_FRAMES}");
    Ok(())
}

/// The validated options of a session.
pub(crate) fn session_options(arguments: &RecordingArguments) -> SessionOptions {
    SessionOptions {
        syscalls: arguments.syscalls,
        follow: if arguments.children { Follow::All } else { Follow::None },
        thread_states: arguments.probe_threadstates,
        stacks: StackOptions {
            hz: (!arguments.no_stacks).then_some(arguments.stacks),
            stall: arguments.stall_ms.map(|millis| Duration::from_secs_f64(millis / 1000.0)),
        },
        mode: arguments.per_thread.then_some(Mode::PerThread),
        ring_bytes: arguments.ring_kib.map(|kib| (kib.next_power_of_two() as usize) << 10),
    }
}

/// Records until something ends it: a signal, the duration, the last process, or `until` giving a reason.
pub(crate) fn run(
    mut session: Session,
    output: Output,
    targets: &[i32],
    arguments: &RecordingArguments,
    signals: &Signals,
    mut until: impl FnMut() -> Option<&'static str>,
) -> anyhow::Result<()> {
    let start_time = session.start().context("cannot start recording")?;
    let header = header(&session, targets, arguments, start_time);
    let path = output.path().to_owned();
    let writer = WriterThread::start(output, &header)?;
    let viewer = arguments.view.then(|| view::start(&path, true)).transpose()?;
    let began = Instant::now();
    let deadline = arguments.duration.map(|seconds| began + Duration::from_secs_f64(seconds));
    let mut line = StatusLine::new(&path, targets);
    if session.mode() == Mode::PerThread {
        say!("one perf event per thread: the first moments of threads that start meanwhile are missing");
    }
    let (ring_bytes, wanted) = session.ring_bytes();
    if ring_bytes < wanted {
        say!(
            "the kernel's buffers are {} KiB instead of {} KiB, as much as may be locked here, and bursts may be lost: grant \
             CAP_IPC_LOCK, or raise kernel.perf_event_mlock_kb",
            ring_bytes >> 10,
            wanted >> 10
        );
    }
    let reason = loop {
        let timeout = deadline.map_or(ROUND, |at| at.saturating_duration_since(Instant::now()).min(ROUND));
        let mut rows = Vec::new();
        let status = session.poll(timeout, &mut rows).context("cannot read from the kernel")?;
        if writer.send(rows).is_err() {
            break "writing failed";
        }
        line.update(began.elapsed(), writer.progress(), session.check());
        if let Some(reason) = until() {
            break reason;
        }
        if signals.received() {
            break "interrupted";
        }
        if status == Status::AllGone {
            break "target exited";
        }
        if deadline.is_some_and(|at| Instant::now() >= at) {
            break "duration";
        }
    };
    let elapsed = began.elapsed();
    let mut rows = Vec::new();
    // The probes are gone before the file is finished: the target is free again as soon as can be.
    let check = session.finish(reason, &mut rows).context("cannot end recording")?;
    let _ = writer.send(rows);
    let progress = writer.finish();
    line.clear();
    let progress = progress.with_context(|| format!("the trace {} is incomplete", path.display()))?;
    summary::print(&path, elapsed, &progress, &check, reason);
    if let Some(mut viewer) = viewer {
        viewer.wait().context("the window")?;
    }
    Ok(())
}

fn header(session: &Session, targets: &[i32], arguments: &RecordingArguments, start_time: i64) -> Header {
    let system = rustix::system::uname();
    Header {
        gilscope: env!("CARGO_PKG_VERSION").into(),
        host: system.nodename().to_string_lossy().into_owned(),
        kernel: system.release().to_string_lossy().into_owned(),
        arch: system.machine().to_string_lossy().into_owned(),
        cpus: online_cpus().len() as u32,
        start_time,
        utc_offset: utc_offset_nanos(),
        command: std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect(),
        targets: targets.to_vec(),
        syscalls: arguments.syscalls.to_string(),
        mode: session.mode().name().into(),
        switches: true,
    }
}

/// Adds to an error what the user can do about it.
pub(crate) fn explain(error: anyhow::Error) -> anyhow::Error {
    let permission = error.chain().any(|cause| {
        if let Some(error) = cause.downcast_ref::<AttachError>() {
            return match error {
                AttachError::Tracefs(error) | AttachError::Subscribe(SubscribeError::Tracefs(error)) => {
                    error.is_permission()
                }
                AttachError::Subscribe(SubscribeError::Permission { .. }) => true,
                AttachError::Interpreter(InterpreterError::NoPermission { .. }) => true,
                _ => false,
            };
        }
        false
    });
    if !permission {
        return error;
    }
    let missing = privilege::missing();
    if privilege::is_root() && !missing.is_empty() {
        if error.chain().any(|cause| matches!(cause.downcast_ref(), Some(AttachError::Interpreter(_)))) {
            return error;
        }
        let names: Vec<&str> = missing.iter().map(|capability| capability.name).collect();
        let sentence = crate::terminal::sentence(&error);
        return anyhow!("{sentence}: root lacks {}\n  {}", names.join(" and "), privilege::remedy(&missing));
    }
    let words: Vec<String> = std::env::args().map(|word| quoted(&word)).collect();
    anyhow!("{}: this needs root\n  try: sudo {}", crate::terminal::sentence(&error), words.join(" "))
}

/// A word as a shell would take it.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "-_./=:,+@%".contains(character);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

/// What has been written so far; shared between the writing thread and whoever shows it.
#[derive(Default, Debug)]
pub(crate) struct Progress {
    events: AtomicUsize,
    bytes: AtomicUsize,
}

impl Progress {
    fn set(&self, events: u64, bytes: u64) {
        self.events.store(events as usize, Ordering::Relaxed);
        self.bytes.store(bytes as usize, Ordering::Relaxed);
    }

    fn events(&self) -> u64 {
        self.events.load(Ordering::Relaxed) as u64
    }

    fn bytes(&self) -> u64 {
        self.bytes.load(Ordering::Relaxed) as u64
    }
}
