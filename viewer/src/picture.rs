//! `--render`: the same draw list, without a window.

use std::{fs::OpenOptions, io::Write, path::Path};

use anyhow::{Context, bail};
use gilscope_analysis::{Engine, Model};
use gilscope_draw::{PictureOptions, Theme, picture, picture_png};
use gilscope_trace::{Next, ReadError, Reader};

use crate::Options;

/// Draws the trace to `out`, as SVG or PNG by its ending.
pub(crate) fn render(options: &Options, out: &Path) -> anyhow::Result<()> {
    let path = options.file.as_deref().context("name the trace to draw")?;
    let format = out.extension().and_then(|ending| ending.to_str()).map(str::to_ascii_lowercase);
    let model = load(path)?;
    if options.from.zip(options.to).is_some_and(|(from, to)| from >= to) {
        bail!("the picture would end before it begins: --from must be less than --to");
    }
    let wanted = PictureOptions {
        from: options.from,
        until: options.to,
        width: options.width as f32,
        theme: if options.light { Theme::Light } else { Theme::Dark },
        threads: options.threads.clone(),
        title: path
            .file_name()
            .map(|name| gilscope_analysis::clean::clean(&name.to_string_lossy()).into_owned()),
        ..PictureOptions::default()
    };
    let bytes = match format.as_deref() {
        Some("svg") => picture(&model, &wanted).into_bytes(),
        Some("png") => picture_png(&model, &wanted, 1.0)?,
        _ => bail!("--render writes .svg and .png, not {}", out.display()),
    };
    let mut open = OpenOptions::new();
    open.write(true);
    match options.force {
        true => open.create(true).truncate(true),
        false => open.create_new(true),
    };
    let mut file = open.open(out).with_context(|| match out.exists() && !options.force {
        true => format!("{} exists; --force overwrites it", out.display()),
        false => format!("cannot write {}", out.display()),
    })?;
    file.write_all(&bytes)
        .and_then(|()| file.flush())
        .with_context(|| format!("cannot write {}", out.display()))
}

/// Reads all of a trace that can be read. Damage behind the first batch is said and survived.
fn load(path: &Path) -> anyhow::Result<Model> {
    let opened = Reader::open(path).with_context(|| format!("cannot open {}", path.display()));
    let mut reader = opened?;
    let mut engine = Engine::new(reader.header());
    loop {
        match reader.next_batch() {
            Ok(Next::Batch(batch)) => engine.push(&batch),
            Ok(Next::End) => break,
            Ok(Next::Pending { .. }) => {
                tracing::warn!("the trace was cut off: its last moments may be missing");
                break;
            }
            Err(error @ ReadError::Corrupt { .. }) => {
                tracing::warn!("{error}; what came before is drawn");
                break;
            }
            Err(error) => return Err(error).with_context(|| format!("cannot read {}", path.display())),
        }
    }
    Ok(engine.finish())
}
