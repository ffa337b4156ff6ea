//! Which perf events a thread needs, and how each is opened.

use std::{
    cell::Cell,
    ffi::{CStr, CString},
    io,
};

use perf_event::{
    Builder, Clock, Counter, ReadFormat, SampleFlag, Sampler,
    events::{Software, Tracepoint},
};

use super::{limits::lockable_bytes, record::What};
use crate::{
    process,
    source::Origin,
    tracefs::{Tracefs, TracefsError},
};

/// Memory for all rings together. A thread that does nothing but hand the GIL over writes 43 MB/s, so two processors' rings of
/// 8 MiB last for 190 ms each, several rounds of the collector.
const RINGS_BYTES: usize = 64 << 20;
/// A ring is not made smaller on our own account: a round of the collector must fit.
const LEAST_RING_BYTES: usize = 512 << 10;
/// A ring is not made smaller on the kernel's account either: recording would lose more than it shows.
const LEAST_LOCKED_BYTES: usize = 64 << 10;
const MOST_RING_BYTES: usize = 8 << 20;

/// How events are spread over threads and processors.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Mode {
    /// An event per thread, processor and probe, inherited by new threads; a ring per processor.
    PerThreadAndCpu,
    /// An event per thread and probe on whatever processor; a ring per thread. For machines with so many processors that the
    /// other mode would need more descriptors than the process may open. New threads are picked up when the record of their
    /// birth is read, so their first moments are missing.
    PerThread,
}

impl Mode {
    /// Name in the header of a trace.
    pub fn name(self) -> &'static str {
        match self {
            Mode::PerThreadAndCpu => "per-thread-and-cpu",
            Mode::PerThread => "per-thread",
        }
    }
}

/// What is asked of the kernel.
#[derive(Clone, Debug)]
pub struct PerfOptions {
    /// How events are spread.
    pub mode: Mode,
    /// Whether processes that the target makes inherit its subscriptions, not only its threads.
    pub follow_processes: bool,
    /// Numbers of the system calls whose begin is recorded; empty for none, `None` for all.
    pub syscall_enters: Option<Vec<i16>>,
    /// Numbers of the system calls whose end is recorded; empty for none, `None` for all.
    pub syscall_exits: Option<Vec<i16>>,
    /// Bytes of each ring; `None` for a size that fits the machine.
    pub ring_bytes: Option<usize>,
}

/// Why a thread could not be subscribed to.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SubscribeError {
    /// The thread is gone.
    #[error("thread {0} is gone")]
    Gone(i32),
    /// No privilege.
    #[error("the kernel does not permit perf events of thread {tid}")]
    Permission {
        /// The thread.
        tid: i32,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// No more descriptors.
    #[error(
        "more perf events are needed than this process may open: raise its limit (ulimit -Hn), or use --per-thread"
    )]
    Descriptors(#[source] io::Error),
    /// The kernel's buffers do not fit.
    #[error(
        "this process may not lock {} KiB of memory for each of the kernel's buffers: grant CAP_IPC_LOCK, or raise \
         kernel.perf_event_mlock_kb", bytes >> 10
    )]
    Memory {
        /// Bytes of a buffer.
        bytes: usize,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Anything else.
    #[error("the kernel refused a perf event")]
    Kernel(#[source] io::Error),
    /// The tracing directory could not be used.
    #[error(transparent)]
    Tracefs(#[from] TracefsError),
}

/// Opens perf events, all of them disabled.
pub(super) struct Opener {
    options: PerfOptions,
    base: Vec<(What, Option<u64>)>,
    enter_filter: Option<CString>,
    exit_filter: Option<CString>,
    ring_bytes: Cell<usize>,
    wanted_ring_bytes: usize,
    /// Whether the kernel can restrict inheritance to threads (since Linux 5.13).
    can_inherit_threads_only: Cell<bool>,
    /// Whether the kernel counts what each event lost (since Linux 6.0).
    counts_losses: bool,
}

impl Opener {
    pub(super) fn new(tracefs: &Tracefs, options: PerfOptions) -> Result<Opener, SubscribeError> {
        let mut base = vec![(What::Life, None)];
        let wanted = |numbers: &Option<Vec<i16>>| numbers.as_ref().is_none_or(|numbers| !numbers.is_empty());
        if wanted(&options.syscall_enters) {
            let event = "raw_syscalls/sys_enter";
            let what =
                What::SyscallEnter { id: tracefs.field(event, "id")?, args: tracefs.field(event, "args")? };
            base.push((what, Some(tracefs.event_id(event)?)));
        }
        if wanted(&options.syscall_exits) {
            let event = "raw_syscalls/sys_exit";
            let what =
                What::SyscallExit { id: tracefs.field(event, "id")?, ret: tracefs.field(event, "ret")? };
            base.push((what, Some(tracefs.event_id(event)?)));
        }
        let rings = match options.mode {
            Mode::PerThreadAndCpu => process::online_cpus().len(),
            Mode::PerThread => 128,
        };
        // Powers of two, as the kernel wants them, rounded down.
        let share = 1 << (RINGS_BYTES / rings).clamp(LEAST_RING_BYTES, MOST_RING_BYTES).ilog2();
        let lockable = lockable_bytes(rings).map(|bytes| 1 << bytes.max(LEAST_LOCKED_BYTES).ilog2());
        let fitting = lockable.map_or(share, |lockable| share.min(lockable));
        Ok(Opener {
            enter_filter: filter(&options.syscall_enters),
            exit_filter: filter(&options.syscall_exits),
            base,
            ring_bytes: options.ring_bytes.unwrap_or(fitting).into(),
            wanted_ring_bytes: options.ring_bytes.unwrap_or(share),
            can_inherit_threads_only: true.into(),
            counts_losses: Builder::new(Software::DUMMY).read_format(ReadFormat::LOST).build().is_ok(),
            options,
        })
    }

    pub(super) fn mode(&self) -> Mode {
        self.options.mode
    }

    /// Bytes of each ring, and how many it should have.
    pub(super) fn ring_bytes(&self) -> (usize, usize) {
        (self.ring_bytes.get(), self.wanted_ring_bytes)
    }

    /// The events that every thread gets, and their tracepoint numbers.
    pub(super) fn base_events(&self) -> Vec<(What, Option<u64>)> {
        self.base.clone()
    }

    /// The filter of an event.
    pub(super) fn filter(&self, what: What) -> Option<&CStr> {
        match what {
            What::SyscallEnter { .. } => self.enter_filter.as_deref(),
            What::SyscallExit { .. } => self.exit_filter.as_deref(),
            What::Life | What::Probe(..) => None,
        }
    }

    /// Opens an event that only owns a ring, so that the ring outlives any thread. Other programs of this user may have locked of what
    /// he may lock: then the ring is smaller, and those that follow are too.
    pub(super) fn open_ring(&self, tid: i32, cpu: Option<u16>) -> Result<Sampler, SubscribeError> {
        loop {
            let bytes = self.ring_bytes.get();
            match self.try_ring(tid, cpu, bytes) {
                Err(SubscribeError::Memory { .. })
                    if self.options.ring_bytes.is_none() && bytes > LEAST_LOCKED_BYTES =>
                {
                    self.ring_bytes.set(bytes / 2);
                }
                result => return result,
            }
        }
    }

    fn try_ring(&self, tid: i32, cpu: Option<u16>, bytes: usize) -> Result<Sampler, SubscribeError> {
        let mut builder = Builder::new(Software::DUMMY);
        builder.clockid(Clock::MONOTONIC).sample_id_all(true).wakeup_watermark(bytes / 4);
        match cpu {
            Some(cpu) => builder.one_cpu(usize::from(cpu)),
            // A ring that is not of a processor can only be shared by events of the same thread.
            None => builder.observe_pid(tid).any_cpu(),
        };
        let owner = builder.build().map_err(|error| explain(error, tid))?;
        owner.sampled(bytes).map_err(|error| match error.raw_os_error() {
            Some(libc::EPERM) => SubscribeError::Memory { bytes, source: error },
            _ => explain(error, tid),
        })
    }

    /// Opens an event of a thread.
    pub(super) fn open(
        &self,
        origin: Origin,
        what: What,
        event_id: Option<u64>,
        cpu: Option<u16>,
    ) -> Result<Counter, SubscribeError> {
        let mut builder = match event_id {
            Some(id) => Builder::new(Tracepoint::with_id(id)),
            None => Builder::new(Software::DUMMY),
        };
        builder
            .observe_pid(origin.tid)
            .clockid(Clock::MONOTONIC)
            .include_kernel()
            .sample_id_all(true)
            .sample(SampleFlag::IDENTIFIER | SampleFlag::TID | SampleFlag::TIME | SampleFlag::CPU);
        match cpu {
            Some(cpu) => builder.one_cpu(usize::from(cpu)).inherit(true),
            None => builder.any_cpu(),
        };
        if what == What::Life {
            builder.task(true).comm(true).comm_exec(true).mmap(true).mmap2(true).context_switch(true);
        } else {
            let sample = SampleFlag::IDENTIFIER | SampleFlag::TID | SampleFlag::TIME | SampleFlag::CPU;
            builder.sample(sample | SampleFlag::RAW).sample_period(1);
        }
        if self.counts_losses {
            builder.read_format(ReadFormat::LOST);
        }
        let threads_only = cpu.is_some() && !self.options.follow_processes;
        if threads_only && self.can_inherit_threads_only.get() {
            let result = builder.clone().inherit_thread(true).build();
            if !result.as_ref().is_err_and(|error| error.raw_os_error() == Some(libc::EINVAL)) {
                return result.map_err(|error| explain(error, origin.tid));
            }
            // An older kernel. Its inherited records of other processes are dropped when they are read.
            self.can_inherit_threads_only.set(false);
        }
        builder.build().map_err(|error| explain(error, origin.tid))
    }
}

fn explain(error: io::Error, tid: i32) -> SubscribeError {
    match error.raw_os_error() {
        Some(libc::ESRCH) => SubscribeError::Gone(tid),
        Some(libc::EACCES | libc::EPERM) => SubscribeError::Permission { tid, source: error },
        Some(libc::EMFILE | libc::ENFILE) => SubscribeError::Descriptors(error),
        _ => SubscribeError::Kernel(error),
    }
}

/// A filter on the number of the system call.
fn filter(numbers: &Option<Vec<i16>>) -> Option<CString> {
    let terms: Vec<String> = numbers.as_ref()?.iter().map(|nr| format!("id=={nr}")).collect();
    CString::new(terms.join("||")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_names_each_call_and_none_stands_for_all() {
        assert_eq!(filter(&Some(vec![44, 45])).unwrap().to_str(), Ok("id==44||id==45"));
        assert_eq!(filter(&None), None);
    }
}
