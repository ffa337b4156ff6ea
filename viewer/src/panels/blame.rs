//! Who waited while who held: a matrix as heat.

use egui::{Align2, FontId, Rect, ScrollArea, Sense, Ui, vec2};
use gilscope_draw::{Look, text, time};

use super::Shown;
use crate::theme::color;

/// Waiters and holders that are shown; the rest hardly matters.
const MOST: usize = 24;
const CELL: egui::Vec2 = vec2(72.0, 22.0);
const NAMES: f32 = 120.0;

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let Some(figures) = shown.figures else { return super::waiting(ui) };
    let report = figures.report.clone();
    if report.blame.is_empty() {
        ui.label("Nobody waited.");
        return;
    }
    // The report is sorted by time: the first names are the ones that matter.
    let mut waiters: Vec<(i32, &str)> = Vec::new();
    let mut holders: Vec<(Option<i32>, &str)> = Vec::new();
    for blame in &report.blame {
        if !waiters.iter().any(|(tid, _)| *tid == blame.waiter_tid) && waiters.len() < MOST {
            waiters.push((blame.waiter_tid, &blame.waiter));
        }
        let holder = (blame.holder_tid, blame.holder.as_str());
        if !holders.contains(&holder) && holders.len() < MOST {
            holders.push(holder);
        }
    }
    let most = report.blame.iter().map(|blame| blame.ns).max().unwrap_or(1).max(1);
    ui.weak("row waited while column held");
    ScrollArea::both().id_salt("blame").auto_shrink(false).show(ui, |ui| {
        let size = vec2(NAMES + CELL.x * holders.len() as f32, CELL.y * (waiters.len() + 1) as f32);
        let (area, _) = ui.allocate_exact_size(size, Sense::hover());
        let painter = ui.painter_at(area);
        let font = FontId::proportional(12.0);
        let write = |rect: Rect, content: &str, align: Align2, fill| {
            if let Some(content) = text::fit_middle(content, rect.width() - 6.0, 12.0) {
                painter.text(align.pos_in_rect(&rect.shrink(3.0)), align, content, font.clone(), fill);
            }
        };
        let at = |column: f32, row: f32, width: f32| {
            Rect::from_min_size(area.min + vec2(column, row * CELL.y), vec2(width, CELL.y))
        };
        let faint = color(shown.palette.faint);
        for (column, (tid, name)) in holders.iter().enumerate() {
            let name = tid.map_or_else(|| (*name).to_owned(), |tid| report.label(tid, name));
            write(at(NAMES + CELL.x * column as f32, 0.0, CELL.x), &name, Align2::CENTER_CENTER, faint);
        }
        for (row, (tid, name)) in waiters.iter().enumerate() {
            let name = report.label(*tid, name);
            write(at(0.0, row as f32 + 1.0, NAMES), &name, Align2::LEFT_CENTER, faint);
            for (column, (holder_tid, holder)) in holders.iter().enumerate() {
                let ns: i64 = report
                    .blame
                    .iter()
                    .filter(|blame| {
                        blame.waiter_tid == *tid && blame.holder_tid == *holder_tid && blame.holder == *holder
                    })
                    .map(|blame| blame.ns)
                    .sum();
                let cell = at(NAMES + CELL.x * column as f32, row as f32 + 1.0, CELL.x).shrink(1.0);
                // The root: a tenth of the longest is still seen.
                let heat = (ns as f32 / most as f32).sqrt();
                let fill = shown.palette.lane.towards(shown.palette.look(Look::Stalled), heat);
                painter.rect_filled(cell, 2.0, color(fill));
                if ns > 0 {
                    write(
                        cell,
                        &time::duration(ns),
                        Align2::CENTER_CENTER,
                        color(shown.palette.text_on(fill)),
                    );
                    let response = ui.interact(cell, ui.scope_id().with((tid, column)), Sense::hover());
                    response.on_hover_text(format!(
                        "{name} waited {} while {holder} held the GIL",
                        time::duration(ns)
                    ));
                }
            }
        }
    });
}
