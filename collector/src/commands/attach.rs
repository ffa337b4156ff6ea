//! `gilscope attach`: record processes that are already running.

use std::process::ExitCode;

use anyhow::Context;
use gilscope_probes::{frameworks::dask::Member, session::Session};
use tracing::warn;

use super::dask;
use crate::{
    args::AttachArguments,
    recording::{self, Output, Signals, session_options},
};

pub(crate) fn run(arguments: &AttachArguments) -> anyhow::Result<ExitCode> {
    recording::check(&arguments.recording)?;
    let signals = Signals::install()?;
    let members = if arguments.dask { dask::members()? } else { Vec::new() };
    let mut pids = arguments.pids.clone();
    pids.extend(members.iter().map(|member| member.pid));
    pids.sort_unstable();
    pids.dedup();
    let output = Output::create(&arguments.recording, pids[0])?;
    let (output, (session, recorded)) = output.with(prepare(&pids, &members, arguments))?;
    recording::run(session, output, &recorded, &arguments.recording, &signals, || None)?;
    Ok(if recorded.len() == pids.len() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// A process that was named must be recorded. One that was found may have gone since: the others are recorded without it, and the
/// exit status tells.
fn prepare(
    pids: &[i32],
    members: &[Member],
    arguments: &AttachArguments,
) -> anyhow::Result<(Session, Vec<i32>)> {
    let mut session = Session::new(pids, session_options(&arguments.recording))?;
    let mut recorded = Vec::new();
    let mut last_error = None;
    for &pid in pids {
        match session.attach(pid).with_context(|| format!("cannot record process {pid}")) {
            Ok(()) => recorded.push(pid),
            Err(error) if arguments.pids.contains(&pid) => return Err(error),
            Err(error) => {
                warn!("{}", crate::terminal::sentence(&error));
                last_error = Some(error);
            }
        }
    }
    if recorded.is_empty()
        && let Some(error) = last_error
    {
        return Err(error);
    }
    for member in members {
        session.label(member.pid, member.role.name(), member.address.as_deref());
    }
    Ok((session, recorded))
}
