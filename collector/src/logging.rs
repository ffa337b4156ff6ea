//! Logs go to standard error, filtered by `-v` and `GILSCOPE_LOG`.

use std::io::IsTerminal;

use gilscope_probes::python::CHATTY_LOG_TARGETS;
use tracing_subscriber::EnvFilter;

/// Starts logging: warnings by default, more with each `-v`; `GILSCOPE_LOG` overrides both.
pub(crate) fn start(verbose: u8) {
    let default = match verbose {
        0 => "warn",
        1 => "info",
        2 => "debug",
        _ => "trace",
    };
    // Libraries that describe every torn reading of the target's memory.
    let quiet: String = CHATTY_LOG_TARGETS.iter().map(|target| format!(",{target}=off")).collect();
    let filter = EnvFilter::try_from_env("GILSCOPE_LOG")
        .unwrap_or_else(|_| EnvFilter::new(default.to_owned() + &quiet));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none())
        .with_target(false)
        .init();
}
