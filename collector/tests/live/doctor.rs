//! `gilscope doctor -p`: what a process runs, where its GIL is probed and how, and what that costs here.

use std::{
    fs,
    process::{Command, Stdio},
};

use serde_json::Value;

use super::harness::{Puppet, begin, gilscope, pythons, run};

fn doctor(pid: i32, arguments: &[&str]) -> String {
    let output = gilscope().args(["doctor", "-p", &pid.to_string()]).args(arguments).output().unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

#[test]
fn doctor_tells_which_interpreter_it_is_where_it_is_probed_and_what_a_hit_costs() {
    let Some(_turn) = begin("doctor_tells_which_interpreter_it_is") else { return };
    for python in pythons() {
        let puppet = Puppet::start(python);
        let diagnosis: Value = serde_json::from_str(&doctor(puppet.pid, &["--json"])).unwrap();
        let target = &diagnosis["target"];
        let version = target["version"].as_str().unwrap();
        assert_eq!(version, python.version);
        assert!(target["build"].as_str().is_some_and(|build| build.contains('[')), "{target:#}");
        assert_eq!(target["found_by"], "anchors");
        // The file that holds the interpreter is one that the process has mapped.
        let path = target["path"].as_str().unwrap();
        assert!(fs::read_to_string(format!("/proc/{}/maps", puppet.pid)).unwrap().contains(path), "{path}");
        let image = target["image"].as_str().unwrap();
        assert_eq!(image == "libpython", path.contains("libpython"), "{image}: {path}");
        let sites = target["sites"].as_array().unwrap();
        for kind in ["wait", "acquire", "release"] {
            let mut of_kind = sites.iter().filter(|site| site["kind"] == kind);
            assert!(of_kind.clone().count() > 0, "{version}: no {kind} site");
            assert!(of_kind.all(|site| site["emulated"].is_boolean() && site["address"].is_u64()));
        }
        let machine = diagnosis["machine"].as_array().unwrap();
        let cost = machine.iter().find(|finding| finding["check"] == "cost of a hit").unwrap();
        assert!(cost["found"].as_str().unwrap().contains("µs a probe hit"), "{cost}");

        let text = doctor(puppet.pid, &[]);
        let stepping =
            if sites.iter().all(|site| site["emulated"] == true) { "emulated" } else { "single-stepped" };
        for words in [version, path, image, target["build"].as_str().unwrap(), "found by anchors", stepping] {
            assert!(text.contains(words), "{version}: `{words}` is not in\n{text}");
        }
        for site in sites {
            let address = format!("{:#x}", site["address"].as_u64().unwrap());
            assert!(text.contains(&address), "{version}: {address} is not in\n{text}");
        }
    }
}

#[test]
fn doctor_says_of_what_is_not_python_what_it_is() {
    let Some(_turn) = begin("doctor_says_of_what_is_not_python") else { return };
    // It lives until its standard input is closed.
    let mut cat = Command::new("cat").stdin(Stdio::piped()).stdout(Stdio::null()).spawn().unwrap();
    let output = gilscope().args(["doctor", "-p", &cat.id().to_string()]).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    assert_eq!(output.status.code(), Some(1));
    assert!(text.contains("is not a Python process") && text.contains("pgrep -af python"), "{text}");
    drop(cat.stdin.take());
    assert!(cat.wait().unwrap().success());
    // A thread of the kernel, and a process that is gone.
    for (pid, words) in [(2, "thread of the kernel"), (cat.id() as i32, "no process has PID")] {
        let is_there = fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name == "kthreadd\n");
        if is_there || pid != 2 {
            let ended = run(gilscope().args(["attach", "-p", &pid.to_string(), "-o", "/dev/null"]));
            ended.assert_failure(&[words]);
        }
    }
}
