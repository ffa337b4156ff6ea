//! Finding the places in a CPython image where its GIL is waited for, taken and given back.
//!
//! **The condition signals are the anchors.** In every CPython from 3.8 to 3.15, `pthread_cond_signal` is called right
//! after the GIL was released (for `cond`) and right after it was taken (for `switch_cond`), and `pthread_cond_timedwait`
//! when it must be waited for. Whatever the compiler inlined, cloned or moved, and whatever was stripped, these are calls
//! of imported functions: the dynamic linker must know them. From the file alone:
//!
//! 1. relocations give the GOT slots of the two functions, and the slots give the PLT stubs (`elf`, `x86_64`);
//! 2. a scan of the code gives the calls of the stubs and through the slots (`x86_64::references`);
//! 3. walking backwards from each call, the store of 0 or 1 to `locked` at a known distance from the condition variable
//!    tells release from acquire (`classify`, `x86_64::walk`); calls for anything else are left out;
//! 4. symbols, where there are any, name the functions and confirm what was found.
//!
//! A probe on a `call rel32` is emulated by the kernel and finds the address of the condition variable in the first
//! argument register, which names the GIL. Where the call is indirect, a release or an acquisition is probed at the
//! conditional jump that tests the result of the call.
//!
//! What was found on real builds:
//!
//! | interpreter | wait | acquire | release | where the releases are |
//! |---|---|---|---|---|
//! | 3.8 built from source | 2 | 2 | 1 | two clones of `take_gil`; `drop_gil` |
//! | 3.9 to 3.12 built from source | 1 | 1 | 1 | `drop_gil` |
//! | 3.13 built from source | 1 | 1 | 2 | `drop_gil`, `PyEval_ReleaseLock` |
//! | Debian's 3.11, link-time optimised | 1 | 2 | 6 | `PyEval_SaveThread`, `drop_gil`, and inlined copies |
//! | Debian's 3.13 | 1 | 2 | 11 | likewise |
//! | Debian's 3.14 | 1 | 2 | 9 | likewise, one in a split-off cold part |
//! | Debian's 3.15 | 1 | 2 | 10 | likewise |
//! | Debian's `libpython` 3.13, 3.14, 3.15 | 1 | 1 | 1, 5, 5 | inlined into exported functions too |
//! | Ubuntu's 3.13 and 3.14 (`.plt.sec`) | 1, 2 | 2 | 12, 10 | likewise |
//! | debug builds of 3.11, 3.14, 3.15 | 1 | 1 | 1 | the wait is in `PyCOND_TIMEDWAIT`, not inlined |

mod classify;
pub(crate) mod elf;
mod fallback;
mod functions;
mod layout;
mod processor;
mod x86_64;

use functions::Functions;
pub use layout::{
    COND_OFFSET, COND_TO_SWITCH_COND, INTERVAL_OFFSET, LAST_HOLDER_OFFSET, LOCKED_OFFSET,
    SWITCH_NUMBER_OFFSET, gil_address,
};
use processor::{Call, Destinations, Processor};

/// What happens to the GIL at a site.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SiteKind {
    /// A thread found the GIL taken and waits for it, or has waited one switch interval and goes on waiting.
    Wait,
    /// A thread has taken the GIL.
    Acquire,
    /// A thread has given the GIL back.
    Release,
}

impl SiteKind {
    /// `wait`, `acquire` or `release`.
    pub fn name(self) -> &'static str {
        match self {
            SiteKind::Wait => "wait",
            SiteKind::Acquire => "acquire",
            SiteKind::Release => "release",
        }
    }
}

/// How the kernel gets past the instruction under a uprobe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stepping {
    /// It does in C what the instruction does: one trap a hit.
    Emulated,
    /// It lets the processor execute a copy and trap again: two traps, about seven times the cost in a virtual machine.
    SingleStepped,
}

/// Where a probe finds the address of the condition variable.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CondArg {
    /// In the register of the first argument, `%di` to tracefs.
    Di,
    /// In a register, less an offset.
    Register {
        /// As trace events spell it, without the `%`.
        name: &'static str,
        /// Bytes to add to the register's value.
        delta: i64,
    },
    /// It is a static variable.
    Absolute {
        /// Its address before relocation.
        vaddr: u64,
    },
    /// Nowhere: the probe does not say which GIL it is.
    None,
}

/// One instruction to probe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Site {
    /// What it tells.
    pub kind: SiteKind,
    /// Its address before relocation.
    pub vaddr: u64,
    /// Its place in the file.
    pub file_offset: u64,
    /// The function that contains it, where the file says so. Static functions have no names in a stripped file.
    pub function: Option<String>,
    /// What a hit costs.
    pub stepping: Stepping,
    /// The instruction in words, like `call pthread_cond_signal`.
    pub instruction: String,
    /// Where the address of the condition variable is found.
    pub cond: CondArg,
}

/// How sites were found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FoundBy {
    /// By the relocations of the functions that signal and wait.
    Anchors,
    /// The same calls, but of functions that are part of the file and were found by their symbols: the C library is linked
    /// statically.
    Symbols,
    /// By the exported functions around blocking calls only: much is lost, and [`Sites::notes`] says what.
    Fallback,
}

/// The sites of an image.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sites {
    /// The sites, by kind and then upwards.
    pub sites: Vec<Site>,
    /// How they were found.
    pub found_by: FoundBy,
    /// What symbols say about them, a sentence each; empty for a stripped file.
    pub cross_check: Vec<String>,
    /// What the user should know: what is lost, what was left out, what costs more than usual. A sentence each.
    pub notes: Vec<String>,
}

/// Why no sites were found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SiteError {
    /// Not a sound ELF file of 64 bits and little-endian.
    #[error("not a 64-bit little-endian ELF file: {reason}")]
    NotElf {
        /// What is wrong with it.
        reason: String,
    },
    /// An ELF file for another processor.
    #[error("made for another processor (ELF machine {machine}); only x86-64 is supported")]
    Machine {
        /// `e_machine` of its header.
        machine: u16,
    },
    /// Nothing to probe.
    #[error("no place found where the GIL is taken or given back: {reason}")]
    NotFound {
        /// What was looked for.
        reason: String,
    },
}

/// A function whose calls are looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Target {
    Signal,
    TimedWait,
}

const TARGETS: [Target; 2] = [Target::Signal, Target::TimedWait];

impl Target {
    fn name(self) -> &'static str {
        match self {
            Target::Signal => "pthread_cond_signal",
            Target::TimedWait => "pthread_cond_timedwait",
        }
    }
}

impl Sites {
    /// Find the sites in the bytes of an interpreter's file.
    ///
    /// # Errors
    /// When this is no ELF file for this processor, or neither the condition signals nor the exported functions are in it.
    pub fn find(elf: &[u8]) -> Result<Sites, SiteError> {
        let image = elf::Image::parse(elf)?;
        let functions = Functions::of(&image);
        let processor = processor::of(&image, &functions);
        let mut sites = anchors(&image, &processor)?;
        sites.sites.sort_by_key(|site| (site.kind, site.vaddr));
        let addresses: Vec<u64> = sites.sites.iter().map(|site| site.vaddr).collect();
        for (site, name) in sites.sites.iter_mut().zip(functions::names(&image, &addresses)) {
            site.function = name;
        }
        sites.cross_check = cross_check(&image, &sites.sites);
        Ok(sites)
    }

    /// The sites of one kind.
    pub fn of(&self, kind: SiteKind) -> impl Iterator<Item = &Site> {
        self.sites.iter().filter(move |site| site.kind == kind)
    }

    /// How many of the sites the kernel does not emulate.
    pub fn single_stepped(&self) -> usize {
        self.sites.iter().filter(|site| site.stepping == Stepping::SingleStepped).count()
    }
}

/// The places in the file of these exported functions, for further probes: name and file offset, in the order of `names`;
/// those that are not exported are left out, and all are if this is no ELF file.
pub fn find_exported(elf: &[u8], names: &[&str]) -> Vec<(String, u64)> {
    let Ok(image) = elf::Image::parse(elf) else {
        return Vec::new();
    };
    let mut exported = elf::exports(&image.file, names);
    exported.sort_by_key(|(index, _)| *index);
    exported.dedup_by_key(|(index, _)| *index);
    let place = |(index, symbol): (usize, elf::Symbol<'_>)| {
        Some(((*names.get(index)?).to_owned(), image.file_offset(symbol.vaddr)?))
    };
    exported.into_iter().filter_map(place).collect()
}

/// Sites at the calls that signal and wait, else the fallback.
fn anchors(image: &elf::Image<'_>, processor: &impl Processor) -> Result<Sites, SiteError> {
    let (destinations, found_by) = destinations(image);
    let calls = processor.calls(&destinations);
    let mut notes = Vec::new();
    let mut found = Vec::new();
    let mut foreign = 0;
    for call in calls.iter().filter(|call| call.target == Target::Signal) {
        match processor.nearest_access(call, &|access| classify::kind(call.target, access)) {
            Some(kind) => found.push((kind, call)),
            None => foreign += 1,
        }
    }
    let acquires: Vec<&Call> = kinds(&found, SiteKind::Acquire).collect();
    if acquires.is_empty() || kinds(&found, SiteKind::Release).next().is_none() {
        let count = |target| calls.iter().filter(|call| call.target == target).count();
        let why = format!(
            "the condition signals of the GIL were not recognised ({} calls of pthread_cond_signal, {} of \
             pthread_cond_timedwait)",
            count(Target::Signal),
            count(Target::TimedWait),
        );
        return fallback::find(image, processor, why);
    }
    if foreign > 0 {
        notes.push(format!(
            "{foreign} other calls of pthread_cond_signal are not for a GIL and were left out"
        ));
    }
    let waits = waits(processor, &calls, &acquires);
    if waits.is_empty() {
        notes.push("no wait for the GIL was recognised: stalls are seen to end, but not to begin".to_owned());
    }
    found.extend(waits.into_iter().map(|call| (SiteKind::Wait, call)));
    let sites: Vec<Site> = found
        .into_iter()
        .filter_map(|(kind, call)| fallback::site(image, kind, processor.placement(call, kind)))
        .collect();
    let stepped = sites.iter().filter(|site| site.stepping == Stepping::SingleStepped).count();
    if stepped > 0 {
        notes.push(format!(
            "{stepped} of {} sites are single-stepped by the kernel: their hits cost several times as much as others",
            sites.len()
        ));
    }
    Ok(Sites { sites, found_by, cross_check: Vec::new(), notes })
}

fn kinds<'c>(found: &[(SiteKind, &'c Call)], kind: SiteKind) -> impl Iterator<Item = &'c Call> {
    found.iter().filter(move |(found, _)| *found == kind).map(|(_, call)| *call)
}

/// The calls that wait for the GIL: those that read `locked` first; else those beside an acquisition; else the only one.
fn waits<'c>(processor: &impl Processor, calls: &'c [Call], acquires: &[&Call]) -> Vec<&'c Call> {
    let all: Vec<&Call> = calls.iter().filter(|call| call.target == Target::TimedWait).collect();
    let reads_locked = |call: &&&Call| {
        processor.nearest_access(call, &|access| classify::kind(call.target, access)) == Some(SiteKind::Wait)
    };
    let beside = |call: &&&Call| acquires.iter().any(|acquire| acquire.stretch == call.stretch);
    let sure: Vec<&Call> = all.iter().filter(reads_locked).copied().collect();
    if !sure.is_empty() {
        return sure;
    }
    let near: Vec<&Call> = all.iter().filter(beside).copied().collect();
    if near.is_empty() && all.len() == 1 { all } else { near }
}

/// Where calls of the two functions lead: to imports, else to symbols of the file itself.
fn destinations(image: &elf::Image<'_>) -> (Destinations, FoundBy) {
    let slots = image.slots(&TARGETS.map(Target::name));
    let mut destinations = Destinations::default();
    destinations
        .slots
        .extend(slots.into_iter().filter_map(|(slot, index)| Some((slot, *TARGETS.get(index)?))));
    let imports_signal = destinations.slots.iter().any(|(_, target)| *target == Target::Signal);
    if imports_signal {
        return (destinations, FoundBy::Anchors);
    }
    let own = |symbol: elf::Symbol<'_>| {
        // glibc has both under names with leading underscores, musl with one private prefix.
        let name = symbol.name.strip_prefix(b"__private_").unwrap_or(symbol.name);
        let name = name.iter().position(|&byte| byte != b'_').map_or(name, |start| &name[start..]);
        let target = TARGETS.into_iter().find(|target| target.name().as_bytes() == name)?;
        (symbol.function && image.is_code(symbol.vaddr)).then_some((symbol.vaddr, target))
    };
    for table in [elf::Table::Full, elf::Table::Dynamic] {
        destinations.functions.extend(elf::symbols(&image.file, table).filter_map(own));
    }
    (destinations, FoundBy::Symbols)
}

/// What symbols say about the sites. Functions that a compiler split or cloned go by names like `take_gil.part.0`.
fn cross_check(image: &elf::Image<'_>, sites: &[Site]) -> Vec<String> {
    let bears = |symbol: &str, names: &[&str]| names.contains(&symbol.split('.').next().unwrap_or(symbol));
    let known = |names: &[&str]| {
        let mut functions = elf::symbols(&image.file, elf::Table::Full).filter(|symbol| symbol.function);
        functions.any(|symbol| std::str::from_utf8(symbol.name).is_ok_and(|symbol| bears(symbol, names)))
    };
    // Where a debug build inlines nothing, the calls are made in the second of each.
    let homes: [(SiteKind, &[&str]); 3] = [
        (SiteKind::Wait, &["take_gil", "PyCOND_TIMEDWAIT"]),
        (SiteKind::Acquire, &["take_gil"]),
        (SiteKind::Release, &["drop_gil", "drop_gil_impl"]),
    ];
    let mut sentences = Vec::new();
    for (kind, names) in homes {
        let of_kind: Vec<&Site> = sites.iter().filter(|site| site.kind == kind).collect();
        let home = |site: &&&Site| site.function.as_deref().is_some_and(|function| bears(function, names));
        let inside = of_kind.iter().filter(home).count();
        if !of_kind.is_empty() && known(names) {
            let (all, kind, name) = (of_kind.len(), kind.name(), names[0]);
            sentences.push(format!("{inside} of {all} {kind} sites are in the symbol {name}"));
        }
    }
    sentences
}
