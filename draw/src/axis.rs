//! The axis of time, and its lines through the rows.

use crate::{Anchor, Clock, Layer, Palette, Scene, View, time};

/// Height of the axis, points.
pub const HEIGHT: f32 = 22.0;
/// Least distance of ticks with text, points.
const TICK_DISTANCE: f64 = 110.0;

/// Times of the ticks of a view, and their distance.
pub fn ticks(view: View, width: f32, clock: Clock) -> (Vec<i64>, i64) {
    let step = time::tick_step(view.nanos_per_point(width) * TICK_DISTANCE);
    let origin = match clock {
        Clock::Relative { origin } => origin,
        Clock::Wall { offset } => -offset.rem_euclid(86_400_000_000_000),
    };
    let first = view.from.saturating_sub(origin).div_euclid(step).saturating_mul(step).saturating_add(origin);
    let count = (view.span() / step + 2).min(10_000);
    let ticks = (0..=count)
        .map(|number| first.saturating_add(number.saturating_mul(step)))
        .filter(|&tick| tick >= view.from && tick <= view.until);
    (ticks.collect(), step)
}

/// The axis, [`HEIGHT`] high.
pub fn axis(palette: &Palette, view: View, width: f32, clock: Clock, layer: &mut Layer) {
    layer.rect(0.0, 0.0, width, HEIGHT, palette.background);
    let (ticks, step) = ticks(view, width, clock);
    for tick in ticks {
        let x = view.x(tick, width);
        layer.rect(x, HEIGHT - 6.0, 1.0, 6.0, palette.line);
        let text = time::point(tick, step, clock);
        if x + crate::text::width(&text, 11.5) + 6.0 < width {
            layer.label([x + 4.0, HEIGHT / 2.0 - 1.0], Anchor::Left, text, 11.5, palette.faint);
        }
    }
    layer.rect(0.0, HEIGHT - 1.0, width, 1.0, palette.line);
}

/// The lines of the ticks through the rows.
pub(crate) fn grid(scene: &Scene<'_>, layer: &mut Layer) {
    for tick in ticks(scene.view, scene.width, scene.clock).0 {
        layer.rect(scene.x(tick), 0.0, 1.0, scene.height, scene.palette.grid);
    }
}
