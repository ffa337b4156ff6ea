//! The strip over the whole trace: contention as heat, convoys, lost records, and the visible range.

use gilscope_analysis::Model;

use crate::{DrawList, Palette, Rgba, TraceIndex, View, look::class};

/// Height of the strip, points.
pub const HEIGHT: f32 = 44.0;
/// Buckets of heat at most. More than this would not be told apart, and each costs a look into every lane.
const BUCKETS: f32 = 600.0;

/// Contention over a whole trace, in equal steps.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Heat {
    /// The stretch that it covers.
    pub view: Option<View>,
    /// Threads that wait, in the mean.
    pub waiting: Vec<f32>,
    /// Share of time in which somebody holds, summed over GILs.
    pub holding: Vec<f32>,
}

impl Heat {
    /// The contention of `model`.
    pub fn of(model: &Model, index: &TraceIndex) -> Heat {
        let view = View::new(model.start, model.end);
        let bucket = view.bucket(BUCKETS / 2.0);
        let count = (view.span() / bucket.nanos() + 2) as usize;
        let mut heat = Heat { view: Some(view), waiting: vec![0.0; count], holding: vec![0.0; count] };
        let mut pieces = Vec::new();
        let first = bucket.of(view.from);
        for (thread, index) in model.threads.iter().zip(&index.threads) {
            // A thread that neither waited nor held adds nothing.
            if index.waiting() + index.holding() == 0 {
                continue;
            }
            pieces.clear();
            let looks = index.looks(&thread.lane);
            index.forest.pieces(looks, view.from, view.until, bucket, &mut pieces);
            for piece in &pieces {
                let waiting = piece.shares[class::STALLED] + piece.shares[class::WAITING];
                let holding = piece.shares[class::HOLDING] + piece.shares[class::DESCHEDULED];
                if waiting == 0.0 && holding == 0.0 {
                    continue;
                }
                // A long interval covers many buckets, a short one a part of one or two.
                let (mut at, end) = (piece.start, piece.end);
                while at < end {
                    let number = bucket.of(at);
                    let next = ((number + 1) * bucket.nanos()).min(end);
                    let part = (next - at) as f32 / bucket.nanos() as f32;
                    if let Some(place) = usize::try_from(number - first).ok().filter(|&place| place < count) {
                        heat.waiting[place] += waiting * part;
                        heat.holding[place] += holding * part;
                    }
                    at = next;
                }
            }
        }
        heat
    }
}

/// The strip, `width` by [`HEIGHT`]. `visible` is the range in sight.
pub fn overview(
    model: &Model,
    heat: &Heat,
    palette: &Palette,
    width: f32,
    visible: Option<View>,
) -> DrawList {
    let mut list = DrawList::new(width, HEIGHT);
    let layer = list.layer(Some([0.0, 0.0, width, HEIGHT]));
    layer.rect(0.0, 0.0, width, HEIGHT, palette.lane);
    let all = View::new(model.start, model.end);
    let floor = HEIGHT - 8.0;
    if let Some(view) = heat.view {
        let bucket = view.bucket(BUCKETS / 2.0);
        let first = bucket.of(view.from);
        for (place, (&waiting, &holding)) in heat.waiting.iter().zip(&heat.holding).enumerate() {
            let start = (first + place as i64) * bucket.nanos();
            let x = all.x(start.max(all.from), width);
            let w = all.x((start + bucket.nanos()).min(all.until), width) - x;
            if w <= 0.0 {
                continue;
            }
            let h = floor * 0.9 * holding.min(1.0);
            layer.rect(x, floor - h, w, h, palette.raised.towards(palette.line, 0.5));
            if waiting > 0.002 {
                let h = (floor * (1.0 - (-1.6 * waiting).exp())).max(2.0);
                layer.rect(x, floor - h, w, h, heat_color(palette, waiting));
            }
        }
    }
    let mut covered = f32::NEG_INFINITY;
    for convoy in &model.convoys {
        let x = all.x(convoy.start, width);
        let w = (all.x(convoy.end, width) - x).max(2.0);
        if x + w <= covered {
            continue;
        }
        covered = covered.max(x + w);
        layer.rect(x, floor + 1.0, w, HEIGHT - floor - 2.0, palette.convoy);
    }
    for lost in &model.lost {
        let x = all.x(lost.start, width);
        let w = (all.x(lost.end, width) - x).max(3.0);
        layer.hatch(x, 0.0, w, HEIGHT, palette.lost.alpha(0.8));
    }
    if let Some(visible) = visible {
        window(all, visible, palette, width, list.layer(Some([0.0, 0.0, width, HEIGHT])));
    }
    list
}

/// From one waiter in ten to four waiters.
fn heat_color(palette: &Palette, waiting: f32) -> Rgba {
    let (low, high) = (palette.look(crate::Look::Waiting), palette.look(crate::Look::Stalled));
    let faint = low.towards(palette.lane, 0.55);
    match waiting {
        0.0..0.3 => faint.towards(low, waiting / 0.3),
        0.3..1.0 => low.towards(high, (waiting - 0.3) / 0.7),
        _ => high.towards(palette.text, ((waiting - 1.0) / 12.0).min(0.35)),
    }
}

fn window(all: View, visible: View, palette: &Palette, width: f32, layer: &mut crate::Layer) {
    let left = all.x(visible.from, width).clamp(0.0, width);
    let right = all.x(visible.until, width).clamp(0.0, width).max(left + 2.0);
    let dim = palette.background.alpha(0.6);
    layer.rect(0.0, 0.0, left, HEIGHT, dim);
    layer.rect(right, 0.0, width - right, HEIGHT, dim);
    layer.outline(left, 0.0, right - left, HEIGHT, 1.0, palette.selection.alpha(0.8));
    // Handles to take it by.
    for edge in [left, right - 4.0] {
        layer.rect(edge, HEIGHT / 2.0 - 8.0, 4.0, 16.0, palette.selection);
    }
}
