//! The ownership row of a GIL: each holder in its own colour, idle dark.

use gilscope_analysis::{NONE, index::Piece};

use crate::{Anchor, Cache, Layer, Rgba, Row, Scene, THREAD_COLORS, text, time};

pub(crate) fn row(scene: &Scene<'_>, cache: &mut Cache, gil: u32, row: &Row, layer: &mut Layer) {
    let y = row.y - scene.scroll;
    layer.rect(0.0, y, scene.width, row.h, scene.palette.background);
    let bucket = scene.bucket();
    let this = &scene.model.gils[gil as usize];
    let mut last: Option<(f32, f32, Rgba, f32)> = None;
    for piece in cache.gil(scene.model, scene.index, gil, scene.view, bucket) {
        if piece.count == 1 {
            flush(&mut last, y, row.h, layer);
            let hold = this.holds.get(piece.first);
            let x = scene.x(hold.start).max(-2.0);
            let w = scene.x(hold.end).min(scene.width + 2.0) - x;
            let color = holder_color(scene, hold.thread);
            let gap = if w > 3.0 { 0.5 } else { 0.0 };
            layer.rect(x, y, w - gap, row.h, color);
            if w > 34.0 && row.h >= 13.0 && hold.thread != NONE {
                let (left, right) = (x.max(0.0), (x + w).min(scene.width));
                let name = scene.model.threads[hold.thread as usize].name();
                let cut = text::fit_middle(&name, right - left - 8.0, 11.0).unwrap_or_default();
                let texts = [format!("{name} · {}", time::duration(hold.duration())), cut];
                let at = [left + 4.0, y + row.h / 2.0];
                layer.label_fitting(
                    at,
                    Anchor::Left,
                    &texts,
                    right - left - 8.0,
                    11.0,
                    scene.palette.text_on(color),
                );
            }
        } else {
            let x = scene.x(piece.start);
            let right = scene.x(piece.end).max(x + 1.0);
            let (color, share) = mixture(scene, piece);
            match &mut last {
                Some((_, end, same, height)) if *same == color && *height == share && x - *end < 0.5 => {
                    *end = right
                }
                _ => {
                    flush(&mut last, y, row.h, layer);
                    last = Some((x, right, color, share));
                }
            }
        }
    }
    flush(&mut last, y, row.h, layer);
    for span in &this.unknown {
        if let Some((x, w)) = scene.stretch(span.start, span.end) {
            layer.hatch(x, y, w, row.h, scene.palette.faint.alpha(0.5));
        }
    }
}

fn flush(last: &mut Option<(f32, f32, Rgba, f32)>, y: f32, h: f32, layer: &mut Layer) {
    if let Some((x, right, color, share)) = last.take() {
        let height = h * share;
        layer.rect(x.max(-2.0), y + h - height, right - x.max(-2.0), height, color);
    }
}

fn holder_color(scene: &Scene<'_>, thread: u32) -> Rgba {
    match thread {
        NONE => scene.palette.faint,
        thread => scene.palette.thread(thread as usize),
    }
}

/// Of a merged piece: the colour of the longest holder, and the share of time in which anybody held, as a height in steps.
fn mixture(scene: &Scene<'_>, piece: &Piece<THREAD_COLORS>) -> (Rgba, f32) {
    let held: f32 = piece.shares.iter().sum();
    let longest =
        (0..THREAD_COLORS).max_by(|&a, &b| piece.shares[a].total_cmp(&piece.shares[b])).unwrap_or(0);
    let color = scene.palette.thread(longest).towards(scene.palette.lane, 0.15);
    (color, ((held * 8.0).ceil() / 8.0).clamp(0.125, 1.0))
}
