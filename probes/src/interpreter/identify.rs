//! What a mapped file is, from its headers and exported symbols: read on demand, since most files are not it.

use std::fs::File;

use object::read::elf::{FileHeader, ProgramHeader, Sym};
use object::{LittleEndian, Object, ObjectSection, ReadCache, elf as format};

use super::version::{self, Version};
use crate::sites::elf::{self, Load, Table};

/// What a file is.
#[derive(Debug)]
pub(super) enum Identity {
    /// It holds a CPython interpreter.
    CPython(Facts),
    /// It holds PyPy.
    PyPy,
    /// It imports CPython's functions from another file.
    Embeds,
    /// A 32-bit file, or one for another processor.
    Foreign(String),
    /// Anything else.
    Other,
}

/// What the file of a CPython interpreter says.
#[derive(Debug)]
pub(super) struct Facts {
    /// The version, if the file exports it: from 3.11 on.
    pub(super) version: Option<Version>,
    pub(super) loads: Vec<Load>,
    pub(super) stripped: bool,
    pub(super) pie: bool,
    pub(super) free_threaded: bool,
    pub(super) debug_build: bool,
}

/// Exported by every CPython, 2.7 included.
const CPYTHON: &str = "PyEval_SaveThread";
/// `PY_VERSION_HEX` in an `unsigned long`, since 3.11.
const VERSION: &str = "Py_Version";
/// Part of reference counting without a GIL.
const FREE_THREADED: &str = "_Py_MergeZeroLocalRefcount";
/// Part of checking reference counts, in debug builds.
const DEBUG: &str = "_Py_NegativeRefcount";
/// PyPy's entry point, and its own name of the function that all CPythons export.
const PYPY: [&str; 2] = ["pypy_main_startup", "PyPyEval_SaveThread"];

/// Look at a file.
pub(super) fn identify(file: &File) -> Identity {
    let cache = ReadCache::new(file);
    let file = match elf::File::<&ReadCache<&File>>::parse(&cache) {
        Ok(file) => file,
        Err(_) => return foreign(&cache),
    };
    let machine = file.elf_header().e_machine(LittleEndian);
    if machine != format::EM_X86_64 {
        return Identity::Foreign(format!("ELF machine {}", machine.0));
    }
    let names = [CPYTHON, VERSION, FREE_THREADED, DEBUG, PYPY[0], PYPY[1]];
    let exports = elf::exports(&file, &names);
    let exported = |index: usize| exports.iter().find(|(at, _)| *at == index).map(|(_, symbol)| symbol);
    if exported(4).is_some() || exported(5).is_some() {
        return Identity::PyPy;
    }
    if exported(0).is_none() {
        let imports = file.elf_dynamic_symbol_table().iter().any(|symbol| {
            let undefined = symbol.st_shndx(LittleEndian) == format::SHN_UNDEF;
            let name = || symbol.name(LittleEndian, file.elf_dynamic_symbol_table().strings());
            undefined && name().is_ok_and(|name| matches!(name, b"Py_BytesMain" | b"Py_Main" | b"Py_RunMain"))
        });
        return if imports { Identity::Embeds } else { Identity::Other };
    }
    let loads = elf::loads(&file);
    let bytes_of = |vaddr: u64| {
        let section = file
            .sections()
            .find(|section| vaddr.checked_sub(section.address()).is_some_and(|into| into < section.size()))?;
        let bytes = section.data_range(vaddr, 4).ok()??;
        Some(u32::from_le_bytes(bytes.try_into().ok()?))
    };
    Identity::CPython(Facts {
        version: exported(1).and_then(|symbol| bytes_of(symbol.vaddr)).and_then(Version::from_hex),
        loads,
        stripped: elf::symbols(&file, Table::Full).next().is_none(),
        // A library has no interpreter of its own; a static PIE is of no interest here.
        pie: file.elf_header().e_type(LittleEndian) == format::ET_DYN
            && file
                .elf_program_headers()
                .iter()
                .any(|header| header.p_type(LittleEndian) == format::PT_INTERP),
        free_threaded: exported(2).is_some(),
        debug_build: exported(3).is_some(),
    })
}

/// The `libpython` that a program is linked to.
#[derive(Debug)]
pub(super) struct Linked {
    /// Its name, such as `libpython3.11.so.1.0`.
    pub(super) name: String,
    /// The folders that the program names to look in, with `$ORIGIN` for its own.
    pub(super) folders: Vec<String>,
}

/// Which `libpython` a program is linked to.
pub(super) fn linked_libpython(file: &File) -> Option<Linked> {
    let cache = ReadCache::new(file);
    let file = elf::File::<&ReadCache<&File>>::parse(&cache).ok()?;
    let table = file.elf_dynamic_table().ok()?;
    let text = |entry| String::from_utf8(table.string(entry).ok()?.to_vec()).ok();
    let of = |tag| table.iter().filter(move |entry| entry.tag == tag).filter_map(text);
    let name = of(format::DT_NEEDED).find(|name| name.starts_with("libpython"))?;
    let folders = of(format::DT_RUNPATH).chain(of(format::DT_RPATH));
    let folders = folders.flat_map(|list| list.split(':').map(str::to_owned).collect::<Vec<_>>());
    Some(Linked { name, folders: folders.collect() })
}

/// The version among the constants of a file: where it is neither exported nor yet in memory.
pub(super) fn version_in_file(file: &File) -> Option<Version> {
    let cache = ReadCache::new(file);
    let file = elf::File::<&ReadCache<&File>>::parse(&cache).ok()?;
    let constants = file.sections().filter(|section| section.name() == Ok(".rodata"));
    constants.filter_map(|section| version::version_in(section.data().ok()?)).next()
}

fn foreign(cache: &ReadCache<&File>) -> Identity {
    use object::ReadRef;
    let Ok(start) = cache.read_bytes_at(0, 6) else {
        return Identity::Other;
    };
    match start {
        [0x7f, b'E', b'L', b'F', 1, _] => Identity::Foreign("32 bits".to_owned()),
        [0x7f, b'E', b'L', b'F', 2, 2] => Identity::Foreign("big-endian".to_owned()),
        _ => Identity::Other,
    }
}
