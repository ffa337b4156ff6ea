//! The answer: what `gilscope report --json` prints. `docs/report-json.md` documents every field.
//!
//! Plain data. Times are ns; those named `…_ns` that say *when* count from the begin of the trace.

use serde::{Deserialize, Serialize};

/// Version of the JSON form; grows when a field changes its meaning or goes.
pub const REPORT_VERSION: u32 = 1;

/// What a trace says about its GILs.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Report {
    /// [`REPORT_VERSION`].
    pub version: u32,
    /// The trace and the range reported on.
    pub trace: Trace,
    /// The check that proves the probes.
    pub pairing: Pairing,
    /// The processes.
    pub processes: Vec<Process>,
    /// The GILs.
    pub gils: Vec<Gil>,
    /// The threads that used a GIL or made a recorded call, most stalled first.
    pub threads: Vec<Thread>,
    /// Who waited while who held, longest first.
    pub blame: Vec<Blame>,
    /// The longest stalls.
    pub stalls: Vec<Stall>,
    /// Convoys by victim, most stalled first.
    pub victims: Vec<Victim>,
    /// The convoys, most stalled first.
    pub convoys: Vec<Convoy>,
    /// How many convoys there are; `convoys` holds at most [`crate::MAX_CONVOYS`].
    pub convoys_total: u64,
    /// What the holders ran during stalls; empty without stack samples.
    pub code: Vec<Code>,
    /// Holds that exceeded the switch interval without a release although a thread waited, by what they ran.
    pub long_holds: Vec<LongHold>,
    /// Stack sampling; absent if there was none.
    pub sampling: Option<Sampling>,
    /// The judgement, gravest first.
    pub verdicts: Vec<Verdict>,
    /// What is not known, and sentences that the recording left.
    pub notes: Vec<String>,
}

impl Report {
    /// What to call a thread in a text: its name, and its ID where several of the report have that name.
    pub fn label(&self, tid: i32, name: &str) -> String {
        match self.threads.iter().filter(|thread| thread.name == name).nth(1) {
            Some(_) => format!("{name} #{tid}"),
            None => name.to_owned(),
        }
    }
}

/// The trace and the range reported on.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Trace {
    /// Path of the file, if it is one.
    pub path: String,
    /// Length of the range reported on.
    pub duration_ns: i64,
    /// Rows of the trace.
    pub events: u64,
    /// Of these, waits, acquisitions and releases.
    pub gil_events: u64,
    /// Records lost.
    pub lost: u64,
    /// Begin of the range.
    pub from_ns: i64,
    /// End of the range.
    pub to_ns: i64,
    /// Length of the trace.
    pub trace_duration_ns: i64,
    /// Begin of the trace, ns since 1970-01-01 UTC; 0 if not known.
    pub start_utc_ns: i64,
    /// Whether the recording ended in order.
    pub complete: bool,
    /// Why it ended.
    pub end_reason: Option<String>,
    /// Machine it was recorded on.
    pub host: String,
    /// Its architecture.
    pub arch: String,
    /// Its number of processors.
    pub cpus: u32,
    /// gilscope that recorded it.
    pub gilscope: String,
    /// Which system calls were recorded.
    pub syscalls: String,
    /// Whether descheduling was recorded.
    pub switches: bool,
}

/// The check that proves the probes, over the whole trace.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Pairing {
    /// Acquisitions.
    pub acquisitions: u64,
    /// Releases.
    pub releases: u64,
    /// Waits, repeated ones of one stall included.
    pub waits: u64,
    /// Exceptions from the alternation of acquisition and release.
    pub unpaired: u64,
}

/// A process.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Process {
    /// Process ID.
    pub pid: i32,
    /// Command line.
    pub command: String,
    /// Version of its CPython.
    pub python: Option<String>,
    /// How the probe sites were found.
    pub sites: Option<String>,
    /// What it is to a framework.
    pub role: Option<String>,
    /// Where it listens.
    pub address: Option<String>,
    /// Its GILs: `id` in `gils`.
    pub gils: Vec<String>,
    /// Its threads: `tid` in `threads`.
    pub threads: Vec<i32>,
}

/// A GIL.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Gil {
    /// Name, unique in the report.
    pub id: String,
    /// Its process.
    pub pid: i32,
    /// Address of the GIL in the process, hexadecimal.
    pub address: String,
    /// Interpreter that it belongs to; 0 is the main one.
    pub interpreter: Option<i64>,
    /// Switch interval, µs; absent if it could not be read.
    pub switch_interval_us: Option<u64>,
    /// Part of the range in which its process was in the trace.
    pub lifetime_ns: i64,
    /// Time in which a thread held it.
    pub held_ns: i64,
    /// Time in which at least one thread waited for it.
    pub contended_ns: i64,
    /// Time in which nobody held it nor waited.
    pub idle_ns: i64,
    /// Time in which it was free although a thread waited: the hand-overs.
    pub handover_ns: i64,
    /// Time in which it is not known whether somebody held it, and nobody is known to have waited.
    pub unknown_ns: i64,
    /// Time that threads spent inside forced releases, neither holding nor waiting.
    pub limbo_ns: i64,
    /// Time in which its holder had no processor.
    pub descheduled_ns: i64,
    /// Acquisitions.
    pub acquisitions: u64,
    /// Acquisitions that had to wait.
    pub contended: u64,
    /// Acquisitions by another thread than the holder before.
    pub handovers: u64,
    /// `handovers` per second of `lifetime_ns`.
    pub handovers_per_second: f64,
    /// Releases on request.
    pub forced: u64,
    /// Releases of the holder's own accord.
    pub voluntary: u64,
}

/// A thread.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Thread {
    /// Process ID.
    pub pid: i32,
    /// Thread ID.
    pub tid: i32,
    /// How many threads had this ID before.
    pub incarnation: u32,
    /// Name.
    pub name: String,
    /// Whether it runs Python without `threading` knowing it.
    pub foreign: Option<bool>,
    /// Part of the range in which it lived. The next seven add up to it.
    pub lifetime_ns: i64,
    /// Held a GIL and, as far as is known, ran.
    pub held_ns: i64,
    /// Held a GIL without a processor.
    pub descheduled_holding_ns: i64,
    /// Waited for a GIL.
    pub waiting_ns: i64,
    /// In system calls without a GIL.
    pub syscall_ns: i64,
    /// Off the GIL and in no recorded call.
    pub offgil_ns: i64,
    /// Inside a forced release.
    pub limbo_ns: i64,
    /// Not known.
    pub unknown_ns: i64,
    /// Of `descheduled_holding_ns`, while it was still runnable.
    pub preempted_holding_ns: i64,
    /// Of `syscall_ns` and `offgil_ns`, runnable without a processor.
    pub runnable_ns: i64,
    /// Acquisitions.
    pub acquisitions: u64,
    /// Acquisitions that had to wait.
    pub contended: u64,
    /// Releases on request.
    pub forced_releases: u64,
    /// Releases of its own accord.
    pub voluntary_releases: u64,
    /// Thread states that it made, if that was recorded (`--probe-threadstates`).
    #[serde(default)]
    pub states_made: u64,
    /// Thread states that it destroyed.
    #[serde(default)]
    pub states_destroyed: u64,
    /// How long the waits took that ended in the range.
    pub wait_ns: Percentiles,
    /// The same as a histogram.
    pub wait_histogram: Vec<Bucket>,
    /// Its system calls, longest first.
    pub syscalls: Vec<Syscall>,
}

/// Percentiles, exact; 0 if there is nothing.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Percentiles {
    /// Half are at most this.
    pub p50: i64,
    /// 90 of 100 are.
    pub p90: i64,
    /// 99 of 100 are.
    pub p99: i64,
    /// All are.
    pub max: i64,
}

/// A bucket of a histogram: from `from_ns` to twice that. The first begins at 0.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Bucket {
    /// Lower end.
    pub from_ns: i64,
    /// Upper end, exclusive.
    pub to_ns: i64,
    /// How many.
    pub count: u64,
}

/// The calls of one kind of one thread.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Syscall {
    /// Name.
    pub name: String,
    /// Number on the recorded machine.
    pub nr: i16,
    /// Calls that ended or went on in the range, with or without the GIL.
    pub calls: u64,
    /// Time from entry to exit.
    pub kernel_ns: i64,
    /// Of `kernel_ns` and `reacquire_ns`, runnable without a processor.
    pub runnable_ns: i64,
    /// Time from exit to the next acquisition of the GIL.
    pub reacquire_ns: i64,
    /// Of `reacquire_ns`, waiting for the GIL.
    pub waiting_ns: i64,
    /// Calls made with the GIL in hand.
    pub held_calls: u64,
    /// Of `kernel_ns`, with the GIL in hand.
    pub held_ns: i64,
}

/// Time in which one thread waited while another held.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Blame {
    /// The GIL.
    pub gil: String,
    /// Process of both.
    pub pid: i32,
    /// Who waited.
    pub waiter_tid: i32,
    /// Its name.
    pub waiter: String,
    /// Who held; absent for time in which nobody did (the hand-over) or nobody is known to have.
    pub holder_tid: Option<i32>,
    /// Its name; `(free)` and `(unknown)` stand for nobody.
    pub holder: String,
    /// How long.
    pub ns: i64,
}

/// A thread in a list.
#[derive(Clone, PartialEq, Eq, Debug, Default, Serialize, Deserialize)]
pub struct Who {
    /// Thread ID.
    pub tid: i32,
    /// Name.
    pub name: String,
}

/// A thread and its share.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Share {
    /// Thread ID.
    pub tid: i32,
    /// Name.
    pub name: String,
    /// From 0 to 1.
    pub share: f64,
}

/// One of the longest stalls.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Stall {
    /// The GIL.
    pub gil: String,
    /// Process ID.
    pub pid: i32,
    /// Who waited.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// When the wait began.
    pub start_ns: i64,
    /// How long it took.
    pub duration_ns: i64,
    /// The system call before it, if any.
    pub after_call: Option<String>,
    /// Whether it began before or went on after what was recorded.
    pub open: bool,
    /// Whether it is a convoy stall.
    pub convoy: bool,
    /// Who held the GIL at each instant, in order; at most 32 holds.
    pub holders: Vec<Held>,
}

/// A hold inside a stall.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Held {
    /// Who.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// From when.
    pub start_ns: i64,
    /// How long.
    pub duration_ns: i64,
}

/// All convoys of one victim on one GIL.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Victim {
    /// The GIL.
    pub gil: String,
    /// Process ID.
    pub pid: i32,
    /// Who.
    pub victim: Who,
    /// Who held the GIL during the stalls.
    pub culprits: Vec<Share>,
    /// Number of convoys.
    pub convoys: u64,
    /// Time from the begin to the end of each, added.
    pub convoy_ns: i64,
    /// Convoy stalls.
    pub stalls: u64,
    /// Voluntary releases meanwhile.
    pub releases: u64,
    /// Time in the stalls.
    pub stalled_ns: i64,
    /// Time in system calls between the releases and the stalls.
    pub io_ns: i64,
    /// Median stall.
    pub stall_p50_ns: i64,
    /// Part of the victim's lifetime in the range that the stalls took, 0 to 1.
    pub share: f64,
    /// The ceiling where every release stalls: stalls per second of stalled time. A request of two calls has half of it.
    pub calls_per_second: f64,
    /// Releases per second that there were.
    pub observed_calls_per_second: f64,
    /// What the culprits ran during the stalls.
    pub code: Vec<Code>,
    /// Where the victim waited.
    pub victim_code: Vec<Code>,
}

/// A convoy.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Convoy {
    /// The GIL.
    pub gil: String,
    /// Process ID.
    pub pid: i32,
    /// Begin: the release before the first stall.
    pub start_ns: i64,
    /// End of the last stall.
    pub end_ns: i64,
    /// Who stalled.
    pub victim: Who,
    /// Who held the GIL during the stalls, and for which part of them.
    pub culprits: Vec<Share>,
    /// Convoy stalls.
    pub stalls: u64,
    /// Voluntary releases by the victim from begin to end.
    pub releases: u64,
    /// `stalls` / `releases`.
    pub stalls_per_release: f64,
    /// Time in the stalls.
    pub stalled_ns: i64,
    /// Time in system calls between the releases and the stalls.
    pub io_ns: i64,
    /// The ceiling where every release stalls: stalls per second of stalled time. A request of two calls has half of it.
    pub calls_per_second: f64,
    /// Releases per second that there were.
    pub observed_calls_per_second: f64,
    /// What the culprits ran during the stalls.
    pub code: Vec<Code>,
    /// Where the victim waited.
    pub victim_code: Vec<Code>,
}

/// Code that held a GIL during stalls, or waited for it, by samples.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Code {
    /// `file:line function`, the innermost frame.
    pub location: String,
    /// Function.
    pub function: String,
    /// File.
    pub file: String,
    /// Line; 0 if not known.
    pub line: i32,
    /// `file:line function` of the program that called it most, if it belongs to the standard library or an installed package.
    pub caller: Option<String>,
    /// Stall time that falls to it by its share of the samples.
    pub stalled_ns: i64,
    /// Share of the stall time that could be attributed, 0 to 1.
    pub share: f64,
    /// Samples behind it.
    pub samples: u64,
}

impl Code {
    /// The line of the program: its own, or the one that called a library.
    pub fn own(&self) -> &str {
        self.caller.as_deref().unwrap_or(&self.location)
    }

    /// The location, and who called it.
    pub fn told(&self) -> String {
        told(&self.location, self.caller.as_deref())
    }
}

fn told(location: &str, caller: Option<&str>) -> String {
    match caller {
        Some(caller) => format!("{location} (called from {caller})"),
        None => location.to_owned(),
    }
}

/// Holds that exceeded the switch interval without a release although a thread waited, by what they ran.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct LongHold {
    /// The GIL.
    pub gil: String,
    /// Process ID.
    pub pid: i32,
    /// Who held.
    pub tid: i32,
    /// Its name.
    pub name: String,
    /// `file:line function` if it was sampled.
    pub location: Option<String>,
    /// `file:line function` of the program that called it most, if it belongs to the standard library or an installed package.
    pub caller: Option<String>,
    /// Samples behind `location`.
    pub samples: u64,
    /// How many such holds.
    pub holds: u64,
    /// The longest, without the time in which it was descheduled.
    pub longest_ns: i64,
    /// When that began.
    pub longest_start_ns: i64,
    /// Stall time that they caused.
    pub stalled_ns: i64,
    /// Of the holds' time, in system calls.
    pub syscall_ns: i64,
    /// The system call that took most of that.
    pub syscall: Option<String>,
}

impl LongHold {
    /// The line of the program: its own, or the one that called a library; `None` if it was not sampled.
    pub fn own(&self) -> Option<&str> {
        self.caller.as_deref().or(self.location.as_deref())
    }

    /// The location, and who called it; `None` if it was not sampled.
    pub fn told(&self) -> Option<String> {
        Some(told(self.location.as_deref()?, self.caller.as_deref()))
    }
}

/// Stack sampling.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Sampling {
    /// Rate asked for, per second.
    pub requested_hz: f64,
    /// Rate reached.
    pub achieved_hz: f64,
    /// Samples in the range.
    pub samples: u64,
    /// Stacks that were torn or failed.
    pub torn: u64,
    /// Stall time in the range.
    pub stalled_ns: i64,
    /// Of it, what could be attributed to code by samples.
    pub attributed_ns: i64,
}

/// How grave a verdict is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// Nothing to do.
    #[default]
    Ok,
    /// Worth knowing.
    Notice,
    /// The program is slower for it.
    Problem,
}

impl Severity {
    /// The word.
    pub fn name(self) -> &'static str {
        match self {
            Severity::Ok => "ok",
            Severity::Notice => "notice",
            Severity::Problem => "problem",
        }
    }
}

/// A judgement in plain words.
#[derive(Clone, PartialEq, Debug, Default, Serialize, Deserialize)]
pub struct Verdict {
    /// How grave.
    pub severity: Severity,
    /// What it is about, stable: `convoy`, `contention`, `long-holds`, `descheduled`,
    /// `waiting`, `incomplete`, `no-gil`, `ok`.
    pub kind: String,
    /// A line.
    pub title: String,
    /// The figures behind it.
    pub text: String,
    /// The next step; empty if there is none.
    pub advice: String,
}
