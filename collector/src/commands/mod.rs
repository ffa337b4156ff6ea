//! The commands, a room each.

mod attach;
mod dask;
mod doctor;
mod record;
pub(crate) mod view;

use std::process::ExitCode;

use crate::args::Command;

/// Runs a command and gives the exit status.
pub(crate) fn run(command: Command) -> anyhow::Result<ExitCode> {
    match command {
        Command::Attach(arguments) => attach::run(&arguments),
        Command::Record(arguments) => record::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Report(arguments) => crate::report::report(&arguments),
        Command::Export(arguments) => crate::export::run(&arguments),
        Command::Compare(arguments) => crate::report::compare_files(&arguments),
        Command::View(arguments) => view::run(&arguments),
        Command::Demo(arguments) => crate::demo::run(&arguments),
        Command::Exec(arguments) => record::become_command(&arguments),
    }
}
