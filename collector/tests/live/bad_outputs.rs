//! Where the trace cannot go: a clear message before anything is recorded, or a file that is good up to its last batch.

use std::{
    fs,
    os::unix::fs::{MetadataExt, PermissionsExt, symlink},
    path::Path,
    process::Command,
};

use serde_json::json;

use super::harness::{Ended, Puppet, Recording, Trace, any_python, begin, folder, gilscope, run};

/// Tries to record the puppet into `output`.
fn try_attach(puppet: &Puppet, output: &Path, arguments: &[&str]) -> Ended {
    run(gilscope().args(["attach", "-p", &puppet.pid.to_string(), "-o"]).arg(output).args(arguments))
}

/// Records the puppet into `output` until it is told to end.
fn attach(puppet: &Puppet, output: &Path, arguments: &[&str]) -> Recording {
    Recording::attach(&[puppet.pid], output, arguments)
}

#[test]
fn a_file_that_exists_is_kept_unless_forced() {
    let Some(_turn) = begin("a_file_that_exists_is_kept_unless_forced") else { return };
    let mut puppet = Puppet::start(any_python());
    let output = puppet.folder.path().join("trace");
    fs::write(&output, "precious").unwrap();
    try_attach(&puppet, &output, &[]).assert_failure(&["exists", "--force", output.to_str().unwrap()]);
    assert_eq!(fs::read_to_string(&output).unwrap(), "precious");
    attach(&puppet, &output, &["--force"]).stop().assert_success();
    Trace::read(&output).assert_sound();
    puppet.assert_well();
}

#[test]
fn a_missing_folder_is_named_and_not_made() {
    let Some(_turn) = begin("a_missing_folder_is_named_and_not_made") else { return };
    let mut puppet = Puppet::start(any_python());
    let missing = puppet.folder.path().join("missing");
    let words = [&format!("the folder {} does not exist", missing.display()), "-o"];
    try_attach(&puppet, &missing.join("trace"), &[]).assert_failure(&words);
    assert!(!missing.exists());
    puppet.assert_well();
}

#[test]
fn a_folder_is_not_taken_for_a_file() {
    let Some(_turn) = begin("a_folder_is_not_taken_for_a_file") else { return };
    let mut puppet = Puppet::start(any_python());
    let folder = folder();
    try_attach(&puppet, folder.path(), &["--force"]).assert_failure(&["is a folder"]);
    assert!(folder.path().is_dir());
    puppet.assert_well();
}

#[test]
fn a_full_device_is_noticed_before_anything_is_recorded() {
    let Some(_turn) = begin("a_full_device_is_noticed") else { return };
    let mut puppet = Puppet::start(any_python());
    let ended = try_attach(&puppet, Path::new("/dev/full"), &[]);
    ended.assert_failure(&["cannot write to /dev/full", "No space left on device"]);
    assert!(!ended.said.contains("recording "), "{}", ended.said);
    puppet.assert_well();
}

#[test]
fn a_link_planted_in_a_shared_folder_is_not_followed() {
    let Some(_turn) = begin("a_link_planted_in_a_shared_folder_is_not_followed") else { return };
    let mut puppet = Puppet::start(any_python());
    let shared = folder();
    fs::set_permissions(shared.path(), fs::Permissions::from_mode(0o1777)).unwrap();
    let victim = puppet.folder.path().join("victim");
    let dangling = puppet.folder.path().join("not-there");
    fs::write(&victim, "precious").unwrap();
    for (name, target) in [("to-a-file", &victim), ("to-nothing", &dangling)] {
        let link = shared.path().join(name);
        symlink(target, &link).unwrap();
        for arguments in [&[][..], &["--force"]] {
            try_attach(&puppet, &link, arguments).assert_failure(&["symbolic link", "not followed"]);
            assert!(link.is_symlink(), "the link is not ours to remove");
        }
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!dangling.exists());
    puppet.assert_well();
}

#[test]
fn under_sudo_the_trace_belongs_to_the_user_who_called() {
    let Some(_turn) = begin("under_sudo_the_trace_belongs_to_the_user_who_called") else { return };
    let puppet = Puppet::start(any_python());
    let output = puppet.folder.path().join("trace");
    let mut command = gilscope();
    command.env("SUDO_UID", "65534").env("SUDO_GID", "65533");
    command.args(["attach", "-p", &puppet.pid.to_string(), "-o"]).arg(&output);
    Recording::start(&mut command).stop().assert_success();
    let metadata = fs::metadata(&output).unwrap();
    assert_eq!((metadata.uid(), metadata.gid()), (65534, 65533));
    assert_eq!(
        metadata.permissions().mode() & 0o777,
        0o600,
        "it tells of somebody's process: for its owner only"
    );
    let own = puppet.folder.path().join("own");
    attach(&puppet, &own, &[]).stop().assert_success();
    assert_eq!(fs::metadata(&own).unwrap().uid(), 0);
}

#[test]
fn by_default_the_trace_is_named_after_the_process_and_lies_in_the_current_folder() {
    let Some(_turn) = begin("by_default_the_trace_is_named_after_the_process") else { return };
    let puppet = Puppet::start(any_python());
    let here = folder();
    let mut command = gilscope();
    command.args(["attach", "-p", &puppet.pid.to_string()]).current_dir(here.path());
    Recording::start(&mut command).stop().assert_success();
    let files: Vec<_> = fs::read_dir(here.path()).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    let name = files[0].file_name().unwrap().to_str().unwrap();
    assert!(name.starts_with(&format!("gilscope-{}-", puppet.pid)) && name.ends_with(".gilscope"), "{name}");
    Trace::read(&files[0]).assert_sound();
}

/// Has the puppet work until the collector has ended by itself, for want of room.
fn work_until_it_fails(puppet: &mut Puppet, recording: Recording) -> Ended {
    puppet.ask(json!({"cmd": "thread", "name": "io"}));
    puppet.ask(json!({"cmd": "thread", "name": "cpu"}));
    puppet.ask(json!({"cmd": "spin", "thread": "cpu", "on": true}));
    let mut recording = recording;
    while recording.is_running() {
        puppet.ask(json!({"cmd": "sends", "n": 2000, "thread": "io"}));
    }
    puppet.ask(json!({"cmd": "spin", "thread": "cpu", "on": false}));
    recording.finish()
}

#[test]
fn a_disk_that_fills_up_leaves_a_trace_that_is_good_to_its_last_batch() {
    //  batch batch batch ba!      ! no room: the recording ends, and says so
    let Some(_turn) = begin("a_disk_that_fills_up_leaves_a_good_trace") else { return };
    let mut puppet = Puppet::start(any_python());
    let disk = folder();
    // A disk of 64 KiB in mounts of the collector's own; what is on it is copied before it vanishes.
    let script = "mount -t tmpfs -o size=64k none \"$1\" || exit 99; shift; kept=$1; shift; \
                  \"$@\"; status=$?; cp \"${kept%=*}\" \"${kept#*=}\"; exit $status";
    let (output, kept) = (disk.path().join("trace"), puppet.folder.path().join("kept"));
    let mut command = Command::new("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]).arg(disk.path());
    command.arg(format!("{}={}", output.display(), kept.display())).arg(gilscope().get_program());
    command.args(["attach", "-p", &puppet.pid.to_string(), "--syscalls", "all", "-o"]).arg(&output);
    let recording = Recording::start(&mut command);
    let ended = work_until_it_fails(&mut puppet, recording);
    ended.assert_failure(&["is incomplete", output.to_str().unwrap(), "No space left on device"]);
    assert_cut_off(&kept);
    puppet.assert_well();
}

#[test]
fn a_limit_on_file_sizes_leaves_a_trace_that_is_good_to_its_last_batch() {
    let Some(_turn) = begin("a_limit_on_file_sizes_leaves_a_good_trace") else { return };
    let mut puppet = Puppet::start(any_python());
    let output = puppet.folder.path().join("trace");
    let mut command = Command::new("prlimit");
    command.arg("--fsize=65536").arg(gilscope().get_program());
    command.args(["attach", "-p", &puppet.pid.to_string(), "--syscalls", "all", "-o"]).arg(&output);
    let recording = Recording::start(&mut command);
    let ended = work_until_it_fails(&mut puppet, recording);
    ended.assert_failure(&["is incomplete", output.to_str().unwrap(), "File too large"]);
    assert_cut_off(&output);
    puppet.assert_well();
}

#[track_caller]
fn assert_cut_off(path: &Path) {
    let trace = Trace::read(path);
    assert!(!trace.complete && trace.end_reason().is_none());
    assert!(trace.rows.len() > 1000, "only {} rows", trace.rows.len());
    trace.assert_in_order();
}

/// Works until its parent, the collector, has closed all its perf events, then writes `done`.
const WORK_UNTIL_UNWATCHED: &str = r#"
import os, sys
descriptors = "/proc/%d/fd/" % os.getppid()
def is_watched():
    for descriptor in os.listdir(descriptors):
        try:
            if "perf_event" in os.readlink(descriptors + descriptor): return True
        except OSError: pass  # closed meanwhile
    return False
while is_watched(): pass
open(sys.argv[1], "w").write("done")
"#;

#[test]
fn a_command_goes_on_when_its_trace_cannot_be_written() {
    //  command   ──begins────────────────────ends, by itself
    //  trace        batch batch ba!          ! no room
    let Some(_turn) = begin("a_command_goes_on_when_its_trace_cannot_be_written") else { return };
    let folder = folder();
    let (output, done) = (folder.path().join("trace"), folder.path().join("done"));
    let mut command = Command::new("prlimit");
    command.arg("--fsize=8192").arg(gilscope().get_program());
    command.args(["record", "--syscalls", "all", "-o"]).arg(&output).arg("--").arg(&any_python().path);
    command.args(["-c", WORK_UNTIL_UNWATCHED]).arg(&done);
    let ended = run(&mut command);
    ended.assert_failure(&["is incomplete", "File too large", "the command goes on"]);
    assert_eq!(fs::read_to_string(&done).unwrap(), "done");
}

#[test]
fn a_command_does_not_begin_when_its_trace_cannot_be_made() {
    let Some(_turn) = begin("a_command_does_not_begin_when_its_trace_cannot_be_made") else { return };
    let folder = folder();
    let done = folder.path().join("done");
    for (output, word) in
        [(folder.path().join("missing/trace"), "does not exist"), ("/dev/full".into(), "No space")]
    {
        let ended = run(gilscope().args(["record", "-o"]).arg(output).args(["--", "touch"]).arg(&done));
        ended.assert_failure(&[word]);
        assert!(!done.exists());
    }
}
