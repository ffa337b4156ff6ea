//! `gilscope view`: opens the window, which is a program of its own.

use std::{
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitCode},
};

use anyhow::{Context, bail};

use crate::args::ViewArguments;

/// The viewer's name as a program.
const VIEWER: &str = "gilscope-viewer";

/// Becomes the viewer.
pub(crate) fn run(arguments: &ViewArguments) -> anyhow::Result<ExitCode> {
    check_display()?;
    let viewer = find()?;
    let mut command = Command::new(&viewer);
    if arguments.follow {
        command.arg("--follow");
    }
    let error = command.arg("--").args(arguments.file.iter()).exec();
    Err(error).with_context(|| format!("cannot start {}", viewer.display()))
}

/// Starts the viewer beside us, on a trace that may still be growing.
pub(crate) fn start(trace: &Path, follow: bool) -> anyhow::Result<Child> {
    check_display()?;
    let viewer = find()?;
    let mut command = Command::new(&viewer);
    if follow {
        command.arg("--follow");
    }
    command.arg("--").arg(trace).spawn().with_context(|| format!("cannot start {}", viewer.display()))
}

/// Whether a window could be opened.
pub(crate) fn has_display() -> bool {
    ["DISPLAY", "WAYLAND_DISPLAY"]
        .iter()
        .any(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty()))
}

fn check_display() -> anyhow::Result<()> {
    if !has_display() {
        bail!(
            "there is no display here (neither DISPLAY nor WAYLAND_DISPLAY is set): copy the trace to a desktop and open it \
             there, or read it with gilscope report"
        );
    }
    Ok(())
}

/// The viewer beside this program, else on the PATH.
fn find() -> anyhow::Result<PathBuf> {
    let beside = std::env::current_exe().ok().and_then(|own| Some(own.parent()?.join(VIEWER)));
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = beside.into_iter().chain(std::env::split_paths(&path).map(|folder| folder.join(VIEWER)));
    places
        .into_iter()
        .find(|place| place.is_file())
        .with_context(|| format!("{VIEWER} is neither beside this program nor on the PATH: cargo install it, or build it with cargo build --release -p {VIEWER}"))
}
