//! The timeline as a widget.

use egui::{Rect, Role, Sense, Ui, Vec2, WidgetInfo, pos2};
use gilscope_draw::{
    Anchor, DrawList, Emphasis, Palette, RowKind, Scene, axis, convoys, names, overview, time,
};

use super::{Timeline, clock};
use crate::{Settings, figures::Figures, open::Trace, paint};

const SCROLLBAR: f32 = 9.0;
/// Height of the legend below the lanes, points.
const LEGEND: f32 = 30.0;

impl Timeline {
    /// Shows the timeline in all of the room that is left.
    pub(crate) fn show(
        &mut self,
        ui: &mut Ui,
        trace: &Trace,
        figures: Option<&Figures>,
        settings: &mut Settings,
    ) {
        let palette = Palette::of(settings.theme());
        let area = ui.available_rect_before_wrap();
        ui.allocate_rect(area, Sense::hover());
        ui.painter().rect_filled(area, 0.0, crate::theme::color(palette.background));
        let model = trace.model();
        if model.events == 0 {
            ui.put(area, egui::Label::new("Nothing has been recorded yet."));
            return;
        }
        let names_width = settings.names_width.clamp(80.0, area.width() / 2.0);
        let left = area.left() + names_width;
        let right = area.right() - SCROLLBAR;
        let strip = |top: f32, height: f32| Rect::from_min_max(pos2(left, top), pos2(right, top + height));
        let overview_area = strip(area.top(), overview::HEIGHT);
        let track = if model.convoys.is_empty() { 0.0 } else { convoys::TRACK };
        let track_area = strip(overview_area.bottom(), track);
        let axis_area = strip(track_area.bottom(), axis::HEIGHT);
        let lanes = Rect::from_min_max(pos2(left, axis_area.bottom() + 4.0), pos2(right, area.bottom()));
        let column = Rect::from_min_max(pos2(area.left(), lanes.top()), pos2(left, area.bottom()));
        self.lanes_width = lanes.width().max(1.0);
        self.lanes_height = lanes.height().max(1.0);
        self.renew_rows(model, &trace.index, settings);

        self.overview(ui, model, figures, &palette, overview_area);
        let response = ui.interact(lanes, ui.scope_id().with("lanes"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Timelines of the threads"));
        self.pointer(ui, trace, lanes, &response);
        self.scroll = self.scroll.clamp(0.0, (self.rows.height - self.lanes_height).max(0.0));
        self.track_clicks(ui, trace, track_area);
        self.name_clicks(ui, trace, column, &palette);

        let rows = std::mem::take(&mut self.rows);
        let scene = Scene {
            model,
            index: &trace.index,
            palette: &palette,
            rows: &rows,
            view: self.view,
            width: self.lanes_width,
            height: self.lanes_height,
            scroll: self.scroll,
            clock: clock(model, settings),
        };
        let emphasis = Emphasis {
            interval: self.selected_interval(model),
            stall: self.selection.stall,
            convoy: self.selection.convoy,
            range: self.selection.range,
        };
        let list = gilscope_draw::rows(&scene, &mut self.cache, emphasis);
        self.drawn = list.len();
        paint::paint(ui.painter(), lanes.min, &list);

        let mut side = DrawList::new(names_width, column.height());
        let hovered = self.hovered.and_then(|hovered| hovered.row);
        let selected = self.selection.thread.map(RowKind::Thread);
        let highlighted: Vec<RowKind> = hovered.into_iter().chain(selected).collect();
        names::names(
            &scene,
            names_width,
            &highlighted,
            side.layer(Some([0.0, 0.0, names_width, column.height()])),
        );
        paint::paint(ui.painter(), column.min, &side);

        let mut head = DrawList::new(area.width(), lanes.top() - area.top());
        let head_layer = head.layer(None);
        let label_y = |rect: Rect| rect.center().y - area.top();
        head_layer.label([10.0, label_y(overview_area)], Anchor::Left, "whole trace", 12.0, palette.faint);
        if track > 0.0 {
            let text = match model.convoys.len() {
                1 => String::from("1 convoy"),
                count => format!("{count} convoys"),
            };
            head_layer.label([10.0, label_y(track_area)], Anchor::Left, text, 12.0, palette.convoy);
        }
        let hidden = rows.hidden;
        let count = rows.threads().count();
        let mut text = format!("{count} threads");
        if hidden > 0 {
            text.push_str(&format!(", {hidden} not shown"));
        }
        head_layer.label([10.0, label_y(axis_area)], Anchor::Left, text, 12.0, palette.faint);
        paint::paint(ui.painter(), area.min, &head);

        let mut strips = DrawList::new(self.lanes_width, track + axis::HEIGHT);
        if track > 0.0 {
            convoys::track(
                &scene,
                self.selection.convoy,
                strips.layer(Some([0.0, 0.0, self.lanes_width, track])),
            );
        }
        let mut ruler = DrawList::new(self.lanes_width, axis::HEIGHT);
        let ruler_layer = ruler.layer(Some([0.0, 0.0, self.lanes_width, axis::HEIGHT]));
        axis::axis(&palette, self.view, self.lanes_width, scene.clock, ruler_layer);
        strips.place(ruler, 0.0, track);
        paint::paint(ui.painter(), track_area.min, &strips);

        self.pointer_line(ui, &scene, lanes, axis_area);
        self.below_the_lanes(ui, &rows, &palette, area);
        self.rows = rows;
        self.scrollbar(ui, Rect::from_min_max(pos2(right, lanes.top()), area.max));
        self.names_edge(ui, column, settings);

        if response.hovered() && !response.dragged() {
            let lines = self.tooltip(trace);
            if !lines.is_empty() {
                response.on_hover_ui_at_pointer(|ui| {
                    ui.set_max_width(380.0);
                    for line in &lines {
                        ui.label(line);
                    }
                });
            }
        }
    }

    /// What the colours mean where lanes leave room for it, and why there are none where there are none.
    fn below_the_lanes(&self, ui: &Ui, rows: &gilscope_draw::Rows, palette: &Palette, area: Rect) {
        let mut list = DrawList::new(area.width(), LEGEND);
        if rows.height + LEGEND + 6.0 < self.lanes_height {
            gilscope_draw::legend(palette, area.width(), 0, &mut list, 0.0);
        }
        if rows.threads().next().is_none() {
            let text = match self.filter.trim() {
                "" => String::from("No thread was recorded."),
                filter => format!("No thread that is shown is called “{filter}”. Esc clears the search."),
            };
            let at = [area.width() / 2.0, LEGEND - self.lanes_height / 2.0];
            list.layer(None).label(at, Anchor::Middle, text, 14.0, palette.faint);
        }
        paint::paint(ui.painter(), pos2(area.left(), area.bottom() - LEGEND), &list);
    }

    /// A line at the pointer and at each mark, with their times, over lanes and axis.
    fn pointer_line(&self, ui: &Ui, scene: &Scene<'_>, lanes: Rect, axis_area: Rect) {
        let mut list = DrawList::new(lanes.width(), lanes.height() + 40.0);
        let above = lanes.top() - axis_area.top();
        let height = lanes.height() + above;
        let layer = list.layer(Some([0.0, 0.0, lanes.width(), height]));
        let step = time::tick_step(self.view.nanos_per_point(lanes.width()));
        let flag = |at: i64, color, line: f32, layer: &mut gilscope_draw::Layer| {
            let x = scene.x(at);
            let text = time::point(at, step, scene.clock);
            let width = gilscope_draw::text::width(&text, 11.5) + 8.0;
            layer.rect(x - 0.5, 0.0, 1.0, height, scene.palette.text.alpha(line));
            let left = x.min(lanes.width() - width);
            layer.rect(left, 2.0, width, axis::HEIGHT - 6.0, color);
            layer.label(
                [left + 4.0, axis::HEIGHT / 2.0 - 1.0],
                Anchor::Left,
                text,
                11.5,
                scene.palette.text_on(color),
            );
        };
        for &mark in &self.marks {
            if mark >= self.view.from && mark <= self.view.until {
                flag(mark, scene.palette.mark, 0.6, layer);
            }
        }
        if let Some(hovered) = self.hovered {
            flag(hovered.time, scene.palette.raised, 0.25, layer);
        }
        paint::paint(ui.painter(), axis_area.min, &list);
    }

    fn track_clicks(&mut self, ui: &mut Ui, trace: &Trace, area: Rect) {
        if area.height() <= 0.0 {
            return;
        }
        let response = ui.interact(area, ui.scope_id().with("convoys"), Sense::click());
        response.widget_info(|| WidgetInfo::labeled(Role::Canvas, true, "Convoys"));
        let Some(at) = response.interact_pointer_pos().filter(|_| response.clicked()) else { return };
        let model = trace.model();
        let grain = self.view.nanos_per_point(area.width()) as i64 * 3;
        let time = self.view.time(at.x - area.left(), area.width());
        let found = model
            .convoys
            .iter()
            .position(|convoy| convoy.start - grain <= time && time <= convoy.end + grain);
        if let Some(convoy) = found {
            self.select_convoy(model, convoy as u32);
        }
    }

    /// Each name is a button: it selects the thread, its menu pins it.
    fn name_clicks(&mut self, ui: &mut Ui, trace: &Trace, column: Rect, palette: &Palette) {
        let model = trace.model();
        ui.painter().rect_filled(column, 0.0, crate::theme::color(palette.background));
        let visible = self.rows.between(self.scroll, self.scroll + self.lanes_height).to_vec();
        for row in visible {
            let RowKind::Thread(thread) = row.kind else { continue };
            let top = column.top() + row.y - self.scroll;
            let rect = Rect::from_min_size(pos2(column.left(), top), Vec2::new(column.width() - 6.0, row.h))
                .intersect(column);
            let response = ui.interact(rect, ui.scope_id().with(("thread", thread)), Sense::click());
            let name = model.threads[thread as usize].name();
            response.widget_info(|| {
                WidgetInfo::selected(
                    Role::Button,
                    true,
                    self.selection.thread == Some(thread),
                    format!("thread {name}"),
                )
            });
            if response.clicked() {
                self.selection.thread = Some(thread);
                self.selection.stall = None;
                self.selection.time = None;
            }
            response.context_menu(|ui| {
                let pinned = self.pinned.contains(&thread);
                if ui.button(if pinned { "Let go" } else { "Pin on top" }).clicked() {
                    self.toggle_pin(thread);
                    ui.close();
                }
                if ui.button("Show its whole life").clicked() {
                    let lane = &model.threads[thread as usize].lane;
                    self.show_span(lane.start(), lane.end(), Some(thread));
                    ui.close();
                }
            });
        }
    }

    pub(crate) fn toggle_pin(&mut self, thread: u32) {
        if !self.pinned.remove(&thread) {
            self.pinned.insert(thread);
        }
    }

    fn scrollbar(&mut self, ui: &mut Ui, area: Rect) {
        let total = self.rows.height.max(1.0);
        if total <= self.lanes_height {
            return;
        }
        let response = ui.interact(area, ui.scope_id().with("scrollbar"), Sense::click_and_drag());
        response.widget_info(|| WidgetInfo::labeled(Role::ScrollBar, true, "Scroll the lanes"));
        let share = self.lanes_height / total;
        if let Some(at) = response.interact_pointer_pos() {
            let middle = (at.y - area.top()) / area.height() * total;
            self.scroll = (middle - self.lanes_height / 2.0).clamp(0.0, total - self.lanes_height);
        }
        let top = area.top() + self.scroll / total * area.height();
        let handle = Rect::from_min_size(
            pos2(area.left() + 2.0, top),
            Vec2::new(SCROLLBAR - 3.0, share * area.height()),
        );
        let visuals = ui.style().interact(&response);
        ui.painter().rect_filled(handle, 3.0, visuals.fg_stroke.color.gamma_multiply(0.4));
    }

    /// The edge of the column of names can be dragged.
    fn names_edge(&self, ui: &mut Ui, column: Rect, settings: &mut Settings) {
        let edge = Rect::from_min_max(
            pos2(column.right() - 4.0, column.top()),
            pos2(column.right() + 2.0, column.bottom()),
        );
        let response = ui.interact(edge, ui.scope_id().with("names edge"), Sense::drag());
        response.widget_info(|| WidgetInfo::labeled(Role::Splitter, true, "Width of the names"));
        if response.hovered() || response.dragged() {
            ui.set_cursor_icon(egui::CursorIcon::ResizeHorizontal);
        }
        settings.names_width += response.drag_delta().x;
    }
}
