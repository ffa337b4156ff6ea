//! What is said to the user: results on standard output, everything else on standard error. Neither ever panics.

use std::io::{ErrorKind, Write};

use anyhow::Context;
use gilscope_analysis::clean::clean;
use rustix::termios::tcgetwinsize;

/// Prints a line to standard error. If nobody reads it any more, because the terminal was closed, the work goes on.
macro_rules! say {
    ($($words:tt)*) => {{
        use std::io::Write;
        let _ = writeln!(std::io::stderr(), $($words)*);
    }};
}

/// Prints to standard output. A reader that has seen enough (`| head`) is no error.
pub(crate) fn print(text: &str) -> anyhow::Result<()> {
    let mut out = anstream::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        result => result.context("cannot print"),
    }
}

/// Columns of the terminal that standard output goes to; as many as anybody wants where it goes elsewhere.
pub(crate) fn columns() -> usize {
    let size = tcgetwinsize(std::io::stdout()).ok().filter(|size| size.ws_col > 0);
    size.map_or(usize::MAX, |size| size.ws_col.into())
}

/// Prints a value as JSON.
pub(crate) fn print_json(value: &impl serde::Serialize) -> anyhow::Result<()> {
    let mut text = serde_json::to_string_pretty(value)?;
    text.push('\n');
    print(&text)
}

/// An error with all its causes in one sentence. Causes that a message already contains are not said twice. Paths and names of
/// processes in it are a stranger's: only line breaks are left as they are.
pub(crate) fn sentence(error: &anyhow::Error) -> String {
    let mut text = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if text.is_empty() {
            text = cause;
        } else if !text.contains(&cause) {
            text = format!("{text}: {cause}");
        }
    }
    text.split('\n').map(clean).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_follow_the_message_and_are_not_repeated() {
        let error = anyhow::anyhow!("file not found").context("cannot read x").context("cannot read x");
        assert_eq!(sentence(&error), "cannot read x: file not found");
    }

    #[test]
    fn a_strangers_path_in_an_error_does_nothing_to_the_terminal() {
        let error = anyhow::anyhow!("no interpreter is in /tmp/\x1b[2J\u{202e}\n  try: sudo gilscope");
        assert_eq!(sentence(&error), "no interpreter is in /tmp/\\x1b[2J\\u{202e}\n  try: sudo gilscope");
    }
}
