//! The Pythons of this machine, and processes of them that say when they are ready.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

/// Every `python3.N` and `python2.N` found: on the `PATH`, in pyenv's folder, and in `GILSCOPE_PYTHONS` (separated by
/// colons).
pub(crate) fn pythons() -> Vec<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut found: Vec<PathBuf> =
        std::env::split_paths(&path).flat_map(|folder| named_python(&folder)).collect();
    if let Some(home) = std::env::var_os("HOME") {
        let versions = std::fs::read_dir(Path::new(&home).join(".pyenv/versions"));
        let folders = versions.into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path().join("bin")));
        found.extend(folders.flat_map(|folder| named_python(&folder)));
    }
    if let Some(more) = std::env::var_os("GILSCOPE_PYTHONS") {
        found.extend(std::env::split_paths(&more));
    }
    let mut resolved: Vec<PathBuf> = found.iter().filter_map(|python| python.canonicalize().ok()).collect();
    resolved.sort();
    resolved.dedup();
    resolved
}

fn named_python(folder: &Path) -> Vec<PathBuf> {
    let named = |name: &str| {
        let version = name.strip_prefix("python").unwrap_or_default();
        let (major, minor) = version.split_once('.').unwrap_or_default();
        matches!(major, "2" | "3") && !minor.is_empty() && minor.bytes().all(|byte| byte.is_ascii_digit())
    };
    let entries = std::fs::read_dir(folder).into_iter().flatten().filter_map(Result::ok);
    entries
        .map(|entry| entry.path())
        .filter(|path| path.file_name().and_then(|name| name.to_str()).is_some_and(named))
        .collect()
}

/// A process that ends with the test.
pub(crate) struct Puppet {
    /// The process.
    pub(crate) child: Child,
    /// The line that it has written when it was ready.
    pub(crate) said: String,
}

impl Puppet {
    /// Start a command, and wait for its first line.
    pub(crate) fn start(command: &mut Command) -> Option<Puppet> {
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().ok()?;
        let mut said = String::new();
        let mut lines = BufReader::new(child.stdout.take()?);
        lines.read_line(&mut said).ok()?;
        Some(Puppet { child, said: said.trim().to_owned() })
    }

    /// A Python that runs this program, then waits for the end of its input.
    pub(crate) fn python(python: &Path, program: &str) -> Option<Puppet> {
        let program = format!("import sys\n{program}\nsys.stdout.flush()\nsys.stdin.read()");
        // Some of what is named python3.N is a script that only says which versions there are.
        Puppet::start(Command::new(python).args(["-S", "-c", &program]).stderr(Stdio::null()))
    }

    /// Its PID.
    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).expect("a PID")
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
