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
    // The main thread creates the GIL: its first event is an acquisition, and none is missing from there on.
    let first = trace.events().find(|event| event.gil != 0 && event.pid == pid && !event.kind.has_detail());
    assert_eq!(first.map(|event| event.kind), Some(Kind::Acquire), "{name}");
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
