//! The trace to export, read twice: once for the names and the losses, once for what happened.

use std::{
    fs::File,
    io::{BufReader, Seek},
    path::Path,
};

use anyhow::{Context, bail};
use gilscope_analysis::{
    Model,
    stream::{Outline, Record, Stream},
};
use gilscope_trace::{Next, ReadError, Reader};

use super::{firefox::Census, shown};
use crate::report::Offset;

/// A trace whose first reading is done.
pub(super) struct Source {
    /// Open all the time: whoever replaces the file meanwhile does not confuse us.
    file: File,
    name: String,
    outline: Outline,
    census: Census,
    /// Batches that the first reading saw; the file may have grown since.
    batches: u64,
    range: (i64, i64),
    warnings: Vec<String>,
    damaged: bool,
}

impl Source {
    /// Reads the trace at `path` for the first time. `from` and `to` are ns from its begin.
    pub(super) fn open(path: &Path, from: Option<i64>, to: Option<i64>) -> anyhow::Result<Source> {
        let name = shown(path);
        let file = File::open(path).map_err(ReadError::from).with_context(|| name.clone())?;
        let mut reader = Reader::new(BufReader::new(&file)).with_context(|| name.clone())?;
        let mut stream = Stream::first(reader.header());
        let (mut census, mut batches) = (Census::default(), 0);
        let mut warnings = Vec::new();
        let mut damaged = false;
        let (mut count, begin, end) = (0, from.unwrap_or(0), to.unwrap_or(i64::MAX));
        let mut look = |model: &Model, record: Record| {
            let at = |offset: i64| model.start.saturating_add(offset);
            census.count(&record, at(begin), at(end));
            anyhow::Ok(())
        };
        loop {
            match reader.next_batch() {
                Ok(Next::Batch(batch)) => {
                    batches += 1;
                    count += batch.len();
                    stream.push(&batch, &mut look)?;
                }
                Ok(Next::End) => break,
                Ok(Next::Pending { partial: 0 }) => {
                    warnings.push(format!("{name} has no end mark: its collector still writes, or was killed; this covers what is in it"));
                    break;
                }
                Ok(Next::Pending { partial }) => {
                    warnings.push(format!("{name} was cut off inside a batch, {partial} bytes of it are left out; this covers the {count} events before"));
                    break;
                }
                Err(ReadError::Corrupt { offset, what }) => {
                    let what = gilscope_analysis::clean::clean(&what);
                    warnings.push(format!(
                        "{name} is damaged at byte {offset} ({what}); this covers the {count} events before"
                    ));
                    damaged = true;
                    break;
                }
                Err(error) => return Err(error).context(name),
            }
        }
        stream.finish(&mut look)?;
        let outline = stream.outline();
        let model = outline.model();
        if model.gil_events == 0 {
            warnings.push(format!("{name} has no GIL events: no thread waited for, took or released a GIL"));
        }
        let length = model.end.saturating_sub(model.start);
        if to.is_some() && begin >= end {
            bail!("--from {} is not before --to {}", Offset(begin), Offset(end));
        }
        if begin > 0 && begin >= length {
            bail!("nothing to export from {} on: {name} is {} long", Offset(begin), Offset(length));
        }
        let to = to.map_or(i64::MAX, |to| model.start.saturating_add(to));
        let range = (from.map_or(i64::MIN, |from| model.start.saturating_add(from)), to);
        Ok(Source { file, name, outline, census, batches, range, warnings, damaged })
    }

    /// Reads the trace for the second time, and tells what happened in the range.
    pub(super) fn tell(
        &self,
        mut tell: impl FnMut(&Model, Record) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut file = &self.file;
        let again = || format!("cannot read {} again", self.name);
        file.rewind().with_context(again)?;
        let mut reader = Reader::new(BufReader::new(file)).with_context(again)?;
        let mut stream = Stream::second(&self.outline, self.range.0, self.range.1);
        for _ in 0..self.batches {
            let Next::Batch(batch) = reader.next_batch().with_context(again)? else {
                bail!("{} has become shorter while it was read", self.name);
            };
            stream.push(&batch, &mut tell)?;
            if stream.is_past_range() {
                break;
            }
        }
        stream.finish(&mut tell)
    }

    /// Names, losses, begin and end.
    pub(super) fn outline(&self) -> &Outline {
        &self.outline
    }

    /// How many intervals of which length the range has.
    pub(super) fn census(&self) -> &Census {
        &self.census
    }

    /// The part to export, ns of the trace clock; open ends are the extremes.
    pub(super) fn range(&self) -> (i64, i64) {
        self.range
    }

    /// Sentences on what is not known.
    pub(super) fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Whether the file is damaged.
    pub(super) fn is_damaged(&self) -> bool {
        self.damaged
    }
}
