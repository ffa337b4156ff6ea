//! The output file: never somebody else's, never through a link.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{FileTypeExt, OpenOptionsExt, fchown},
    path::{Path, PathBuf},
};

use anyhow::{Context, anyhow, bail};
use gilscope_trace::{Header, Writer};
use rustix::{
    fs::{OFlags, fcntl_setfl},
    io::Errno,
};

use crate::args::RecordingArguments;

/// The file that a trace goes to.
pub(crate) struct Output {
    file: File,
    path: PathBuf,
    /// Where it lies until there is something in it, if it is to replace another file: what fails replaces nothing.
    draft: Option<PathBuf>,
    /// Whether we made it, and may remove it again.
    made: bool,
}

impl Output {
    /// Creates the output file of a recording whose first process is `pid`.
    pub(crate) fn create(arguments: &RecordingArguments, pid: i32) -> anyhow::Result<Output> {
        let path = arguments.output.clone().unwrap_or_else(|| default_path(pid));
        Output::create_at(&path, arguments.force)
    }

    /// Creates the file at `path`; what is there is replaced only if `force`, and not before something was written.
    pub(crate) fn create_at(path: &Path, force: bool) -> anyhow::Result<Output> {
        if path == Path::new("-") {
            bail!("- is not a file: use -o with a name (./- if it is to be called so)");
        }
        let draft = match fs::symlink_metadata(path).map(|metadata| metadata.file_type()) {
            Ok(kind) if kind.is_symlink() => {
                bail!("{} is a symbolic link, which is not followed: name the file itself", path.display())
            }
            Ok(kind) if kind.is_dir() => bail!("{} is a folder: name a file in it", path.display()),
            // A pipe or a device takes what it is given.
            Ok(kind) if kind.is_fifo() || kind.is_char_device() => return Output::open_special(path),
            Ok(kind) if !kind.is_file() => {
                bail!("{} is not an ordinary file: use -o for another", path.display())
            }
            Ok(_) if !force => {
                bail!("{} exists: use --force to replace it, or -o for another name", path.display())
            }
            // Replaced, not overwritten: whoever holds the old file open does not get to see the new one.
            Ok(_) => Some(draft_of(path)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(error).with_context(|| format!("cannot write to {}", path.display())),
        };
        let place = draft.as_deref().unwrap_or(path);
        // `create_new` also refuses a link that somebody plants this very moment.
        let file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(flags(OFlags::NOFOLLOW))
            .open(place);
        let file = file.with_context(|| match path.parent() {
            Some(folder) if !folder.as_os_str().is_empty() && !folder.exists() => {
                format!(
                    "the folder {} does not exist: make it first, or use -o for another place",
                    folder.display()
                )
            }
            _ => format!("cannot create {}", place.display()),
        })?;
        let output = Output { file, path: path.to_owned(), draft, made: true };
        if let Some((uid, gid)) = calling_user()
            && let Err(error) = fchown(&output.file, Some(uid), Some(gid))
        {
            output.abandon();
            return Err(error).context("cannot give the file to the calling user");
        }
        Ok(output)
    }

    /// Opens a pipe or a device. A pipe that nobody reads is refused: to wait for a reader would be to wait for ever.
    fn open_special(path: &Path) -> anyhow::Result<Output> {
        let file = OpenOptions::new()
            .write(true)
            .custom_flags(flags(OFlags::NOFOLLOW | OFlags::NONBLOCK))
            .open(path)
            .map_err(|error| match error.raw_os_error().map(Errno::from_raw_os_error) {
                Some(Errno::NXIO) => anyhow!("nobody reads from {}: start its reader first", path.display()),
                _ => anyhow::Error::new(error).context(format!("cannot write to {}", path.display())),
            })?;
        fcntl_setfl(&file, OFlags::empty()).with_context(|| format!("cannot write to {}", path.display()))?;
        Ok(Output { file, path: path.to_owned(), draft: None, made: false })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes all of the file at once.
    pub(crate) fn write(mut self, bytes: &[u8]) -> anyhow::Result<()> {
        match self.file.write_all(bytes).with_context(|| format!("cannot write to {}", self.path.display())) {
            Ok(()) => self.keep(),
            Err(error) => {
                self.abandon();
                Err(error)
            }
        }
    }

    /// The file to write to, for whatever is not a trace; [`Output::keep`] when that is done.
    pub(crate) fn writer(&self) -> io::Result<File> {
        self.file.try_clone()
    }

    /// Puts the file in the place of the one it replaces.
    pub(crate) fn keep(&mut self) -> anyhow::Result<()> {
        let Some(draft) = self.draft.take() else { return Ok(()) };
        fs::rename(&draft, &self.path).with_context(|| {
            let _ = fs::remove_file(&draft);
            format!("cannot replace {}", self.path.display())
        })
    }

    /// Begins the trace.
    pub(super) fn begin(mut self, header: &Header) -> anyhow::Result<Writer<File>> {
        let begun = self
            .file
            .try_clone()
            .context("cannot share the file")
            .and_then(|file| Ok(Writer::new(file, header)?))
            .with_context(|| format!("cannot write to {}", self.path.display()))
            .and_then(|writer| self.keep().map(|()| writer));
        if begun.is_err() {
            self.abandon();
        }
        begun
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
            let _ = fs::remove_file(self.draft.as_ref().unwrap_or(&self.path));
        }
    }
}

fn flags(flags: OFlags) -> i32 {
    flags.bits() as i32
}

/// A name beside `path`, of this process alone.
fn draft_of(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
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
    use std::os::unix::{fs::symlink, net::UnixListener};

    use rustix::fs::{CWD, FileType, Mode, mknodat};

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
        Output::create_at(&path, true).unwrap().write(b"new").unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "new");
    }

    #[test]
    fn what_comes_to_nothing_replaces_nothing_even_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("trace");
        fs::write(&path, "old").unwrap();
        Output::create_at(&path, true).unwrap().abandon();
        assert_eq!(fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_pipe_is_written_to_if_somebody_reads_it_and_otherwise_refused() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("pipe");
        mknodat(CWD, &path, FileType::Fifo, Mode::RWXU, 0).unwrap();
        let error = Output::create_at(&path, false).err().unwrap();
        assert!(error.to_string().starts_with("nobody reads from "), "{error}");
        let reader = OpenOptions::new().read(true).custom_flags(flags(OFlags::NONBLOCK)).open(&path).unwrap();
        Output::create_at(&path, true).unwrap().write(b"trace").unwrap();
        assert_eq!(io::read_to_string(reader).unwrap(), "trace");
        assert!(path.exists(), "it is not ours to remove");
    }

    #[test]
    fn what_is_no_file_is_not_replaced_even_with_force() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let _listener = UnixListener::bind(&path).unwrap();
        let error = Output::create_at(&path, true).err().unwrap();
        assert!(error.to_string().contains("is not an ordinary file"), "{error}");
        assert!(path.exists());
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
