//! Memory of another process, through `/proc/PID/mem`: like `process_vm_readv` it never stops the target, and it needs no `unsafe`.

use std::{fs::File, io, os::unix::fs::FileExt};

use super::PythonViewError;

/// The memory of one program image: after an exec all reads fail with [`PythonViewError::Replaced`].
#[derive(Debug)]
pub(super) struct Memory {
    pid: i32,
    file: File,
}

impl Memory {
    pub(super) fn open(pid: i32) -> Result<Memory, PythonViewError> {
        match File::open(format!("/proc/{pid}/mem")) {
            Ok(file) => Ok(Memory { pid, file }),
            Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
                Err(PythonViewError::Denied { pid })
            }
            Err(_) => Err(PythonViewError::Gone { pid }),
        }
    }

    /// Fills `buffer` from `address`.
    pub(super) fn read(&self, address: u64, buffer: &mut [u8]) -> Result<(), PythonViewError> {
        match self.file.read_at(buffer, address) {
            Ok(count) if count == buffer.len() => Ok(()),
            // The kernel answers 0 bytes, not an error, once the address space that was opened is no more.
            Ok(0) if !buffer.is_empty() => Err(PythonViewError::Replaced { pid: self.pid }),
            Ok(_) | Err(_) => Err(PythonViewError::Torn {
                pid: self.pid,
                what: format!("{} bytes at {address:#x}", buffer.len()),
            }),
        }
    }

    /// `N` words of 8 bytes from `address` on, in one reading.
    pub(super) fn words<const N: usize>(&self, address: u64) -> Result<[u64; N], PythonViewError> {
        let mut buffer = [[0; 8]; N];
        self.read(address, buffer.as_flattened_mut())?;
        Ok(buffer.map(u64::from_ne_bytes))
    }

    /// One word of 8 bytes, such as a pointer.
    pub(super) fn word(&self, address: u64) -> Result<u64, PythonViewError> {
        self.words::<1>(address).map(|[word]| word)
    }

    /// A C `int`.
    pub(super) fn int(&self, address: u64) -> Result<i32, PythonViewError> {
        let mut buffer = [0; 4];
        self.read(address, &mut buffer)?;
        Ok(i32::from_ne_bytes(buffer))
    }
}
