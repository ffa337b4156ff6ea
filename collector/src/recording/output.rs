//! The output file: never somebody else's, never through a link.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, bail};
use gilscope_trace::{Header, Writer};

use crate::args::RecordingArguments;

/// The file that a trace goes to.
pub(crate) struct Output {
    file: File,
    path: PathBuf,
    /// Whether we made it, and may remove it again.
    made: bool,
}

impl Output {
    /// Creates the output file of a recording whose first process is `pid`.
    pub(crate) fn create(arguments: &RecordingArguments, pid: i32) -> anyhow::Result<Output> {
        let path = arguments.output.clone().unwrap_or_else(|| default_path(pid));
        Output::create_at(&path, arguments.force)
    }

    /// Creates the file at `path`; what is there is replaced only if `force`.
    pub(crate) fn create_at(path: &Path, force: bool) -> anyhow::Result<Output> {
        match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_symlink() => {
                bail!("{} is a symbolic link, which is not followed: name the file itself", path.display())
            }
            Ok(kind) if kind.is_dir() => bail!("{} is a folder: name a file in it", path.display()),
            // A pipe or a device takes what it is given.
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => {
                let file = OpenOptions::new().write(true).custom_flags(libc_nofollow()).open(path);
                let file = file.with_context(|| format!("cannot write to {}", path.display()))?;
                return Ok(Output { file, path: path.to_owned(), made: false });
            }
            Ok(_) if !force => {
                bail!("{} exists: use --force to replace it, or -o for another name", path.display())
            }
            // Replaced, not overwritten: whoever holds the old file open does not get to see the new one.
            Ok(_) => fs::remove_file(path).with_context(|| format!("cannot replace {}", path.display()))?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error).with_context(|| format!("cannot write to {}", path.display())),
        }
        // `create_new` also refuses a link that somebody plants this very moment.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(libc_nofollow())
            .open(path);
        let file = file.with_context(|| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                format!(
                    "the folder {} does not exist: make it first, or use -o for another place",
                    folder.display()
                )
            }
            _ => format!("cannot create {}", path.display()),
        })?;
        if let Some((uid, gid)) = calling_user() {
            fchown(&file, Some(uid), Some(gid)).context("cannot give the file to the calling user")?;
        }
        Ok(Output { file, path: path.to_owned(), made: true })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of the file at once.
    pub(crate) fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        self.file.write_all(bytes).with_context(|| format!("cannot write to {}", self.path.display()))
    }

    /// The file to write to, for whatever is not a trace.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Begins the trace.
    pub(super) fn begin(self, header: &Header) -> anyhow::Result<Writer<File>> {
        let Output { file, path, made } = self;
        Writer::new(file, header).with_context(|| {
            if made {
                let _ = fs::remove_file(&path);
            }
            format!("cannot write to {}", path.display())
        })
    }

    /// Goes on with what was prepared, or, if that failed, removes the file again and says what the user can do.
    pub(crate) fn with<T>(self, prepared: anyhow::Result<T>) -> anyhow::Result<(Output, T)> {
        match prepared {
            Ok(prepared) => Ok((self, prepared)),
            Err(error) => {
                self.abandon();
                Err(super::explain(error))
            }
        }
    }

    /// Nothing will be recorded: removes the file again, if we made it.
    pub(crate) fn abandon(self) {
        if self.made {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn libc_nofollow() -> i32 {
    rustix::fs::OFlags::NOFOLLOW.bits() as i32
}

fn default_path(pid: i32) -> PathBuf {
    let now = jiff::Timestamp::now().strftime("%Y%m%dT%H%M%SZ");
    format!("gilscope-{pid}-{now}.gilscope").into()
}

/// Who called us through `sudo`.
fn calling_user() -> Option<(u32, u32)> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let number = |name| std::env::var(name).ok()?.parse().ok();
    Some((number("SUDO_UID")?, number("SUDO_GID")?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn a_planted_link_is_not_followed_even_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let (victim, link) = (folder.path().join("victim"), folder.path().join("trace"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        for force in [false, true] {
            assert!(Output::create_at(&link, force).is_err());
        }
        assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    }

    #[test]
    fn an_existing_file_is_replaced_only_by_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        fs::write(&path, "old").unwrap();
        assert!(Output::create_at(&path, false).is_err());
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert!(Output::create_at(&path, true).is_ok());
        assert_eq!(fs::read_to_string(&path).unwrap(), "");
    }

    #[test]
    fn a_recording_that_comes_to_nothing_leaves_no_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        Output::create_at(&path, false).unwrap().abandon();
        assert!(!path.exists());
    }

    #[test]
    fn a_missing_folder_is_named() {
        let error = Output::create_at(Path::new("/nowhere/at/all/trace"), false).err().unwrap();
        assert!(format!("{error:#}").starts_with("the folder /nowhere/at/all does not exist"), "{error:#}");
    }
}
