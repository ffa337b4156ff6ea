//! The parts of an ELF file that finding sites needs: where its code is, where the addresses of imported functions are
//! put, and its symbols. Everything is read with the suspicion that a file of unknown origin deserves.

use object::elf;
use object::read::elf::{ElfFile64, FileHeader, ProgramHeader, Sym};
use object::{LittleEndian, Object, ObjectSection, ReadRef, RelocationTarget, SymbolIndex};
use rustc_hash::FxHashMap;

use super::SiteError;

/// A 64-bit little-endian ELF file, in memory or read on demand.
pub(crate) type File<'a, R = &'a [u8]> = ElfFile64<'a, LittleEndian, R>;

/// Relocations looked at. The largest interpreters have some ten thousand; sections of a hostile file may overlap.
const MAX_RELOCATIONS: usize = 4_000_000;

/// A `PT_LOAD` segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Load {
    /// Address before relocation.
    pub(crate) vaddr: u64,
    /// Place in the file.
    pub(crate) offset: u64,
    /// Bytes in the file.
    pub(crate) file_size: u64,
    /// Bytes in memory.
    pub(crate) memory_size: u64,
    /// Whether it may be executed.
    pub(crate) executable: bool,
}

/// The `PT_LOAD` segments of a file.
pub(crate) fn loads<'a, R: ReadRef<'a>>(file: &File<'a, R>) -> Vec<Load> {
    let loads =
        file.elf_program_headers().iter().filter(|header| header.p_type(LittleEndian) == elf::PT_LOAD);
    loads
        .map(|header| Load {
            vaddr: header.p_vaddr(LittleEndian),
            offset: header.p_offset(LittleEndian),
            file_size: header.p_filesz(LittleEndian),
            memory_size: header.p_memsz(LittleEndian),
            executable: header.p_flags(LittleEndian).contains(elf::PF_X),
        })
        .collect()
}

/// A symbol that this file defines.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Symbol<'a> {
    /// Its name as in the file.
    pub(crate) name: &'a [u8],
    /// Address before relocation.
    pub(crate) vaddr: u64,
    /// Bytes; 0 where the file does not say.
    pub(crate) size: u64,
    /// Whether it is a function.
    pub(crate) function: bool,
}

/// Which symbol table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// `.dynsym`: what the dynamic linker needs; always there.
    Dynamic,
    /// `.symtab`: everything; the first thing that stripping removes.
    Full,
}

/// The symbols that a table of this file defines.
pub(crate) fn symbols<'a, 'f, R: ReadRef<'a>>(
    file: &'f File<'a, R>,
    table: Table,
) -> impl Iterator<Item = Symbol<'a>> + use<'a, 'f, R> {
    let (symbols, strings) = raw_table(file, table);
    let defined = symbols.iter().filter(|symbol| symbol.st_shndx(LittleEndian) != elf::SHN_UNDEF);
    defined.filter_map(move |symbol| {
        Some(Symbol {
            name: name_at(strings, symbol.st_name(LittleEndian))?,
            vaddr: symbol.st_value(LittleEndian),
            size: symbol.st_size(LittleEndian),
            function: symbol.st_type() == elf::STT_FUNC || symbol.st_type() == elf::STT_GNU_IFUNC,
        })
    })
}

/// The exported symbols of these names, each with its index in `names`.
pub(crate) fn exports<'a, R: ReadRef<'a>>(file: &File<'a, R>, names: &[&str]) -> Vec<(usize, Symbol<'a>)> {
    let named = |symbol: Symbol<'a>| {
        let index = names.iter().position(|name| name.as_bytes() == symbol.name)?;
        Some((index, symbol))
    };
    symbols(file, Table::Dynamic).filter_map(named).collect()
}

fn raw_table<'a, R: ReadRef<'a>>(
    file: &File<'a, R>,
    table: Table,
) -> (&'a [elf::Sym64<LittleEndian>], &'a [u8]) {
    let table = match table {
        Table::Dynamic => file.elf_dynamic_symbol_table(),
        Table::Full => file.elf_symbol_table(),
    };
    let strings = file.section_by_index(table.string_section()).and_then(|section| section.data());
    (table.symbols(), strings.unwrap_or_default())
}

/// No name that matters here is longer; the limit keeps a table without terminators from costs that grow with its square.
const MAX_NAME: usize = 512;

fn name_at(strings: &[u8], offset: u32) -> Option<&[u8]> {
    let rest = strings.get(offset as usize..)?;
    let rest = &rest[..rest.len().min(MAX_NAME)];
    let end = rest.iter().position(|&byte| byte == 0)?;
    (end > 0).then(|| &rest[..end])
}

/// An ELF image in memory, with its segments.
#[derive(Debug)]
pub(crate) struct Image<'a> {
    /// The parsed file.
    pub(crate) file: File<'a>,
    data: &'a [u8],
    loads: Vec<Load>,
}

impl<'a> Image<'a> {
    /// Parse the headers of a 64-bit little-endian ELF for x86-64.
    pub(crate) fn parse(data: &'a [u8]) -> Result<Image<'a>, SiteError> {
        let file = File::parse(data).map_err(|error| SiteError::NotElf { reason: error.to_string() })?;
        let machine = file.elf_header().e_machine(LittleEndian);
        if machine != elf::EM_X86_64 {
            return Err(SiteError::Machine { machine: machine.0 });
        }
        let loads: Vec<Load> = loads(&file)
            .into_iter()
            .filter(|load| load.vaddr.checked_add(load.memory_size).is_some())
            .collect();
        // Segments of a sound file do not overlap; thousands that all cover the whole file would make each scan take hours.
        let code: u128 =
            loads.iter().filter(|load| load.executable).map(|load| u128::from(load.file_size)).sum();
        if code > data.len() as u128 {
            return Err(SiteError::NotElf {
                reason: "its executable segments are larger than the file".to_owned(),
            });
        }
        Ok(Image { file, data, loads })
    }

    /// Where this address lies in the file.
    pub(crate) fn file_offset(&self, vaddr: u64) -> Option<u64> {
        self.loads.iter().find_map(|load| {
            let into = vaddr.checked_sub(load.vaddr)?;
            (into < load.file_size).then(|| load.offset.checked_add(into))?
        })
    }

    /// Up to `len` bytes at this address: fewer where the segment or the file ends.
    pub(crate) fn bytes(&self, vaddr: u64, len: u64) -> &'a [u8] {
        let of = |load: &Load| {
            let into = vaddr.checked_sub(load.vaddr).filter(|&into| into < load.file_size)?;
            let start = usize::try_from(load.offset.checked_add(into)?).ok()?;
            let rest = self.data.get(start..)?;
            let len = usize::try_from(len.min(load.file_size - into)).ok()?;
            Some(&rest[..len.min(rest.len())])
        };
        self.loads.iter().find_map(of).unwrap_or_default()
    }

    /// The executable parts: address and bytes.
    pub(crate) fn code(&self) -> impl Iterator<Item = (u64, &'a [u8])> + '_ {
        self.loads
            .iter()
            .filter(|load| load.executable)
            .map(|load| (load.vaddr, self.bytes(load.vaddr, load.file_size)))
    }

    /// Whether code may stand at this address.
    pub(crate) fn is_code(&self, vaddr: u64) -> bool {
        let holds = |load: &Load| vaddr.checked_sub(load.vaddr).is_some_and(|into| into < load.file_size);
        self.loads.iter().any(|load| load.executable && holds(load))
    }

    /// The GOT slots into which the dynamic linker writes the addresses of these imported functions, each with the index
    /// of its name.
    pub(crate) fn slots(&self, names: &[&str]) -> Vec<(u64, usize)> {
        let (symbols, strings) = raw_table(&self.file, Table::Dynamic);
        let index_of = |symbol: &elf::Sym64<LittleEndian>| {
            let name = name_at(strings, symbol.st_name(LittleEndian))?;
            names.iter().position(|wanted| wanted.as_bytes() == name)
        };
        let wanted: FxHashMap<SymbolIndex, usize> = symbols
            .iter()
            .enumerate()
            .filter_map(|(at, symbol)| Some((SymbolIndex(at), index_of(symbol)?)))
            .collect();
        if wanted.is_empty() {
            return Vec::new();
        }
        let relocations = self.file.dynamic_relocations().into_iter().flatten().take(MAX_RELOCATIONS);
        let slot = |(vaddr, relocation): (u64, object::Relocation)| match relocation.target() {
            RelocationTarget::Symbol(symbol) => Some((vaddr, *wanted.get(&symbol)?)),
            _ => None,
        };
        relocations.filter_map(slot).collect()
    }

    /// The bytes and address of a section.
    pub(crate) fn section(&self, name: &str) -> Option<(u64, &'a [u8])> {
        let section = self.file.section_by_name(name)?;
        Some((section.address(), section.data().ok()?))
    }
}
