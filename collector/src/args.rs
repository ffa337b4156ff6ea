//! What can be typed.

use std::{ffi::OsString, path::PathBuf};

use clap::{Args, Parser, Subcommand};
use gilscope_probes::syscalls::SyscallSet;

use crate::export::ExportArguments;
use crate::report::{CompareArguments, ReportArguments};

/// Records who waits for, takes and releases the GIL of a running CPython, and shows who stalled whom.
#[derive(Parser, Debug)]
#[command(name = "gilscope", version, max_term_width = 100)]
pub(crate) struct Arguments {
    /// Log more; twice for details. GILSCOPE_LOG filters by module.
    #[arg(short, long, action = clap::ArgAction::Count, global = true)]
    pub(crate) verbose: u8,
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand, Debug)]
pub(crate) enum Command {
    /// Record processes that are already running, until Ctrl-C.
    Attach(AttachArguments),
    /// Start a command and record it until it ends; its exit status is ours.
    Record(RecordArguments),
    /// Explain a trace: who stalled whom, in figures and in words.
    Report(ReportArguments),
    /// What changed from one trace to another.
    Compare(CompareArguments),
    /// Write a trace for other tools: Perfetto, Chrome, Firefox, pandas, flame graphs.
    Export(ExportArguments),
    /// Can this machine trace, can this process be traced, and how.
    Doctor(DoctorArguments),
    /// Open the window on a trace.
    View(ViewArguments),
    /// Run a built-in workload, record it, explain it, show it.
    Demo(DemoArguments),
    /// Wait for a byte, then become another program. `record` starts its command through it.
    #[command(name = "__exec", hide = true)]
    Exec(ExecArguments),
}

/// What `attach` and `record` share.
#[derive(Args, Clone, Debug)]
pub(crate) struct RecordingArguments {
    /// Stop after that many seconds.
    #[arg(short, long, value_name = "SECONDS", allow_negative_numbers = true, value_parser = seconds)]
    pub(crate) duration: Option<f64>,
    /// The trace; by default gilscope-PID-TIME.gilscope in this folder.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Also record the processes that the target makes.
    #[arg(long)]
    pub(crate) children: bool,
    /// System calls to record: socket, io (also files and pipes), all, none.
    #[arg(long, value_name = "SET", default_value = "socket")]
    pub(crate) syscalls: SyscallSet,
    /// Sample Python stacks of the GIL's holder and of those who wait, that many times a second.
    #[arg(long, value_name = "HZ", default_value = "50", default_missing_value = "50", num_args = 0..=1, value_parser = rate)]
    pub(crate) stacks: f64,
    /// Do not sample Python stacks.
    #[arg(long, conflicts_with = "stacks")]
    pub(crate) no_stacks: bool,
    /// Take a sample of every stall that lasts that long, while it goes on; by default twice the switch interval.
    #[arg(long, value_name = "MILLISECONDS", value_parser = seconds)]
    pub(crate) stall_ms: Option<f64>,
    /// Also sample C frames (not possible without pausing the target: refused).
    #[arg(long, hide = true)]
    pub(crate) native: bool,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
    /// Also record when thread states are made and destroyed.
    #[arg(long)]
    pub(crate) probe_threadstates: bool,
    /// Open the window at once, and have it keep up.
    #[arg(long)]
    pub(crate) view: bool,
    /// One perf event per thread on any processor, as on machines with very many processors: misses the first moments of new threads.
    #[arg(long, hide_short_help = true)]
    pub(crate) per_thread: bool,
    /// KiB of each ring between the kernel and us; a power of two.
    #[arg(long, value_name = "KIB", hide_short_help = true, value_parser = clap::value_parser!(u32).range(4..=1 << 20))]
    pub(crate) ring_kib: Option<u32>,
}

impl RecordingArguments {
    /// What applies when nothing is typed, with another set of system calls.
    pub(crate) fn with_syscalls(syscalls: SyscallSet) -> RecordingArguments {
        RecordingArguments {
            duration: None,
            output: None,
            children: false,
            syscalls,
            stacks: 50.0,
            no_stacks: false,
            stall_ms: None,
            native: false,
            force: false,
            probe_threadstates: false,
            per_thread: false,
            ring_kib: None,
            view: false,
        }
    }
}

#[derive(Args, Debug)]
pub(crate) struct AttachArguments {
    /// Process to record; may be given several times.
    #[arg(short, long = "pid", value_name = "PID", required_unless_present = "dask", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pids: Vec<i32>,
    /// Record every scheduler, nanny and worker of Dask on this machine into one trace.
    #[arg(long)]
    pub(crate) dask: bool,
    #[command(flatten)]
    pub(crate) recording: RecordingArguments,
}

#[derive(Args, Debug)]
pub(crate) struct RecordArguments {
    #[command(flatten)]
    pub(crate) recording: RecordingArguments,
    /// The command and its arguments.
    #[arg(last = true, required = true, value_name = "COMMAND")]
    pub(crate) command: Vec<OsString>,
}

#[derive(Args, Debug)]
pub(crate) struct DoctorArguments {
    /// A process to look at.
    #[arg(short, long, value_name = "PID", allow_negative_numbers = true, value_parser = clap::value_parser!(i32).range(1..))]
    pub(crate) pid: Option<i32>,
    /// Machine-readable output.
    #[arg(long)]
    pub(crate) json: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ViewArguments {
    /// The trace; without one the window opens empty.
    pub(crate) file: Option<PathBuf>,
    /// Keep up with a file that is still being written.
    #[arg(long)]
    pub(crate) follow: bool,
}

#[derive(Args, Debug)]
pub(crate) struct DemoArguments {
    /// Which workload: a letter, or list.
    #[arg(default_value = "A")]
    pub(crate) name: String,
    /// Do not open the window.
    #[arg(long)]
    pub(crate) no_view: bool,
    /// The trace; by default gilscope-demo-LETTER.gilscope in this folder, replaced if it exists.
    #[arg(short, long, value_name = "FILE")]
    pub(crate) output: Option<PathBuf>,
    /// Replace the output file if it exists.
    #[arg(long)]
    pub(crate) force: bool,
}

#[derive(Args, Debug)]
pub(crate) struct ExecArguments {
    /// The file to wait for a byte from.
    pub(crate) gate: PathBuf,
    #[arg(last = true, required = true)]
    pub(crate) command: Vec<OsString>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(hz) if (0.1..=1000.0).contains(&hz) => Ok(hz),
        _ => Err("not a rate between 0.1 and 1000 a second".into()),
    }
}

fn seconds(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(seconds) if seconds > 0.0 && seconds < 1e9 => Ok(seconds),
        Ok(seconds) if seconds >= 1e9 => Err("more than 30 years".into()),
        _ => Err("not a number greater than 0".into()),
    }
}
