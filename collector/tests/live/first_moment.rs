//! `record` has its probes in place before the command begins, wherever its interpreter can be foreseen.

use std::{
    ffi::OsString,
    fs,
    os::unix::fs::{PermissionsExt, symlink},
    path::Path,
};

use gilscope_trace::Kind;

use super::harness::{Trace, any_python, begin, folder, gilscope, pythons, run};

/// Ends milliseconds after it began: a hundred sends, around each of which the GIL is given back and taken again.
const SENDS: usize = 100;
const PROGRAM: &str = "import socket; one, other = socket.socketpair(); [one.send(b'x') for _ in range(100)]";

/// Records a command that runs [`PROGRAM`], and misses nothing of it.
#[track_caller]
fn misses_nothing(name: &str, command: &[&Path], search: Option<OsString>) {
    let folder = folder();
    let output = folder.path().join("trace");
    let mut recorder = gilscope();
    recorder.args(["record", "--no-stacks", "-o"]).arg(&output).arg("--").args(command);
    if let Some(search) = search {
        recorder.env("PATH", search);
    }
    run(&mut recorder).assert_success();
    let trace = Trace::read(&output);
    trace.assert_sound();
    let (pid, _) = *trace.python_versions().last().unwrap_or_else(|| panic!("{name}: no Python was seen"));
    assert_eq!(trace.sends(pid), SENDS, "{name}");
    assert_eq!(first_of_gil(&trace, pid), Some(Kind::Acquire), "{name}");
}

/// What happened first to the GIL of a process. Its main thread takes it when it has made it: if that is there, nothing before is
/// missing.
fn first_of_gil(trace: &Trace, pid: i32) -> Option<Kind> {
    let mut events = trace.events().filter(|event| event.gil != 0 && event.pid == pid);
    events.find(|event| !event.kind.has_detail()).map(|event| event.kind)
}

#[test]
fn nothing_is_missed_of_a_program_that_ends_within_milliseconds() {
    let Some(_turn) = begin("nothing_is_missed_of_a_program_that_ends_within_milliseconds") else { return };
    let arguments = [Path::new("-S"), Path::new("-c"), Path::new(PROGRAM)];
    for python in pythons() {
        // Of those that start through a script of the shell it is not known beforehand what they run.
        if !python.path.file_name().unwrap().to_string_lossy().starts_with("run-") {
            misses_nothing(&python.version, &[&[&*python.path], &arguments[..]].concat(), None);
        }
    }
}

#[test]
fn nothing_is_missed_through_a_shebang_the_path_and_a_virtual_environment() {
    let Some(_turn) = begin("nothing_is_missed_through_a_shebang") else { return };
    let folder = folder();
    let at = |name: &str| folder.path().join(name);
    // Both as `venv` makes them: a link to the interpreter.
    fs::create_dir(at("bin")).unwrap();
    symlink(&any_python().path, at("bin/python3")).unwrap();
    let search = std::env::join_paths([at("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    let program = at("a program");
    fs::write(&program, format!("#!/usr/bin/env -S python3 -S\n{PROGRAM}\n")).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    misses_nothing("a shebang", &[&program], Some(search.clone()));
    let arguments = [Path::new("python3"), Path::new("-c"), Path::new(PROGRAM)];
    misses_nothing("the path", &arguments, Some(search));
}

#[test]
fn nothing_is_missed_of_children_that_run_the_interpreter_of_their_parent() {
    let Some(_turn) = begin("nothing_is_missed_of_children") else { return };
    let folder = folder();
    let output = folder.path().join("trace");
    let spawning = format!(
        "import subprocess, sys\nfor _ in range(3): subprocess.run([sys.executable, '-S', '-c', \"{PROGRAM}\"], check=True)"
    );
    let mut recorder = gilscope();
    recorder.args(["record", "--no-stacks", "--children", "-o"]).arg(&output).arg("--");
    recorder.arg(&any_python().path).args(["-c", &spawning]);
    run(&mut recorder).assert_success();
    let trace = Trace::read(&output);
    trace.assert_sound();
    let mut pids: Vec<i32> = trace.python_versions().iter().map(|(pid, _)| *pid).collect();
    pids.dedup();
    let children: Vec<i32> = pids.into_iter().filter(|&pid| trace.sends(pid) > 0).collect();
    assert_eq!(children.len(), 3);
    for pid in children {
        assert_eq!(trace.sends(pid), SENDS);
        assert_eq!(first_of_gil(&trace, pid), Some(Kind::Acquire));
        let acquired = trace.events().filter(|event| event.kind == Kind::Acquire && event.pid == pid);
        assert!(acquired.count() > 2 * SENDS);
    }
}
