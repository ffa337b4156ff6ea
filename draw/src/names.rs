//! The column to the left of the rows: names, and how much each thread waited.

use crate::{Anchor, Layer, Look, Rgba, Row, RowKind, Scene, text};

/// The names of the rows in sight, in a column `width` wide.
pub fn names(scene: &Scene<'_>, width: f32, highlighted: &[RowKind], layer: &mut Layer) {
    let palette = scene.palette;
    layer.rect(0.0, 0.0, width, scene.height, palette.background);
    for row in scene.visible() {
        let y = row.y - scene.scroll;
        let middle = y + row.h / 2.0;
        let size = (row.h * 0.55).clamp(8.0, 13.0);
        if highlighted.contains(&row.kind) {
            layer.rect(0.0, y, width, row.h, palette.raised);
        }
        match row.kind {
            RowKind::Process(process) => {
                layer.rect(0.0, y, width, row.h, palette.raised);
                let text = process_name(scene, process);
                layer.label_within([10.0, middle], Anchor::Left, &text, width - 16.0, 12.5, palette.text);
            }
            RowKind::Owner(gil) => {
                let name = owner_name(scene, gil);
                layer.label_within([10.0, middle], Anchor::Left, &name, width - 16.0, size, palette.faint);
            }
            RowKind::Thread(thread) => {
                let note = waited(scene, thread);
                let note_width = text::width(&note, size - 1.0) + 12.0;
                if !note.is_empty() && row.h >= 11.0 {
                    let color = if scene.index.is_victim(thread as usize) && note.starts_with("waits") {
                        palette.convoy
                    } else {
                        palette.faint
                    };
                    layer.label([width - 8.0, middle], Anchor::Right, note, size - 1.0, color);
                }
                swatch(scene, thread, y, row.h, layer);
                let this = &scene.model.threads[thread as usize];
                let mut name = this.name();
                if this.detail.foreign == Some(true) {
                    name.push_str(" (foreign)");
                }
                if row.h >= 9.0
                    && let Some(name) = text::fit_middle(&name, width - 24.0 - note_width, size)
                {
                    layer.label([20.0, middle], Anchor::Left, name, size, palette.text);
                }
            }
        }
    }
    layer.rect(width - 1.0, 0.0, 1.0, scene.height, palette.line);
}

fn swatch(scene: &Scene<'_>, thread: u32, y: f32, h: f32, layer: &mut Layer) {
    let color: Rgba = scene.palette.thread(thread as usize);
    layer.rect(8.0, y + h * 0.2, 5.0, h * 0.6, color);
}

/// The heading of a process.
pub fn process_name(scene: &Scene<'_>, process: u32) -> String {
    let Some(this) = scene.model.processes.get(process as usize) else {
        return String::new();
    };
    let mut text = format!("process {}", this.pid);
    if let Some(role) = &this.detail.role {
        text = format!("{role} · {}", this.pid);
    }
    text
}

/// The heading of a process goes on over the lanes, with its command.
pub(crate) fn heading(scene: &Scene<'_>, process: u32, row: &Row, layer: &mut Layer) {
    let (y, palette) = (row.y - scene.scroll, scene.palette);
    layer.rect(0.0, y, scene.width, row.h, palette.raised);
    if let Some(this) = scene.model.processes.get(process as usize) {
        let at = [6.0, y + row.h / 2.0];
        let command = this.detail.command.join(" ");
        layer.label_within(at, Anchor::Left, &command, scene.width - 12.0, 12.0, palette.faint);
    }
}

/// The name of an ownership row.
pub fn owner_name(scene: &Scene<'_>, gil: u32) -> String {
    let Some(this) = scene.model.gils.get(gil as usize) else { return String::from("GIL owner") };
    let of_process = scene.model.gils.iter().filter(|other| other.process == this.process).count();
    match this.detail.interpreter {
        Some(number) if number > 0 => format!("GIL owner · interpreter {number}"),
        _ if of_process > 1 => format!("GIL owner · {}", scene.model.gil_name(gil)),
        _ => String::from("GIL owner"),
    }
}

/// How much of its life a thread waited or held, whatever is more telling.
fn waited(scene: &Scene<'_>, thread: u32) -> String {
    let Some(index) = scene.index.threads.get(thread as usize) else {
        return String::new();
    };
    let lane = &scene.model.threads[thread as usize].lane;
    let life = lane.end().saturating_sub(lane.start()).max(1) as f64;
    let percent = |nanos: i64| 100.0 * nanos as f64 / life;
    let (waits, holds) = (percent(index.waiting()), percent(index.holding()));
    if waits >= 1.0 && waits >= holds * 0.5 {
        format!("waits {waits:.0} %")
    } else if holds >= 1.0 {
        format!("holds {holds:.0} %")
    } else if index.total(Look::Lost) > 0 {
        String::from("records lost")
    } else {
        String::new()
    }
}
