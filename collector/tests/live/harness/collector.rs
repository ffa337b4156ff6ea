//! The collector as its user runs it.

use std::{
    ffi::OsStr,
    path::Path,
    process::{Child, ChildStderr, Command, ExitStatus, Stdio},
};

use rustix::process::{Pid, Signal, kill_process};

use super::{Lines, Puppet, Trace, ended, kernel};

/// The command `gilscope`, not influenced by the environment of the tests.
pub(crate) fn gilscope() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_gilscope"));
    command.env_remove("SUDO_UID").env_remove("SUDO_GID").env_remove("GILSCOPE_LOG").stdin(Stdio::null());
    command
}

/// How a collector ended.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    /// Its standard error.
    pub(crate) said: String,
}

impl Ended {
    /// It ended with success.
    #[track_caller]
    pub(crate) fn assert_success(&self) {
        assert!(self.status.success(), "{:?}: {}", self.status, self.said);
    }

    /// It failed in order, with a message that contains all of `words`.
    #[track_caller]
    pub(crate) fn assert_failure(&self, words: &[&str]) {
        assert_eq!(self.status.code(), Some(1), "{}", self.said);
        let said = self.said.lines().find(|line| line.starts_with("gilscope: "));
        assert!(said.is_some(), "no message: {}", self.said);
        for word in words {
            assert!(self.said.contains(word), "`{word}` is not in: {}", self.said);
        }
    }
}

/// Runs a command of gilscope that ends by itself, and sees to it that no named probe is left.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> Ended {
    let child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    Recording::of(child).finish()
}

/// A running recording. Killed when dropped.
pub(crate) struct Recording {
    child: Child,
    said: Lines<ChildStderr>,
    before: String,
}

impl Recording {
    /// Attaches to `pids` and waits until all probes are in place.
    #[track_caller]
    pub(crate) fn attach<A: AsRef<OsStr>>(pids: &[i32], output: &Path, arguments: &[A]) -> Recording {
        let mut command = gilscope();
        command.arg("attach");
        for pid in pids {
            command.args(["-p", &pid.to_string()]);
        }
        command.arg("-o").arg(output).args(arguments);
        Recording::start(&mut command)
    }

    /// Starts a command of gilscope that records, and waits until all probes are in place.
    #[track_caller]
    pub(crate) fn start(command: &mut Command) -> Recording {
        let mut recording = Recording::begin(command);
        recording.wait_for("recording ");
        recording
    }

    /// Starts a command of gilscope that records.
    #[track_caller]
    pub(crate) fn begin(command: &mut Command) -> Recording {
        Recording::of(command.stderr(Stdio::piped()).spawn().unwrap())
    }

    /// Waits until it has said a line with `words`, after those that were waited for before.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, words: &str) {
        loop {
            let Some(line) = self.said.next() else {
                panic!("gilscope has ended instead of saying `{words}`: {}", self.before);
            };
            self.before.push_str(&line);
            self.before.push('\n');
            if line.contains(words) {
                return;
            }
        }
    }

    fn of(mut child: Child) -> Recording {
        let said = Lines::new(child.stderr.take().unwrap());
        Recording { child, said, before: String::new() }
    }

    /// Its process.
    pub(crate) fn pid(&self) -> i32 {
        self.child.id() as i32
    }

    /// Whether it has not ended yet.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Ends it as Ctrl-C does.
    #[track_caller]
    pub(crate) fn stop(self) -> Ended {
        self.signal(Signal::INT);
        self.finish()
    }

    /// Waits until it has ended by itself, and sees to it that no named probe is left.
    #[track_caller]
    pub(crate) fn finish(mut self) -> Ended {
        let said = self.before.clone() + &self.said.rest();
        let status = ended(&mut self.child);
        let left = kernel::named_probes_of(self.pid());
        assert!(left.is_empty(), "probes are left: {left:?}");
        Ended { status, said }
    }

    /// Kills it, so that it cannot clean up.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        ended(&mut self.child);
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(Some(_))) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }
}

/// Records the puppet from before `work` until after it, ends the recording as Ctrl-C does, and reads the trace.
#[track_caller]
pub(crate) fn recorded<T>(
    puppet: &mut Puppet,
    arguments: &[&str],
    work: impl FnOnce(&mut Puppet) -> T,
) -> (Trace, T) {
    let path = puppet.folder.path().join("trace.gilscope");
    let mut all = vec!["--force"];
    all.extend(arguments);
    let recording = Recording::attach(&[puppet.pid], &path, &all);
    let result = work(puppet);
    recording.stop().assert_success();
    (Trace::read(&path), result)
}
