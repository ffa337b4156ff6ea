//! The overview strip: what it shows, and dragging the visible range on it.

use egui::{CursorIcon, Rect, Role, Sense, Ui, WidgetInfo};
use gilscope_analysis::Model;
use gilscope_draw::{Palette, View, overview};

use super::Timeline;
use crate::{figures::Figures, paint};

/// What of the visible range is dragged.
#[derive(Clone, Copy, PartialEq, Debug)]
pub(super) enum Grip {
    Left,
    Right,
    /// All of it; the time between its begin and where it was taken.
    Whole(i64),
}

/// How near an edge must be to be taken by it, points.
const NEAR: f32 = 6.0;

impl Timeline {
    pub(super) fn overview(
        &mut self,
        ui: &mut Ui,
        model: &Model,
        figures: Option<&Figures>,
        palette: &Palette,
        area: Rect,
    ) {
        let response = ui.interact(area, ui.scope_id().with("overview"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Overview of the whole trace"));
        let width = area.width();
        let x = |time: i64| area.left() + self.all.x(time, width);
        let time = |at: f32| self.all.time(at - area.left(), width);
        let (left, right) = (x(self.view.from), x(self.view.until));
        let grip_at = |at: f32| {
            if (at - left).abs() < NEAR {
                Grip::Left
            } else if (at - right).abs() < NEAR {
                Grip::Right
            } else {
                Grip::Whole(time(at).saturating_sub(self.view.from))
            }
        };
        if let Some(at) = response.hover_pos() {
            let icon = match grip_at(at.x) {
                Grip::Whole(_) => CursorIcon::Grab,
                _ => CursorIcon::ResizeHorizontal,
            };
            ui.set_cursor_icon(icon);
        }
        if response.drag_started()
            && let Some(at) = ui.input(|input| input.pointer.press_origin())
        {
            let inside = at.x > left - NEAR && at.x < right + NEAR && self.view.span() < self.all.span();
            self.overview_drag = Some(match inside {
                true => grip_at(at.x),
                // Outside of it, or where it is everything: a new range is drawn.
                false => {
                    let here = time(at.x);
                    let half = self.view.span().min(self.all.span() / 20) / 2;
                    self.drag_to(View::new(here - half, here + half));
                    Grip::Right
                }
            });
        }
        if response.dragged()
            && let (Some(grip), Some(at)) = (self.overview_drag, response.interact_pointer_pos())
        {
            let here = self.all.time(at.x - area.left(), width);
            let view = self.view;
            self.drag_to(match grip {
                Grip::Left => View::new(here.min(view.until - 1000), view.until),
                Grip::Right => View::new(view.from, here.max(view.from + 1000)),
                Grip::Whole(offset) => view.moved(here.saturating_sub(offset).saturating_sub(view.from)),
            });
        }
        if response.drag_stopped() {
            self.overview_drag = None;
        }
        if response.clicked()
            && let Some(at) = response.interact_pointer_pos()
        {
            let here = self.all.time(at.x - area.left(), width);
            let span = self.view.span();
            if span < self.all.span() {
                self.go(View::new(here - span / 2, here + span / 2));
            }
        }
        let empty = overview::Heat::default();
        let heat = figures.map_or(&empty, |figures| &*figures.heat);
        let whole = self.view.from <= self.all.from && self.view.until >= self.all.until;
        let list = overview::overview(model, heat, palette, width, (!whole).then_some(self.view));
        paint::paint(&ui.painter_at(area), area.min, &list);
    }
}
