//! Logs go to standard error, filtered by `-v` and `GILSCOPE_LOG`.

use std::io::IsTerminal;

use gilscope_probes::python::CHATTY_LOG_TARGETS;
use tracing_subscriber::EnvFilter;

/// Prints a line to standard error. If nobody reads it any more, because the terminal was closed, the work goes on.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

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

/// An error with all its causes in one sentence. Causes that a message already contains are not said twice.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_message_and_are_not_repeated() {
        let error = anyhow::anyhow!("file not found").context("cannot read x").context("cannot read x");
        assert_eq!(sentence(&error), "cannot read x: file not found");
    }
}
