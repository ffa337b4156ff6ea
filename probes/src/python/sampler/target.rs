//! One process that is looked into, from its first appearance to its end.

use super::{KnownThread, PythonNews};
use crate::{
    clock, process,
    python::{PythonView, PythonViewError, Sample, Want},
};

/// How long a process may take to get an interpreter that can be read: after a fork or exec there is none at first.
const OPEN_NANOS: i64 = 3_000_000_000;
/// Between two attempts to open it.
const RETRY_NANOS: i64 = 50_000_000;
/// How often the threads are looked at for change.
const NAMES_NANOS: i64 = 250_000_000;
/// So many failures in a row are not tears: the process has become another.
const FAILURES: u32 = 20;

/// One process.
pub(super) struct Target {
    pid: i32,
    state: State,
    told: Option<PythonNews>,
    /// When to look at the threads again.
    names_nanos: i64,
    failures: u32,
}

enum State {
    Opening {
        since_nanos: i64,
        next_nanos: i64,
    },
    Open(Box<PythonView>),
    /// Said why; nothing to be done unless it begins another program.
    GivenUp,
}

/// What came of looking into a process.
pub(super) enum Look {
    /// Nothing to be told.
    Quiet,
    News(PythonNews),
    Failed,
    Ended,
}

impl Target {
    pub(super) fn new(pid: i32, now_nanos: i64) -> Target {
        Target {
            pid,
            state: State::Opening { since_nanos: now_nanos, next_nanos: now_nanos },
            told: None,
            names_nanos: now_nanos,
            failures: 0,
        }
    }

    pub(super) fn is_open(&self) -> bool {
        matches!(self.state, State::Open(_))
    }

    /// When it wants to be looked after, apart from its stacks.
    pub(super) fn due_nanos(&self) -> Option<i64> {
        match self.state {
            State::Opening { next_nanos, .. } => Some(next_nanos),
            State::Open(_) => Some(self.names_nanos),
            State::GivenUp => None,
        }
    }

    /// Opens it, or looks at its threads.
    pub(super) fn look_after(&mut self, now_nanos: i64) -> Look {
        match self.state {
            State::Opening { since_nanos, .. } => self.open(since_nanos, now_nanos),
            State::Open(_) => {
                self.names_nanos = now_nanos + NAMES_NANOS;
                self.names(false)
            }
            State::GivenUp => Look::Quiet,
        }
    }

    /// Looks at the threads no sooner than this.
    pub(super) fn postpone_names(&mut self, until_nanos: i64) {
        self.names_nanos = self.names_nanos.max(until_nanos);
    }

    fn open(&mut self, since_nanos: i64, now_nanos: i64) -> Look {
        match PythonView::open(self.pid) {
            Ok(view) => {
                let version = view.version().to_owned();
                self.state = State::Open(Box::new(view));
                self.failures = 0;
                self.told = None;
                self.names_nanos = now_nanos;
                Look::News(PythonNews::Opened { pid: self.pid, version })
            }
            Err(_) if !process::is_alive(self.pid) => Look::Ended,
            Err(error) if may_pass(&error) && now_nanos - since_nanos < OPEN_NANOS => {
                self.state = State::Opening { since_nanos, next_nanos: now_nanos + RETRY_NANOS };
                Look::Quiet
            }
            Err(error) => {
                self.state = State::GivenUp;
                Look::News(PythonNews::Trouble { pid: self.pid, sentence: error.to_string() })
            }
        }
    }

    /// Reads the names, if the threads have changed or `at_once`.
    pub(super) fn names(&mut self, at_once: bool) -> Look {
        let State::Open(view) = &mut self.state else {
            return Look::Failed;
        };
        match view.names_are_due() {
            Ok(is_due) if is_due || at_once || self.told.is_none() => {}
            Ok(_) => return Look::Quiet,
            Err(error) => return self.failed(&error),
        }
        let sample = match view.sample(Want::Names) {
            Ok(sample) => sample,
            Err(error) => return self.failed(&error),
        };
        let interpreters = view.interpreters();
        self.failures = 0;
        let mut native_tids = process::threads(self.pid);
        native_tids.retain(|tid| sample.threads.iter().all(|thread| thread.tid != Some(*tid)));
        let threads = sample.threads.into_iter().map(|thread| KnownThread {
            tid: thread.tid,
            pthread_id: thread.pthread_id,
            name: thread.name,
            foreign: thread.foreign,
            interpreter_id: thread.interpreter_id,
        });
        let mut threads: Vec<KnownThread> = threads.collect();
        // Holders came first, and who holds is not news here.
        threads.sort_by_key(|thread| (thread.interpreter_id, thread.tid, thread.pthread_id));
        let news = PythonNews::Threads {
            pid: self.pid,
            // Last, so that it does not make a difference.
            time_nanos: 0,
            threads,
            native_tids,
            interpreters,
        };
        if self.told.as_ref() == Some(&news) {
            return Look::Quiet;
        }
        self.told = Some(news.clone());
        Look::News(at_time(news, sample.end_nanos))
    }

    /// What was told last did not arrive: it is told again at the next look.
    pub(super) fn was_not_heard(&mut self) {
        self.told = None;
    }

    /// Reads the stacks of the holders and of these threads.
    pub(super) fn stacks(&mut self, tids: Vec<i32>) -> Result<Sample, Look> {
        let State::Open(view) = &mut self.state else {
            return Err(Look::Failed);
        };
        match view.sample(Want::StacksOfHoldersAnd(tids)) {
            Ok(sample) => {
                self.failures = 0;
                Ok(sample)
            }
            Err(error) => Err(self.failed(&error)),
        }
    }

    fn failed(&mut self, error: &PythonViewError) -> Look {
        if !process::is_alive(self.pid) {
            return Look::Ended;
        }
        self.failures += 1;
        if self.failures >= FAILURES || matches!(error, PythonViewError::Replaced { .. }) {
            let now_nanos = clock::monotonic_nanos();
            *self = Target::new(self.pid, now_nanos);
        }
        Look::Failed
    }
}

fn at_time(mut news: PythonNews, nanos: i64) -> PythonNews {
    if let PythonNews::Threads { time_nanos, .. } = &mut news {
        *time_nanos = nanos;
    }
    news
}

/// Whether an interpreter that is about to start may explain the error.
fn may_pass(error: &PythonViewError) -> bool {
    !matches!(
        error,
        PythonViewError::Denied { .. }
            | PythonViewError::Unsupported { .. }
            | PythonViewError::FreeThreaded { .. }
    )
}
