//! The window: per-thread GIL ownership timelines that reveal convoy stalls.
//!
//! - [`Options`] is what was typed; [`run`] opens a window, or draws a picture without one.
//! - [`open`]: reading a trace off the window's thread, once or for as long as it grows.
//! - [`App`]: the window; [`commands`] is the one registry of what can be done in it and by which key.
//! - `timeline`: overview, convoys, axis, lanes, and the pointer over them; `panels`: everything beside.
//! - `paint`: from a draw list to a mesh; `theme`: the palette as egui's visuals.

mod act;
mod app;
pub mod commands;
mod figures;
pub mod open;
mod options;
mod paint;
mod panels;
mod picture;
mod screenshot;
mod selection;
mod settings;
mod theme;
mod timeline;

pub use app::App;
pub use options::Options;
pub use settings::Settings;

use anyhow::Context as _;

/// Does what was asked for: prints, draws without a window, or opens one.
pub fn run(options: &Options) -> anyhow::Result<()> {
    if options.commands_markdown {
        print!("{}", commands::markdown());
        return Ok(());
    }
    if let Some(out) = &options.render {
        return picture::render(options, out);
    }
    let native = eframe::NativeOptions {
        viewport: egui::ViewportBuilder::default()
            .with_title("gilscope")
            .with_app_id("gilscope")
            .with_inner_size(options.size.unwrap_or([1280.0, 800.0]))
            .with_min_inner_size([640.0, 400.0])
            .with_drag_and_drop(true),
        // A picture that is compared must not depend on where a window was left.
        persist_window: options.screenshot.is_none(),
        renderer: eframe::Renderer::Glow,
        ..eframe::NativeOptions::default()
    };
    let options = options.clone();
    let failed = std::sync::Arc::new(std::sync::Mutex::new(None));
    let outcome = failed.clone();
    eframe::run_native(
        "gilscope",
        native,
        Box::new(move |creation| {
            let mut app = App::new(&creation.egui_ctx, Settings::default());
            if let (None, Some(storage)) = (&options.screenshot, creation.storage) {
                app.restore(&creation.egui_ctx, storage);
            }
            app.start(&options, &creation.egui_ctx, outcome);
            Ok(Box::new(app))
        }),
    )
    .map_err(|error| anyhow::anyhow!("{error}"))
    .context("cannot open a window; to draw without one use --render OUT.svg")?;
    let failure = failed.lock().ok().and_then(|mut failure| failure.take());
    failure.map_or(Ok(()), Err)
}
