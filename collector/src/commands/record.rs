//! `gilscope record`: start a command and record it from its first moment.
//!
//! The command is started through ourselves: a child that waits at a gate until it is subscribed to, then becomes the command.
//! So nothing of it is missed, and nothing stops it later.

use std::{
    fs::File,
    io::{PipeWriter, Read, Write, pipe},
    os::{
        fd::AsRawFd,
        unix::process::{CommandExt, ExitStatusExt},
    },
    process::{Child, Command, ExitCode, ExitStatus},
};

use anyhow::Context;
use gilscope_probes::session::Session;

use crate::{
    args::{ExecArguments, RecordArguments},
    recording::{self, Output, session_options},
};

pub(crate) fn run(arguments: &RecordArguments) -> anyhow::Result<ExitCode> {
    recording::check(&arguments.recording)?;
    let (mut child, gate) = start_behind_gate(arguments)?;
    let pid = child.id() as i32;
    let result = record(arguments, &mut child, gate, pid);
    let status = match result {
        Ok(()) => child.wait()?,
        Err(error) => {
            // Behind the gate it has done nothing yet; past it, it is not ours to end.
            if child.try_wait()?.is_none() {
                let _ = child.kill();
                let _ = child.wait();
            }
            return Err(error);
        }
    };
    Ok(ExitCode::from(status_code(status)))
}

fn record(arguments: &RecordArguments, child: &mut Child, gate: PipeWriter, pid: i32) -> anyhow::Result<()> {
    let output = Output::create(&arguments.recording, pid)?;
    let session = match prepare(pid, arguments).map_err(recording::explain) {
        Ok(session) => session,
        Err(error) => {
            output.abandon();
            return Err(error);
        }
    };
    let mut gate = Some(gate);
    recording::run(session, output, &[pid], &arguments.recording, || {
        // Opened by the first round, when everything is in place.
        if let Some(mut gate) = gate.take() {
            let _ = gate.write_all(b"g");
        }
        matches!(child.try_wait(), Ok(Some(_))).then_some("command ended")
    })
}

fn prepare(pid: i32, arguments: &RecordArguments) -> anyhow::Result<Session> {
    let mut options = session_options(&arguments.recording);
    // A shim may start the interpreter as a child.
    options.follow_processes = true;
    let mut session = Session::new(&[pid], options)?;
    session.watch(pid)?;
    Ok(session)
}

fn start_behind_gate(arguments: &RecordArguments) -> anyhow::Result<(Child, PipeWriter)> {
    let (reader, writer) = pipe()?;
    let gate = format!("/proc/{}/fd/{}", std::process::id(), reader.as_raw_fd());
    let child = Command::new("/proc/self/exe")
        .arg("__exec")
        .arg(gate)
        .arg("--")
        .args(&arguments.command)
        .spawn()
        .context("cannot start a process")?;
    Ok((child, writer))
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
    eprintln!("gilscope: cannot start {}: {error}", program.display());
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
