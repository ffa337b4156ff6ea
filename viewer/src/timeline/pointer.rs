//! The pointer over the lanes.

use egui::{PointerButton, Rect, Response, Ui};
use gilscope_draw::{RowKind, View};

use super::Timeline;
use crate::open::Trace;

/// What is under the pointer.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(crate) struct Hovered {
    pub(crate) time: i64,
    pub(crate) row: Option<RowKind>,
}

/// What a drag does.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Drag {
    /// Selects from this time on.
    Select(i64),
    /// Moves the view.
    Pan,
}

/// Shorter drags are clicks, points.
const CLICK: f32 = 3.0;

impl Timeline {
    /// Handles the pointer over the lanes, which lie at `area`.
    pub(super) fn pointer(&mut self, ui: &Ui, trace: &Trace, area: Rect, response: &Response) {
        let position = response.hover_pos().or(response.interact_pointer_pos());
        self.hovered = position.filter(|at| area.contains(*at)).map(|at| Hovered {
            time: self.view.time(at.x - area.left(), area.width()),
            row: self.rows.at(at.y - area.top() + self.scroll).map(|row| row.kind),
        });
        self.wheel(ui, response, area);

        if response.drag_started_by(PointerButton::Middle) {
            self.drag = Some(Drag::Pan);
        }
        if response.drag_started_by(PointerButton::Primary) {
            let origin = ui.input(|input| input.pointer.press_origin());
            let time = origin.map(|at| self.view.time(at.x - area.left(), area.width()));
            self.drag = match ui.input(|input| input.modifiers.shift) {
                true => Some(Drag::Pan),
                false => time.map(Drag::Select),
            };
        }
        if response.dragged() {
            match self.drag {
                Some(Drag::Pan) => {
                    let delta = response.drag_delta();
                    let nanos = f64::from(-delta.x) * self.view.nanos_per_point(area.width());
                    self.jump(self.view.moved(nanos as i64));
                    self.scroll -= delta.y;
                }
                Some(Drag::Select(from)) => {
                    if let Some(at) = response.interact_pointer_pos() {
                        let until =
                            self.view.time((at.x - area.left()).clamp(0.0, area.width()), area.width());
                        let width =
                            (self.view.x(until, area.width()) - self.view.x(from, area.width())).abs();
                        if width > CLICK {
                            self.selection.range = Some((from.min(until), from.max(until)));
                        }
                    }
                }
                None => {}
            }
        }
        if response.drag_stopped() {
            self.drag = None;
        }
        if response.clicked()
            && let Some(hovered) = self.hovered
        {
            self.click(trace, hovered);
        }
        if response.double_clicked() {
            self.fit_selection(trace.model());
        }
    }

    fn click(&mut self, trace: &Trace, hovered: Hovered) {
        let model = trace.model();
        self.selection.range = None;
        self.selection.convoy = None;
        match hovered.row {
            Some(RowKind::Thread(thread)) => self.select_near(trace, thread, hovered.time),
            Some(RowKind::Owner(gil)) => {
                let holds = &model.gils[gil as usize].holds;
                if let Some(hold) = holds.range(hovered.time, hovered.time.saturating_add(1)).next()
                    && (hold.thread as usize) < model.threads.len()
                {
                    self.select_at(model, hold.thread, hovered.time);
                    self.reveal(hold.thread);
                }
            }
            _ => self.selection = Default::default(),
        }
    }

    /// Selects what is at a time, or the most severe thing within a point of it: where pieces are merged a stall is meant.
    fn select_near(&mut self, trace: &Trace, thread: u32, time: i64) {
        let model = trace.model();
        let lane = &model.threads[thread as usize].lane;
        let grain = self.view.bucket(self.lanes_width).nanos();
        let severest = lane
            .range(time.saturating_sub(grain), time.saturating_add(grain))
            // A bucket can hold a million intervals; the first thousand tell enough.
            .take(1000)
            .max_by_key(|interval| {
                let near = -((interval.start - time).abs().min((interval.end - time).abs()));
                let covers = interval.start <= time && time < interval.end && interval.duration() >= grain;
                (covers, interval.state, near)
            });
        match severest {
            Some(interval) => {
                let at = time.clamp(interval.start, interval.end.saturating_sub(1).max(interval.start));
                self.select_at(model, thread, at);
            }
            None => self.select_at(model, thread, time),
        }
    }

    fn wheel(&mut self, ui: &Ui, response: &Response, area: Rect) {
        if !response.hovered() {
            return;
        }
        let (zoom, scroll, modifiers) =
            ui.input(|input| (input.zoom_delta(), input.smooth_scroll_delta(), input.modifiers));
        if (zoom - 1.0).abs() > 1e-4
            && let Some(hovered) = self.hovered
        {
            let pinned = self.pinned_to_end;
            self.jump(self.view.zoomed(1.0 / f64::from(zoom), hovered.time));
            self.pinned_to_end = pinned;
        } else if !modifiers.command {
            let sideways = if modifiers.shift && scroll.x == 0.0 { scroll.y } else { scroll.x };
            if sideways != 0.0 {
                let nanos = f64::from(-sideways) * self.view.nanos_per_point(area.width());
                self.jump(self.view.moved(nanos as i64));
            }
            if !modifiers.shift {
                self.scroll -= scroll.y;
            }
        }
    }

    /// Shows `view` from now on, at once. For what moves the view by hand elsewhere.
    pub(super) fn drag_to(&mut self, view: View) {
        self.jump(view);
    }
}
