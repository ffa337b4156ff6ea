//! A thread that looks into several processes: stacks at a rate, stacks when asked, and names as threads come and go.
//!
//! All reading of Python memory happens on this one thread, so that nobody who drains rings ever waits for it, and so that
//! one budget holds for all of it. It is asked through [`StackSampler`] and tells through a bounded channel of [`PythonNews`].

mod budget;
mod target;
mod worker;

use std::{
    io,
    sync::{Arc, Mutex, PoisonError},
    thread::{self, JoinHandle},
};

use crossbeam_channel::{Receiver, Sender, TrySendError, bounded, unbounded};
use rustc_hash::FxHashMap;

use super::{Interpreter, PythonThread};
use worker::Worker;

/// What a sampler may do.
#[derive(Debug, Clone, PartialEq)]
pub struct SamplerOptions {
    /// Rounds of stacks a second; `None` for no stacks, neither at a rate nor when asked: then only names are read.
    pub hz: Option<f64>,
    /// Largest share of one processor that all of it may take in the long run. Rounds and names become rarer by themselves.
    pub cpu_share: f64,
    /// News that wait for the receiver; those that do not fit are dropped and counted.
    pub queue: usize,
}

impl Default for SamplerOptions {
    /// 50 rounds a second, and less than a twentieth of a processor, waking up and telling included. Measured in a virtual machine:
    /// 0.11 ms a thread of ten frames, 11 µs a frame, so that the holder and seven waiters of usual depth fit into each round.
    fn default() -> SamplerOptions {
        SamplerOptions { hz: Some(50.0), cpu_share: 0.045, queue: 1024 }
    }
}

/// What a sampler tells.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum PythonNews {
    /// A process can be looked into, first or again after an exec.
    Opened {
        /// The process.
        pid: i32,
        /// Version of its CPython, such as `3.11.2`.
        version: String,
    },
    /// The threads of a process, whenever they or what is known of them changed: this replaces what was told before.
    Threads {
        /// The process.
        pid: i32,
        /// Nanoseconds of `CLOCK_MONOTONIC` just after reading.
        time_nanos: i64,
        /// A thread state each.
        threads: Vec<KnownThread>,
        /// Threads of the process that have no thread state now: if one of them takes a GIL it is foreign, and makes its thread state
        /// for each call.
        native_tids: Vec<i32>,
        /// The interpreters and their GILs.
        interpreters: Vec<Interpreter>,
    },
    /// Stacks of one process at one time.
    Sample {
        /// The process.
        pid: i32,
        /// Nanoseconds of `CLOCK_MONOTONIC` just before reading.
        time_begin_nanos: i64,
        /// Nanoseconds of `CLOCK_MONOTONIC` just after reading.
        time_end_nanos: i64,
        /// The threads with their frames; those that held a GIL first.
        threads: Vec<PythonThread>,
        /// Threads whose stack was torn, and left out.
        torn: u32,
        /// Whether it was asked for, and not taken at the rate: such samples do not count into shares.
        on_demand: bool,
    },
    /// There will be no names and stacks of a process, and why, as a sentence.
    Trouble {
        /// The process.
        pid: i32,
        /// Why.
        sentence: String,
    },
    /// A process has ended. It need not be forgotten.
    Ended {
        /// The process.
        pid: i32,
    },
    /// How it went: once a second, and at the end.
    Stats(SamplerStats),
}

/// A thread as it is known, without its stack.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KnownThread {
    /// As [`PythonThread::tid`].
    pub tid: Option<i32>,
    /// As [`PythonThread::pthread_id`].
    pub pthread_id: u64,
    /// As [`PythonThread::name`].
    pub name: Option<String>,
    /// As [`PythonThread::foreign`].
    pub foreign: bool,
    /// As [`PythonThread::interpreter_id`].
    pub interpreter_id: i64,
}

/// Counts from the start on, and rates of the last second.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct SamplerStats {
    /// Rounds of stacks, over all processes at once.
    pub rounds: u64,
    /// Rounds a second that were achieved of late.
    pub achieved_hz: f64,
    /// Share of one processor that was taken of late.
    pub cpu_share: f64,
    /// Stacks that were believed.
    pub stacks: u64,
    /// Stacks that were torn, and dropped.
    pub torn: u64,
    /// Readings of a process that failed as a whole.
    pub failed: u64,
    /// Requests that were served.
    pub demands: u64,
    /// Requests that were refused: too many at once, beyond the budget, or for a process that cannot be read.
    pub demands_refused: u64,
    /// News that were dropped because the receiver was slow.
    pub news_dropped: u64,
}

/// To be done at once and never lost.
#[derive(Debug)]
enum Order {
    Follow(i32),
    Renew(i32),
    Forget(i32),
    Stop,
}

/// To be done at once or not at all.
#[derive(Debug)]
enum Demand {
    Stacks { pid: i32, tids: Vec<i32> },
    Names { pid: i32 },
}

/// Threads of each process whose stacks are wanted in every round.
type Watched = Arc<Mutex<FxHashMap<i32, Vec<i32>>>>;

/// Requests that wait while one is being served; a stall that is asked for later than this many others is over by then.
const DEMAND_QUEUE: usize = 64;

/// The sampler's thread, and the way to ask it. It ends when this is dropped.
#[derive(Debug)]
pub struct StackSampler {
    orders: Sender<Order>,
    demands: Sender<Demand>,
    watched: Watched,
    refused: Arc<std::sync::atomic::AtomicU64>,
    thread: Option<JoinHandle<SamplerStats>>,
}

impl StackSampler {
    /// Starts the thread. What it finds out comes over the receiver, which it never waits for.
    ///
    /// # Errors
    /// If the system has no thread left.
    pub fn start(options: SamplerOptions) -> io::Result<(StackSampler, Receiver<PythonNews>)> {
        let (orders, orders_in) = unbounded();
        let (demands, demands_in) = bounded(DEMAND_QUEUE);
        let (news, news_in) = bounded(options.queue.max(1));
        let watched = Watched::default();
        let refused = Arc::default();
        let worker =
            Worker::new(options, orders_in, demands_in, news, Arc::clone(&watched), Arc::clone(&refused));
        let thread = thread::Builder::new().name("gilscope-python".to_owned()).spawn(move || worker.run())?;
        let sampler = StackSampler { orders, demands, watched, refused, thread: Some(thread) };
        Ok((sampler, news_in))
    }

    /// Looks into a process from now on, until it ends. A process that has only just started is given time to start its interpreter.
    pub fn follow(&self, pid: i32) {
        self.order(Order::Follow(pid));
    }

    /// The process has begun another program.
    pub fn renew(&self, pid: i32) {
        self.order(Order::Renew(pid));
    }

    /// Does not look into a process any more.
    pub fn forget(&self, pid: i32) {
        self.order(Order::Forget(pid));
    }

    /// From now on has the stacks of these threads taken in the rounds, beside those of the holders of the GILs: the waiters, that is.
    /// Of more than the budget has room for, some in each round, in turn; a holder is in every round.
    pub fn watch(&self, pid: i32, tids: Vec<i32>) {
        self.watched().insert(pid, tids);
    }

    /// Asks for the stacks of these threads and of the holders right now, because a stall is going on. False if too much is asked for
    /// already; never waits.
    pub fn sample_now(&self, pid: i32, tids: Vec<i32>) -> bool {
        self.demand(Demand::Stacks { pid, tids })
    }

    /// Asks for the names right now, because there is a thread without one. False if too much is asked for already; never waits.
    pub fn names_now(&self, pid: i32) -> bool {
        self.demand(Demand::Names { pid })
    }

    /// Ends the thread, and says how it went.
    pub fn finish(mut self) -> SamplerStats {
        self.stop().unwrap_or_default()
    }

    fn stop(&mut self) -> Option<SamplerStats> {
        self.order(Order::Stop);
        self.thread.take()?.join().ok()
    }

    fn order(&self, order: Order) {
        // Fails only once the thread has ended, when there is nobody left to order about.
        let _ = self.orders.send(order);
    }

    fn demand(&self, demand: Demand) -> bool {
        let sent = self.demands.try_send(demand);
        if let Err(TrySendError::Full(_)) = &sent {
            self.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        }
        sent.is_ok()
    }

    fn watched(&self) -> std::sync::MutexGuard<'_, FxHashMap<i32, Vec<i32>>> {
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for StackSampler {
    fn drop(&mut self) {
        self.stop();
    }
}
