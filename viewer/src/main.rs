//! Per-thread GIL ownership timelines in a window.

use std::process::ExitCode;

use clap::Parser;
use gilscope_viewer::{Options, run};

fn main() -> ExitCode {
    tracing_subscriber::fmt()
        .with_env_filter(tracing_subscriber::EnvFilter::from_env("GILSCOPE_LOG"))
        .with_writer(std::io::stderr)
        .init();
    match run(&Options::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("gilscope-viewer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
