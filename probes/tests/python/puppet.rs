//! A small Python program that does what a test tells it over its standard input, under every CPython found.

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{PoisonError, RwLock, RwLockWriteGuard},
};

/// Reads a line, runs it as Python, answers `ok` or what `say` was given. What threads do is in functions of known names.
const PUPPET: &str = r#"
import sys, threading, _thread, json, time
stop = False
locks = []
said = []
def say(what): said.append(json.dumps(what))
def start(name, work, *args):
    ready = threading.Event()
    thread = threading.Thread(target=work, args=(ready,) + args, name=name, daemon=True)
    thread.start(); ready.wait()
    return thread.native_id
def park(ready):
    lock = _thread.allocate_lock(); lock.acquire(); locks.append(lock)
    ready.set(); lock.acquire()  # parked
def park_deep(ready, depth):
    if depth: park_deep(ready, depth - 1)
    else: park(ready)
def spin(ready):
    ready.set()
    while not stop: pass
def fib(n): return n if n < 2 else fib(n - 1) + fib(n - 2)
def leaf_a(x): return x + 1
def leaf_b(x): return leaf_a(x) - leaf_a(x)
def churn(ready):
    ready.set()
    while not stop:
        leaf_b(3); fib(8); sorted([3, 1, 2], key=leaf_a)
def burn(n):
    for _ in range(n): pass
spent = [0.0, 0.0]
def lopsided(ready, work, long, short):
    ready.set()
    while not stop:
        start_of_long = time.perf_counter()
        work(long)
        start_of_short = time.perf_counter()
        work(short)
        spent[0] += start_of_short - start_of_long
        spent[1] += time.perf_counter() - start_of_short
def unknown(ready, ids):
    ids.append(threading.get_native_id())
    park(ready)
def start_unknown():
    ready = threading.Event(); ids = []
    _thread.start_new_thread(unknown, (ready, ids)); ready.wait()
    return ids[0]
def dummy(ready, ids):
    threading.current_thread(); unknown(ready, ids)
def start_dummy():
    ready = threading.Event(); ids = []
    _thread.start_new_thread(dummy, (ready, ids)); ready.wait()
    return ids[0]
def start_native():
    import ctypes
    libc = ctypes.CDLL(None)
    ready = threading.Event(); ids = []
    def work(_): unknown(ready, ids); return 0
    global native_work
    native_work = ctypes.CFUNCTYPE(ctypes.c_ssize_t, ctypes.c_void_p)(work)
    handle = ctypes.c_ulong()
    libc.pthread_create(ctypes.byref(handle), None, native_work, None); ready.wait()
    return ids[0]
def main():
    say(dict(version=sys.version_info[:2], tid=threading.get_native_id()))
    print("\t".join(said), flush=True)
    while True:
        line = sys.stdin.readline()
        if not line: break
        said.clear()
        exec(compile(line.replace("\x1f", "\n"), "<told>", "exec"), globals())
        print("\t".join(said), flush=True)
main()
"#;

/// A running puppet; ended when dropped.
pub(crate) struct Puppet {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
    pub(crate) minor: u32,
    pub(crate) interpreter: String,
    /// The main thread's id as Python itself says it.
    pub(crate) said_tid: i32,
}

impl Puppet {
    pub(crate) fn start(interpreter: &Path) -> Option<Puppet> {
        Puppet::start_by(Command::new(interpreter), interpreter)
    }

    /// Starts by a command that ends in executing the interpreter with the arguments appended here.
    pub(crate) fn start_by(mut command: Command, interpreter: &Path) -> Option<Puppet> {
        let mut child = command
            .args(["-c", PUPPET])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .ok()?;
        let input = child.stdin.take()?;
        let output = BufReader::new(child.stdout.take()?);
        let mut puppet = Puppet {
            child,
            input,
            output,
            minor: 0,
            interpreter: interpreter.display().to_string(),
            said_tid: 0,
        };
        let first = puppet.hear();
        puppet.minor = serde_json::from_value(first["version"][1].clone()).ok()?;
        puppet.said_tid = serde_json::from_value(first["tid"].clone()).ok()?;
        Some(puppet)
    }

    pub(crate) fn pid(&self) -> i32 {
        i32::try_from(self.child.id()).unwrap()
    }

    /// Has the puppet run some Python, and waits until it has. What it says comes back; null if nothing.
    pub(crate) fn tell(&mut self, python: &str) -> serde_json::Value {
        self.tell_and_go(python);
        self.hear()
    }

    /// Has the puppet run some Python, and does not wait.
    pub(crate) fn tell_and_go(&mut self, python: &str) {
        let line = python.trim().replace('\n', "\x1f");
        writeln!(self.input, "{line}").unwrap();
        self.input.flush().unwrap();
    }

    /// Waits for the next answer.
    pub(crate) fn hear(&mut self) -> serde_json::Value {
        let mut line = String::new();
        self.output.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "{} ended", self.interpreter);
        serde_json::from_str(line.trim().split('\t').next_back().unwrap()).unwrap_or_default()
    }

    /// The same as `tell`, for what says a thread's id.
    pub(crate) fn tell_tid(&mut self, python: &str) -> i32 {
        let said = self.tell(&format!("say({python})"));
        i32::try_from(said.as_i64().unwrap()).unwrap()
    }
}

impl Drop for Puppet {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Every supported CPython of this machine: the distribution's, pyenv's, those of `samples/debian-pythons.sh`, and those that
/// `GILSCOPE_PYTHONS` lists.
pub(crate) fn interpreters() -> Vec<PathBuf> {
    let mut found = Vec::new();
    for minor in 8..=15 {
        for folder in ["/usr/bin", "/usr/local/bin"] {
            found.extend(Some(PathBuf::from(format!("{folder}/python3.{minor}"))));
        }
        let home = std::env::var_os("HOME").map_or_else(|| PathBuf::from("/root"), PathBuf::from);
        for version in fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten() {
            found.push(version.path().join(format!("bin/python3.{minor}")));
        }
        found.push(PathBuf::from(format!("/var/tmp/gilscope-pythons/run-3.{minor}")));
    }
    let listed = std::env::var_os("GILSCOPE_PYTHONS").unwrap_or_default();
    found.extend(std::env::split_paths(&listed));
    found.retain(|path| path.exists());
    found.dedup();
    found
}

/// Tests that measure shares and rates run alone: the others keep both processors of a small machine busy.
static ALONE: RwLock<()> = RwLock::new(());

/// Until it is dropped no other test under every interpreter runs.
pub(crate) fn alone() -> RwLockWriteGuard<'static, ()> {
    ALONE.write().unwrap_or_else(PoisonError::into_inner)
}

/// As [`under_every`], and alone.
pub(crate) fn under_every_alone(wanted: impl Fn(u32) -> bool, test: impl Fn(&mut Puppet)) {
    let _alone = alone();
    run_under_every(wanted, test);
}

/// Runs a test under every interpreter for which `wanted` holds, and names those that it could not run under.
pub(crate) fn under_every(wanted: impl Fn(u32) -> bool, test: impl Fn(&mut Puppet)) {
    let _beside_others = ALONE.read().unwrap_or_else(PoisonError::into_inner);
    run_under_every(wanted, test);
}

fn run_under_every(wanted: impl Fn(u32) -> bool, test: impl Fn(&mut Puppet)) {
    let mut ran = Vec::new();
    for interpreter in interpreters() {
        let Some(mut puppet) = Puppet::start(&interpreter) else {
            println!("skipped: {} does not run here", interpreter.display());
            continue;
        };
        if wanted(puppet.minor) {
            println!("under {}", interpreter.display());
            test(&mut puppet);
            ran.push(puppet.minor);
        }
    }
    for minor in (8..=15).filter(|minor| wanted(*minor) && !ran.contains(minor)) {
        println!("skipped: no CPython 3.{minor} here");
    }
    assert!(!ran.is_empty(), "no CPython that this test could run under");
}
