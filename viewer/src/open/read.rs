//! The thread that reads and decodes.

use std::{
    fs::File,
    io::{BufReader, Seek, SeekFrom},
    path::Path,
    sync::{atomic::Ordering, mpsc::SyncSender},
    time::Duration,
};

use gilscope_trace::{Batch, Header, Next, ReadError, Reader};

use super::Shared;

/// How often a file that is being followed is looked at. Batches come at least every 250 ms.
const POLL: Duration = Duration::from_millis(50);

/// What the reading thread tells.
pub(super) enum Told {
    Header(Box<Header>),
    Batch(Box<Batch>),
    /// All that is in the file was told; more may come.
    CaughtUp,
    /// The recording ended in order.
    End,
    /// The file ends without an end mark, with so many bytes of an incomplete batch.
    CutOff(u64),
    Error(ReadError),
    /// The file is gone, or is another one now.
    Gone,
}

/// Reads the file until its end, an error, or until nobody listens.
pub(super) fn read(shared: &Shared, path: &Path, follow: bool, tell: &SyncSender<Told>) {
    if let Some(last) = read_until(shared, path, follow, tell) {
        // Nobody listens only when the window is closed.
        let _ = tell.send(last);
    }
}

fn read_until(shared: &Shared, path: &Path, follow: bool, tell: &SyncSender<Told>) -> Option<Told> {
    let mut reader = loop {
        match open(path) {
            Ok(reader) => break reader,
            // Its collector has not come to write the header yet.
            Err(ReadError::NoHeader(_)) if follow && !shared.stopped() => std::thread::sleep(POLL),
            Err(error) => return Some(Told::Error(error)),
        }
    };
    tell.send(Told::Header(Box::new(reader.header().clone()))).ok()?;
    let mut told_caught_up = false;
    loop {
        if shared.stopped() {
            return None;
        }
        match reader.next_batch() {
            Ok(Next::Batch(batch)) => {
                told_caught_up = false;
                shared.bytes_read.store(reader.bytes_read(), Ordering::Relaxed);
                tell.send(Told::Batch(Box::new(batch))).ok()?;
            }
            Ok(Next::End) => return Some(Told::End),
            Ok(Next::Pending { partial }) if !follow => return Some(Told::CutOff(partial)),
            Ok(Next::Pending { .. }) => {
                if !told_caught_up {
                    tell.send(Told::CaughtUp).ok()?;
                    told_caught_up = true;
                }
                // A file that was removed stays readable, but will not grow; one that shrank was written anew.
                match std::fs::metadata(path) {
                    Ok(metadata) if metadata.len() >= reader.bytes_read() => {
                        shared.bytes_total.store(metadata.len(), Ordering::Relaxed);
                    }
                    _ => return Some(Told::Gone),
                }
                std::thread::sleep(POLL);
            }
            Err(error) => return Some(Told::Error(error)),
        }
        if !follow && shared.bytes_total.load(Ordering::Relaxed) == 0 {
            shared
                .bytes_total
                .store(std::fs::metadata(path).map_or(0, |metadata| metadata.len()), Ordering::Relaxed);
        }
    }
}

fn open(path: &Path) -> Result<Reader<BufReader<File>>, ReadError> {
    let mut file = File::open(path)?;
    // A pipe or a device would keep the reader waiting for ever.
    if !file.metadata()?.is_file() {
        return Err(ReadError::Foreign);
    }
    file.seek(SeekFrom::Start(0))?;
    Reader::new(BufReader::with_capacity(1 << 20, file))
}
