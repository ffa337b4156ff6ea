//! A look into a CPython process: its threads and their names, its GILs, its Python stacks. It reads the memory of the process
//! and never pauses it, so what it reads may be torn; torn readings are noticed, dropped and counted.
//!
//! The `py-spy` crate finds the interpreter, walks Python frames and knows the layouts of every CPython. What it does not do is here:
//! - `layout` and `walk`: where interpreters, thread states and GILs are linked, so that *all* interpreters and threads are seen,
//! - `aim`: py-spy reads all threads of one interpreter or none; aimed at one thread, it reads the holder's and the waiters' only,
//! - `tids`: the kernel's thread ids, also before 3.11 and across PID namespaces,
//! - `names`: which threads `threading` knows, and which are foreign,
//! - `stack`: which stacks can be believed,
//! - [`PythonView`]: these together, for one process,
//! - [`sampler`]: a thread that owns the views of all processes, keeps to a share of a processor, and takes requests.
//!
//! C frames cannot be had without pausing the target: [`NO_NATIVE_FRAMES`].

#![forbid(unsafe_code)]

mod aim;
mod error;
mod gil;
mod layout;
mod memory;
mod names;
pub mod sampler;
mod stack;
mod tids;
mod view;
mod walk;

pub use error::PythonViewError;
pub use gil::{GilFacts, gil_facts};
pub use sampler::{KnownThread, PythonNews, SamplerOptions, SamplerStats, StackSampler};
pub use stack::Frame;
pub use view::{Interpreter, PythonThread, PythonView, Sample, Want};

/// Why there is no `--native`: unwinding C frames needs the thread's registers and a stack that does not move meanwhile.
pub const NO_NATIVE_FRAMES: &str = "C frames cannot be read without pausing the target, which gilscope never does; \
    Python frames are recorded, and the line that called into C is the innermost of them";

/// Targets of log records that `py-spy` and its libraries emit, for a subscriber to turn off: they describe every torn reading.
pub const CHATTY_LOG_TARGETS: [&str; 5] =
    ["py_spy", "remoteprocess", "proc_maps", "read_process_memory", "goblin"];
