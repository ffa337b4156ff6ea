//! `gilscope record`: start a command and record it from its first moment.
//!
//! The command is started through ourselves: a child that waits at a gate until it is subscribed to, then becomes the command.
//! So nothing of it is missed, and nothing stops it later.

use std::{
    fs::File,
    io::{PipeReader, PipeWriter, Read, Write, pipe},
    os::{
        fd::AsRawFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitCode, ExitStatus},
    thread,
    time::Duration,
};

use anyhow::Context;
use gilscope_probes::{
    interpreter::foresee,
    session::{Follow, Session},
};
use rustix::process::{Pid, Signal, kill_process};
use tracing::debug;

use crate::{
    args::{ExecArguments, RecordArguments},
    recording::{self, Output, Signals, session_options},
    terminal,
};

pub(crate) fn run(arguments: &RecordArguments) -> anyhow::Result<ExitCode> {
    recording::check(&arguments.recording)?;
    let signals = Signals::install()?;
    let (mut child, mut gate) = start_behind_gate(arguments)?;
    let result = record(arguments, &mut child, &mut gate, &signals);
    if !gate.is_open {
        // The command has not begun, and its process ends by itself when the gate is gone.
        drop(gate);
        child.wait()?;
        return result.map(|()| ExitCode::FAILURE);
    }
    // From here on it is not ours to end, whatever became of the recording.
    match &result {
        Err(error) => say!("gilscope: {}; the command goes on", terminal::sentence(error)),
        Ok(()) if !signals.received() && child.try_wait()?.is_none() => {
            say!("the command goes on, and is waited for (Ctrl-C ends it)");
        }
        Ok(()) => {}
    }
    let status = status_code(wait(&mut child, &signals)?);
    Ok(ExitCode::from(if result.is_err() && status == 0 { 1 } else { status }))
}

fn record(
    arguments: &RecordArguments,
    child: &mut Child,
    gate: &mut Gate,
    signals: &Signals,
) -> anyhow::Result<()> {
    let pid = child.id() as i32;
    let output = Output::create(&arguments.recording, pid)?;
    let (output, session) = output.with(prepare(pid, arguments))?;
    recording::run(session, output, &[pid], &arguments.recording, signals, || {
        // Everything is in place by the first round.
        gate.open();
        matches!(child.try_wait(), Ok(Some(_))).then_some("command ended")
    })
}

/// Waits until the command has ended. Who asks us to terminate means the command, also long after the recording.
fn wait(child: &mut Child, signals: &Signals) -> anyhow::Result<ExitStatus> {
    /// How late a request may be passed on.
    const ROUND: Duration = Duration::from_millis(50);
    let mut passed_on = false;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(status);
        }
        if signals.terminated() && !passed_on {
            kill_process(Pid::from_child(child), Signal::TERM)?;
            passed_on = true;
        }
        thread::sleep(ROUND);
    }
}

fn prepare(pid: i32, arguments: &RecordArguments) -> anyhow::Result<Session> {
    let mut options = session_options(&arguments.recording);
    // A shim may start the interpreter as a child.
    if options.follow == Follow::None {
        options.follow = Follow::First;
    }
    let mut session = Session::new(&[pid], options)?;
    session.watch(pid)?;
    // What an interpreter does before it is seen to be one would be missing.
    if let Some(foreseen) = foresee(&arguments.command)
        && let Err(error) = session.expect(pid, &foreseen)
    {
        debug!(%error, interpreter = %foreseen.path.display(), "not prepared");
    }
    Ok(session)
}

/// What the command waits behind until everything is in place. If it is dropped unopened, the command never begins.
struct Gate {
    writer: PipeWriter,
    /// Kept as long as the gate, since the child opens it through `/proc` some time after it was started.
    _reader: PipeReader,
    is_open: bool,
}

impl Gate {
    fn open(&mut self) {
        if !self.is_open {
            // It cannot fail: the pipe is empty, and has a reader.
            self.is_open = self.writer.write_all(b"g").is_ok();
        }
    }
}

fn start_behind_gate(arguments: &RecordArguments) -> anyhow::Result<(Child, Gate)> {
    let (reader, writer) = pipe()?;
    let gate = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    let child = Command::new("/proc/self/exe")
        .arg("__exec")
        .arg(gate)
        .arg("--")
        .args(&arguments.command)
        .spawn()
        .context("cannot start a process")?;
    Ok((child, Gate { writer, _reader: reader, is_open: false }))
}

/// The child's side: waits at the gate, then becomes the command.
pub(crate) fn become_command(arguments: &ExecArguments) -> anyhow::Result<ExitCode> {
    let mut byte = [0];
    let opened = File::open(&arguments.gate).and_then(|mut gate| gate.read(&mut byte));
    if !matches!(opened, Ok(1)) {
        // The recording came to nothing, and has said why.
        return Ok(ExitCode::FAILURE);
    }
    let (program, rest) = arguments.command.split_first().context("no command")?;
    let error = Command::new(program).args(rest).exec();
    say!("gilscope: cannot start {}: {error}", program.display());
    // As shells have it: 127 for what is not there, 126 for what cannot be run.
    Ok(ExitCode::from(if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 }))
}

/// The exit status as a shell would give it.
fn status_code(status: ExitStatus) -> u8 {
    match (status.code(), status.signal()) {
        (Some(code), _) => code as u8,
        (None, Some(signal)) => 128_u8.wrapping_add(signal as u8),
        (None, None) => 1,
    }
}
