//! The interpreters that are here.

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Stdio},
    sync::OnceLock,
};

/// A CPython that gilscope supports.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Python {
    /// The program to start.
    pub(crate) path: PathBuf,
    /// Its minor version.
    pub(crate) minor: u32,
    /// Its whole version.
    pub(crate) version: String,
}

/// All of them: pyenv's, the distribution's, those that `GILSCOPE_PYTHONS` lists, those of `samples/debian-pythons.sh`.
pub(crate) fn pythons() -> &'static [Python] {
    static PYTHONS: OnceLock<Vec<Python>> = OnceLock::new();
    PYTHONS.get_or_init(|| {
        let mut found: Vec<Python> = Vec::new();
        for path in candidates() {
            let Some((minor, version)) = version(&path) else {
                continue;
            };
            if (8..=15).contains(&minor) {
                found.push(Python { path, minor, version });
            }
        }
        for minor in 8..=15 {
            if found.iter().all(|python| python.minor != minor) {
                println!("skipped: CPython 3.{minor}: not here");
            }
        }
        assert!(!found.is_empty(), "no CPython here");
        found
    })
}

/// The one that stands for all where the interpreter does not matter: the distribution's, or else the newest.
pub(crate) fn any_python() -> &'static Python {
    let distribution = pythons().iter().find(|python| python.path.starts_with("/usr/bin"));
    distribution.or_else(|| pythons().iter().max_by_key(|python| python.minor)).unwrap()
}

/// The interpreter of pyenv whose version begins with `version`, also one that gilscope does not support.
pub(crate) fn pyenv_version(version: &str) -> Option<PathBuf> {
    pyenv().into_iter().find(|path| {
        path.parent()
            .unwrap()
            .parent()
            .unwrap()
            .file_name()
            .is_some_and(|name| name.to_string_lossy().starts_with(&format!("{version}.")))
    })
}

fn candidates() -> Vec<PathBuf> {
    let mut paths = pyenv();
    paths.extend((8..=15).map(|minor| format!("/usr/bin/python3.{minor}").into()));
    if let Some(listed) = std::env::var_os("GILSCOPE_PYTHONS") {
        paths.extend(std::env::split_paths(&listed));
    }
    paths.extend((8..=15).map(|minor| format!("/var/tmp/gilscope-pythons/run-3.{minor}").into()));
    paths.retain(|path| path.exists());
    paths.dedup();
    paths
}

fn pyenv() -> Vec<PathBuf> {
    let root = std::env::var_os("PYENV_ROOT").map(PathBuf::from);
    let root = root.or_else(|| Some(Path::new(&std::env::var_os("HOME")?).join(".pyenv")));
    let versions = root.and_then(|root| fs::read_dir(root.join("versions")).ok());
    let mut paths: Vec<PathBuf> =
        versions.into_iter().flatten().flatten().map(|version| version.path().join("bin/python")).collect();
    paths.retain(|path| path.exists());
    paths.sort();
    paths
}

/// Minor and whole version of a CPython 3; `None` for what does not run, or is something else.
fn version(path: &Path) -> Option<(u32, String)> {
    let script = "import platform as p; print(p.python_implementation(), p.python_version())";
    let output = Command::new(path).args(["-c", script]).stdin(Stdio::null()).output().ok()?;
    let said = String::from_utf8(output.stdout).ok()?;
    let version = said.trim().strip_prefix("CPython ")?.to_owned();
    let minor = version.strip_prefix("3.")?.split('.').next()?.parse().ok()?;
    Some((minor, version))
}
