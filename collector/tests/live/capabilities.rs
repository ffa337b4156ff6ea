//! Root with only some of its capabilities, as in a container: what is missing is named, and what can be done is done.

use std::{
    path::Path,
    process::{Command, Stdio},
};

use gilscope_trace::{Event, Kind};
use serde_json::json;

use super::harness::{Puppet, Recording, Trace, any_python, begin, gilscope, run};

const SENDTO: i16 = 44;

/// gilscope as root without some capabilities, such as `-ipc_lock`.
fn without(capabilities: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new("setpriv");
    command.arg(format!("--bounding-set={capabilities}")).arg(gilscope().get_program()).args(arguments);
    command.stdin(Stdio::null());
    command
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn without_the_right_to_lock_memory_it_records_with_smaller_buffers_and_says_so() {
    let Some(_turn) = begin("without_the_right_to_lock_memory_it_records_with_smaller_buffers") else {
        return;
    };
    let mut puppet = Puppet::start(any_python());
    let (pid, output) = (puppet.pid.to_string(), puppet.folder.path().join("trace"));
    // Only what the kernel allows each user for each processor.
    let mut command = Command::new("prlimit");
    let attach = without("-ipc_lock", &["attach", "-p", &pid, "-o", text(&output)]);
    command.arg("--memlock=0").arg(attach.get_program()).args(attach.get_args()).stdin(Stdio::null());
    let recording = Recording::start(&mut command);
    let answer = puppet.ask(json!({"cmd": "sends", "n": 10}));
    let ended = recording.stop();
    ended.assert_success();
    assert!(ended.said.contains("grant CAP_IPC_LOCK"), "{}", ended.said);
    let trace = Trace::read(&output);
    trace.assert_sound();
    let sends = |event: &&Event| event.kind == Kind::SyscallEnter && event.nr == SENDTO;
    assert_eq!(trace.during(&answer).into_iter().filter(sends).count(), 10);
    puppet.assert_well();
}

#[test]
fn a_buffer_that_may_not_be_locked_is_refused_with_the_setting_that_mends_it() {
    let Some(_turn) = begin("a_buffer_that_may_not_be_locked_is_refused") else { return };
    let mut puppet = Puppet::start(any_python());
    let (pid, output) = (puppet.pid.to_string(), puppet.folder.path().join("trace"));
    let attach = without("-ipc_lock", &["attach", "-p", &pid, "-o", text(&output), "--ring-kib", "262144"]);
    let mut command = Command::new("prlimit");
    command.arg("--memlock=0").arg(attach.get_program()).args(attach.get_args()).stdin(Stdio::null());
    run(&mut command).assert_failure(&["262144 KiB", "grant CAP_IPC_LOCK", "kernel.perf_event_mlock_kb"]);
    assert!(!output.exists());
    puppet.assert_well();
}

#[test]
fn root_that_lacks_a_capability_is_told_which_and_how_a_container_gets_it() {
    let Some(_turn) = begin("root_that_lacks_a_capability_is_told_which") else { return };
    let mut puppet = Puppet::start(any_python());
    let (pid, output) = (puppet.pid.to_string(), puppet.folder.path().join("trace"));
    // Where tracefs is mounted, CAP_PERFMON does instead of CAP_SYS_ADMIN.
    for (lacking, name) in [("-sys_admin,-perfmon", "SYS_ADMIN"), ("-sys_ptrace", "SYS_PTRACE")] {
        let (capability, option) = (format!("CAP_{name}"), format!("--cap-add {name}"));
        let ended = run(&mut without(lacking, &["attach", "-d", "20", "-p", &pid, "-o", text(&output)]));
        ended.assert_failure(&[&capability, &option]);
        assert!(!ended.said.contains("sudo"), "{}", ended.said);
        assert!(!output.exists());
        let printed = without(lacking, &["doctor"]).output().unwrap().stdout;
        let printed = String::from_utf8(printed).unwrap();
        assert!(printed.contains(&capability) && printed.contains(&option), "{printed}");
    }
    puppet.assert_well();
}
