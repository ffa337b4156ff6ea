//! The histogram of waits, on a logarithmic axis, with the switch interval marked.

use egui::Ui;
use egui_plot::{Bar, BarChart, Plot, VLine};
use gilscope_draw::{Look, time};

use super::Shown;
use crate::theme::color;

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let Some(figures) = shown.figures else { return super::waiting(ui) };
    let report = &figures.report;
    let model = shown.model();
    let selected =
        shown.timeline.selection.thread.map(|thread| (model.pid(thread), model.threads[thread as usize].tid));
    let threads = report
        .threads
        .iter()
        .filter(|thread| selected.is_none_or(|wanted| wanted == (thread.pid, thread.tid)));
    let mut counts = std::collections::BTreeMap::new();
    for bucket in threads.flat_map(|thread| &thread.wait_histogram) {
        *counts.entry(bucket.from_ns.max(1)).or_insert(0) += bucket.count;
    }
    let whose = match shown.timeline.selection.thread {
        Some(thread) => model.threads[thread as usize].name(),
        None => String::from("all threads"),
    };
    if counts.is_empty() {
        ui.label(format!("No wait of {whose} to count."));
        return;
    }
    let interval = model.gils.first().map_or(gilscope_analysis::DEFAULT_INTERVAL_NS, |gil| gil.interval_ns());
    ui.weak(format!("how long the waits of {whose} took"));
    ui.colored_label(
        color(shown.palette.convoy),
        format!("| the switch interval, {}", time::duration(interval)),
    );
    let fill = color(shown.palette.look(Look::Waiting));
    let bars: Vec<Bar> = counts
        .iter()
        .map(|(&from, &count)| {
            // A bucket reaches from a power of two to the next.
            let left = (from as f64).log10();
            let width = 2.0_f64.log10();
            Bar::new(left + width / 2.0, count as f64)
                .width(width * 0.94)
                .fill(fill)
                .name(format!("from {}", time::duration(from)))
        })
        .collect();
    let chart = BarChart::new("waits", bars).color(color(shown.palette.look(Look::Waiting)));
    Plot::new("waits")
        .allow_drag(false)
        .allow_zoom(false)
        .allow_scroll(false)
        .include_x(3.0)
        .include_x(8.0)
        .include_y(1.0)
        .x_grid_spacer(|input| {
            let (from, until) = input.bounds;
            (from.ceil() as i32..=until.floor() as i32)
                .take(40)
                .map(|power| egui_plot::GridMark { value: f64::from(power), step_size: 1.0 })
                .collect()
        })
        .x_axis_formatter(|mark, _| time::duration(10_f64.powf(mark.value.clamp(0.0, 18.0)) as i64))
        .show(ui, |plot| {
            plot.bar_chart(chart);
            plot.vline(
                VLine::new("switch interval", (interval as f64).log10())
                    .color(color(shown.palette.convoy))
                    .width(1.5),
            );
        });
}
