//! Reading a process's memory through `/proc/PID/mem`, without stopping it, and finding what is mapped where.

use std::{
    fs::{self, File},
    io,
    os::unix::fs::FileExt,
    path::PathBuf,
};

/// `count` numbers of eight bytes from `address` on.
pub(crate) fn read_u64s(pid: i32, address: u64, count: usize) -> io::Result<Vec<u64>> {
    let mut bytes = vec![0; 8 * count];
    File::open(format!("/proc/{pid}/mem"))?.read_exact_at(&mut bytes, address)?;
    Ok(bytes
        .chunks_exact(8)
        .map(|word| u64::from_ne_bytes(std::array::from_fn(|index| word[index])))
        .collect())
}

/// Where an address of a process comes from.
pub(crate) struct Mapping {
    /// A path by which the kernel can open the file.
    pub(crate) file: PathBuf,
    /// Offset of the address in the file.
    pub(crate) file_offset: u64,
}

/// The file behind an address, and the place in it.
pub(crate) fn mapping_of(pid: i32, address: u64) -> Option<Mapping> {
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    maps.lines().find_map(|line| {
        let mut words = line.split_whitespace();
        let (start, end) = words.next()?.split_once('-')?;
        let hex = |text| u64::from_str_radix(text, 16).ok();
        let (start, end) = (hex(start)?, hex(end)?);
        if !(start..end).contains(&address) {
            return None;
        }
        let offset = hex(words.nth(1)?)?;
        let file = format!("/proc/{pid}/map_files/{start:x}-{end:x}").into();
        Some(Mapping { file, file_offset: address - start + offset })
    })
}
