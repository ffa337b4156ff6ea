//! `/proc/PID/maps`: which files are mapped where.

use std::ffi::OsString;
use std::ops::Range;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// A mapping of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mapping {
    /// Addresses in the process.
    pub(super) addresses: Range<u64>,
    /// Where in the file it begins.
    pub(super) offset: u64,
    /// Whether it may be executed.
    pub(super) executable: bool,
    /// The file, without the mark of a deleted one.
    pub(super) path: PathBuf,
    /// Whether the file's name is gone, as after an upgrade.
    pub(super) deleted: bool,
    /// Device and inode as they stand there: enough to tell files of one process apart.
    pub(super) identity: (Vec<u8>, u64),
}

/// The mappings of files in the text of a `maps` file. Lines of another form are passed over.
pub(super) fn parse(maps: &[u8]) -> Vec<Mapping> {
    maps.split(|&byte| byte == b'\n').filter_map(parse_line).collect()
}

/// `start-end perms offset dev inode      path`, with the numbers in hexadecimal except the inode.
fn parse_line(line: &[u8]) -> Option<Mapping> {
    let mut fields = line.splitn(6, |&byte| byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let (start, end) = text()?.split_once('-')?;
    let addresses = u64::from_str_radix(start, 16).ok()?..u64::from_str_radix(end, 16).ok()?;
    let executable = text()?.contains('x');
    let offset = u64::from_str_radix(text()?, 16).ok()?;
    let device = text()?.as_bytes().to_vec();
    let inode = text()?.parse().ok()?;
    let path = fields.next()?.trim_ascii_start();
    if inode == 0 || path.first() != Some(&b'/') {
        return None;
    }
    let (path, deleted) = match path.strip_suffix(b" (deleted)") {
        Some(path) => (path, true),
        None => (path, false),
    };
    let path = PathBuf::from(OsString::from_vec(unescape(path)));
    Some(Mapping { addresses, offset, executable, path, deleted, identity: (device, inode) })
}

/// The kernel writes a line feed in a name as `\012`.
fn unescape(path: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(path.len());
    let mut rest = path;
    while let Some((&first, after)) = rest.split_first() {
        match after.strip_prefix(b"012") {
            Some(after) if first == b'\\' => {
                out.push(b'\n');
                rest = after;
            }
            _ => {
                out.push(first);
                rest = after;
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_gives_addresses_offset_file_and_permission() {
        let mappings = parse(b"00421000-006d6000 r-xp 00021000 fe:00 123      /usr/bin/python3.11\n");
        let expected = Mapping {
            addresses: 0x421000..0x6d6000,
            offset: 0x21000,
            executable: true,
            path: "/usr/bin/python3.11".into(),
            deleted: false,
            identity: (b"fe:00".to_vec(), 123),
        };
        assert_eq!(mappings, [expected]);
    }

    #[test]
    fn names_may_hold_spaces_line_feeds_and_the_mark_of_a_deleted_file() {
        let mappings = parse(b"1000-2000 r--p 0 00:01 7 /tmp/my env\\012x/bin/python (deleted)\n");
        assert_eq!(mappings[0].path, PathBuf::from("/tmp/my env\nx/bin/python"));
        assert!(mappings[0].deleted);
    }

    #[test]
    fn anonymous_and_special_mappings_are_no_files() {
        assert!(parse(b"1000-2000 rw-p 0 00:00 0 \n3000-4000 rw-p 0 00:00 0 [heap]\nvdso\n\n").is_empty());
    }
}
