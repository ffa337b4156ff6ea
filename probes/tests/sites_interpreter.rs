//! Finding the interpreter, and its sites, in living processes of every Python of this machine.

mod sites_support;

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use gilscope_probes::interpreter::{ImageKind, Interpreter, InterpreterError, Version};
use gilscope_probes::sites::{CondArg, FoundBy, SiteKind, Sites, find_exported};
use sites_support::{Puppet, pythons};

/// The version of a Python, as it says itself.
fn version_of(python: &Path) -> Option<Version> {
    let puppet = Puppet::python(python, "sys.stdout.write(sys.version.split()[0] + '\\n')")?;
    puppet.said.parse().ok()
}

fn supported() -> Vec<(PathBuf, Version)> {
    let with_version = |python: PathBuf| Some((python.clone(), version_of(&python)?));
    let found: Vec<_> = pythons()
        .into_iter()
        .filter_map(with_version)
        .filter(|(_, version)| version.is_supported())
        .collect();
    if found.is_empty() {
        eprintln!("skipped: no CPython from 3.8 to 3.15 is installed");
    }
    found
}

#[test]
fn the_interpreter_is_the_one_that_the_process_says_it_is() {
    const PROGRAM: &str = "
version = sys.version.split()[0]
try:
    import ctypes
    address = ctypes.cast(ctypes.pythonapi.PyEval_SaveThread, ctypes.c_void_p).value
    print(version, address, hasattr(sys, 'gettotalrefcount'))
except ImportError:
    print(version)";
    for (python, version) in supported() {
        // Without site-packages, but with the standard library's ctypes.
        let Some(puppet) = Puppet::python(&python, PROGRAM) else {
            continue;
        };
        let found =
            Interpreter::of(puppet.pid()).unwrap_or_else(|error| panic!("{}: {error}", python.display()));
        let mut said = puppet.said.split(' ');
        assert_eq!(found.version, version);
        assert_eq!(Some(found.version.to_string().as_str()), said.next());
        let Some(address) = said.next() else {
            eprintln!("skipped: {} has no ctypes", python.display());
            continue;
        };
        let address: u64 = address.parse().expect("an address");
        assert_eq!(said.next(), Some(if found.debug_build { "True" } else { "False" }));
        let elf = found.read_elf().expect("its file");
        let exported = vaddr_of(&elf, "PyEval_SaveThread");
        assert_eq!(found.load_bias.wrapping_add(exported), address, "{found:?}");
        assert!(found.contains_address(address) && !found.contains_address(0));
        assert!(found.build.contains('['), "{found:?}");
        assert_eq!(found.kind == ImageKind::Libpython, found.path.to_string_lossy().contains("libpython"));
        assert!(!found.open_path.to_string_lossy().contains(' ') && !found.deleted);
        assert_eq!(found.check_traceable().is_ok(), !found.free_threaded);
        assert_eq!(find_exported(&elf, &["PyThreadState_New", "PyThreadState_Clear"]).len(), 2);
    }
}

#[test]
fn every_interpreter_has_its_sites_at_emulated_calls() {
    for (python, version) in supported() {
        let Some(puppet) = Puppet::python(&python, "print('ready')") else {
            continue;
        };
        let interpreter = Interpreter::of(puppet.pid()).expect("an interpreter");
        let found = Sites::find(&interpreter.read_elf().expect("its file")).expect("its sites");
        let how = format!("{} {version}: {found:#?}", python.display());
        assert_eq!(found.found_by, FoundBy::Anchors, "{how}");
        assert_eq!(found.single_stepped(), 0, "{how}");
        assert!((1..=2).contains(&found.of(SiteKind::Wait).count()), "{how}");
        assert!((1..=2).contains(&found.of(SiteKind::Acquire).count()), "{how}");
        assert!((1..=20).contains(&found.of(SiteKind::Release).count()), "{how}");
        assert!(found.sites.iter().all(|site| site.cond == CondArg::Di), "{how}");
        assert_eq!(found.cross_check.is_empty(), interpreter.stripped, "{how}");
        for sentence in found.cross_check.iter().filter(|sentence| sentence.contains("take_gil")) {
            let (inside, all) = sentence.split_once(" of ").expect("N of M");
            assert!(all.starts_with(&format!("{inside} ")), "{how}");
        }
    }
}

fn vaddr_of(elf: &[u8], name: &str) -> u64 {
    use object::{Object, ObjectSymbol};
    let file = object::File::parse(elf).expect("an ELF file");
    file.dynamic_symbols().find(|symbol| symbol.name() == Ok(name)).expect("the function").address()
}

#[test]
fn older_pythons_are_named_with_what_is_supported() {
    let old = |python: &PathBuf| version_of(python).filter(|version| !version.is_supported());
    let old: Vec<_> = pythons().into_iter().filter_map(|python| Some((old(&python)?, python))).collect();
    if old.is_empty() {
        eprintln!("skipped: no Python 2.7, 3.6 or 3.7 is installed");
    }
    for (version, python) in old {
        let Some(puppet) = Puppet::python(&python, "sys.stdout.write('ready\\n')") else {
            continue;
        };
        let error = Interpreter::of(puppet.pid()).expect_err("an unsupported version");
        assert!(matches!(error, InterpreterError::Unsupported { .. }), "{error:?}");
        let text = error.to_string();
        assert!(text.contains(&version.to_string()) && text.contains("3.8 to 3.15 are supported"), "{text}");
    }
}

#[test]
fn pypy_is_named() {
    let pypy = std::env::var_os("GILSCOPE_TEST_PYPY").unwrap_or_else(|| "pypy3".into());
    let Some(puppet) = Puppet::python(Path::new(&pypy), "print('ready')") else {
        eprintln!("skipped: pypy3 is not installed");
        return;
    };
    let error = Interpreter::of(puppet.pid()).expect_err("not CPython");
    assert!(matches!(error, InterpreterError::PyPy { .. }), "{error:?}");
}

/// The executable of a Python that is no more than a loader of a library would not do, nor would a script that starts one.
fn static_python() -> Option<PathBuf> {
    let is_whole = |python: &Path| {
        std::fs::read(python).ok().filter(|bytes| bytes.starts_with(b"\x7fELF"))?;
        let puppet = Puppet::python(python, "print('ready')")?;
        Some(Interpreter::of(puppet.pid()).ok()?.kind == ImageKind::Executable)
    };
    supported().into_iter().map(|(python, _)| python).find(|python| is_whole(python) == Some(true))
}

#[test]
fn a_file_deleted_under_the_process_in_a_folder_with_blanks_is_still_read() {
    let Some(python) = static_python() else {
        eprintln!("skipped: no Python with the interpreter in its executable is installed");
        return;
    };
    let prefix = Puppet::python(&python, "print(sys.base_prefix)").expect("a Python").said.clone();
    let folder = tempfile::tempdir().expect("a folder");
    let copy = folder.path().join("my python (deleted) x");
    std::fs::copy(&python, &copy).expect("a copy");
    let program = "import sys; print('ready', flush=True); sys.stdin.read()";
    let mut command = Command::new(&copy);
    let puppet =
        Puppet::start(command.env("PYTHONHOME", prefix).args(["-S", "-c", program])).expect("a puppet");
    std::fs::remove_file(&copy).expect("the copy");
    let found = Interpreter::of(puppet.pid()).expect("an interpreter");
    assert!(found.deleted);
    assert_eq!(found.path, copy);
    assert!(!found.open_path.to_string_lossy().contains(' '), "{found:?}");
    assert!(found.read_elf().expect("its bytes") == std::fs::read(&python).expect("the original"));
}

#[test]
fn a_process_without_python_is_named_with_its_executable() {
    let puppet = Puppet::start(Command::new("sh").args(["-c", "echo ready; read line"])).expect("a shell");
    let error = Interpreter::of(puppet.pid()).expect_err("not Python");
    assert!(matches!(error, InterpreterError::NotPython { .. }), "{error:?}");
    assert!(error.to_string().contains("not a Python process"), "{error}");
}

#[test]
fn a_process_that_has_ended_is_a_zombie_until_its_parent_asks_and_nobody_after() {
    let mut child = Command::new("true").spawn().expect("a process");
    let pid = i32::try_from(child.id()).expect("a PID");
    // Waits for its end, and leaves it to be waited for again.
    let options = rustix::process::WaitIdOptions::EXITED | rustix::process::WaitIdOptions::NOWAIT;
    let id = rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&child));
    rustix::process::waitid(id, options).expect("its end");
    assert!(matches!(Interpreter::of(pid), Err(InterpreterError::Zombie { .. })));
    child.wait().expect("its status");
    let error = Interpreter::of(pid).expect_err("nobody");
    assert!(matches!(error, InterpreterError::NoSuchProcess { .. }), "{error:?}");
    assert_eq!(error.to_string(), format!("no process has PID {pid}"));
}

#[test]
fn a_thread_of_the_kernel_is_called_so() {
    if std::fs::read_to_string("/proc/2/comm").map(|name| name.trim() == "kthreadd").unwrap_or_default() {
        assert!(matches!(Interpreter::of(2), Err(InterpreterError::KernelThread { .. })));
    } else {
        eprintln!("skipped: threads of the kernel are not visible here");
    }
}

#[test]
fn a_program_that_imports_python_but_has_not_loaded_it_is_not_ready() {
    let folder = tempfile::tempdir().expect("a folder");
    let (source, program) = (folder.path().join("embeds.c"), folder.path().join("embeds"));
    let text = "__attribute__((weak)) int Py_BytesMain(int, char **);\nint puts(const char *); int fflush(void *);
int getchar(void);\nint main(int c, char **v) { puts(\"ready\"); fflush(0); getchar(); return Py_BytesMain ? Py_BytesMain(c, v) : 0; }";
    std::fs::write(&source, text).expect("the source");
    let mut compiler = Command::new("cc");
    compiler.args(["-fPIE", "-pie", "-Wl,-z,dynamic-undefined-weak", "-w", "-o"]).arg(&program).arg(&source);
    if !compiler.status().is_ok_and(|status| status.success()) {
        eprintln!("skipped: no C compiler");
        return;
    }
    let puppet = Puppet::start(&mut Command::new(&program)).expect("the program");
    let error = Interpreter::of(puppet.pid()).expect_err("no Python yet");
    assert!(matches!(error, InterpreterError::NotYetMapped { .. }), "{error:?}");
}

const AS_NOBODY: &str = "GILSCOPE_TEST_AS_NOBODY";

#[test]
fn without_permission_the_message_ends_in_the_command_that_mends_it() {
    if let Ok(pid) = std::env::var(AS_NOBODY) {
        let error = Interpreter::of(pid.parse().expect("a PID")).expect_err("no permission");
        assert!(matches!(error, InterpreterError::NoPermission { .. }), "{error:?}");
        assert!(error.to_string().ends_with(&format!("run: sudo gilscope attach -p {pid}")), "{error}");
        return;
    }
    if !rustix::process::geteuid().is_root() {
        eprintln!("skipped: only root can start a process of another user");
        return;
    }
    // This very test as another user, who asks about a process of root.
    let puppet = Puppet::start(Command::new("sh").args(["-c", "echo ready; read line"])).expect("a shell");
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let copy = folder.path().join("test");
    std::fs::copy(std::env::current_exe().expect("this test"), &copy).expect("a copy");
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open).expect("a folder open to all");
    let name = "without_permission_the_message_ends_in_the_command_that_mends_it";
    const NOBODY: u32 = 65534;
    let mut command = Command::new(&copy);
    command.args(["--exact", name]).env(AS_NOBODY, puppet.pid().to_string()).uid(NOBODY).gid(NOBODY);
    let output = command.current_dir("/").output().expect("the test as nobody");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
}
