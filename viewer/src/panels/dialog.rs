//! The dialog that opens a trace: a path, recent files, and the folder.
//!
//! Our own, since a system's dialog needs a portal that servers and minimal desktops lack.

use std::path::{Path, PathBuf};

use egui::{Context, ScrollArea, TextEdit};

/// Entries of a folder that are listed.
const ENTRIES: usize = 500;

/// The dialog.
#[derive(Default)]
pub(crate) struct OpenDialog {
    shown: bool,
    /// Whether the field of the path is to take the keyboard.
    focus: bool,
    path: String,
    folder: PathBuf,
    entries: Vec<(String, PathBuf, bool)>,
}

impl OpenDialog {
    pub(crate) fn open(&mut self) {
        self.shown = true;
        self.focus = true;
        self.list(&std::env::current_dir().unwrap_or_default());
    }

    pub(crate) fn close(&mut self) {
        self.shown = false;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.shown
    }

    /// Lists folders and traces.
    fn list(&mut self, folder: &Path) {
        self.folder = folder.to_owned();
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        self.entries = entries
            .filter_map(|entry| {
                let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
                let is_folder = path.is_dir();
                let is_trace = path.extension().is_some_and(|ending| ending == "gilscope");
                ((is_folder || is_trace) && !name.starts_with('.')).then_some((name, path, is_folder))
            })
            .take(ENTRIES)
            .collect();
        self.entries.sort_by_key(|(name, _, is_folder)| (*is_folder, name.to_lowercase()));
    }

    /// Shows the dialog if it is open; gives the file that was chosen.
    pub(crate) fn show(&mut self, ctx: &Context, recent: &[PathBuf]) -> Option<PathBuf> {
        if !self.shown {
            return None;
        }
        let mut chosen = None;
        let mut open = true;
        let mut go_to = None;
        let window = egui::Window::new("Open a trace")
            .open(&mut open)
            .collapsible(false)
            .pivot(egui::Align2::CENTER_CENTER)
            .default_pos(ctx.content_rect().center())
            .default_width(520.0);
        window.show(ctx, |ui| {
            ui.horizontal(|ui| {
                let field = ui.add(
                    TextEdit::singleline(&mut self.path).hint_text("path of a trace").desired_width(400.0),
                );
                field.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::TextInput, true, "Path of a trace")
                });
                if std::mem::take(&mut self.focus) {
                    field.request_focus();
                }
                let enter = field.lost_focus() && ui.input(|input| input.key_pressed(egui::Key::Enter));
                if (ui.button("Open").clicked() || enter) && !self.path.trim().is_empty() {
                    chosen = Some(PathBuf::from(self.path.trim()));
                }
            });
            ui.separator();
            ui.weak(self.folder.display().to_string());
            ScrollArea::vertical().max_height(280.0).auto_shrink(false).show(ui, |ui| {
                if let Some(parent) = self.folder.parent()
                    && ui.link("..").clicked()
                {
                    go_to = Some(parent.to_owned());
                }
                for (name, path, is_folder) in &self.entries {
                    let text = if *is_folder { format!("{name}/") } else { name.clone() };
                    if ui.link(text).clicked() {
                        match is_folder {
                            true => go_to = Some(path.clone()),
                            false => chosen = Some(path.clone()),
                        }
                    }
                }
            });
            if !recent.is_empty() {
                ui.separator();
                ui.weak("opened before");
                for file in recent {
                    if ui.link(file.display().to_string()).clicked() {
                        chosen = Some(file.clone());
                    }
                }
            }
        });
        if let Some(folder) = go_to {
            self.list(&folder);
        }
        self.shown = open && chosen.is_none();
        chosen
    }
}
