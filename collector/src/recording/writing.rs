//! The thread that writes the trace, so that a slow disk does not keep the rings waiting.

use std::{
    fs::File,
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};

use crossbeam_channel::{Receiver, Sender, bounded};
use gilscope_probes::session::Row;
use gilscope_trace::{Header, WriteError, Writer};

use super::{Output, Progress};

/// Longest time that rows stay in memory before they are written as a batch. The trace format promises 250 ms.
const BATCH: Duration = Duration::from_millis(200);
/// Rounds that may wait to be written. A round is at most as large as the rings, so this bounds memory; when the disk is slower
/// than that for long, the rings overflow, and the loss is recorded.
const WAITING_ROUNDS: usize = 4;

/// The writing thread has ended early; [`WriterThread::finish`] tells why.
#[derive(Debug)]
pub(super) struct Stopped;

pub(super) struct WriterThread {
    rows: Sender<Vec<Row>>,
    progress: Arc<Progress>,
    thread: JoinHandle<Result<(), WriteError>>,
}

impl WriterThread {
    /// Writes the header here, so that a full disk is noticed before anything is recorded, and starts the thread.
    pub(super) fn start(output: Output, header: &Header) -> anyhow::Result<WriterThread> {
        let writer = output.begin(header)?;
        let (rows, received) = bounded(WAITING_ROUNDS);
        let progress = Arc::new(Progress::default());
        progress.set(0, writer.bytes_written());
        let shared = progress.clone();
        let thread = std::thread::Builder::new()
            .name("writer".into())
            .spawn(move || write(writer, &received, &shared))?;
        Ok(WriterThread { rows, progress, thread })
    }

    /// Hands rows over to be written.
    pub(super) fn send(&self, rows: Vec<Row>) -> Result<(), Stopped> {
        self.rows.send(rows).map_err(|_| Stopped)
    }

    pub(super) fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Waits until all is written.
    pub(super) fn finish(self) -> anyhow::Result<Arc<Progress>> {
        drop(self.rows);
        match self.thread.join() {
            Ok(result) => result?,
            Err(_) => anyhow::bail!("the writing thread failed"),
        }
        Ok(self.progress)
    }
}

fn write(
    mut writer: Writer<File>,
    received: &Receiver<Vec<Row>>,
    progress: &Progress,
) -> Result<(), WriteError> {
    let mut last_batch = Instant::now();
    for rows in received {
        for row in rows {
            match row.detail {
                Some(detail) => writer.push_detail(row.event, &detail)?,
                None => writer.push(row.event)?,
            }
        }
        if last_batch.elapsed() >= BATCH {
            writer.flush()?;
            last_batch = Instant::now();
        }
        progress.set(writer.events_written(), writer.bytes_written());
    }
    writer.flush()?;
    progress.set(writer.events_written(), writer.bytes_written());
    writer.finish()?;
    Ok(())
}
