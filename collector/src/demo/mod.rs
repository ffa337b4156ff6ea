//! `gilscope demo`: a built-in workload, recorded, explained and shown.
//!
//! [`catalogue`] lists the workloads, [`workload`] runs one. The programs are those under `samples/`, embedded, so no file is
//! needed but a Python.

mod catalogue;
mod workload;

use std::{
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::bail;
use gilscope_probes::session::Session;

use self::{
    catalogue::{CATALOGUE, Demo},
    workload::{Python, Workload},
};
use crate::{
    args::{DemoArguments, RecordingArguments},
    commands::view,
    recording::{self, Output, Signals, session_options},
    report,
    terminal::print,
};

/// Runs `gilscope demo`.
pub(crate) fn run(arguments: &DemoArguments) -> anyhow::Result<ExitCode> {
    if arguments.name == "list" {
        for demo in CATALOGUE {
            print(&format!("{}  {}\n", demo.letter, demo.title))?;
        }
        return Ok(ExitCode::SUCCESS);
    }
    let Some(demo) = CATALOGUE.iter().find(|demo| demo.letter.eq_ignore_ascii_case(&arguments.name)) else {
        let letters: Vec<&str> = CATALOGUE.iter().map(|demo| demo.letter).collect();
        bail!("there is no demo {}: there are {} (gilscope demo list)", arguments.name, letters.join(", "));
    };
    let python = Python::find()?;
    say!("{}\n{}, on {}\n", demo.title, demo.explanation, python.version);
    if let Some((what, words)) = demo.before {
        let mut workload = Workload::start(&python, &demo.program, words)?;
        say!("{what}: {}", workload.work_through()?);
    }
    let trace = record(demo, &python, arguments)?;
    let code = report::report_file(&trace)?;
    if !arguments.no_view && view::has_display() {
        match view::start(&trace, false) {
            Ok(_) => {}
            Err(error) => say!("gilscope: {error:#}"),
        }
    }
    Ok(code)
}

/// Records the workload; gives the trace.
fn record(demo: &Demo, python: &Python, arguments: &DemoArguments) -> anyhow::Result<PathBuf> {
    let signals = Signals::install()?;
    let mut workload = Workload::start(python, &demo.program, demo.words)?;
    let recording = RecordingArguments {
        output: arguments.output.clone().or_else(|| Some(default_path(demo.letter))),
        force: arguments.output.is_none() || arguments.force,
        ..RecordingArguments::with_syscalls(demo.syscalls)
    };
    let recording =
        RecordingArguments { probe_threadstates: demo.thread_states, children: demo.children, ..recording };
    let output = Output::create(&recording, workload.pids[0])?;
    let path = output.path().to_owned();
    let session = Session::new(&workload.pids, session_options(&recording)).and_then(|mut session| {
        workload.pids.iter().try_for_each(|&pid| session.attach(pid))?;
        Ok(session)
    });
    let (output, session) = output.with(session.map_err(Into::into))?;
    let pids = workload.pids.clone();
    let mut result = None;
    recording::run(session, output, &pids, &recording, &signals, || workload.step(&mut result))?;
    match result {
        Some(Ok(result)) => say!("{}: {result}\n", demo.during),
        Some(Err(error)) => return Err(error),
        None => bail!("the workload was interrupted"),
    }
    Ok(path)
}

fn default_path(letter: &str) -> PathBuf {
    Path::new(&format!("gilscope-demo-{}.gilscope", letter.to_lowercase())).to_owned()
}
