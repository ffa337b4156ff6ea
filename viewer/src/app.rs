//! The window: what it holds, and the order in which its parts are shown.

use std::{
    path::{Path, PathBuf},
    sync::Arc,
};

use egui::{Context, Ui};

use crate::{
    Options, Settings,
    commands::{self, Command},
    figures::{Figures, Wanted, Worker},
    open::{Session, Status, Wake},
    panels::{self, Panels, arrangement, dialog::OpenDialog},
    screenshot::{Failure, Screenshot},
    settings, theme,
    timeline::Timeline,
};

/// The window.
pub struct App {
    pub(crate) settings: Settings,
    pub(crate) session: Option<Arc<Session>>,
    worker: Option<Worker>,
    figures: Option<Arc<Figures>>,
    pub(crate) timeline: Timeline,
    panels: Panels,
    pub(crate) dialog: OpenDialog,
    pub(crate) show_help: bool,
    pub(crate) focus_search: bool,
    follow: bool,
    dismissed: bool,
    screenshot: Option<Screenshot>,
    wake: Wake,
}

impl App {
    /// A window without a trace.
    pub fn new(ctx: &Context, settings: Settings) -> App {
        theme::apply(ctx, settings.theme());
        let repaint = ctx.clone();
        App {
            settings,
            session: None,
            worker: None,
            figures: None,
            timeline: Timeline::new(),
            panels: Panels::new(None),
            dialog: OpenDialog::default(),
            show_help: false,
            focus_search: false,
            follow: false,
            dismissed: false,
            screenshot: None,
            wake: Arc::new(move || repaint.request_repaint()),
        }
    }

    /// Takes up what the last window left.
    pub fn restore(&mut self, ctx: &Context, storage: &dyn eframe::Storage) {
        self.settings = eframe::get_value(storage, settings::KEY).unwrap_or_default();
        self.panels = Panels::new(eframe::get_value(storage, arrangement::KEY));
        theme::apply(ctx, self.settings.theme());
    }

    /// Does what the command line asks for.
    pub(crate) fn start(&mut self, options: &Options, ctx: &Context, failure: Failure) {
        if options.light {
            self.settings.light_now = true;
            theme::apply(ctx, self.settings.theme());
        }
        if let Some(file) = &options.file {
            self.open(file, options.follow);
        }
        self.screenshot = options.screenshot.clone().map(|out| Screenshot::new(out, failure));
    }

    /// Opens the trace at `path`; goes on as it grows if `follow` is set.
    pub fn open(&mut self, path: &Path, follow: bool) {
        let session = Arc::new(Session::open(path, follow, self.wake.clone()));
        self.worker = Some(Worker::new(session.clone(), self.wake.clone()));
        self.session = Some(session);
        self.figures = None;
        self.follow = follow;
        self.dismissed = false;
        self.timeline = Timeline::new();
        self.timeline.pinned_to_end = follow;
        self.settings.remember(std::path::absolute(path).unwrap_or_else(|_| path.to_owned()));
    }

    /// Stops loading, or closes the trace if it is loaded.
    pub(crate) fn close(&mut self) {
        match &self.session {
            Some(session) if session.status() == Status::Loading => session.stop(),
            _ => {
                self.session = None;
                self.worker = None;
                self.figures = None;
                self.timeline = Timeline::new();
            }
        }
    }

    /// How far the trace was read; `None` without one.
    pub fn status(&self) -> Option<Status> {
        self.session.as_ref().map(|session| session.status())
    }

    /// Whether all that is shown is up to date: read, computed, at rest.
    pub fn is_settled(&self) -> bool {
        match self.status() {
            None | Some(Status::Failed(_)) => true,
            Some(Status::Loading) => false,
            Some(_) if self.session.as_ref().is_some_and(|session| session.read().model().events == 0) => {
                true
            }
            Some(_) => !self.timeline.is_moving() && self.worker.as_ref().is_some_and(Worker::is_settled),
        }
    }

    /// Whether lanes are on the screen.
    pub fn has_lanes(&self) -> bool {
        self.timeline.drawn > 0
    }

    /// Length of the visible time, ns.
    pub fn span_nanos(&self) -> i64 {
        self.timeline.view.span()
    }

    /// What is shown and selected, in one line each: for tests.
    pub fn describe(&self) -> String {
        let (timeline, start) = (&self.timeline, self.timeline.all.from);
        let selection = timeline.selection;
        format!(
            "view {}..{}\nthread {:?}\nstall {:?}\nconvoy {:?}\nmarks {}\nrows {}",
            timeline.view.from - start,
            timeline.view.until - start,
            selection.thread,
            selection.stall,
            selection.convoy,
            timeline.marks.len(),
            timeline.rows.threads().count(),
        )
    }

    /// Shows the window.
    pub fn show(&mut self, ui: &mut Ui) {
        let ctx = ui.ctx().clone();
        self.take_dropped(&ctx);
        if !ctx.egui_wants_keyboard_input() {
            for command in ctx.input(commands::pressed) {
                // What lies behind the dialog stays as it is.
                if !self.dialog.is_open() || command == Command::ClearSelection {
                    self.act(&ctx, command);
                }
            }
        } else if ctx.input(|input| input.key_pressed(egui::Key::Escape)) {
            ctx.memory_mut(|memory| memory.stop_text_input());
            self.dialog.close();
        }
        if let Some(worker) = &self.worker {
            self.figures = worker.latest().or(self.figures.take());
        }
        let seconds = ctx.input(|input| input.stable_dt);
        if self.timeline.glide(seconds) {
            ctx.request_repaint();
        }
        let session = self.session.clone();
        let following = session
            .as_ref()
            .is_some_and(|session| matches!(session.status(), Status::Following | Status::Loading))
            && self.follow;
        if let Some(session) = &session {
            let trace = session.read();
            self.timeline.grow(trace.model(), following);
        }

        egui::Panel::top("bar").show(ui, |ui| panels::bar::show(self, ui));
        if let Some(session) = &session {
            self.messages(ui, session);
        }
        match &session {
            Some(session) if !matches!(session.status(), Status::Failed(_)) => self.trace(ui, session),
            _ => {
                egui::CentralPanel::default().show(ui, |ui| panels::welcome::show(self, ui));
            }
        }
        if self.show_help {
            self.show_help = panels::help::show(&ctx);
        }
        if let Some(file) = self.dialog.show(&ctx, &self.settings.recent) {
            self.open(&file, false);
        }
        let settled = self.is_settled();
        if let Some(screenshot) = &mut self.screenshot {
            screenshot.step(&ctx, settled);
        }
    }

    /// Progress, and what went wrong, above the timeline.
    fn messages(&mut self, ui: &mut Ui, session: &Session) {
        match session.status() {
            Status::Loading => {
                egui::Panel::top("progress").show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.label("Loading");
                        let width = (ui.available_width() - 80.0).max(60.0);
                        ui.add(
                            egui::ProgressBar::new(session.progress()).desired_width(width).show_percentage(),
                        );
                        if ui.button("Stop").clicked() {
                            session.stop();
                        }
                    });
                });
            }
            Status::Stopped(text) if !self.dismissed => {
                egui::Panel::top("message").show(ui, |ui| {
                    ui.horizontal(|ui| {
                        ui.colored_label(ui.visuals().warn_fg_color, text);
                        if ui.button("Dismiss").clicked() {
                            self.dismissed = true;
                        }
                    });
                });
            }
            _ => {}
        }
    }

    fn trace(&mut self, ui: &mut Ui, session: &Session) {
        let trace = session.read();
        let figures = self.figures.clone();
        if self.settings.show_panels && trace.model().events > 0 {
            let height = ui.available_height();
            egui::Panel::bottom("panels")
                .resizable(true)
                .default_size((ui.ctx().content_rect().height() * 0.34).round().clamp(180.0, 440.0))
                .max_size((height - 120.0).max(60.0))
                .show(ui, |ui| {
                    self.panels.show(ui, &trace, figures.as_deref(), &mut self.timeline, &self.settings);
                });
        }
        egui::CentralPanel::no_frame().show(ui, |ui| {
            self.timeline.show(ui, &trace, figures.as_deref(), &mut self.settings);
        });
        if let Some(worker) = &mut self.worker
            && trace.model().events > 0
            && session.status() != Status::Loading
        {
            worker.ask(Wanted {
                version: trace.index.version(),
                range: self.timeline.selection.range,
                view: self.timeline.view,
            });
        }
    }

    fn take_dropped(&mut self, ctx: &Context) {
        let dropped: Option<PathBuf> =
            ctx.input(|input| input.raw.dropped_files.first().map(|file| file.path().to_owned()));
        if let Some(path) = dropped {
            self.open(&path, false);
        }
    }
}

impl eframe::App for App {
    fn ui(&mut self, ui: &mut Ui, _frame: &mut eframe::Frame) {
        self.show(ui);
    }

    fn save(&mut self, storage: &mut dyn eframe::Storage) {
        eframe::set_value(storage, settings::KEY, &self.settings);
        eframe::set_value(storage, arrangement::KEY, self.panels.arrangement());
    }
}
