//! Reading a trace off the window's thread: once, or for as long as it grows.
//!
//! One thread reads and decodes, a second one feeds the engine, so a file of ten million events is there in about a second;
//! the window shows what is there already. The trace stands behind a lock that the window only ever reads: the feeding
//! thread takes it for a batch at a time, and never waits in line for it, so that a reader is never kept waiting behind it.

mod feed;
mod read;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError, RwLock, RwLockReadGuard,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
};

use gilscope_analysis::{Engine, Model};
use gilscope_draw::TraceIndex;
use gilscope_trace::Header;

/// Tells the window that there is something new to show.
pub type Wake = Arc<dyn Fn() + Send + Sync>;

/// How far the reading has come.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Status {
    /// The file is being read.
    Loading,
    /// All that is in the file was read, and more is expected.
    Following,
    /// The file was read to its end.
    Complete,
    /// Reading stopped; what was read until then is shown. The sentence says why.
    Stopped(String),
    /// There is nothing to show. The sentence says why.
    Failed(String),
}

/// A trace in memory.
#[derive(Debug)]
pub struct Trace {
    engine: Engine,
    /// Its index, of the same moment as the model.
    pub index: TraceIndex,
}

impl Trace {
    /// What happened.
    pub fn model(&self) -> &Model {
        self.engine.model()
    }
}

/// An opened trace.
pub struct Session {
    /// The file.
    pub path: PathBuf,
    shared: Arc<Shared>,
}

struct Shared {
    trace: RwLock<Trace>,
    status: Mutex<Status>,
    stop: AtomicBool,
    bytes_read: AtomicU64,
    bytes_total: AtomicU64,
    wake: Wake,
}

impl Session {
    /// Begins to read the file at `path`, and goes on as it grows if `follow` is set.
    pub fn open(path: &Path, follow: bool, wake: Wake) -> Session {
        let shared = Arc::new(Shared {
            trace: RwLock::new(Trace {
                engine: Engine::new(&Header::default()),
                index: TraceIndex::default(),
            }),
            status: Mutex::new(Status::Loading),
            stop: AtomicBool::new(false),
            bytes_read: AtomicU64::new(0),
            bytes_total: AtomicU64::new(0),
            wake,
        });
        let session = Session { path: path.to_owned(), shared };
        let (shared, path) = (session.shared.clone(), session.path.clone());
        std::thread::spawn(move || feed::feed(&shared, &path, follow));
        session
    }

    /// The trace as far as it was read.
    pub fn read(&self) -> RwLockReadGuard<'_, Trace> {
        // A feeder that panicked leaves a trace that was good up to its last batch.
        self.shared.trace.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// How far the reading has come.
    pub fn status(&self) -> Status {
        self.shared.status.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Share of the file that was read, 0 to 1.
    pub fn progress(&self) -> f32 {
        let total = self.shared.bytes_total.load(Ordering::Relaxed).max(1);
        (self.shared.bytes_read.load(Ordering::Relaxed) as f32 / total as f32).min(1.0)
    }

    /// Stops reading; what was read stays.
    pub fn stop(&self) {
        self.shared.stop.store(true, Ordering::Relaxed);
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.stop();
    }
}

impl Shared {
    fn set(&self, status: Status) {
        *self.status.lock().unwrap_or_else(PoisonError::into_inner) = status;
        (self.wake)();
    }

    fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
