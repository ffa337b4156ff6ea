//! The table of threads of the range.

use std::collections::HashSet;

use egui::{Grid, RichText, ScrollArea, Ui};
use gilscope_analysis::report::Thread;
use gilscope_draw::{text, time};

use super::Shown;
use crate::selection::Selection;

/// By which column the table is sorted.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) struct Order {
    column: usize,
    ascending: bool,
}

impl Default for Order {
    fn default() -> Self {
        Order { column: 1, ascending: false }
    }
}

const COLUMNS: [&str; 8] = ["Thread", "Waiting", "Held", "Stalls", "p99", "p50", "Longest", "Calls"];
/// Rows that are laid out: a table of two thousand is sorted, not read.
const ROWS: usize = 300;
/// Widest name, points.
const NAME: f32 = 120.0;

pub(super) fn show(shown: &mut Shown<'_>, order: &mut Order, ui: &mut Ui) {
    let Some(figures) = shown.figures else { return super::waiting(ui) };
    let report = figures.report.clone();
    let mut threads: Vec<&Thread> = report.threads.iter().collect();
    // Asked of the report for each row, this would take the square of the number of threads.
    let mut names = HashSet::new();
    let shared: HashSet<&str> = report
        .threads
        .iter()
        .map(|thread| thread.name.as_str())
        .filter(|name| !names.insert(*name))
        .collect();
    let filter = shown.timeline.filter.to_lowercase();
    threads.retain(|thread| {
        filter.is_empty()
            || thread.name.to_lowercase().contains(&filter)
            || thread.tid.to_string().contains(&filter)
    });
    match order.column {
        0 => threads.sort_by_cached_key(|thread| std::cmp::Reverse(thread.name.to_lowercase())),
        column => threads.sort_by_key(|thread| std::cmp::Reverse(key(thread, column))),
    }
    if order.ascending {
        threads.reverse();
    }
    ScrollArea::both().id_salt("threads").auto_shrink(false).show(ui, |ui| {
        Grid::new("thread table").striped(true).spacing([7.0, 4.0]).min_col_width(36.0).show(ui, |ui| {
            for (column, name) in COLUMNS.iter().enumerate() {
                let arrow = match (order.column == column, order.ascending) {
                    (false, _) => "",
                    (true, true) => " ^",
                    (true, false) => " v",
                };
                let response =
                    ui.add(egui::Button::new(RichText::new(format!("{name}{arrow}")).strong()).frame(false));
                response.widget_info(|| {
                    egui::WidgetInfo::labeled(egui::Role::Button, true, format!("Sort by {name}"))
                });
                if response.clicked() {
                    *order = Order { column, ascending: order.column == column && !order.ascending };
                }
            }
            ui.end_row();
            let range = report.trace.duration_ns.max(1) as f64;
            for thread in threads.iter().take(ROWS) {
                row(shown, ui, thread, shared.contains(thread.name.as_str()), range);
            }
        });
        if threads.len() > ROWS {
            ui.weak(format!("and {} more", threads.len() - ROWS));
        }
    });
}

/// What a column is sorted by.
fn key(thread: &Thread, column: usize) -> i64 {
    match column {
        1 => thread.waiting_ns,
        2 => thread.held_ns + thread.descheduled_holding_ns,
        3 => thread.contended as i64,
        4 => thread.wait_ns.p99,
        5 => thread.wait_ns.p50,
        6 => thread.wait_ns.max,
        _ => calls(thread) as i64,
    }
}

fn calls(thread: &Thread) -> u64 {
    thread.syscalls.iter().map(|call| call.calls).sum()
}

fn row(shown: &mut Shown<'_>, ui: &mut Ui, thread: &Thread, is_shared: bool, range: f64) {
    let index = shown.thread_of(thread.pid, thread.tid);
    let selected = index.is_some() && shown.timeline.selection.thread == index;
    // Of several processes each has its MainThread; and a long name must not push the figures out of sight.
    let whole = if is_shared { format!("{} #{}", thread.name, thread.tid) } else { thread.name.clone() };
    let name = text::fit_middle(&whole, NAME, 13.0).unwrap_or_default();
    let response = ui.selectable_label(selected, &name);
    let response = if name == whole { response } else { response.on_hover_text(whole) };
    if response.clicked()
        && let Some(index) = index
    {
        shown.timeline.selection =
            Selection { thread: Some(index), range: shown.timeline.selection.range, ..Selection::default() };
        shown.timeline.reveal(index);
    }
    let share = |ns: i64| format!("{} ({:.0} %)", time::duration(ns), 100.0 * ns as f64 / range);
    ui.label(share(thread.waiting_ns));
    ui.label(share(thread.held_ns + thread.descheduled_holding_ns));
    ui.label(thread.contended.to_string());
    for ns in [thread.wait_ns.p99, thread.wait_ns.p50, thread.wait_ns.max] {
        ui.label(if thread.contended == 0 { String::from("-") } else { time::duration(ns) });
    }
    ui.label(calls(thread).to_string());
    ui.end_row();
}
