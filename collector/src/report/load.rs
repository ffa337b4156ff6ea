//! Reads a trace into a model and says what is not known.

use std::path::{Path, PathBuf};

use anyhow::Context;
use gilscope_analysis::{Engine, Model};
use gilscope_trace::{Next, ReadError, Reader};

/// A trace that was read.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) path: PathBuf,
    pub(crate) model: Model,
    /// Whether the end mark was reached.
    pub(crate) complete: bool,
    /// Whether the file is damaged; what came before the damage is in the model.
    pub(crate) damaged: bool,
    /// Sentences on what is not known.
    pub(crate) warnings: Vec<String>,
}

/// Reads the trace at `path` as far as it goes.
pub(crate) fn load(path: &Path) -> anyhow::Result<Loaded> {
    let name = gilscope_analysis::clean::clean(&path.to_string_lossy()).into_owned();
    let mut reader = Reader::open(path).with_context(|| name.clone())?;
    let mut engine = Engine::new(reader.header());
    let mut warnings = Vec::new();
    let (mut complete, mut damaged) = (false, false);
    loop {
        match reader.next_batch() {
            Ok(Next::Batch(batch)) => engine.push(&batch),
            Ok(Next::End) => {
                complete = true;
                break;
            }
            Ok(Next::Pending { partial }) => {
                warnings.push(match partial {
                    0 => format!("{name} has no end mark: its collector still writes, or was killed; this covers what is in it"),
                    _ => format!(
                        "{name} was cut off inside a batch, {partial} bytes of it are left out; this covers the {} events before",
                        engine.model().events
                    ),
                });
                break;
            }
            Err(ReadError::Corrupt { offset, what }) => {
                let what = gilscope_analysis::clean::clean(&what).into_owned();
                warnings.push(format!(
                    "{name} is damaged at byte {offset} ({what}); this covers the {} events before",
                    engine.model().events
                ));
                damaged = true;
                break;
            }
            Err(error) => return Err(error).with_context(|| name.clone()),
        }
    }
    let model = engine.finish();
    let arch = &model.header.arch;
    if !arch.is_empty() && arch != "x86_64" {
        let arch = gilscope_analysis::clean::clean(arch);
        warnings.push(format!("{name} was recorded on {arch}, whose system calls are shown by number"));
    }
    Ok(Loaded { path: path.to_owned(), model, complete, damaged, warnings })
}
