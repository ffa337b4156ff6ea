//! What the live tests are made of: interpreters, the puppet, the collector, its trace, and what the kernel knows.

mod collector;
pub(crate) mod kernel;
mod lines;
mod puppet;
mod pythons;
pub(crate) mod trace;

use std::{
    path::{Path, PathBuf},
    process::{Child, ExitStatus},
    sync::{Mutex, MutexGuard},
    time::Duration,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    process::{Pid, PidfdFlags, geteuid, pidfd_open},
};

pub(crate) use self::{
    collector::{Ended, Recording, gilscope, recorded, run},
    lines::Lines,
    puppet::Puppet,
    pythons::{Python, any_python, pyenv_version, pythons},
    trace::{Hold, Trace},
};

/// Nothing that these tests wait for takes longer, not even on a busy machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// The live tests share two processors and the kernel's list of probes: one at a time.
static TURN: Mutex<()> = Mutex::new(());

/// Waits for the turn of the test `name`; `None` if it cannot run here.
pub(crate) fn begin(name: &str) -> Option<MutexGuard<'static, ()>> {
    if !geteuid().is_root() {
        skip(name, "needs root");
        return None;
    }
    // A test that failed has not made the others meaningless.
    Some(TURN.lock().unwrap_or_else(|poisoned| poisoned.into_inner()))
}

/// Says that a test does not run here. On CI every test must.
pub(crate) fn skip(name: &str, why: &str) {
    skip_optional(name, why);
    assert!(std::env::var_os("CI").is_none_or(|ci| ci != "true"), "{name} must run on CI: {why}");
}

/// Says that a test does not run here for want of something that not even CI has to have.
pub(crate) fn skip_optional(name: &str, why: &str) {
    println!("skipped: {name}: {why}");
}

/// A folder of this test's own, which everybody can reach, also from inside the `chroot` of `samples/debian-pythons.sh`.
pub(crate) fn folder() -> tempfile::TempDir {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new().prefix("gilscope-live-").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(folder.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    folder
}

/// A file of the repository.
pub(crate) fn repository(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().join(path)
}

/// Waits until a process of ours has ended.
pub(crate) fn ended(child: &mut Child) -> ExitStatus {
    if let Some(status) = child.try_wait().unwrap() {
        return status;
    }
    let descriptor = pidfd_open(Pid::from_child(child), PidfdFlags::empty()).unwrap();
    let mut descriptors = [PollFd::new(&descriptor, PollFlags::IN)];
    let ready = poll(&mut descriptors, Some(&patience())).unwrap();
    assert_eq!(ready, 1, "process {} has not ended within {PATIENCE:?}", child.id());
    child.wait().unwrap()
}

fn patience() -> Timespec {
    Timespec { tv_sec: PATIENCE.as_secs() as i64, tv_nsec: 0 }
}
