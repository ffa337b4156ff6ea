//! What cannot be recorded is refused with a sentence that says why and what to do; nothing is left behind.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
};

use gilscope_trace::{Event, Kind};
use serde_json::json;

use super::harness::{
    Ended, Lines, Puppet, Recording, Trace, any_python, begin, ended, folder, gilscope, pyenv_version, run,
    skip, skip_optional,
};

/// A user that every system has and that may do nothing.
const NOBODY: &str = "65534";
const SENDTO: i16 = 44;

/// A program that says a line and then waits for the end of its input.
struct Bystander {
    child: Child,
}

impl Bystander {
    fn start(command: &mut Command) -> Option<Bystander> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut said = Lines::new(child.stdout.take()?);
        assert_eq!(said.next().as_deref(), Some("ready"));
        Some(Bystander { child })
    }

    /// Tries to record it, which must come to nothing: no trace, and the program does not notice.
    fn refuse(&mut self) -> Ended {
        let folder = folder();
        let output = folder.path().join("trace");
        let pid = self.child.id().to_string();
        // If it is not refused it shall at least end.
        let ended = run(gilscope().args(["attach", "-d", "20", "-p", &pid, "-o"]).arg(&output));
        assert!(!output.exists(), "a trace is left");
        assert!(self.child.try_wait().unwrap().is_none(), "it ended");
        ended
    }

    /// Its input ends, and so does it, by itself.
    fn end(mut self) {
        self.child.stdin = None;
        assert!(ended(&mut self.child).success());
    }
}

/// Python of any version, 2 included.
const WAIT: &str = "import sys; sys.stdout.write('ready\\n'); sys.stdout.flush(); sys.stdin.read()";

fn refuse_python(test: &str, python: Option<&Path>, words: &[&str]) {
    let started = python.and_then(|python| Bystander::start(Command::new(python).args(["-c", WAIT])));
    let Some(mut bystander) = started else {
        return skip_optional(test, "that Python is not here");
    };
    bystander.refuse().assert_failure(words);
    bystander.end();
}

#[test]
fn a_process_that_does_not_exist_is_named() {
    let Some(_turn) = begin("a_process_that_does_not_exist_is_named") else { return };
    let mut gone = Command::new("true").spawn().unwrap();
    ended(&mut gone);
    let pid = gone.id().to_string();
    let folder = folder();
    let output = folder.path().join("trace");
    let ended = run(gilscope().args(["attach", "-p", &pid, "-o"]).arg(&output));
    ended.assert_failure(&[&format!("no process has PID {pid}")]);
    assert!(!output.exists());
}

#[test]
fn one_bad_process_among_several_refuses_them_all() {
    let Some(_turn) = begin("one_bad_process_among_several_refuses_them_all") else { return };
    let mut puppet = Puppet::start(any_python());
    let mut shell = Bystander::start(Command::new("sh").args(["-c", "echo ready; read line || :"])).unwrap();
    let output = puppet.folder.path().join("trace");
    let pids = [puppet.pid.to_string(), shell.child.id().to_string()];
    let ended = run(gilscope().args(["attach", "-p", &pids[0], "-p", &pids[1], "-o"]).arg(&output));
    ended.assert_failure(&[&format!("PID {} is not a Python process", pids[1])]);
    assert!(!output.exists());
    assert!(shell.child.try_wait().unwrap().is_none());
    shell.end();
    puppet.assert_well();
}

#[test]
fn a_process_that_is_not_python_is_refused() {
    let Some(_turn) = begin("a_process_that_is_not_python_is_refused") else { return };
    let mut shell = Bystander::start(Command::new("sh").args(["-c", "echo ready; read line || :"])).unwrap();
    shell.refuse().assert_failure(&["is not a Python process"]);
    shell.end();
}

#[test]
fn a_process_that_has_ended_and_waits_for_its_parent_is_refused() {
    let Some(_turn) = begin("a_process_that_has_ended_and_waits_for_its_parent_is_refused") else { return };
    let mut zombie = Command::new("true").stdout(Stdio::piped()).spawn().unwrap();
    // It is a zombie once its output has ended and it has been seen to have ended, without being asked how.
    let pid = rustix::process::Pid::from_child(&zombie);
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    rustix::process::waitid(rustix::process::WaitId::Pid(pid), options).unwrap();
    let output = folder();
    let ended = run(gilscope()
        .args(["attach", "-p", &zombie.id().to_string(), "-o"])
        .arg(output.path().join("trace")));
    ended.assert_failure(&["has ended", "zombie"]);
    zombie.wait().unwrap();
}

#[test]
fn pypy_is_refused_by_name() {
    const NAME: &str = "pypy_is_refused_by_name";
    let Some(_turn) = begin(NAME) else { return };
    let pypy = Path::new("/usr/bin/pypy3");
    if !pypy.exists() {
        return skip(NAME, "pypy3 is not installed");
    }
    refuse_python(NAME, Some(pypy), &["runs PyPy", "only CPython is supported"]);
}

#[test]
fn python_2_7_is_refused_and_the_supported_versions_are_named() {
    const NAME: &str = "python_2_7_is_refused";
    let Some(_turn) = begin(NAME) else { return };
    refuse_python(NAME, pyenv_version("2.7").as_deref(), &["runs Python 2.7", "3.8 to 3.15 are supported"]);
}

#[test]
fn python_3_6_and_3_7_are_refused_and_the_supported_versions_are_named() {
    const NAME: &str = "python_3_6_and_3_7_are_refused";
    let Some(_turn) = begin(NAME) else { return };
    for version in ["3.6", "3.7"] {
        let words = [format!("runs Python {version}"), "3.8 to 3.15 are supported".to_owned()];
        refuse_python(NAME, pyenv_version(version).as_deref(), &words.each_ref().map(String::as_str));
    }
}

#[test]
fn a_free_threaded_build_is_refused_because_it_has_no_gil() {
    const NAME: &str = "a_free_threaded_build_is_refused";
    let Some(_turn) = begin(NAME) else { return };
    let words = ["free-threaded build", "no GIL to trace"];
    refuse_python(NAME, free_threaded().as_deref(), &words);
}

/// A build without a GIL: of the distribution, of pyenv, or the one that `GILSCOPE_FREE_THREADED` names.
fn free_threaded() -> Option<PathBuf> {
    let named = std::env::var_os("GILSCOPE_FREE_THREADED").map(PathBuf::from);
    let distribution = (13..=15).map(|minor| PathBuf::from(format!("/usr/bin/python3.{minor}t")));
    let pyenv = (13..=15).filter_map(|minor| pyenv_version(&format!("3.{minor}t")));
    named.into_iter().chain(distribution).chain(pyenv).find(|path| path.exists())
}

#[test]
fn an_ordinary_user_is_told_the_command_that_mends_it() {
    let Some(_turn) = begin("an_ordinary_user_is_told_the_command_that_mends_it") else { return };
    let mut puppet = Puppet::start(any_python());
    let home = folder();
    // A place where that user can run it and could write.
    let program = home.path().join("gilscope");
    fs::copy(env!("CARGO_BIN_EXE_gilscope"), &program).unwrap();
    fs::set_permissions(home.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let pid = puppet.pid.to_string();
    let (output, done) = (home.path().join("a trace"), home.path().join("done"));
    let as_nobody = |arguments: &[&str]| {
        let mut command = Command::new("setpriv");
        command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]).arg(&program).args(arguments);
        run(&mut command)
    };
    let arguments = ["attach", "-p", &pid, "-o", output.to_str().unwrap()];
    let remedy = format!("try: sudo {} attach -p {pid} -o '{}'", program.display(), output.display());
    as_nobody(&arguments).assert_failure(&["needs root", &remedy]);
    assert!(!output.exists(), "a trace is left");
    let arguments = ["record", "-o", output.to_str().unwrap(), "--", "touch", done.to_str().unwrap()];
    let remedy = format!(
        "try: sudo {} record -o '{}' -- touch {}",
        program.display(),
        output.display(),
        done.display()
    );
    as_nobody(&arguments).assert_failure(&["needs root", &remedy]);
    assert!(!output.exists() && !done.exists(), "the command must not have run");
    let ended = as_nobody(&["doctor", "-p", &pid]);
    assert_eq!(ended.status.code(), Some(1), "{}", ended.said);
    puppet.assert_well();
}

#[test]
fn it_works_where_tracefs_is_not_mounted() {
    let Some(_turn) = begin("it_works_where_tracefs_is_not_mounted") else { return };
    let mut puppet = Puppet::start(any_python());
    let output = puppet.folder.path().join("trace");
    // In mounts of its own, in which there is none, whatever this machine has.
    let unmount = "grep -q ' tracefs ' /proc/self/mounts && awk '$3 == \"tracefs\" { print $2 }' /proc/self/mounts | \
                   while read place; do umount -l \"$place\"; done; exec \"$@\"";
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", unmount, "sh"]).arg(gilscope().get_program());
    command.args(["attach", "-v", "-p", &puppet.pid.to_string(), "-o"]).arg(&output).stdin(Stdio::null());
    let recording = Recording::start(&mut command);
    let mounts = fs::read_to_string(format!("/proc/{}/mounts", recording.pid())).unwrap();
    assert!(!mounts.contains(" tracefs "), "{mounts}");
    let answer = puppet.ask(json!({"cmd": "sends", "n": 10}));
    recording.stop().assert_success();
    let trace = Trace::read(&output);
    trace.assert_sound();
    let sends = |event: &&Event| event.kind == Kind::SyscallEnter && event.nr == SENDTO;
    assert_eq!(trace.during(&answer).into_iter().filter(sends).count(), 10);
}
