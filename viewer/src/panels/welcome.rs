//! What the window shows without a trace.

use egui::{RichText, Ui};

use crate::{App, commands::Command, open::Status};

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    ui.vertical_centered(|ui| {
        ui.add_space(ui.available_height() * 0.22);
        if let Some(Status::Failed(text)) = app.status() {
            let name =
                app.session.as_ref().map(|session| session.path.display().to_string()).unwrap_or_default();
            let name = gilscope_analysis::clean::clean(&name).into_owned();
            ui.heading(RichText::new("This trace cannot be shown").color(ui.visuals().warn_fg_color));
            ui.label(name);
            ui.label(text);
        } else {
            ui.heading("gilscope");
            ui.label("Who held the GIL, and who was stalled by whom.");
        }
        ui.add_space(16.0);
        if ui.button("Open a trace…").clicked() {
            let ctx = ui.ctx().clone();
            app.act(&ctx, Command::Open);
        }
        ui.weak("or drop one on this window");
        ui.add_space(16.0);
        for file in app.settings.recent.clone() {
            if ui.link(file.display().to_string()).clicked() {
                app.open(&file, false);
            }
        }
        ui.add_space(16.0);
        ui.weak("To record one: gilscope attach -p PID -o out.gilscope");
    });
}
