//! The kernel's tracing directory, reached without mounting anything, and the named uprobes in it.
//!
//! `fsopen("tracefs")` and `fsmount` give a descriptor of a mount that belongs to no place in the file tree and vanishes with
//! the descriptor. The interface of `uprobe_events` is described in the kernel's `Documentation/trace/uprobetracer.rst`.

use std::{
    fs::File,
    io::{self, Read, Write},
    os::fd::OwnedFd,
    path::PathBuf,
    sync::Arc,
};

use rustix::{
    fs::{CWD, Mode, OFlags, openat},
    mount::{FsMountFlags, FsOpenFlags, MountAttrFlags, fsconfig_create, fsmount, fsopen},
};

use crate::process;

/// Our group in `uprobe_events`.
const GROUP: &str = "gilscope";

/// Why the tracing directory or a probe in it could not be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TracefsError {
    /// It can be reached neither by a mount of our own nor where it usually is mounted.
    #[error("cannot reach the kernel's tracing directory (tracefs)")]
    Unreachable(#[source] io::Error),
    /// A file in it could not be read or written.
    #[error("cannot use `{file}` in the kernel's tracing directory")]
    File {
        /// The file.
        file: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel refused a uprobe.
    #[error("the kernel refused the uprobe `{definition}`")]
    Refused {
        /// The line for `uprobe_events`.
        definition: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The kernel describes an event in a way that is not understood.
    #[error("the format of the event `{event}` has no field `{field}`")]
    Format {
        /// The event.
        event: String,
        /// The field that was looked for.
        field: String,
    },
}

impl TracefsError {
    /// Whether more privilege would have helped.
    pub fn is_permission(&self) -> bool {
        let (TracefsError::Unreachable(source)
        | TracefsError::File { source, .. }
        | TracefsError::Refused { source, .. }) = self
        else {
            return false;
        };
        source.kind() == io::ErrorKind::PermissionDenied
    }
}

/// The kernel's tracing directory.
#[derive(Debug)]
pub struct Tracefs {
    directory: OwnedFd,
    how: &'static str,
}

/// Where a field lies in the raw data of an event.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Field {
    /// Offset in bytes.
    pub offset: usize,
    /// Size in bytes.
    pub size: usize,
}

/// Where tracefs is usually mounted.
pub(crate) const MOUNTS: [&str; 2] = ["/sys/kernel/tracing", "/sys/kernel/debug/tracing"];

impl Tracefs {
    /// Opens it: by a private mount, else where it usually is mounted.
    pub fn open() -> Result<Tracefs, TracefsError> {
        let private = || -> rustix::io::Result<OwnedFd> {
            let context = fsopen("tracefs", FsOpenFlags::FSOPEN_CLOEXEC)?;
            fsconfig_create(&context)?;
            fsmount(&context, FsMountFlags::FSMOUNT_CLOEXEC, MountAttrFlags::empty())
        };
        let error = match private() {
            Ok(directory) => {
                return Ok(Tracefs { directory, how: "a private mount" });
            }
            Err(error) => error,
        };
        for place in MOUNTS {
            let Ok(directory) = openat(CWD, place, OFlags::DIRECTORY | OFlags::CLOEXEC, Mode::empty()) else {
                continue;
            };
            let tracefs = Tracefs { directory, how: place };
            if tracefs.open_file("uprobe_events", OFlags::RDONLY).is_ok() {
                return Ok(tracefs);
            }
        }
        Err(TracefsError::Unreachable(error.into()))
    }

    /// How it was reached, for people.
    pub fn how(&self) -> &'static str {
        self.how
    }

    /// Whether it holds that file.
    pub fn has(&self, file: &str) -> bool {
        self.open_file(file, OFlags::RDONLY).is_ok()
    }

    /// Number of the tracepoint `event`, such as `raw_syscalls/sys_enter`.
    pub fn event_id(&self, event: &str) -> Result<u64, TracefsError> {
        let file = format!("events/{event}/id");
        let text = self.read(&file)?;
        text.trim().parse().map_err(|_| TracefsError::File {
            file,
            source: io::Error::new(io::ErrorKind::InvalidData, "not a number"),
        })
    }

    /// Where `field` of `event` lies in its raw data.
    pub fn field(&self, event: &str, field: &str) -> Result<Field, TracefsError> {
        let format = self.read(&format!("events/{event}/format"))?;
        find_field(&format, field)
            .ok_or_else(|| TracefsError::Format { event: event.to_owned(), field: field.to_owned() })
    }

    /// Removes probes of collectors that were killed before they could. Returns how many.
    pub fn remove_stale(&self) -> Result<usize, TracefsError> {
        let mut removed = 0;
        let mut names: Vec<String> = Vec::new();
        for line in self.read("uprobe_events")?.lines() {
            if let Some(name) = stale_name(line, process::start_ticks)
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        for name in names {
            // One that is still in use, by a collector in another PID namespace, is refused with EBUSY: right so.
            removed += usize::from(self.command(&format!("-:{GROUP}/{name}")).is_ok());
        }
        Ok(removed)
    }

    fn read(&self, file: &str) -> Result<String, TracefsError> {
        let mut text = String::new();
        self.open_file(file, OFlags::RDONLY)
            .and_then(|mut opened| opened.read_to_string(&mut text))
            .map_err(|source| TracefsError::File { file: file.to_owned(), source })?;
        Ok(text)
    }

    /// Appends one line to `uprobe_events`. Opening it for writing without appending would clear it.
    fn command(&self, line: &str) -> io::Result<()> {
        let mut file = self.open_file("uprobe_events", OFlags::WRONLY | OFlags::APPEND)?;
        file.write_all(line.as_bytes())
    }

    fn open_file(&self, file: &str, flags: OFlags) -> io::Result<File> {
        Ok(File::from(openat(&self.directory, file, flags | OFlags::CLOEXEC, Mode::empty())?))
    }
}

/// The place of `field` in a `format` file: a line such as `field:u64 cond; offset:16; size:8;`.
fn find_field(format: &str, field: &str) -> Option<Field> {
    let line = format.lines().map(str::trim_start).find(|line| {
        line.strip_prefix("field:")
            .and_then(|rest| rest.split(';').next())
            .is_some_and(|declaration| declaration.split([' ', '[']).any(|word| word == field))
    })?;
    let number = |key: &str| {
        let rest = &line[line.find(key)? + key.len()..];
        rest.split(';').next()?.trim().parse().ok()
    };
    Some(Field { offset: number("offset:")?, size: number("size:")? })
}

/// The name in a line of `uprobe_events`, if it is one of ours whose collector is no more.
///
/// Ours are `c{PID}_{start}_{number}`, with the collector's start time in clock ticks since boot.
fn stale_name(line: &str, start_ticks: impl Fn(i32) -> Option<u64>) -> Option<String> {
    let name = line.split_whitespace().next()?.strip_prefix("p:")?.strip_prefix(GROUP)?.strip_prefix('/')?;
    let mut parts = name.strip_prefix('c')?.split('_');
    let pid: i32 = parts.next()?.parse().ok()?;
    let start: u64 = parts.next()?.parse().ok()?;
    (start_ticks(pid) != Some(start)).then(|| name.to_owned())
}

/// A named uprobe with any number of sites. Removed from the kernel when dropped.
#[derive(Debug)]
pub struct NamedProbe {
    tracefs: Arc<Tracefs>,
    name: String,
}

/// One site of a [`NamedProbe`].
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ProbeSite {
    /// A path of the file by which the kernel can open it here and now. It must hold no white space.
    pub file: PathBuf,
    /// Offset of the instruction in the file.
    pub offset: u64,
    /// What is fetched, in the language of `uprobe_events`, such as `%di`.
    pub fetch: String,
}

/// The name of the fetched value in the kernel's event format.
pub const FETCHED: &str = "argument";

impl NamedProbe {
    /// Defines a probe at all of `sites`. `number` must be unique within this process.
    pub fn define(
        tracefs: &Arc<Tracefs>,
        number: usize,
        sites: &[ProbeSite],
    ) -> Result<NamedProbe, TracefsError> {
        let pid = rustix::process::getpid().as_raw_nonzero().get();
        let start = process::start_ticks(pid).unwrap_or(0);
        let probe = NamedProbe { tracefs: tracefs.clone(), name: format!("c{pid}_{start}_{number}") };
        for site in sites {
            let definition = format!(
                "p:{GROUP}/{} {}:{:#x} {FETCHED}={}:u64",
                probe.name,
                site.file.display(),
                site.offset,
                site.fetch
            );
            // A definition with a name that exists adds a site to it.
            tracefs.command(&definition).map_err(|source| TracefsError::Refused { definition, source })?;
        }
        Ok(probe)
    }

    /// Its name below `events/`.
    pub fn event(&self) -> String {
        format!("{GROUP}/{}", self.name)
    }
}

impl Drop for NamedProbe {
    fn drop(&mut self) {
        if let Err(error) = self.tracefs.command(&format!("-:{GROUP}/{}", self.name)) {
            // Nothing was defined, or somebody else reads the event. The next start tries again.
            tracing::debug!(%error, probe = self.name, "probe not removed");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let format = "\tfield:int common_pid;\toffset:4;\tsize:4;\tsigned:1;\n\n\
                      \tfield:long id;\toffset:8;\tsize:8;\tsigned:1;\n\
                      \tfield:unsigned long args[6];\toffset:16;\tsize:48;\tsigned:0;\n";
        assert_eq!(find_field(format, "id"), Some(Field { offset: 8, size: 8 }));
        assert_eq!(find_field(format, "args"), Some(Field { offset: 16, size: 48 }));
        assert_eq!(find_field(format, "pid"), None);
    }

    #[test]
    fn only_our_probes_of_collectors_that_are_gone_are_stale() {
        let running = |pid| (pid == 100).then_some(777);
        let name = |line| stale_name(line, running);
        assert_eq!(name("p:gilscope/c100_777_0 /bin/x:0x10 argument=%di:u64"), None);
        assert_eq!(
            name("p:gilscope/c100_776_0 /bin/x:0x10"),
            Some("c100_776_0".into()),
            "its PID was reused"
        );
        assert_eq!(name("p:gilscope/c101_777_2 /bin/x:0x10"), Some("c101_777_2".into()));
        assert_eq!(name("p:probe_libc/c101_777_2 /bin/x:0x10"), None, "somebody else's");
        assert_eq!(name("p:gilscope/mine /bin/x:0x10"), None);
    }
}
