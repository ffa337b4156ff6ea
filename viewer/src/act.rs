//! What each command does.

use gilscope_draw::Sort;

use crate::{App, commands::Command, open::Trace, selection::Selection};

/// Zoom and move of one press of a key.
const ZOOM: f64 = 1.35;
const PAN: f64 = 0.18;
const LANE_HEIGHTS: std::ops::RangeInclusive<f32> = 8.0..=80.0;

impl App {
    /// Does a command that needs no trace; gives back one that does.
    pub(crate) fn act(&mut self, ctx: &egui::Context, command: Command) {
        match command {
            Command::Open => self.dialog.open(),
            Command::CloseFile => self.close(),
            Command::Help => self.show_help = !self.show_help,
            Command::SwitchTheme => {
                self.settings.switch_theme();
                crate::theme::apply(ctx, self.settings.theme());
            }
            Command::TogglePanels => self.settings.show_panels = !self.settings.show_panels,
            Command::WallClock => self.settings.wall_clock = !self.settings.wall_clock,
            Command::HideIdle => self.settings.hide_idle = !self.settings.hide_idle,
            Command::NextSort => self.settings.sort = (self.settings.sort + 1) % Sort::ALL.len(),
            Command::TallerLanes => self.set_lane_height(self.settings.lane_height * 1.25),
            Command::LowerLanes => self.set_lane_height(self.settings.lane_height / 1.25),
            Command::Search => self.focus_search = true,
            Command::ClearSelection => {
                if self.show_help || self.dialog.is_open() {
                    self.show_help = false;
                    self.dialog.close();
                } else if self.timeline.selection != Selection::default() {
                    self.timeline.selection = Selection::default();
                } else {
                    self.timeline.filter.clear();
                }
            }
            _ => {
                if let Some(session) = self.session.clone() {
                    let trace = session.read();
                    if trace.model().events > 0 {
                        self.act_on(&trace, command);
                    }
                }
            }
        }
        ctx.request_repaint();
    }

    fn act_on(&mut self, trace: &Trace, command: Command) {
        let (timeline, model) = (&mut self.timeline, trace.model());
        match command {
            Command::ZoomIn => timeline.zoom(1.0 / ZOOM),
            Command::ZoomOut => timeline.zoom(ZOOM),
            Command::PanLeft => timeline.pan(-PAN),
            Command::PanRight => timeline.pan(PAN),
            Command::FitAll => timeline.fit_all(),
            Command::FitSelection => timeline.fit_selection(model),
            Command::GoToEnd => timeline.go_to_end(),
            Command::NextConvoy => timeline.step_convoy(model, true),
            Command::PreviousConvoy => timeline.step_convoy(model, false),
            Command::NextStall => timeline.step_stall(model, true),
            Command::PreviousStall => timeline.step_stall(model, false),
            Command::GoToHolder => timeline.go_to_holder(model),
            Command::GoBack => timeline.back(),
            Command::NextMatch => timeline.step_thread(),
            Command::Mark => timeline.mark(),
            Command::NextMark => timeline.next_mark(),
            Command::ClearMarks => timeline.marks.clear(),
            Command::PinThread => {
                if let Some(thread) = timeline.selection.thread {
                    timeline.toggle_pin(thread);
                }
            }
            _ => {}
        }
    }

    fn set_lane_height(&mut self, height: f32) {
        self.settings.fill_height = false;
        self.settings.lane_height = height.clamp(*LANE_HEIGHTS.start(), *LANE_HEIGHTS.end());
    }
}
