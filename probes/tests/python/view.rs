//! The view of one process.

use std::{
    io::Read,
    process::Command,
    time::{Duration, Instant},
};

use crate::puppet::{Puppet, interpreters, under_every, under_every_alone};
use gilscope_probes::python::{PythonThread, PythonView, PythonViewError, Sample, Want, gil_facts};

fn of_tid(sample: &Sample, tid: i32) -> &PythonThread {
    sample
        .threads
        .iter()
        .find(|thread| thread.tid == Some(tid))
        .unwrap_or_else(|| panic!("no thread {tid} in {:#?}", sample.threads))
}

/// Looks until all threads have been found out: foreign ones take two looks.
fn settled(view: &mut PythonView) -> Sample {
    let start = Instant::now();
    loop {
        let sample = view.sample(Want::Names).unwrap();
        if !view.names_are_unsettled() || start.elapsed() > Duration::from_secs(10) {
            return sample;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

#[test]
fn threads_have_their_kernel_ids_and_the_names_that_threading_gives_them() {
    under_every(
        |_| true,
        |puppet| {
            let alpha = puppet.tell_tid("start('alpha', park)");
            let greek = puppet.tell_tid("start('βήτα', park)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let sample = settled(&mut view);
            assert_eq!(of_tid(&sample, alpha).name.as_deref(), Some("alpha"));
            assert_eq!(of_tid(&sample, greek).name.as_deref(), Some("βήτα"));
            assert_eq!(of_tid(&sample, puppet.pid()).name.as_deref(), Some("MainThread"));
            assert!(sample.threads.iter().all(|thread| !thread.foreign && thread.interpreter_id == 0));
            assert_eq!(sample.threads.len(), 3);
        },
    );
}

#[test]
fn threads_that_threading_does_not_know_are_foreign() {
    under_every(
        |_| true,
        |puppet| {
            let unknown = puppet.tell_tid("start_unknown()");
            let dummy = puppet.tell_tid("start_dummy()");
            let native = puppet.tell_tid("start_native()");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let sample = settled(&mut view);
            for tid in [unknown, native] {
                assert_eq!((of_tid(&sample, tid).foreign, &of_tid(&sample, tid).name), (true, &None));
            }
            assert!(of_tid(&sample, dummy).foreign);
            assert!(of_tid(&sample, dummy).name.as_deref().unwrap().starts_with("Dummy-"));
            assert!(!of_tid(&sample, puppet.pid()).foreign);
        },
    );
}

#[test]
fn names_follow_threads_that_come_and_go() {
    under_every(
        |_| true,
        |puppet| {
            let mut view = PythonView::open(puppet.pid()).unwrap();
            assert_eq!(settled(&mut view).threads.len(), 1);
            for round in 0..5 {
                let tid = puppet.tell_tid(&format!("start('round {round}', park)"));
                let sample = settled(&mut view);
                assert_eq!(of_tid(&sample, tid).name, Some(format!("round {round}")));
                puppet.tell("t = [t for t in threading.enumerate() if t.name.startswith('round')][0]\nlocks.pop().release(); t.join()");
                assert_eq!(settled(&mut view).threads.len(), 1);
            }
        },
    );
}

#[test]
fn stacks_have_functions_files_and_lines_innermost_first() {
    under_every(
        |_| true,
        |puppet| {
            let tid = puppet.tell_tid("start('deep', park_deep, 3)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let sample = view.sample(Want::StacksOf(vec![tid])).unwrap();
            assert_eq!(sample.threads.len(), 1);
            let frames = &of_tid(&sample, tid).frames;
            let functions: Vec<&str> = frames.iter().map(|frame| frame.function.as_str()).collect();
            assert_eq!(functions[..5], ["park", "park_deep", "park_deep", "park_deep", "park_deep"]);
            assert!(functions.last().unwrap().ends_with("_bootstrap"));
            assert!(frames.last().unwrap().file.ends_with("threading.py"));
            let line = puppet.tell("say(park.__code__.co_firstlineno + 2)").as_i64().unwrap();
            assert_eq!(i64::from(frames[0].line), line);
            assert_eq!(frames[0].file, "<string>");
            assert_eq!(sample.torn, 0);
        },
    );
}

#[test]
fn one_thread_of_many_is_read_alone_whatever_its_place_in_the_list() {
    under_every(
        |_| true,
        |puppet| {
            let mut view = PythonView::open(puppet.pid()).unwrap();
            // The newest of a list of one, of two, of many: each is aimed at in another way.
            let mut tids = vec![puppet.pid()];
            for count in 0..40 {
                tids.push(puppet.tell_tid(&format!("start('t{count}', park_deep, {count})")));
                for tid in [tids[0], tids[tids.len() / 2], tids[tids.len() - 1]] {
                    let sample = view.sample(Want::StacksOf(vec![tid])).unwrap();
                    assert_eq!((sample.threads.len(), sample.torn), (1, 0));
                    let expected = tids.iter().position(|it| *it == tid).unwrap();
                    let depth =
                        sample.threads[0].frames.iter().filter(|frame| frame.function == "park_deep").count();
                    assert_eq!(depth, expected, "thread {tid}");
                }
            }
            let all = view.sample(Want::Stacks).unwrap();
            assert_eq!((all.threads.len(), all.torn), (tids.len(), 0));
        },
    );
}

#[test]
fn the_holder_of_the_gil_is_read_first_and_runs_what_it_runs() {
    under_every(
        |_| true,
        |puppet| {
            puppet.tell("start('idle', park)");
            let spinner = puppet.tell_tid("start('spinner', spin)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let (mut seen, start) = (0, Instant::now());
            while seen < 200 {
                assert!(start.elapsed() < Duration::from_secs(20), "the spinner was the holder {seen} times");
                let sample = view.sample(Want::StacksOfHoldersAnd(Vec::new())).unwrap();
                // Nobody holds it while it is being handed over, and the main thread does until it has gone back to reading.
                for thread in sample.threads.iter().filter(|thread| thread.tid != Some(puppet.pid())) {
                    assert_eq!((thread.tid, thread.owns_gil), (Some(spinner), true));
                    assert_eq!(thread.frames[0].function, "spin");
                    seen += 1;
                }
            }
        },
    );
}

#[test]
fn believed_stacks_of_a_thread_that_never_stops_calling_are_whole() {
    under_every(
        |_| true,
        |puppet| {
            let busy = puppet.tell_tid("start('busy', churn)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let (mut believed, mut torn, mut broken) = (0, 0, 0);
            for _ in 0..3000 {
                let sample = view.sample(Want::StacksOf(vec![busy])).unwrap();
                torn += sample.torn;
                for thread in &sample.threads {
                    believed += 1;
                    let functions: Vec<&str> =
                        thread.frames.iter().map(|frame| frame.function.as_str()).collect();
                    let inner = &functions[..functions.len().saturating_sub(4)];
                    let is_inner = |name: &&str| ["fib", "leaf_a", "leaf_b"].contains(name);
                    let is_whole = functions.contains(&"churn") && inner.iter().all(is_inner);
                    broken += u32::from(!is_whole);
                    if !is_whole {
                        println!("{functions:?}");
                    }
                }
            }
            println!("believed {believed}, torn {torn}, broken {broken}");
            // How many are torn depends on how fast the machine reads; that none is believed wrongly does not.
            assert!(believed > 2000, "of 3000 samples {torn} were torn");
            assert!(
                broken * 200 <= believed,
                "{broken} of {believed} believed stacks are not what the thread did"
            );
        },
    );
}

/// How much of the time on its two lines of work a lopsided thread spends on the first, by samples and by its own measure.
fn shares_of_first_line(puppet: &mut Puppet, work: &str, long: u32, short: u32) -> (f64, f64) {
    let tid = puppet.tell_tid(&format!("start('lopsided', lopsided, {work}, {long}, {short})"));
    let define = puppet.tell("say(lopsided.__code__.co_firstlineno)").as_i64().unwrap();
    let lines = [define + 4, define + 6];
    let mut view = PythonView::open(puppet.pid()).unwrap();
    puppet.tell("spent[:] = 0.0, 0.0");
    let mut counts = [0.0, 0.0];
    for _ in 0..600 {
        let sample = view.sample(Want::StacksOf(vec![tid])).unwrap();
        for frame in sample.threads.iter().flat_map(|thread| &thread.frames) {
            for (line, count) in lines.iter().zip(&mut counts) {
                *count += f64::from(u8::from(frame.function == "lopsided" && i64::from(frame.line) == *line));
            }
        }
        // Not a wait for anything: the samples are to be spread over many turns of the loop.
        std::thread::sleep(Duration::from_micros(1700));
    }
    let spent: [f64; 2] = serde_json::from_value(puppet.tell("say(spent)")).unwrap();
    puppet.tell(
        "stop = True\nfor t in threading.enumerate():\n    if t.name == 'lopsided': t.join()\nstop = False",
    );
    let all = counts[0] + counts[1];
    assert!(all > 500.0, "{all} of 600 samples are on the two lines");
    (counts[0] / all, spent[0] / (spent[0] + spent[1]))
}

#[test]
fn of_two_lines_that_alternate_three_to_one_each_gets_its_share_of_the_samples() {
    under_every_alone(
        |_| true,
        |puppet| {
            let in_python = shares_of_first_line(puppet, "burn", 6000, 2000);
            puppet.tell("import ctypes; usleep_with_gil = ctypes.PyDLL(None).usleep");
            let in_c = shares_of_first_line(puppet, "usleep_with_gil", 3000, 1000);
            for (sampled, measured) in [in_python, in_c] {
                println!("sampled {sampled:.3}, measured {measured:.3}");
                assert!((sampled - measured).abs() < 0.1, "sampled {sampled:.3}, measured {measured:.3}");
            }
        },
    );
}

#[test]
fn threads_in_sub_interpreters_are_seen_with_their_interpreter_and_its_gil() {
    under_every(
        |_| true,
        |puppet| {
            let tids = puppet.tell(
                r#"
try: import _interpreters as subs
except ImportError: import _xxsubinterpreters as subs
import os
def in_sub(ready, code):
    if sys.version_info >= (3, 13): sub = subs.create('isolated')
    elif sys.version_info >= (3, 10): sub = subs.create(isolated=True)
    else: sub = subs.create()
    ready.set()
    subs.run_string(sub, code)
pipes = [os.pipe() for _ in range(2)]
done = [os.pipe() for _ in range(2)]
tids = [start('sub%d' % i, in_sub, '''
import os
def inside():
    os.write(%d, b"x"); os.read(%d, 1)
inside()
''' % (done[i][1], pipes[i][0])) for i in range(2)]
for pair in done: os.read(pair[0], 1)
say(tids)"#,
            );
            let tids: Vec<i32> = serde_json::from_value(tids).unwrap();
            let mut view = PythonView::open(puppet.pid()).unwrap();
            settled(&mut view);
            let interpreters = view.interpreters();
            assert_eq!(interpreters.len(), 3);
            assert_eq!(interpreters[0].id, 0);
            let mut gils: Vec<u64> = interpreters.iter().filter_map(|it| it.gil_address).collect();
            gils.sort_unstable();
            gils.dedup();
            let own_gils = if puppet.minor >= 12 { 3 } else { 0 };
            assert_eq!(gils.len(), own_gils, "from 3.12 each has its own GIL");
            for gil in gils {
                assert_eq!(gil_facts(puppet.pid(), gil).unwrap().interval_us, 5000);
            }
            let sample = view.sample(Want::StacksOf(tids.clone())).unwrap();
            for (index, tid) in tids.into_iter().enumerate() {
                let states: Vec<_> = sample.threads.iter().filter(|thread| thread.tid == Some(tid)).collect();
                assert_eq!(states.len(), 2, "one in the main interpreter, one in the other");
                assert!(states.iter().all(|state| state.name == Some(format!("sub{index}"))));
                let inside = states.iter().find(|state| state.interpreter_id != 0).unwrap();
                assert_eq!(inside.frames[0].function, "inside");
            }
        },
    );
}

#[test]
fn the_switch_interval_is_read_from_the_gil() {
    under_every(
        |minor| minor >= 12,
        |puppet| {
            puppet.tell("sys.setswitchinterval(0.0125)");
            let view = PythonView::open(puppet.pid()).unwrap();
            let gil = view.interpreters()[0].gil_address.unwrap();
            assert_eq!(gil_facts(puppet.pid(), gil).unwrap().interval_us, 12_500);
            assert!(matches!(gil_facts(puppet.pid(), 8), Err(PythonViewError::NotAGil { .. })));
        },
    );
}

#[test]
fn after_an_exec_the_view_says_so_and_can_be_refreshed() {
    under_every(
        |_| true,
        |puppet| {
            let mut view = PythonView::open(puppet.pid()).unwrap();
            view.sample(Want::Stacks).unwrap();
            puppet.tell_and_go("import os; os.execv(sys.executable, [sys.executable, '-c', 'import threading; print(flush=True); input()'])");
            puppet.hear();
            assert!(matches!(view.sample(Want::Stacks), Err(PythonViewError::Replaced { .. })));
            view.refresh().unwrap();
            assert_eq!(settled(&mut view).threads[0].name.as_deref(), Some("MainThread"));
        },
    );
}

#[test]
fn a_forked_child_is_viewed_by_its_own_ids() {
    under_every(
        |_| true,
        |puppet| {
            puppet.tell("start('left behind', park)");
            let child = puppet.tell(
                r#"
import os
up, down = os.pipe(), os.pipe()
child = os.fork()
if child == 0:
    os.close(down[1])
    os.write(up[1], b'x'); os.read(down[0], 1); os._exit(0)
os.close(down[0])
os.read(up[0], 1)
say(child)"#,
            );
            let child = i32::try_from(child.as_i64().unwrap()).unwrap();
            let mut view = PythonView::open(child).unwrap();
            let sample = settled(&mut view);
            assert_eq!(sample.threads.len(), 1);
            assert_eq!(
                (sample.threads[0].tid, sample.threads[0].name.as_deref()),
                (Some(child), Some("MainThread"))
            );
        },
    );
}

#[test]
fn thread_ids_of_another_pid_namespace_are_translated() {
    for interpreter in interpreters() {
        if interpreter.starts_with("/var/tmp") {
            continue;
        }
        let mut command = Command::new("unshare");
        command.args(["--pid", "--fork", "--kill-child"]).arg(&interpreter);
        let Some(mut puppet) = Puppet::start_by(command, &interpreter) else {
            println!("skipped: PID namespaces cannot be made here");
            return;
        };
        assert_eq!(puppet.said_tid, 1);
        let children = std::fs::read_to_string(format!("/proc/{0}/task/{0}/children", puppet.pid())).unwrap();
        let pid: i32 = children.trim().parse().unwrap();
        let inner = puppet.tell_tid("start('inside', park)");
        let mut view = PythonView::open(pid).unwrap();
        let sample = settled(&mut view);
        let inside = sample.threads.iter().find(|thread| thread.name.as_deref() == Some("inside")).unwrap();
        let status =
            std::fs::read_to_string(format!("/proc/{pid}/task/{}/status", inside.tid.unwrap())).unwrap();
        let ids = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap();
        assert_eq!(ids.split_whitespace().next_back().unwrap().parse(), Ok(inner));
    }
}

#[test]
fn an_interpreter_that_was_deleted_or_replaced_on_disk_is_viewed() {
    for interpreter in interpreters() {
        let bytes = std::fs::read(&interpreter).unwrap();
        if !bytes.starts_with(b"\x7fELF") {
            continue;
        }
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(interpreter.file_name().unwrap());
        std::fs::copy(&interpreter, &copy).unwrap();
        let mut command = Command::new(&copy);
        let home = interpreter.parent().unwrap().parent().unwrap();
        command.env("PYTHONHOME", home);
        let Some(mut puppet) = Puppet::start_by(command, &copy) else {
            println!("skipped: {} does not run from elsewhere", interpreter.display());
            continue;
        };
        std::fs::remove_file(&copy).unwrap();
        for replaced in [false, true] {
            if replaced {
                std::fs::write(&copy, b"something else").unwrap();
            }
            let tid = puppet.tell_tid("start('parked', park)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            let sample = view.sample(Want::StacksOf(vec![tid])).unwrap();
            assert_eq!(sample.threads[0].frames[0].function, "park");
        }
    }
}

#[test]
fn a_libpython_that_was_deleted_is_viewed_or_the_reason_is_said() {
    for interpreter in interpreters() {
        let maps = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/maps")).unwrap();
        let Some(puppet) = Puppet::start(&interpreter) else {
            continue;
        };
        let is_host = !interpreter.starts_with("/var/tmp");
        let library = maps(puppet.pid()).lines().find_map(|line| {
            line.split_whitespace().nth(5).filter(|path| path.contains("/libpython3")).map(str::to_owned)
        });
        let Some(library) = library.filter(|_| is_host) else {
            continue;
        };
        let folder = tempfile::tempdir().unwrap();
        let copy = folder.path().join(std::path::Path::new(&library).file_name().unwrap());
        std::fs::copy(&library, &copy).unwrap();
        let mut command = Command::new(&interpreter);
        command.env("LD_LIBRARY_PATH", folder.path());
        let mut puppet = Puppet::start_by(command, &interpreter).unwrap();
        let tid = puppet.tell_tid("start('parked', park)");
        std::fs::remove_file(&copy).unwrap();
        let name = copy.file_name().unwrap().to_str().unwrap();
        println!("{}", maps(puppet.pid()).lines().find(|line| line.contains(name)).unwrap());
        match PythonView::open(puppet.pid()) {
            Ok(mut view) => {
                let sample = view.sample(Want::StacksOf(vec![tid])).unwrap();
                assert_eq!(sample.threads[0].frames[0].function, "park");
            }
            Err(error) => assert!(matches!(error, PythonViewError::LibraryDeleted { .. }), "{error}"),
        }
    }
}

#[test]
fn what_cannot_be_viewed_is_said_in_a_sentence() {
    assert!(matches!(PythonView::open(i32::MAX), Err(PythonViewError::Gone { .. })));
    let mut cat = Command::new("cat").stdin(std::process::Stdio::piped()).spawn().unwrap();
    let error = PythonView::open(i32::try_from(cat.id()).unwrap()).err().unwrap();
    println!("{error}");
    assert!(matches!(error, PythonViewError::NoInterpreter { .. }));
    drop(cat.stdin.take());
    cat.wait().unwrap();
}

#[test]
fn versions_that_are_too_old_are_named() {
    let home = std::env::var_os("HOME").map_or_else(|| "/root".into(), std::path::PathBuf::from);
    for version in ["2.7", "3.6", "3.7"] {
        let installed = std::fs::read_dir(home.join(".pyenv/versions")).into_iter().flatten().flatten();
        let paths = installed.map(|it| it.path().join(format!("bin/python{version}")));
        let Some(interpreter) = paths.into_iter().find(|path| path.exists()) else {
            println!("skipped: no CPython {version} here");
            continue;
        };
        let mut child = Command::new(interpreter)
            .args(["-c", "import sys; sys.stdout.write('x'); sys.stdout.flush(); sys.stdin.read()"])
            .stdin(std::process::Stdio::piped())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap();
        child.stdout.as_mut().unwrap().read_exact(&mut [0]).unwrap();
        let error = PythonView::open(i32::try_from(child.id()).unwrap()).err().unwrap();
        assert!(matches!(error, PythonViewError::Unsupported { .. }), "{error}");
        assert!(error.to_string().contains(version));
        drop(child.stdin.take());
        child.wait().unwrap();
    }
}

#[test]
fn the_target_is_never_traced_nor_stopped() {
    under_every(
        |_| true,
        |puppet| {
            let ticker = puppet.tell_tid("start('spinner', spin)");
            let mut view = PythonView::open(puppet.pid()).unwrap();
            for _ in 0..200 {
                view.sample(Want::Stacks).unwrap();
                let status =
                    std::fs::read_to_string(format!("/proc/{0}/task/{ticker}/status", puppet.pid())).unwrap();
                let field = |name: &str| {
                    status.lines().find_map(|line| line.strip_prefix(name)).unwrap().trim().to_owned()
                };
                assert_eq!(field("TracerPid:"), "0");
                assert!(!field("State:").starts_with(['t', 'T']));
            }
        },
    );
}
