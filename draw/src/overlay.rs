//! What lies over the lanes: the selected stall with its arrows, the selected range.

use gilscope_analysis::NONE;

use crate::{Anchor, Emphasis, Layer, Scene, time};

/// Most arrows of one stall: more could not be told apart.
const MAX_ARROWS: usize = 40;

pub(crate) fn emphasis(scene: &Scene<'_>, emphasis: Emphasis, layer: &mut Layer) {
    if let Some((from, until)) = emphasis.range {
        range(scene, from, until, layer);
    }
    if let Some(index) = emphasis.stall {
        stall(scene, index, layer);
    }
}

/// A selected range: what lies beside it is dimmed.
fn range(scene: &Scene<'_>, from: i64, until: i64, layer: &mut Layer) {
    let dim = scene.palette.background.alpha(0.55);
    let (left, right) =
        (scene.x(from).clamp(-2.0, scene.width + 2.0), scene.x(until).clamp(-2.0, scene.width + 2.0));
    layer.rect(0.0, 0.0, left.max(0.0), scene.height, dim);
    layer.rect(right, 0.0, (scene.width - right).max(0.0), scene.height, dim);
    for edge in [left, right] {
        layer.rect(edge - 0.5, 0.0, 1.0, scene.height, scene.palette.selection.alpha(0.8));
    }
}

/// A selected stall: the release, the wait, and an arrow to each thread that held the GIL meanwhile.
fn stall(scene: &Scene<'_>, index: u32, layer: &mut Layer) {
    let Some(stall) = scene.model.stalls.get(index as usize) else {
        return;
    };
    let Some((y, h)) = scene.row_of(stall.thread) else {
        return;
    };
    let color = scene.palette.selection;
    let Some((x, w)) = scene.stretch(stall.start, stall.end) else {
        return;
    };
    layer.outline(x - 1.0, y - 1.0, w.max(2.0) + 2.0, h + 2.0, 2.0, color);
    if stall.release != i64::MIN {
        let at = scene.x(stall.release);
        if (0.0..scene.width).contains(&at) {
            layer.rect(at - 0.5, y - 5.0, 1.0, h + 10.0, color);
            // Words only where the stall itself can be told from its neighbours.
            if w > 60.0 {
                let text = format!("released {} before", time::duration(stall.start - stall.release));
                let width = crate::text::width(&text, 11.0) + 8.0;
                layer.rect(at - 4.0, y - 15.0, width, 14.0, scene.palette.background.alpha(0.85));
                layer.label([at, y - 8.0], Anchor::Left, text, 11.0, color);
            }
        }
    }
    let Some(gil) = scene.model.gils.get(stall.gil as usize) else {
        return;
    };
    let mut last = f32::NEG_INFINITY;
    let (from, until) = (stall.start.max(scene.view.from), stall.end.min(scene.view.until));
    if from >= until {
        return;
    }
    let mut arrows = 0;
    for hold in gil.holds.range(from, until) {
        if hold.thread == NONE || hold.thread == stall.thread {
            continue;
        }
        let Some((holder_y, holder_h)) = scene.row_of(hold.thread) else {
            continue;
        };
        let middle = hold.start.max(from) + (hold.end.min(until) - hold.start.max(from)) / 2;
        let at = scene.x(middle);
        // Arrows closer than this would be a wall.
        if at - last < 7.0 {
            continue;
        }
        last = at;
        arrows += 1;
        if arrows > MAX_ARROWS {
            break;
        }
        // From inside the one bar into the other: between neighbours there would be no room for an arrow.
        let (start, end) = if holder_y > y {
            (y + h * 0.7, holder_y + holder_h * 0.4)
        } else {
            (y + h * 0.3, holder_y + holder_h * 0.6)
        };
        layer.arrow([at, start], [at, end], 1.5, color);
        if let Some((x, w)) = scene.stretch(hold.start, hold.end) {
            layer.outline(x, holder_y, w.max(1.0), holder_h, 1.5, color.alpha(0.8));
        }
    }
}
