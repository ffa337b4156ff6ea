//! The source of today: named uprobes and system-call tracepoints, delivered through perf rings.
//!
//! - [`open`] decides which perf events a thread needs and opens them;
//! - [`ring`] reads a ring, [`record`] the bytes in it;
//! - [`sys`] holds the two requests that need `unsafe`.
//!
//! Why one perf event per thread, processor and probe, all of a processor sharing one ring: events that are inherited by new
//! threads cannot be mapped unless they are bound to a processor (`kernel/events/core.c`, `perf_mmap`), and a ring per event would
//! neither fit in memory nor be drained in time. Why *named* uprobes: every perf event of the kernel's `uprobe` device is a
//! consumer of its own that each hit has to pass, 83 ns a piece; a named one is one consumer however many events listen.

mod limits;
mod open;
mod record;
mod ring;
mod sys;

use std::{io, sync::Arc, time::Duration};

use perf_event::Counter;
use rustc_hash::FxHashMap;

pub use self::{
    limits::raise_descriptor_limit,
    open::{Mode, PerfOptions, SubscribeError},
};
use self::{
    open::Opener,
    record::{Subscription, What},
    ring::Ring,
};
use crate::{
    clock::monotonic_nanos,
    process,
    source::{EventSource, Group, Origin, Record},
    tracefs::{FETCHED, NamedProbe, ProbeSite, Tracefs, TracefsError},
};

/// Records from uprobes and system-call tracepoints through perf rings.
///
/// Fields are dropped in this order: the kernel removes a named probe only when no event uses it.
pub struct PerfSource {
    rings: FxHashMap<i32, Ring>,
    counters: Vec<Open>,
    /// Counters before this one are enabled.
    enabled: usize,
    subscriptions: FxHashMap<u64, Subscription>,
    probes: Vec<Probe>,
    opener: Opener,
    tracefs: Arc<Tracefs>,
}

/// A perf event that is open.
struct Open {
    counter: Counter,
    /// The key of the ring that it writes into.
    ring: i32,
}

struct Probe {
    /// Held for its `Drop`, which removes the probe from the kernel.
    _named: NamedProbe,
    event_id: u64,
    what: What,
}

impl PerfSource {
    /// A source without subscriptions.
    pub fn new(tracefs: Arc<Tracefs>, options: PerfOptions) -> Result<PerfSource, SubscribeError> {
        let opener = Opener::new(&tracefs, options)?;
        Ok(PerfSource {
            rings: FxHashMap::default(),
            counters: Vec::new(),
            enabled: 0,
            subscriptions: FxHashMap::default(),
            probes: Vec::new(),
            opener,
            tracefs,
        })
    }

    /// How events are spread over threads and processors.
    pub fn mode(&self) -> Mode {
        self.opener.mode()
    }

    /// Bytes of each of the kernel's buffers, and how many it should have: fewer where this process may not lock more memory.
    pub fn ring_bytes(&self) -> (usize, usize) {
        self.opener.ring_bytes()
    }

    /// Sets a probe at all of `sites` and gives the number by which its hits are known.
    pub fn define_probe(&mut self, sites: &[ProbeSite]) -> Result<u16, TracefsError> {
        let number = self.probes.len();
        let named = NamedProbe::define(&self.tracefs, number, sites)?;
        let event = named.event();
        let event_id = self.tracefs.event_id(&event)?;
        let argument = self.tracefs.field(&event, FETCHED)?;
        self.probes.push(Probe { _named: named, event_id, what: What::Probe(number as u16, argument) });
        Ok(number as u16)
    }

    /// Subscribes to system calls, scheduling and life of thread `tid`. Nothing is delivered before [`PerfSource::enable`].
    pub fn subscribe_base(&mut self, tid: i32) -> Result<(), SubscribeError> {
        let origin = Origin { tid, group: Group::Base };
        for (what, event_id) in self.opener.base_events() {
            self.subscribe(origin, what, event_id)?;
        }
        Ok(())
    }

    /// Subscribes to the hits of `probes` by thread `tid`. In [`Mode::PerThread`] the base must have been subscribed before.
    pub fn subscribe_probes(&mut self, tid: i32, group: u16, probes: &[u16]) -> Result<(), SubscribeError> {
        let origin = Origin { tid, group: Group::Probes(group) };
        for &probe in probes {
            let Probe { event_id, what, .. } = self.probes[usize::from(probe)];
            self.subscribe(origin, what, Some(event_id))?;
        }
        Ok(())
    }

    /// Starts delivery of all subscriptions made so far.
    pub fn enable(&mut self) -> io::Result<()> {
        for open in &mut self.counters[self.enabled..] {
            open.counter.enable()?;
        }
        self.enabled = self.counters.len();
        Ok(())
    }

    /// Stops delivery. What happened before is still in the rings.
    pub fn disable(&mut self) -> io::Result<()> {
        self.counters.iter_mut().try_for_each(|open| open.counter.disable())
    }

    /// What was lost after the last record of each ring, up to `until`, ns of `CLOCK_MONOTONIC`. To be asked for when delivery has
    /// stopped and all is drained. (Before Linux 6.0 the kernel does not tell.)
    pub fn unreported_losses(&mut self, until: i64) -> Vec<Record> {
        let mut lost: FxHashMap<i32, u64> = FxHashMap::default();
        for Open { counter, ring } in &mut self.counters {
            let data = counter.read_full().ok();
            *lost.entry(*ring).or_default() += data.and_then(|data| data.lost()).unwrap_or(0);
        }
        let mode = self.mode();
        let losses = self.rings.iter().filter_map(|(key, ring)| {
            let cpu = if mode == Mode::PerThreadAndCpu { *key as u16 } else { 0 };
            ring.unreported(*lost.get(key)?, until, cpu)
        });
        losses.collect()
    }

    fn subscribe(&mut self, origin: Origin, what: What, event_id: Option<u64>) -> Result<(), SubscribeError> {
        let places = match self.mode() {
            Mode::PerThreadAndCpu => {
                process::online_cpus().into_iter().map(|cpu| (i32::from(cpu), Some(cpu))).collect()
            }
            Mode::PerThread => vec![(origin.tid, None)],
        };
        for (ring, cpu) in places {
            let counter = match self.rings.get(&ring) {
                Some(owner) => {
                    let counter = self.opener.open(origin, what, event_id, cpu)?;
                    sys::set_output(&counter, owner).map_err(SubscribeError::Kernel)?;
                    counter
                }
                None => {
                    let owner = self.opener.open_ring(origin.tid, cpu)?;
                    let owner = Ring::new(owner, monotonic_nanos());
                    let counter = self.opener.open(origin, what, event_id, cpu)?;
                    sys::set_output(&counter, &owner).map_err(SubscribeError::Kernel)?;
                    self.rings.insert(ring, owner);
                    counter
                }
            };
            if let Some(filter) = self.opener.filter(what) {
                sys::set_filter(&counter, filter).map_err(SubscribeError::Kernel)?;
            }
            self.subscriptions.insert(counter.id(), Subscription { origin, what });
            self.counters.push(Open { counter, ring });
        }
        Ok(())
    }
}

impl EventSource for PerfSource {
    fn drain(&mut self, into: &mut Vec<Record>) -> io::Result<()> {
        for ring in self.rings.values_mut() {
            ring.drain(into, |id| self.subscriptions.get(&id).copied());
        }
        Ok(())
    }

    fn wait(&self, timeout: Duration) -> io::Result<()> {
        sys::wait_any(self.rings.values(), timeout)
    }
}

impl Drop for PerfSource {
    fn drop(&mut self) {
        // Closing an enabled event makes the kernel take its breakpoints out one thread at a time; disabled ones go at once.
        let _ = self.disable();
    }
}
