//! The bar at the top: menus, search, and how lanes are shown.

use egui::{Button, Slider, Ui};
use gilscope_draw::{Look, Palette, Sort, Theme};

use crate::{
    App,
    commands::{COMMANDS, Command},
    open::Status,
    theme::color,
};

pub(crate) fn show(app: &mut App, ui: &mut Ui) {
    ui.horizontal(|ui| {
        for group in ["File", "Move", "Find", "Show"] {
            ui.menu_button(group, |ui| {
                for entry in COMMANDS.iter().filter(|entry| entry.group == group) {
                    item(app, ui, entry.command);
                }
                if group == "File" {
                    recent(app, ui);
                }
            });
        }
        ui.separator();
        search(app, ui);
        ui.checkbox(&mut app.settings.hide_idle, "Hide idle");
        let sort = egui::ComboBox::from_id_salt("sort").selected_text(app.settings.sort().name()).show_ui(
            ui,
            |ui| {
                for (place, sort) in Sort::ALL.iter().enumerate() {
                    ui.selectable_value(&mut app.settings.sort, place, sort.name());
                }
            },
        );
        sort.response
            .widget_info(|| egui::WidgetInfo::labeled(egui::Role::ComboBox, true, "Order of the lanes"));
        let slider = ui.add(Slider::new(&mut app.settings.lane_height, 8.0..=80.0).show_value(false));
        slider.widget_info(|| egui::WidgetInfo::labeled(egui::Role::Slider, true, "Height of the lanes"));
        if slider.changed() {
            app.settings.fill_height = false;
        }
        slider.on_hover_text("Height of the lanes");
        legend(app, ui);
        ui.with_layout(egui::Layout::right_to_left(egui::Align::Center), |ui| {
            status(app, ui);
        });
    });
}

fn item(app: &mut App, ui: &mut Ui, command: Command) {
    let entry = command.entry();
    let keys = entry.keys.first().map(|shortcut| shortcut.text()).unwrap_or_default();
    if ui.add(Button::new(entry.name).shortcut_text(keys)).clicked() {
        let ctx = ui.ctx().clone();
        app.act(&ctx, command);
        ui.close();
    }
}

fn recent(app: &mut App, ui: &mut Ui) {
    if app.settings.recent.is_empty() {
        return;
    }
    ui.separator();
    for file in app.settings.recent.clone() {
        if ui.button(file.display().to_string()).clicked() {
            app.open(&file, false);
            ui.close();
        }
    }
}

fn search(app: &mut App, ui: &mut Ui) {
    let response = ui.add(
        egui::TextEdit::singleline(&mut app.timeline.filter)
            .hint_text("Search threads  /")
            .desired_width(150.0),
    );
    response.widget_info(|| egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Search threads"));
    if std::mem::take(&mut app.focus_search) {
        response.request_focus();
    }
    if !app.timeline.filter.is_empty() && ui.button("Clear").clicked() {
        app.timeline.filter.clear();
    }
}

/// What the colours mean, on demand: in the picture it would take the room of a lane.
fn legend(app: &App, ui: &mut Ui) {
    ui.menu_button("Legend", |ui| {
        let palette = Palette::of(app.settings.theme());
        let mut row = |text: &str, fill| {
            ui.horizontal(|ui| {
                let (rect, _) = ui.allocate_exact_size(egui::vec2(16.0, 12.0), egui::Sense::hover());
                ui.painter().rect_filled(rect, 2.0, color(fill));
                ui.label(text);
            });
        };
        row("convoy", palette.convoy);
        for look in [
            Look::Stalled,
            Look::Waiting,
            Look::Holding,
            Look::Descheduled,
            Look::Limbo,
            Look::Socket,
            Look::File,
            Look::Call,
            Look::Poll,
            Look::Off,
            Look::Unknown,
        ] {
            row(look.name(), palette.look(look));
        }
        row("records lost: striped", palette.lost);
        ui.separator();
        ui.label("Lower, fainter bars are many intervals in one.");
        ui.label("The strip in them is the gravest state, however short.");
    });
}

fn status(app: &mut App, ui: &mut Ui) {
    if ui.button("?").on_hover_text("All commands").clicked() {
        app.show_help = true;
    }
    let light = app.settings.theme() == Theme::Light;
    if ui.button(if light { "Dark" } else { "Light" }).on_hover_text("Light or dark").clicked() {
        let ctx = ui.ctx().clone();
        app.act(&ctx, Command::SwitchTheme);
    }
    if app.status() == Some(Status::Following) {
        let pinned = app.timeline.pinned_to_end;
        let text = if pinned { "following" } else { "follow" };
        if ui.selectable_label(pinned, text).on_hover_text("Stay at the end while the trace grows").clicked()
        {
            match pinned {
                true => app.timeline.pinned_to_end = false,
                false => app.timeline.go_to_end(),
            }
        }
    }
    if let Some(session) = &app.session {
        let name =
            session.path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        ui.add(
            egui::Label::new(egui::RichText::new(gilscope_analysis::clean::clean(&name)).weak()).truncate(),
        );
    }
}
