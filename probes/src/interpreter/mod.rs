//! Finding the interpreter of a process: which mapped file holds it, which CPython it is, and how that file can be opened
//! from here though it may be deleted, in a container or in a chroot.
//!
//! Everything is read below `/proc/PID`; the process notices nothing. The file is the executable itself, or a mapped
//! `libpython`, or, where CPython is linked into something else, whatever mapped file exports its functions.

mod error;
mod foresee;
mod identify;
mod maps;
mod version;

use std::fs::{self, File};
use std::io;
use std::ops::Range;
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};

pub use error::InterpreterError;
pub use foresee::{Foreseen, foresee};
use identify::{Facts, Identity};
use maps::Mapping;
pub use version::Version;

use crate::sites::elf::Load;

/// Memory read in search of `sys.version`. The writable part of an interpreter has 1 to 2 MB.
const MAX_DATA: u64 = 32 << 20;

/// The largest file read as an interpreter's; the largest known, with all debugging information, have 100 MB.
const MAX_FILE: u64 = 2 << 30;

/// What kind of file holds the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ImageKind {
    /// The executable of the process.
    Executable,
    /// A shared library, mostly `libpython3.N.so`.
    Libpython,
}

/// The mapped file that holds the interpreter of a process.
#[derive(Debug, Clone)]
pub struct Interpreter {
    /// The process.
    pub pid: i32,
    /// The file, as `/proc/PID/maps` names it.
    pub path: PathBuf,
    /// The path by which this process and the kernel's `uprobe_events` can open the file, whatever became of its name:
    /// without blanks, and good for as long as the process lives and keeps the mapping.
    pub open_path: PathBuf,
    /// Whether the file has lost its name, as after an upgrade.
    pub deleted: bool,
    /// Executable or library.
    pub kind: ImageKind,
    /// The version.
    pub version: Version,
    /// Device and inode: two interpreters of one file have one code.
    pub file_id: (u64, u64),
    /// Address in the process less address in the ELF file.
    pub load_bias: u64,
    /// Whether the file has no symbol table.
    pub stripped: bool,
    /// Whether the file is a position-independent executable.
    pub pie: bool,
    /// Whether it is a build without a GIL.
    pub free_threaded: bool,
    /// Whether it is a debug build.
    pub debug_build: bool,
    /// What `sys.version` says after the version: date and compiler. Empty where it cannot be read.
    pub build: String,
    image: Range<u64>,
}

impl Interpreter {
    /// Find the interpreter of a process.
    ///
    /// # Errors
    /// When there is none that can be traced, and why; see [`InterpreterError`]. A free-threaded build is found without
    /// an error: see [`Interpreter::check_traceable`].
    pub fn of(pid: i32) -> Result<Interpreter, InterpreterError> {
        let process = PathBuf::from(format!("/proc/{pid}"));
        check_alive(pid, &process)?;
        let maps_path = process.join("maps");
        let maps = fs::read(&maps_path).map_err(|error| gone_or(pid, &maps_path, error))?;
        let mappings = maps::parse(&maps);
        // The link's text is of use in messages even where the file cannot be reached.
        let exe = fs::read_link(process.join("exe")).unwrap_or_else(|_| PathBuf::from("?"));
        let candidates = candidates(&mappings, &process);
        let mut awaits_library = false;
        let mut refused = None;
        for candidate in &candidates {
            let (open_path, file) = match open(pid, &process, candidate) {
                Ok(opened) => opened,
                Err(error) => {
                    // Another file may do; if none does, the first refusal is the reason.
                    refused.get_or_insert((candidate.mapping.path.clone(), error));
                    continue;
                }
            };
            match identify::identify(&file) {
                Identity::CPython(facts) => {
                    let found = Found { pid, process: &process, candidate, open_path, file, facts };
                    return found.interpreter();
                }
                Identity::PyPy => {
                    return Err(InterpreterError::PyPy { pid, path: candidate.mapping.path.clone() });
                }
                Identity::Foreign(reason) if candidate.is_exe => {
                    let path = candidate.mapping.path.clone();
                    return Err(InterpreterError::DifferentArchitecture { pid, reason, path });
                }
                Identity::Embeds => awaits_library |= candidate.is_exe,
                Identity::Foreign(_) | Identity::Other => {}
            }
        }
        if let Some((path, error)) = refused {
            return Err(InterpreterError::from_io(pid, &path, error));
        }
        if awaits_library {
            return Err(InterpreterError::NotYetMapped { pid, exe });
        }
        Err(InterpreterError::NotPython { pid, exe })
    }

    /// Whether there is a GIL to trace.
    ///
    /// # Errors
    /// [`InterpreterError::FreeThreaded`] for a free-threaded build.
    pub fn check_traceable(&self) -> Result<(), InterpreterError> {
        if self.free_threaded {
            return Err(InterpreterError::FreeThreaded { pid: self.pid, version: self.version.to_string() });
        }
        Ok(())
    }

    /// Whether an address of the process lies in the interpreter's image, code or static data. The GIL of the main
    /// interpreter does; those of other interpreters are on the heap.
    pub fn contains_address(&self, address: u64) -> bool {
        self.image.contains(&address)
    }

    /// The bytes of the file, for [`Sites::find`](crate::sites::Sites::find).
    ///
    /// # Errors
    /// When the file cannot be read, or is larger than any interpreter.
    pub fn read_elf(&self) -> Result<Vec<u8>, InterpreterError> {
        read_elf(&self.open_path).map_err(|error| InterpreterError::from_io(self.pid, &self.open_path, error))
    }
}

fn read_elf(path: &Path) -> io::Result<Vec<u8>> {
    let length = fs::metadata(path)?.len();
    if length > MAX_FILE {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, format!("{length} bytes")));
    }
    fs::read(path)
}

/// Whether the process is there and has a program in it.
fn check_alive(pid: i32, process: &Path) -> Result<(), InterpreterError> {
    let path = process.join("stat");
    let stat = fs::read(&path).map_err(|error| gone_or(pid, &path, error))?;
    let stat = String::from_utf8_lossy(&stat);
    // PID (NAME) STATE PPID PGRP SESSION TTY TPGID FLAGS …; the name may hold anything, parentheses included.
    let (front, fields) = stat.rsplit_once(')').unwrap_or_default();
    let name = front.split_once('(').unwrap_or_default().1.to_owned();
    let mut fields = fields.split_ascii_whitespace();
    let state = fields.next().unwrap_or_default();
    let flags: u32 = fields.nth(5).and_then(|flags| flags.parse().ok()).unwrap_or_default();
    const PF_KTHREAD: u32 = 0x0020_0000;
    if flags & PF_KTHREAD != 0 {
        return Err(InterpreterError::KernelThread { pid, name });
    }
    match state {
        "Z" | "X" | "x" => Err(InterpreterError::Zombie { pid, name }),
        _ => Ok(()),
    }
}

fn gone_or(pid: i32, path: &Path, error: io::Error) -> InterpreterError {
    match error.kind() {
        io::ErrorKind::NotFound => InterpreterError::NoSuchProcess { pid },
        _ => InterpreterError::from_io(pid, path, error),
    }
}

/// A mapped file that may hold the interpreter, by its first executable mapping.
struct Candidate<'m> {
    mapping: &'m Mapping,
    is_exe: bool,
}

/// Files with executable mappings: the executable, then libraries named like Python, then all others.
fn candidates<'m>(mappings: &'m [Mapping], process: &Path) -> Vec<Candidate<'m>> {
    let exe = fs::metadata(process.join("exe")).ok().map(|metadata| metadata.ino());
    let exe_path = fs::read_link(process.join("exe")).unwrap_or_default();
    let mut found: Vec<Candidate<'m>> = Vec::new();
    for mapping in mappings.iter().filter(|mapping| mapping.executable) {
        if found.iter().all(|known| known.mapping.identity != mapping.identity) {
            // On overlay file systems the inode of a mapping is not the one that stat gives.
            let is_exe = mapping.path == exe_path || exe == Some(mapping.identity.1);
            found.push(Candidate { mapping, is_exe });
        }
    }
    found.sort_by_key(|candidate| {
        let name = candidate.mapping.path.file_name().unwrap_or_default().to_string_lossy();
        (!candidate.is_exe, !(name.contains("libpython") || name.contains("pypy")))
    });
    found
}

/// Open a mapped file by the first of the ways that works: through the mapping, which needs a capability and always gives
/// the right file; as the executable; by its name, if that still leads to the same file.
fn open(pid: i32, process: &Path, candidate: &Candidate<'_>) -> io::Result<(PathBuf, File)> {
    let Range { start, end } = candidate.mapping.addresses;
    let mapped = process.join(format!("map_files/{start:x}-{end:x}"));
    let refusal = match File::open(&mapped) {
        Ok(file) => return Ok((mapped, file)),
        Err(error) => error,
    };
    if candidate.is_exe {
        let exe = process.join("exe");
        return File::open(&exe).map(|file| (exe, file));
    }
    if candidate.mapping.deleted {
        return Err(refusal);
    }
    let relative = candidate.mapping.path.strip_prefix("/").unwrap_or(&candidate.mapping.path);
    let named = PathBuf::from(format!("/proc/{pid}/root")).join(relative);
    File::open(&named).map(|file| (named, file))
}

/// An interpreter found, not yet described.
struct Found<'a> {
    pid: i32,
    process: &'a Path,
    candidate: &'a Candidate<'a>,
    open_path: PathBuf,
    file: File,
    facts: Facts,
}

impl Found<'_> {
    fn interpreter(self) -> Result<Interpreter, InterpreterError> {
        let Found { pid, process, candidate, open_path, file, facts } = self;
        let path = candidate.mapping.path.clone();
        let load_bias = load_bias(candidate.mapping, &facts.loads);
        let image = image(&facts.loads, load_bias);
        let banner = data(process, &facts.loads, load_bias).find_map(|memory| version::banner_in(&memory));
        let version = facts.version.or_else(|| banner.as_ref().map(|banner| banner.version.clone()));
        let version = version.or_else(|| identify::version_in_file(&file));
        let Some(version) = version else {
            return Err(InterpreterError::Unsupported {
                pid,
                version: "of an unknown version".to_owned(),
                path,
            });
        };
        if !version.is_supported() {
            return Err(InterpreterError::Unsupported { pid, version: version.to_string(), path });
        }
        let metadata = file.metadata().map_err(|error| InterpreterError::from_io(pid, &open_path, error))?;
        let build = banner.map(|banner| banner.build).unwrap_or_default();
        Ok(Interpreter {
            pid,
            path,
            open_path,
            deleted: candidate.mapping.deleted,
            kind: if candidate.is_exe { ImageKind::Executable } else { ImageKind::Libpython },
            version,
            file_id: (metadata.dev(), metadata.ino()),
            load_bias,
            stripped: facts.stripped,
            pie: facts.pie,
            free_threaded: facts.free_threaded || build.contains("free-threading"),
            debug_build: facts.debug_build,
            build,
            image,
        })
    }
}

/// Address in the process less address in the file, from where one piece of the file is mapped.
fn load_bias(mapping: &Mapping, loads: &[Load]) -> u64 {
    // A mapping begins at a page, a segment anywhere in one.
    let page = rustix::param::page_size() as u64;
    let load = loads.iter().find(|load| {
        let start = load.offset - load.offset % page;
        load.executable && (start..load.offset.saturating_add(load.file_size)).contains(&mapping.offset)
    });
    let Some(load) = load else { return 0 };
    let vaddr = load.vaddr.wrapping_sub(load.offset).wrapping_add(mapping.offset);
    mapping.addresses.start.wrapping_sub(vaddr)
}

fn image(loads: &[Load], load_bias: u64) -> Range<u64> {
    let start = loads.iter().map(|load| load.vaddr).min().unwrap_or_default();
    let end = loads.iter().map(|load| load.vaddr.saturating_add(load.memory_size)).max().unwrap_or_default();
    load_bias.wrapping_add(start)..load_bias.wrapping_add(end)
}

/// The static data of the interpreter in the memory of the process, as far as it can be read: the last of it first, since
/// `sys.version` is composed in zero-initialised memory.
fn data<'a>(process: &Path, loads: &'a [Load], load_bias: u64) -> impl Iterator<Item = Vec<u8>> + 'a {
    let memory = File::open(process.join("mem")).ok();
    let writable = loads.iter().rev().filter(|load| !load.executable && load.memory_size > load.file_size);
    writable.filter_map(move |load| {
        let mut bytes = vec![0; usize::try_from(load.memory_size.min(MAX_DATA)).ok()?];
        memory.as_ref()?.read_exact_at(&mut bytes, load_bias.wrapping_add(load.vaddr)).ok()?;
        Some(bytes)
    })
}
