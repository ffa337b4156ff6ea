//! Which CPython it is.

use std::fmt;
use std::str::FromStr;

/// A version of CPython.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Version {
    /// 3.
    pub major: u8,
    /// As in 3.**11**.
    pub minor: u8,
    /// As in 3.11.**2**.
    pub patch: u8,
    /// What follows: `rc1`, `+`, mostly nothing.
    pub suffix: String,
}

impl Version {
    /// The first that can be traced.
    pub const OLDEST: (u8, u8) = (3, 8);
    /// The last whose GIL is known to have the same shape.
    pub const NEWEST: (u8, u8) = (3, 15);

    /// Whether it lies between the two.
    pub fn is_supported(&self) -> bool {
        (Self::OLDEST..=Self::NEWEST).contains(&(self.major, self.minor))
    }

    /// From `PY_VERSION_HEX`, as in the exported `Py_Version` of 3.11 and later: `0x030b02f0` is 3.11.2.
    pub(super) fn from_hex(hex: u32) -> Option<Version> {
        let [major, minor, patch, level] = hex.to_be_bytes();
        let suffix = match level >> 4 {
            0xa => format!("a{}", level & 0xf),
            0xb => format!("b{}", level & 0xf),
            0xc => format!("rc{}", level & 0xf),
            0xf => String::new(),
            _ => return None,
        };
        (major == 3).then_some(Version { major, minor, patch, suffix })
    }
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}.{}{}", self.major, self.minor, self.patch, self.suffix)
    }
}

impl FromStr for Version {
    type Err = ();

    fn from_str(text: &str) -> Result<Version, ()> {
        let mut parts = text.splitn(3, '.');
        let mut part = || parts.next().ok_or(());
        let (major, minor, rest) = (part()?, part()?, part()?);
        let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
        let (patch, suffix) = rest.split_at(digits);
        let plain = suffix.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'+');
        if !plain || suffix.len() > 8 {
            return Err(());
        }
        let number = |text: &str| text.parse::<u8>().map_err(|_| ());
        Ok(Version {
            major: number(major)?,
            minor: number(minor)?,
            patch: number(patch)?,
            suffix: suffix.to_owned(),
        })
    }
}

/// The text of `sys.version`, taken apart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Banner {
    pub(super) version: Version,
    /// What stands after the version: `(main, Apr 28 2025, 14:11:48) [GCC 12.2.0]`.
    pub(super) build: String,
}

/// No `sys.version` is longer: CPython's buffer has 300 bytes at most.
const MAX_BANNER: usize = 300;

/// `sys.version` in a piece of memory: `3.11.2 (main, Apr 28 2025, 14:11:48) [GCC 12.2.0]`.
pub(super) fn banner_in(memory: &[u8]) -> Option<Banner> {
    memory.split(|&byte| byte == 0).find_map(|string| {
        if !string.first()?.is_ascii_digit() || string.len() > MAX_BANNER {
            return None;
        }
        let string = std::str::from_utf8(string).ok()?;
        let (version, build) = string.split_once(' ')?;
        let sound = build.contains('(') && build.contains(") ") || build.contains(")\n");
        let build = build.split_whitespace().collect::<Vec<_>>().join(" ");
        (sound && build.ends_with(']')).then_some(Banner { version: version.parse().ok()?, build })
    })
}

/// The version among the strings of an interpreter's file: the one for which the short form is there too, as in `3.8.18`
/// and `3.8`; libraries linked in bring versions of their own.
pub(super) fn version_in(file: &[u8]) -> Option<Version> {
    let mut full: Vec<Version> = Vec::new();
    let mut short: Vec<(u8, u8)> = Vec::new();
    for string in file.split(|&byte| byte == 0) {
        // The length first: it costs least, and most strings fail it.
        if !(3..=16).contains(&string.len()) || !string[0].is_ascii_digit() || !string.contains(&b'.') {
            continue;
        }
        let Ok(string) = std::str::from_utf8(string) else {
            continue;
        };
        if let Ok(version) = string.parse::<Version>() {
            full.push(version);
        } else if let Some((major, minor)) = string.split_once('.')
            && let (Ok(major), Ok(minor)) = (major.parse(), minor.parse())
        {
            short.push((major, minor));
        }
    }
    full.retain(|version| matches!(version.major, 2 | 3) && short.contains(&(version.major, version.minor)));
    full.into_iter().max()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn version(text: &str) -> Version {
        text.parse().expect("a version")
    }

    #[test]
    fn a_version_is_printed_as_python_prints_it() {
        for text in ["3.8.18", "3.15.0a6", "3.14.0rc1", "3.12.1+", "2.7.18"] {
            assert_eq!(version(text).to_string(), text);
        }
        assert!("3.11".parse::<Version>().is_err() && "3.11.x y".parse::<Version>().is_err());
    }

    #[test]
    fn supported_are_3_8_to_3_15() {
        let supported = |text| version(text).is_supported();
        assert!(supported("3.8.0") && supported("3.15.0a1"));
        assert!(!supported("2.7.18") && !supported("3.7.16") && !supported("3.16.0"));
    }

    #[test]
    fn the_hexadecimal_version_has_level_and_serial_in_its_last_byte() {
        assert_eq!(Version::from_hex(0x030b_02f0), Some(version("3.11.2")));
        assert_eq!(Version::from_hex(0x030f_00a6), Some(version("3.15.0a6")));
        assert_eq!(Version::from_hex(0x030e_00c2), Some(version("3.14.0rc2")));
        assert_eq!(Version::from_hex(0), None);
    }

    #[test]
    fn the_banner_is_found_among_other_strings() {
        let memory =
            b"\x00\x01zz\x003.40.1 sqlite\x003.8.18 (default, May  9 2026, 10:00:00) \n[GCC 12.2.0]\x00rest";
        let banner = banner_in(memory).expect("a banner");
        assert_eq!(banner.version, version("3.8.18"));
        assert_eq!(banner.build, "(default, May 9 2026, 10:00:00) [GCC 12.2.0]");
        let free = b"3.14.0 free-threading build (main, Oct  7 2025, 00:00:00) [Clang 20.1.4 ]\0";
        assert!(banner_in(free).expect("a banner").build.starts_with("free-threading build"));
    }

    #[test]
    fn of_versions_in_a_file_the_one_with_its_short_form_counts() {
        assert_eq!(
            version_in(b"1.2.13\x003.40.1\x003.8\x003.8.18\x00lib/python3.8\x00"),
            Some(version("3.8.18"))
        );
        assert_eq!(version_in(b"1.2.13\x003.40.1\0"), None);
    }
}
