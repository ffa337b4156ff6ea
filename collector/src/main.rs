//! Attach to a running CPython, record its GIL, explain who stalled whom.

#[macro_use]
mod terminal;

mod args;
mod commands;
mod demo;
mod export;
mod logging;
mod recording;
mod report;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    let arguments = args::Arguments::parse();
    logging::start(arguments.verbose);
    match commands::run(arguments.command) {
        Ok(code) => code,
        Err(error) => {
            say!("gilscope: {}", terminal::sentence(&error));
            ExitCode::FAILURE
        }
    }
}
