//! The puppet: a Python program that does what it is told, and nothing else (`samples/puppet.py`).

use std::{
    fs,
    io::Write,
    process::{Child, ChildStderr, ChildStdin, ChildStdout, Command, ExitStatus, Stdio},
};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{Lines, Python, ended, folder, repository};

/// A running puppet. Ended, with its children, when dropped.
pub(crate) struct Puppet {
    child: Child,
    input: Option<ChildStdin>,
    output: Lines<ChildStdout>,
    /// The process: of the interpreter itself, whatever it was started by.
    pub(crate) pid: i32,
    /// Holds its program.
    pub(crate) folder: TempDir,
}

impl Puppet {
    /// Starts the puppet and waits until it is ready.
    pub(crate) fn start(python: &Python) -> Puppet {
        Puppet::start_by(Command::new(&python.path))
    }

    /// Starts the puppet by a command that ends in running Python with the argument appended here.
    pub(crate) fn start_by(command: Command) -> Puppet {
        let folder = folder();
        // Its own copy: a chroot sees `/tmp`, but not the repository.
        let program = folder.path().join("puppet.py");
        fs::copy(repository("samples/puppet.py"), &program).unwrap();
        let mut command = command;
        command.arg(&program);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let input = child.stdin.take();
        let output = Lines::new(child.stdout.take().unwrap());
        let mut puppet = Puppet { child, input, output, pid: 0, folder };
        puppet.pid = puppet.hear()["pid"].as_i64().unwrap() as i32;
        puppet
    }

    /// Has the puppet do something and waits for its answer.
    pub(crate) fn ask(&mut self, command: Value) -> Value {
        self.tell(&command);
        let answer = self.hear();
        assert!(answer.get("error").is_none(), "{command} was answered by {answer}");
        answer
    }

    /// Has the puppet do something, and does not wait.
    pub(crate) fn tell(&mut self, command: &Value) {
        writeln!(self.input.as_ref().unwrap(), "{command}").unwrap();
    }

    /// Waits for the next answer.
    pub(crate) fn hear(&mut self) -> Value {
        let line = self.output.next().expect("the puppet ended");
        serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error} in {line}"))
    }

    /// Asks the puppet whether it is well: it answers, and its threads still hand the GIL to one another.
    pub(crate) fn assert_well(&mut self) {
        assert_eq!(self.ask(json!({"cmd": "handovers", "n": 20}))["handovers"], 20);
    }

    /// The standard error of the command that started it, if that was to be read.
    pub(crate) fn take_errors(&mut self) -> ChildStderr {
        self.child.stderr.take().unwrap()
    }

    /// Ends it in order.
    pub(crate) fn end(mut self) -> ExitStatus {
        self.input = None;
        ended(&mut self.child)
    }

    /// Kills it.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        ended(&mut self.child);
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // The end of its input ends it and its children.
        self.input = None;
        if !std::thread::panicking() {
            ended(&mut self.child);
        } else if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}
