//! What the kernel knows of probes and processes.

use std::{
    fs::{self, File},
    io::Read,
    os::unix::fs::FileExt,
};

use rustix::{
    fs::{Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

/// The names of the probes that the collector `pid` has defined and not removed.
pub(crate) fn named_probes_of(pid: i32) -> Vec<String> {
    let ours = format!("p:gilscope/c{pid}_");
    let events = uprobe_events();
    events.lines().filter(|line| line.starts_with(&ours)).map(str::to_owned).collect()
}

/// The kernel's list of named uprobes, through a mount that nobody else sees.
fn uprobe_events() -> String {
    let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC).unwrap();
    fsconfig_create(&context).unwrap();
    let folder = fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty()).unwrap();
    let file = openat(&folder, "uprobe_events", OFlags::RDONLY | OFlags::CLOEXEC, Mode::empty()).unwrap();
    let mut text = String::new();
    File::from(file).read_to_string(&mut text).unwrap();
    text
}

/// The number in a field of `/proc/PID/status`.
pub(crate) fn status_number(pid: i32, field: &str) -> i64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)?.strip_prefix(':'));
    line.unwrap().trim().parse().unwrap()
}

/// The code of a process: the bytes of every executable mapping of a file, with their addresses.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Code(Vec<(u64, Vec<u8>)>);

impl Code {
    /// Reads it from the process's memory.
    pub(crate) fn of(pid: i32) -> Code {
        let maps = fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let memory = File::open(format!("/proc/{pid}/mem")).unwrap();
        let mut mappings = Vec::new();
        for line in maps.lines() {
            let mut fields = line.split_whitespace();
            let (addresses, permissions) = (fields.next().unwrap(), fields.next().unwrap());
            // After the file offset, the device and the inode.
            let is_file = fields.nth(3).is_some_and(|name| name.starts_with('/'));
            if !permissions.contains('x') || !is_file {
                continue;
            }
            let (start, end) = addresses.split_once('-').unwrap();
            let [start, end] = [start, end].map(|number| u64::from_str_radix(number, 16).unwrap());
            let mut bytes = vec![0; (end - start) as usize];
            memory.read_exact_at(&mut bytes, start).unwrap();
            mappings.push((start, bytes));
        }
        assert!(!mappings.is_empty(), "process {pid} has no code");
        Code(mappings)
    }

    /// The bytes of `other` where it differs from this one, with their addresses. Libraries loaded since are not looked at.
    pub(crate) fn changes(&self, other: &Code) -> Vec<(u64, u8)> {
        let mut changes = Vec::new();
        for (start, before) in &self.0 {
            let Some((_, after)) = other.0.iter().find(|(other_start, _)| other_start == start) else {
                continue;
            };
            let bytes = before.iter().zip(after).zip(*start..);
            changes.extend(
                bytes.filter(|((old, new), _)| old != new).map(|((_, new), address)| (address, *new)),
            );
        }
        changes
    }
}
