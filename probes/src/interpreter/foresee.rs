//! Which file a command will run as its interpreter, before it runs: the way that `execvp` (3), a `#!` line (`fs/binfmt_script.c`),
//! `env` (1) and the dynamic linker (`ld.so` (8)) would go.
//!
//! It takes some 20 ms to find the sites in a file and to subscribe to them, and an interpreter is at the first line of its program
//! by then. What is foreseen can be in place before.

use std::{
    env,
    ffi::{OsStr, OsString},
    fs::{self, File},
    io::Read,
    os::{
        fd::AsRawFd,
        unix::{ffi::OsStrExt, fs::MetadataExt},
    },
    path::{Path, PathBuf},
};

use super::{
    InterpreterError,
    identify::{self, Identity},
};

/// `#!` lines followed; the kernel follows five.
const MAX_SCRIPTS: usize = 5;
/// Bytes of a `#!` line that the kernel reads (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;
/// Where the dynamic linker looks in the end.
const LIBRARIES: [&str; 7] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
    "/usr/local/lib",
];

/// A file that will be an interpreter.
#[derive(Debug)]
pub struct Foreseen {
    /// Its name.
    pub path: PathBuf,
    /// The file itself, open for as long as it is to be reached by `open_path`.
    pub file: File,
    /// Device and inode.
    pub file_id: (u64, u64),
}

impl Foreseen {
    /// The bytes of the file.
    ///
    /// # Errors
    /// When the file cannot be read, or is larger than any interpreter.
    pub fn read_elf(&self) -> Result<Vec<u8>, InterpreterError> {
        let path = self.open_path();
        super::read_elf(&path).map_err(|source| InterpreterError::Io { path: self.path.clone(), source })
    }

    /// A path of the file without blanks.
    pub fn open_path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/{}/fd/{}", std::process::id(), self.file.as_raw_fd()))
    }
}

/// The file that holds the interpreter which this command will run. `None` where that shows only when it runs, as with a shim that is
/// a shell script, or where it is no CPython with a GIL.
pub fn foresee(command: &[OsString]) -> Option<Foreseen> {
    let mut program = on_path(command.first()?)?;
    let here = env::current_dir().ok()?;
    let version = env::var("PYENV_VERSION").ok().filter(|version| !version.is_empty());
    for _ in 0..MAX_SCRIPTS {
        if !is_executable(&program) {
            return None;
        }
        match behind_pyenv(&program, &here, version.as_deref()).or_else(|| next_of_script(&program)) {
            Some(next) => program = next,
            None => return image_of(&program),
        }
    }
    None
}

/// The program of that name as `execvp` finds it.
fn on_path(name: &OsStr) -> Option<PathBuf> {
    if name.as_bytes().contains(&b'/') {
        return Some(PathBuf::from(name));
    }
    let path = env::var_os("PATH")?;
    env::split_paths(&path).map(|folder| folder.join(name)).find(|file| is_executable(file))
}

fn is_executable(file: &Path) -> bool {
    fs::metadata(file).is_ok_and(|metadata| metadata.is_file() && metadata.mode() & 0o111 != 0)
}

/// The program that a shim of pyenv stands for: of the version that was named (`PYENV_VERSION`), or else in a `.python-version` from
/// here upwards, or else in pyenv's `version`. If another rule applies, its interpreter is found when it runs.
fn behind_pyenv(shim: &Path, here: &Path, named: Option<&str>) -> Option<PathBuf> {
    let (folder, name) = (shim.parent()?, shim.file_name()?);
    let root = folder.parent().filter(|_| folder.ends_with("shims"))?;
    let local = here.ancestors().map(|folder| folder.join(".python-version"));
    let mut files = local.chain([root.join("version")]).filter_map(|file| fs::read_to_string(file).ok());
    let version = named.map(str::to_owned).or_else(|| files.next())?;
    // Several may be in force: the first that has the program.
    let mut versions = version.split([':', '\n']).map(str::trim).filter(|version| !version.is_empty());
    let program = |version| root.join("versions").join(version).join("bin").join(name);
    versions.find_map(|version| Some(program(version)).filter(|path| path.exists()))
}

/// The program that a script is handed to; `None` if it is no script.
fn next_of_script(program: &Path) -> Option<PathBuf> {
    let mut line = Vec::new();
    File::open(program).ok()?.take(LINE as u64).read_to_end(&mut line).ok()?;
    let line = line.strip_prefix(b"#!")?.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
    let program = Path::new(OsStr::from_bytes(words.next()?));
    if program.file_name() != Some(OsStr::new("env")) {
        return Some(program.to_owned());
    }
    let name = words.find(|word| !word.starts_with(b"-") && !word.contains(&b'='))?;
    on_path(OsStr::from_bytes(name))
}

/// The program itself if the interpreter is in it, or else its `libpython`.
fn image_of(program: &Path) -> Option<Foreseen> {
    let (path, file, identity) = look_at(program)?;
    let (path, file, identity) = match identity {
        Identity::Embeds => look_at(&libpython_of(&path, &file)?)?,
        _ => (path, file, identity),
    };
    match identity {
        Identity::CPython(facts) if !facts.free_threaded => {
            let metadata = file.metadata().ok()?;
            Some(Foreseen { path, file_id: (metadata.dev(), metadata.ino()), file })
        }
        _ => None,
    }
}

fn look_at(program: &Path) -> Option<(PathBuf, File, Identity)> {
    let path = fs::canonicalize(program).ok()?;
    let file = File::open(&path).ok()?;
    let identity = identify::identify(&file);
    Some((path, file, identity))
}

/// The `libpython` that a program is linked to, where the dynamic linker would find it.
fn libpython_of(program: &Path, file: &File) -> Option<PathBuf> {
    let linked = identify::linked_libpython(file)?;
    let origin = program.parent()?.to_string_lossy();
    let named = linked
        .folders
        .iter()
        .map(|folder| PathBuf::from(folder.replace("${ORIGIN}", &origin).replace("$ORIGIN", &origin)));
    let given = env::var_os("LD_LIBRARY_PATH").unwrap_or_default();
    let given: Vec<PathBuf> = env::split_paths(&given).collect();
    let usual = LIBRARIES.into_iter().map(PathBuf::from);
    named.chain(given).chain(usual).map(|folder| folder.join(&linked.name)).find(|library| library.exists())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    fn script(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    #[test]
    fn a_script_is_handed_to_the_program_in_its_first_line() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        let next = |text: &str| {
            script(&file, text);
            next_of_script(&file)
        };
        assert_eq!(next("#!/opt/python -u\nx\n"), Some(PathBuf::from("/opt/python")));
        assert_eq!(next("#! /opt/python"), Some(PathBuf::from("/opt/python")));
        assert_eq!(next("#!/usr/bin/env -S A=b sh -e\n"), on_path(OsStr::new("sh")));
        for none in ["", "#!", "#!\n", "#!/usr/bin/env\n", "x\n#!/bin/sh\n", "\u{7f}ELF"] {
            assert_eq!(next(none), None, "{none:?}");
        }
    }

    #[test]
    fn scripts_that_name_each_other_do_not_go_on_for_ever() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("script");
        script(&file, &format!("#!{}\n", file.display()));
        assert!(foresee(&[file.into()]).is_none());
        assert!(foresee(&[]).is_none() && foresee(&["no-such-program".into()]).is_none());
    }

    #[test]
    fn a_shim_of_pyenv_stands_for_the_program_of_the_version_in_force() {
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        for folder in ["shims", "versions/3.9.1/bin", "versions/3.12.0/bin", "here/below"] {
            fs::create_dir_all(at(folder)).unwrap();
        }
        script(&at("shims/python3"), "#!/usr/bin/env bash\n");
        symlink("/bin/true", at("versions/3.9.1/bin/python3")).unwrap();
        fs::write(at("version"), "missing\n3.9.1\n").unwrap();
        symlink("/bin/true", at("versions/3.12.0/bin/python3")).unwrap();
        fs::write(at("here/.python-version"), "3.12.0").unwrap();
        let (older, newer) = (at("versions/3.9.1/bin/python3"), at("versions/3.12.0/bin/python3"));
        let behind = |here: &Path, named| behind_pyenv(&at("shims/python3"), here, named);
        assert_eq!(behind(Path::new("/"), None), Some(older.clone()));
        assert_eq!(behind(Path::new("/"), Some("3.12.0")), Some(newer.clone()));
        assert_eq!(behind(&at("here/below"), None), Some(newer));
        assert_eq!(behind_pyenv(&older, Path::new("/"), None), None, "it is no shim");
    }
}
