//! Where an export goes: a file that is never somebody else's, or standard output.

use std::{
    fs,
    io::{BufWriter, IsTerminal, stdout},
    os::unix::fs::MetadataExt,
    path::Path,
};

use anyhow::{Context, bail};

use super::{Out, shown};
use crate::recording::Output;

/// Bytes gathered before they are written.
const BUFFER: usize = 1 << 18;

/// The file or stream that is written to.
pub(super) struct Target(Option<Output>);

impl Target {
    /// Opens `path`, or standard output for `-`. Never the trace itself.
    pub(super) fn open(
        path: &Path,
        trace: &Path,
        force: bool,
        is_text: bool,
    ) -> anyhow::Result<(Target, Out)> {
        if path == Path::new("-") {
            if !is_text && stdout().is_terminal() {
                bail!("this format is not text and would garble the terminal: use -o FILE, or a pipe");
            }
            return Ok((Target(None), Box::new(BufWriter::with_capacity(BUFFER, stdout()))));
        }
        if let (Ok(out), Ok(trace)) = (fs::metadata(path), fs::metadata(trace))
            && (out.dev(), out.ino()) == (trace.dev(), trace.ino())
        {
            bail!("{} is the trace itself: use -o for another name", shown(path));
        }
        let output = Output::create_at(path, force)?;
        let file = output.writer().with_context(|| format!("cannot write to {}", shown(path)))?;
        Ok((Target(Some(output)), Box::new(BufWriter::with_capacity(BUFFER, file))))
    }

    /// What to call it.
    pub(super) fn name(&self) -> String {
        self.0.as_ref().map_or("standard output".into(), |output| shown(output.path()))
    }

    /// All is written: what it replaces is replaced now, and that is said.
    pub(super) fn keep(&mut self) -> anyhow::Result<()> {
        if let Some(output) = &mut self.0 {
            output.keep()?;
            say!("gilscope: wrote {}", shown(output.path()));
        }
        Ok(())
    }

    /// What was written is of no use: removes the file again, if we made it.
    pub(super) fn abandon(self) {
        if let Some(output) = self.0 {
            output.abandon();
        }
    }
}
