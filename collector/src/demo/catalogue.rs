//! The built-in workloads.

use gilscope_probes::syscalls::SyscallSet;

/// An embedded program.
pub(super) struct Program {
    /// Name of its file.
    pub(super) name: &'static str,
    pub(super) source: &'static str,
}

/// A program of `samples/`.
macro_rules! sample {
    ($name:literal) => {
        Program { name: $name, source: include_str!(concat!("../../../samples/", $name)) }
    };
}

/// One demo.
pub(super) struct Demo {
    /// What it is called on the command line.
    pub(super) letter: &'static str,
    pub(super) title: &'static str,
    /// What happens in it, for somebody who sees it for the first time.
    pub(super) explanation: &'static str,
    pub(super) program: Program,
    /// A run before the one that is recorded, for comparison: what it shows, and its options.
    pub(super) before: Option<(&'static str, &'static [&'static str])>,
    /// What the recorded run shows.
    pub(super) during: &'static str,
    /// Options of the recorded run.
    pub(super) words: &'static [&'static str],
    pub(super) syscalls: SyscallSet,
    pub(super) thread_states: bool,
    pub(super) children: bool,
}

pub(super) const CATALOGUE: &[Demo] = &[
    Demo {
        letter: "A",
        title: "an asyncio echo server beside a thread that computes",
        explanation: "a client sends 100 bytes and waits for the echo, again and again; in the server's process another thread \
                      spins in pure Python",
        program: sample!("a_asyncio.py"),
        before: Some(("alone", &["--threads", "0", "--seconds", "2", "--think-ms", "0.5"])),
        during: "beside the spinner",
        words: &["--threads", "1", "--seconds", "4", "--think-ms", "0.5"],
        syscalls: SyscallSet::Socket,
        thread_states: false,
        children: false,
    },
    Demo {
        letter: "B",
        title: "messages over blocking sockets beside a thread that computes Fibonacci numbers",
        explanation: "200 messages of 8 KiB are echoed, with a pause of 1 ms after each",
        program: sample!("b_messaging.py"),
        before: Some(("alone", &["--server", "sockets", "--beside", "none", "--messages", "200"])),
        during: "beside the computation",
        words: &["--server", "sockets", "--beside", "fib", "--messages", "200"],
        syscalls: SyscallSet::Socket,
        thread_states: false,
        children: false,
    },
    Demo {
        letter: "C",
        title: "native threads that call into Python",
        explanation: "threads that Python did not make enter it with PyGILState_Ensure for every event, and make and destroy a \
                      thread state each time (needs a C compiler)",
        program: sample!("c_foreign.py"),
        before: Some(("with a thread state kept", &["--mode", "keep", "--seconds", "2"])),
        during: "with one made for each event",
        words: &["--mode", "ensure", "--seconds", "3"],
        syscalls: SyscallSet::Socket,
        thread_states: true,
        children: false,
    },
    Demo {
        letter: "D",
        title: "the same computation in threads and in processes",
        explanation: "threads take turns on one GIL; processes each have their own",
        program: sample!("d_around.py"),
        before: Some(("in threads", &["--mode", "threads", "--seconds", "2"])),
        during: "in processes",
        words: &["--mode", "processes", "--seconds", "3"],
        syscalls: SyscallSet::Socket,
        thread_states: false,
        children: true,
    },
    Demo {
        letter: "E",
        title: "does reading a file release the GIL?",
        explanation: "a big file is read beside a thread that computes a factorial",
        program: sample!("e_files.py"),
        before: Some(("in sequence", &["--how", "sequence", "--work", "read", "--seconds", "2"])),
        during: "in threads",
        words: &["--how", "threads", "--work", "read", "--seconds", "3"],
        syscalls: SyscallSet::Io,
        thread_states: false,
        children: false,
    },
    Demo {
        letter: "F",
        title: "a Dask cluster",
        explanation: "scheduler, nanny and two workers of four threads each; tasks of pure Python beside data transfer (needs \
                      dask.distributed in the Python on the PATH)",
        program: sample!("f_dask.py"),
        before: None,
        during: "the tasks",
        words: &["--seconds", "4"],
        syscalls: SyscallSet::Socket,
        thread_states: false,
        children: false,
    },
];
