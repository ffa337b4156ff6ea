//! Several processes in one trace: children, other interpreters, and commands started by `record`.

use std::{
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use gilscope_trace::{Detail, Kind};
use rustix::process::Signal;
use serde_json::json;

use super::harness::{
    Lines, Puppet, Python, Recording, Trace, any_python, begin, folder, gilscope, pythons, recorded, run,
    skip_optional,
};

/// An interpreter of another version than `python`, which can be started by its path alone.
fn another(python: &Python) -> Option<&'static Python> {
    let starts_plainly =
        |other: &&Python| !other.path.file_name().unwrap().to_string_lossy().starts_with("run-");
    pythons().iter().filter(starts_plainly).find(|other| other.minor != python.minor)
}

#[test]
fn a_forked_child_is_recorded_from_its_first_moment() {
    //  parent  ──fork──sends(20)──
    //  child     └───sends(40)────
    let Some(_turn) = begin("a_forked_child_is_recorded") else { return };
    for python in pythons() {
        let mut puppet = Puppet::start(python);
        let (trace, child) = recorded(&mut puppet, &["--children"], |puppet| {
            let child = puppet.ask(json!({"cmd": "fork"}))["child"].as_i64().unwrap();
            puppet.ask(json!({"cmd": "child", "pid": child, "do": {"cmd": "sends", "n": 40}}));
            puppet.ask(json!({"cmd": "sends", "n": 20}));
            puppet.ask(json!({"cmd": "reap", "pid": child}));
            child as i32
        });
        trace.assert_sound();
        assert_eq!((trace.sends(puppet.pid), trace.sends(child)), (20, 40), "{}", python.version);
        let known = trace.details().find_map(|(event, detail)| match detail {
            Detail::Process(process) if event.pid == child => Some(process),
            _ => None,
        });
        let known = known.expect("a row about the child");
        assert_eq!((known.parent, known.python.as_deref()), (puppet.pid, Some(&python.version[..])));
        assert!(trace.events().any(|event| event.kind == Kind::ProcessEnd && event.pid == child));
        puppet.assert_well();
    }
}

#[test]
fn a_spawned_interpreter_is_recorded_also_one_of_another_version() {
    //  parent  ──spawn────────
    //  child     └execve(same)──execve(other)──sends(40)
    const NAME: &str = "a_spawned_interpreter_is_recorded";
    let Some(_turn) = begin(NAME) else { return };
    let python = any_python();
    let Some(other) = another(python) else {
        return skip_optional(NAME, "needs two versions of CPython that are installed");
    };
    let mut puppet = Puppet::start(python);
    let output = puppet.folder.path().join("trace");
    let mut recording = Recording::attach(&[puppet.pid], &output, &["--children", "-v"]);
    let same = puppet.ask(json!({"cmd": "spawn"}))["child"].as_i64().unwrap();
    recording.wait_for(&format!("a new Python is recorded pid={same} python={}", python.version));
    puppet.ask(json!({"cmd": "child", "pid": same, "do": {"cmd": "sends", "n": 30}}));
    // Becomes the other one, waits for the end of its input, sends, and ends.
    let work =
        "import socket, sys; sys.stdin.read(); a, b = socket.socketpair(); [a.send(b'x') for _ in range(40)]";
    let become_other = format!("import os; os.execv({0:?}, [{0:?}, '-c', {work:?}])", other.path);
    let spawned =
        puppet.ask(json!({"cmd": "spawn", "argv": ["-c", become_other]}))["child"].as_i64().unwrap();
    recording.wait_for(&format!("a new Python is recorded pid={spawned} python={}", other.version));
    for child in [same, spawned] {
        assert_eq!(puppet.ask(json!({"cmd": "reap", "pid": child}))["status"], 0);
    }
    recording.stop().assert_success();
    let trace = Trace::read(&output);
    trace.assert_sound();
    assert_eq!((trace.sends(same as i32), trace.sends(spawned as i32)), (30, 40));
    let versions = trace.python_versions();
    for expected in
        [(puppet.pid, &python.version[..]), (same as i32, &python.version), (spawned as i32, &other.version)]
    {
        assert!(versions.contains(&expected), "{expected:?} is not in {versions:?}");
    }
}

#[test]
fn interpreters_of_several_versions_share_a_trace() {
    let Some(_turn) = begin("interpreters_of_several_versions_share_a_trace") else { return };
    let mut puppets: Vec<Puppet> = pythons().iter().map(Puppet::start).collect();
    let pids: Vec<i32> = puppets.iter().map(|puppet| puppet.pid).collect();
    let folder = folder();
    let output = folder.path().join("trace");
    let recording = Recording::attach(&pids, &output, &["--syscalls", "io"]);
    for (place, puppet) in puppets.iter_mut().enumerate() {
        puppet.ask(json!({"cmd": "sends", "n": 10 + place}));
    }
    recording.stop().assert_success();
    let trace = Trace::read(&output);
    trace.assert_sound();
    assert_eq!(trace.header.targets.len(), pids.len());
    for (place, (python, &pid)) in pythons().iter().zip(&pids).enumerate() {
        assert_eq!(trace.sends(pid), 10 + place, "{}", python.version);
        assert!(trace.python_versions().contains(&(pid, &python.version[..])), "{}", python.version);
    }
    puppets.iter_mut().for_each(Puppet::assert_well);
}

/// Has `record` start a puppet through `start` (its program is appended), and holds the trace against what it did.
fn record_through(name: &str, start: &[&Path], environment: &[(&str, &Path)], expected: &Python) {
    println!("through {name}");
    let folder = folder();
    let output = folder.path().join("trace");
    let mut command = gilscope();
    command.args(["record", "-v", "-o"]).arg(&output).arg("--").args(start).envs(environment.iter().copied());
    command.stderr(Stdio::piped());
    let mut puppet = Puppet::start_by(command);
    let mut said = Lines::new(puppet.take_errors());
    let recorded = format!("a new Python is recorded pid={} python={}", puppet.pid, expected.version);
    loop {
        let line = said.next().unwrap_or_else(|| panic!("{name}: {recorded} was never said"));
        if line.contains(&recorded) {
            break;
        }
    }
    puppet.ask(json!({"cmd": "sends", "n": 25}));
    let pid = puppet.pid;
    assert!(puppet.end().success(), "{name}: {}", said.rest());
    let trace = Trace::read(&output);
    trace.assert_sound();
    assert_eq!(trace.sends(pid), 25, "{name}");
    assert_eq!(trace.end_reason(), Some("command ended"), "{name}");
    assert_eq!(trace.python_versions().last(), Some(&(pid, &expected.version[..])), "{name}");
}

/// Writes a program of the shell or of Python.
fn script(path: PathBuf, text: &str) -> PathBuf {
    fs::write(&path, text).unwrap();
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    path
}

#[test]
fn record_finds_the_interpreter_behind_shims_shebangs_and_environments() {
    let Some(_turn) = begin("record_finds_the_interpreter") else { return };
    let python = any_python();
    let path = python.path.as_path();
    let folder = folder();
    let at = |name: &str| folder.path().join(name);

    record_through("the interpreter itself", &[path], &[], python);

    let shim = script(at("shim"), &format!("#!/bin/sh\nexec {} \"$@\"\n", path.display()));
    record_through("a script that becomes it", &[&shim], &[], python);

    let parent = script(at("parent"), &format!("#!/bin/sh\n{} \"$@\"\nexit $?\n", path.display()));
    record_through("a script that waits for it", &[&parent], &[], python);

    // `python3` of the PATH, as the shebang of most programs has it.
    fs::create_dir(at("bin")).unwrap();
    std::os::unix::fs::symlink(path, at("bin/python3")).unwrap();
    let with_shebang = script(
        at("with-shebang"),
        "#!/usr/bin/env python3\nimport runpy, sys\ndel sys.argv[0]\nrunpy.run_path(sys.argv[0], run_name='__main__')\n",
    );
    let search = std::env::join_paths([at("bin"), "/usr/bin".into(), "/bin".into()]).unwrap();
    record_through("a shebang", &[&with_shebang], &[("PATH", Path::new(&search))], python);

    let made = Command::new(path).args(["-m", "venv", "--without-pip"]).arg(at("venv")).output().unwrap();
    if made.status.success() {
        record_through("a virtual environment", &[&at("venv/bin/python")], &[], python);
    } else {
        skip_optional("a virtual environment", &String::from_utf8_lossy(&made.stderr));
    }
}

#[test]
fn record_finds_the_interpreter_behind_pyenv() {
    const NAME: &str = "record_finds_the_interpreter_behind_pyenv";
    let Some(_turn) = begin(NAME) else { return };
    let of_pyenv = pythons().iter().find_map(|python| {
        let version = python.path.parent()?.parent()?;
        let shim = version.parent()?.parent()?.join("shims/python3");
        shim.exists().then(|| (python, shim, version.file_name().unwrap()))
    });
    let Some((python, shim, version)) = of_pyenv else {
        return skip_optional(NAME, "no pyenv");
    };
    record_through("pyenv", &[&shim], &[("PYENV_VERSION", Path::new(version))], python);
}

#[test]
fn the_exit_status_of_record_is_that_of_the_command() {
    let Some(_turn) = begin("the_exit_status_of_record_is_that_of_the_command") else { return };
    let folder = folder();
    let not_a_program = folder.path().join("not-a-program");
    fs::write(&not_a_program, "").unwrap();
    let python = any_python().path.to_str().unwrap();
    let cases: [(&[&str], i32); 7] = [
        (&["true"], 0),
        (&["sh", "-c", "exit 7"], 7),
        (&[python, "-c", "import sys; sys.exit(3)"], 3),
        (&["sh", "-c", "kill -KILL $$"], 128 + 9),
        (&[python, "-c", "import os; os.abort()"], 128 + 6),
        (&["a-program-that-is-nowhere"], 127),
        (&[not_a_program.to_str().unwrap()], 126),
    ];
    for (command, status) in cases {
        let output = folder.path().join("trace");
        let ended = run(gilscope().args(["record", "--force", "-o"]).arg(&output).arg("--").args(command));
        assert_eq!(ended.status.code(), Some(status), "{command:?}: {}", ended.said);
        assert_eq!(Trace::read(&output).end_reason(), Some("command ended"), "{command:?}");
    }
}

#[test]
fn who_terminates_record_means_the_command() {
    let Some(_turn) = begin("who_terminates_record_means_the_command") else { return };
    let folder = folder();
    let output = folder.path().join("trace");
    let mut command = gilscope();
    command.args(["record", "-o"]).arg(&output).args(["--", "cat"]).stdin(Stdio::piped());
    let recording = Recording::start(&mut command);
    recording.signal(Signal::TERM);
    let ended = recording.finish();
    assert_eq!(ended.status.code(), Some(128 + 15), "{}", ended.said);
    assert_eq!(Trace::read(&output).end_reason(), Some("interrupted"));
}

#[test]
fn who_terminates_record_after_its_duration_still_means_the_command() {
    let name = "who_terminates_record_after_its_duration_still_means_the_command";
    let Some(_turn) = begin(name) else { return };
    let folder = folder();
    let output = folder.path().join("trace");
    let mut command = gilscope();
    command.args(["record", "-d", "0.1", "-o"]).arg(&output).args(["--", "cat"]).stdin(Stdio::piped());
    let mut recording = Recording::start(&mut command);
    recording.wait_for("the command goes on");
    recording.signal(Signal::TERM);
    let ended = recording.finish();
    assert_eq!(ended.status.code(), Some(128 + 15), "{}", ended.said);
    assert_eq!(Trace::read(&output).end_reason(), Some("duration"));
}
