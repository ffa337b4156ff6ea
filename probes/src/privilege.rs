//! The capabilities of this process (`include/uapi/linux/capability.h`), and what recording needs each for.

use std::path::Path;

use rustix::thread::{CapabilitySet, capabilities};

use crate::tracefs;

/// A capability that recording uses.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Capability {
    /// Its name.
    pub name: &'static str,
    /// What it is needed for.
    pub purpose: &'static str,
    set: CapabilitySet,
}

/// Without it nothing can be recorded, unless tracefs is mounted: then `CAP_PERFMON` suffices.
pub const SYS_ADMIN: Capability = Capability {
    name: "CAP_SYS_ADMIN",
    purpose: "probes, and the kernel's tracing directory",
    set: CapabilitySet::SYS_ADMIN,
};
/// Without it only processes of the same user can be recorded, and of those only ones with no more privilege.
pub const SYS_PTRACE: Capability = Capability {
    name: "CAP_SYS_PTRACE",
    purpose: "the files and the memory of other users' processes",
    set: CapabilitySet::SYS_PTRACE,
};
/// Without it the kernel's buffers are smaller.
pub const IPC_LOCK: Capability = Capability {
    name: "CAP_IPC_LOCK",
    purpose: "buffers that are large enough for bursts",
    set: CapabilitySet::IPC_LOCK,
};
/// Does instead of [`SYS_ADMIN`] where tracefs is mounted (`kernel/events/core.c`, `perfmon_capable`).
const PERFMON: Capability = Capability {
    name: "CAP_PERFMON",
    purpose: "probes, where tracefs is mounted",
    set: CapabilitySet::PERFMON,
};
/// All that recording uses.
pub const NEEDED: [Capability; 3] = [SYS_ADMIN, SYS_PTRACE, IPC_LOCK];

impl Capability {
    /// Whether this process has it.
    pub fn is_held(self) -> bool {
        capabilities(None).is_ok_and(|sets| sets.effective.contains(self.set))
    }
}

/// Whether this process is root's, with whatever capabilities.
pub fn is_root() -> bool {
    rustix::process::geteuid().is_root()
}

/// Names of what recording uses and this process has.
pub fn held() -> Vec<&'static str> {
    let mut names: Vec<&str> =
        NEEDED.into_iter().filter(|needed| needed.is_held()).map(|held| held.name).collect();
    if !SYS_ADMIN.is_held() && is_admin_dispensable() {
        names.insert(0, PERFMON.name);
    }
    names
}

/// What recording uses and this process lacks.
pub fn missing() -> Vec<Capability> {
    let is_missing = |capability: &Capability| {
        !capability.is_held() && (*capability != SYS_ADMIN || !is_admin_dispensable())
    };
    NEEDED.into_iter().filter(is_missing).collect()
}

/// Whether probes can be set and listened to without `CAP_SYS_ADMIN`.
fn is_admin_dispensable() -> bool {
    PERFMON.is_held() && tracefs::MOUNTS.iter().any(|place| Path::new(place).join("uprobe_events").exists())
}

/// How the `missing` ones are granted to root in a container.
pub fn remedy(missing: &[Capability]) -> String {
    format!("grant it; to a container: docker run {}", docker_options(missing))
}

/// The options of `docker run` that grant `capabilities`.
pub fn docker_options(capabilities: &[Capability]) -> String {
    let options = capabilities
        .iter()
        .map(|capability| format!("--cap-add {}", capability.name.trim_start_matches("CAP_")));
    options.collect::<Vec<_>>().join(" ")
}
