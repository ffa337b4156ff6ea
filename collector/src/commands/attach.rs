//! `gilscope attach`: record processes that are already running.

use std::process::ExitCode;

use anyhow::Context;
use gilscope_probes::session::Session;

use crate::{
    args::AttachArguments,
    recording::{self, Output, Signals, session_options},
};

pub(crate) fn run(arguments: &AttachArguments) -> anyhow::Result<ExitCode> {
    let mut pids = arguments.pids.clone();
    pids.sort_unstable();
    pids.dedup();
    recording::check(&arguments.recording)?;
    let signals = Signals::install()?;
    let output = Output::create(&arguments.recording, pids[0])?;
    let session = prepare(&pids, arguments).map_err(recording::explain);
    let session = match session {
        Ok(session) => session,
        Err(error) => {
            output.abandon();
            return Err(error);
        }
    };
    recording::run(session, output, &pids, &arguments.recording, &signals, || None)?;
    Ok(ExitCode::SUCCESS)
}

fn prepare(pids: &[i32], arguments: &AttachArguments) -> anyhow::Result<Session> {
    let mut session = Session::new(pids, session_options(&arguments.recording))?;
    for &pid in pids {
        session.attach(pid).with_context(|| format!("cannot record process {pid}"))?;
    }
    Ok(session)
}
