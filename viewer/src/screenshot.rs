//! `--screenshot`: what the real window shows, as a file, for the test that looks at its pixels.

use std::{
    path::PathBuf,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use anyhow::Context as _;

/// Where an error goes that happens while the window is open.
pub(crate) type Failure = Arc<Mutex<Option<anyhow::Error>>>;

/// A screenshot that is to be taken.
pub(crate) struct Screenshot {
    out: PathBuf,
    failure: Failure,
    asked: bool,
    done: Arc<AtomicBool>,
    /// Frames since everything was there: text and panels settle in the first ones.
    frames: u32,
}

/// Frames to let pass.
const SETTLE: u32 = 4;

impl Screenshot {
    pub(crate) fn new(out: PathBuf, failure: Failure) -> Screenshot {
        Screenshot { out, failure, asked: false, done: Arc::new(AtomicBool::new(false)), frames: 0 }
    }

    /// Called every frame: takes the picture once the window is `settled`, then closes it.
    pub(crate) fn step(&mut self, ctx: &egui::Context, settled: bool) {
        if self.done.load(Ordering::Relaxed) {
            ctx.send_viewport_cmd(egui::ViewportCommand::Close);
            return;
        }
        ctx.request_repaint();
        if !settled || self.asked {
            return;
        }
        self.frames += 1;
        if self.frames < SETTLE {
            return;
        }
        self.asked = true;
        let (out, failure, done, ctx_back) =
            (self.out.clone(), self.failure.clone(), self.done.clone(), ctx.clone());
        ctx.request_screenshot(move |image| {
            if let Err(error) = write(&image, &out) {
                *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
            }
            done.store(true, Ordering::Relaxed);
            ctx_back.request_repaint();
        });
    }
}

fn write(image: &egui::ColorImage, out: &std::path::Path) -> anyhow::Result<()> {
    let [width, height] = image.size;
    let mut list = Vec::with_capacity(width * height * 4);
    for pixel in &image.pixels {
        list.extend(pixel.to_array());
    }
    let bytes = gilscope_draw::encode_png(width as u32, height as u32, list)?;
    std::fs::write(out, bytes).with_context(|| format!("cannot write {}", out.display()))
}
