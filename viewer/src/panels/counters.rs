//! Counters over the visible time: their axis is that of the timeline.

use egui::Ui;
use egui_plot::{Line, Plot, PlotPoints, VLine};
use gilscope_draw::{Look, Rgba, time};

use super::Shown;
use crate::{theme::color, timeline};

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let Some(figures) = shown.figures else { return super::waiting(ui) };
    let counters = &figures.counters;
    let palette = shown.palette;
    let rows: [(&str, &[f64], Rgba); 3] = [
        ("threads waiting", &counters.waiters, palette.look(Look::Stalled)),
        ("hand-overs per second", &counters.handovers, palette.look(Look::Socket)),
        ("share held, percent", &counters.held, palette.look(Look::Holding)),
    ];
    let view = shown.timeline.view;
    let origin = view.from;
    let clock = timeline::clock(shown.model(), shown.settings);
    let hovered = shown.timeline.hovered.map(|hovered| hovered.time.saturating_sub(origin) as f64);
    let height = (ui.available_height() / 3.0 - 22.0).max(30.0);
    for (name, values, stroke) in rows {
        ui.weak(name);
        // Relative to the view's begin: a day of nanoseconds does not fit into what is drawn.
        let shift = counters.from.saturating_sub(origin) as f64;
        let points: PlotPoints<'_> = values
            .iter()
            .enumerate()
            .map(|(place, &value)| [shift + (place as f64 + 0.5) * counters.step, value])
            .collect();
        let step = time::tick_step(view.span() as f64 / 4.0);
        Plot::new(name)
            .height(height)
            .allow_drag(false)
            .allow_zoom(false)
            .allow_scroll(false)
            .include_y(0.0)
            .show_x(false)
            .x_axis_formatter(move |mark, _| {
                time::point(origin.saturating_add(mark.value as i64), step, clock)
            })
            .show(ui, |plot| {
                plot.set_plot_bounds_x(0.0..=view.span() as f64);
                plot.line(Line::new(name, points).color(color(stroke)).fill(0.0).width(1.5));
                if let Some(at) = hovered {
                    plot.vline(VLine::new("pointer", at).color(color(palette.text.alpha(0.4))).width(1.0));
                }
            });
    }
}
