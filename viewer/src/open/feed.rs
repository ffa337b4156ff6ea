//! The thread that feeds the engine.

use std::{
    error::Error as _,
    path::Path,
    sync::{
        Arc, PoisonError, RwLockWriteGuard, TryLockError,
        mpsc::{Receiver, RecvTimeoutError, sync_channel},
    },
    time::{Duration, Instant},
};

use gilscope_analysis::Engine;
use gilscope_trace::ReadError;

use super::{Shared, Status, Trace, read, read::Told};

/// How often the window is shown what came meanwhile: each time costs a frame, in which the feeder has to wait.
const SHOW: Duration = Duration::from_millis(100);
/// Decoded batches that may wait: at 60 bytes a row four of them take 16 MB.
const AHEAD: usize = 4;

pub(super) fn feed(shared: &Arc<Shared>, path: &Path, follow: bool) {
    let (tell, told) = sync_channel(AHEAD);
    let reader = {
        let (shared, path) = (shared.clone(), path.to_owned());
        std::thread::spawn(move || read::read(&shared, &path, follow, &tell))
    };
    let status = take(shared, &told);
    shared.set(status);
    drop(told);
    // Its panics, if any, were reported by the runtime; there is nothing to add.
    let _ = reader.join();
}

/// Takes what the reader tells, until the last of it.
fn take(shared: &Shared, told: &Receiver<Told>) -> Status {
    let mut shown = Instant::now();
    let mut behind = false;
    let mut begun = false;
    loop {
        let next = match told.recv_timeout(SHOW) {
            Ok(next) => next,
            Err(RecvTimeoutError::Timeout) if shared.stopped() => return stopped(begun),
            Err(RecvTimeoutError::Timeout) => continue,
            Err(RecvTimeoutError::Disconnected) => return stopped(begun),
        };
        match next {
            Told::Header(header) => {
                write(shared).engine = Engine::new(&header);
                begun = true;
            }
            Told::Batch(batch) => {
                let trace = &mut *write(shared);
                trace.engine.push(&batch);
                // At once, and not when the window asks for it: a batch may take back intervals that the index has.
                trace.index.update(trace.engine.model());
                behind = true;
            }
            Told::CaughtUp => {
                behind = false;
                shared.set(Status::Following);
            }
            Told::End => return Status::Complete,
            Told::CutOff(0) => {
                return Status::Stopped(
                    "The recording did not end in order: its last moments may be missing.".into(),
                );
            }
            Told::CutOff(partial) => {
                return Status::Stopped(format!(
                    "The file was cut off in the middle of a batch ({partial} bytes of it are there): what came before is shown."
                ));
            }
            Told::Gone => {
                return Status::Stopped(
                    "The file was removed or replaced while it was open: what was read of it is shown."
                        .into(),
                );
            }
            Told::Error(error) => return failed(&error, begun),
        }
        if behind && shown.elapsed() >= SHOW {
            (shared.wake)();
            behind = false;
            shown = Instant::now();
        }
        if shared.stopped() {
            return stopped(begun);
        }
    }
}

fn stopped(begun: bool) -> Status {
    match begun {
        true => Status::Stopped("Loading was stopped: what was read until then is shown.".into()),
        false => Status::Failed("Loading was stopped.".into()),
    }
}

fn failed(error: &ReadError, begun: bool) -> Status {
    let mut text = error.to_string();
    if let Some(source) = error.source() {
        text = format!("{text}: {source}");
    }
    match begun {
        true => Status::Stopped(format!("{text}. What came before is shown.")),
        false => Status::Failed(text),
    }
}

/// Takes the trace for writing without waiting in line: a writer in line would keep readers waiting as well, and the window
/// would stand still for as long as a figure is being computed.
fn write(shared: &Shared) -> RwLockWriteGuard<'_, Trace> {
    loop {
        match shared.trace.try_write() {
            Ok(trace) => return trace,
            Err(TryLockError::Poisoned(poisoned)) => return PoisonError::into_inner(poisoned),
            Err(TryLockError::WouldBlock) => std::thread::sleep(Duration::from_micros(200)),
        }
    }
}
