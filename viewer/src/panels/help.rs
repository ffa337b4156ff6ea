//! All commands, from the registry.

use egui::{Context, Grid, ScrollArea};

use crate::commands::{COMMANDS, POINTER};

/// Shows the page; `false` once it is closed.
pub(crate) fn show(ctx: &Context) -> bool {
    let mut open = true;
    egui::Window::new("Commands")
        .open(&mut open)
        .default_width(460.0)
        .collapsible(false)
        .vscroll(false)
        .anchor(egui::Align2::CENTER_CENTER, egui::Vec2::ZERO)
        .show(ctx, |ui| {
            ScrollArea::vertical().max_height(ctx.content_rect().height() * 0.8).show(ui, |ui| {
                for group in ["Move", "Find", "Show", "File"] {
                    ui.strong(group);
                    Grid::new(group).num_columns(2).striped(true).min_col_width(110.0).show(ui, |ui| {
                        for entry in COMMANDS.iter().filter(|entry| entry.group == group) {
                            let keys: Vec<String> = entry.keys.iter().map(|key| key.text()).collect();
                            ui.monospace(keys.join("  "));
                            ui.label(entry.name);
                            ui.end_row();
                        }
                    });
                    ui.add_space(6.0);
                }
                ui.strong("Pointer");
                Grid::new("pointer").num_columns(2).striped(true).min_col_width(110.0).show(ui, |ui| {
                    for (gesture, what) in POINTER {
                        ui.label(*gesture);
                        ui.label(*what);
                        ui.end_row();
                    }
                });
            });
        });
    open
}
