//! A running workload: a Python program that says when it is ready, starts when told, and says when it is done.
//!
//! The conversation is that of `samples/README.md`: `ready {json}`, our `go`, a result line of JSON, `done`, our `exit`.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdin, Command, Stdio},
    sync::mpsc::{Receiver, TryRecvError, channel},
};

use anyhow::{Context, anyhow, bail};
use serde_json::Value;
use tempfile::TempDir;

use super::catalogue::Program;

/// The Python on the PATH.
pub(super) struct Python {
    program: PathBuf,
    /// What it calls itself.
    pub(super) version: String,
}

impl Python {
    pub(super) fn find() -> anyhow::Result<Python> {
        for name in ["python3", "python"] {
            let Ok(output) = Command::new(name)
                .args(["-c", "import platform as p; print(p.python_implementation(), p.python_version())"])
                .output()
            else {
                continue;
            };
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            if output.status.success() && version.starts_with("CPython 3.") {
                return Ok(Python { program: name.into(), version });
            }
        }
        bail!("no CPython 3 on the PATH: install one (apt-get install python3), or put one on the PATH")
    }
}

/// A workload that has been started.
pub(super) struct Workload {
    child: Child,
    /// Holds the program, under a name by which stacks can call it; removed in the end.
    _folder: TempDir,
    input: ChildStdin,
    lines: Receiver<String>,
    /// The processes to attach to.
    pub(super) pids: Vec<i32>,
    going: bool,
}

impl Workload {
    /// Starts a program and waits until it is ready.
    pub(super) fn start(python: &Python, program: &Program, words: &[&str]) -> anyhow::Result<Workload> {
        let folder = tempfile::Builder::new()
            .prefix("gilscope-demo-")
            .tempdir()
            .context("no place for the workload")?;
        let file = folder.path().join(program.name);
        std::fs::write(&file, program.source).context("no place for the workload")?;
        let mut child = Command::new(&python.program)
            .arg(&file)
            .args(["--handshake", "--json"])
            .args(words)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", python.program.display()))?;
        let input = child.stdin.take().context("no way to talk to the workload")?;
        let output = child.stdout.take().context("no way to hear the workload")?;
        let (sender, lines) = channel();
        std::thread::Builder::new().name("workload".into()).spawn(move || {
            for line in BufReader::new(output).lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        })?;
        let mut workload = Workload { child, _folder: folder, input, lines, pids: Vec::new(), going: false };
        while let Ok(line) = workload.lines.recv() {
            if let Some(ready) = line.strip_prefix("ready ") {
                let ready: Value = serde_json::from_str(ready).context("the workload is not understood")?;
                let pids = ready["pids"].as_array().into_iter().flatten();
                workload.pids = pids.filter_map(|pid| i32::try_from(pid.as_i64()?).ok()).collect();
                if workload.pids.is_empty() {
                    bail!("the workload names no process to record");
                }
                return Ok(workload);
            }
        }
        Err(workload.failure())
    }

    /// Has the workload work, and waits for its result.
    pub(super) fn work_through(&mut self) -> anyhow::Result<String> {
        self.go()?;
        let mut result = None;
        while let Ok(line) = self.lines.recv() {
            if line == "done" {
                return result.context("the workload gave no result");
            }
            result = Some(readable(&line));
        }
        Err(self.failure())
    }

    /// Has the workload work while something else is done: called again and again, gives a reason to stop when it is done, and
    /// leaves its result in `result`.
    pub(super) fn step(&mut self, result: &mut Option<anyhow::Result<String>>) -> Option<&'static str> {
        if !self.going
            && let Err(error) = self.go()
        {
            *result = Some(Err(error));
            return Some("workload failed");
        }
        loop {
            match self.lines.try_recv() {
                Ok(line) if line == "done" => return Some("workload done"),
                Ok(line) => *result = Some(Ok(readable(&line))),
                Err(TryRecvError::Empty) => return None,
                Err(TryRecvError::Disconnected) => {
                    *result = Some(Err(self.failure()));
                    return Some("workload failed");
                }
            }
        }
    }

    fn go(&mut self) -> anyhow::Result<()> {
        self.going = true;
        self.input
            .write_all(b"go\n")
            .and_then(|()| self.input.flush())
            .context("the workload has ended early")
    }

    /// Why the workload ended; what is missing it has said itself, on standard error.
    fn failure(&mut self) -> anyhow::Error {
        match self.child.wait() {
            Ok(status) => anyhow!("the workload ended early ({status}); it says above what it lacks"),
            Err(error) => anyhow!(error),
        }
    }
}

impl Drop for Workload {
    fn drop(&mut self) {
        // It ends at this word, and takes its children with it; if it does not hear any more, it has ended.
        let _ = self.input.write_all(b"exit\n").and_then(|()| self.input.flush());
        let _ = self.child.wait();
    }
}

/// A result line as a person reads it.
fn readable(line: &str) -> String {
    let Ok(Value::Object(fields)) = serde_json::from_str(line) else { return line.to_owned() };
    let shown = fields.iter().filter(|(name, _)| *name != "sample").map(|(name, value)| {
        let name = name.replace('_', " ");
        match value.as_f64() {
            Some(number) if number.abs() >= 100.0 => format!("{name} {number:.0}"),
            Some(number) => format!("{name} {}", (number * 1000.0).round() / 1000.0),
            None => format!("{name} {}", value.to_string().trim_matches('"')),
        }
    });
    shown.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_result_is_shown_without_the_precision_that_nobody_reads() {
        let line = r#"{"sample": "A", "requests_per_s": 181.6347, "p99_ms": 12.34567, "mode": "x"}"#;
        let shown = readable(line);
        let mut shown: Vec<&str> = shown.split(", ").collect();
        // Their order is the line's or the alphabet's, as serde_json is built.
        shown.sort_unstable();
        assert_eq!(shown, ["mode x", "p99 ms 12.346", "requests per s 182"]);
    }
}
