//! What lies over the lanes: the selected stall with its arrows, the selected range.

use gilscope_analysis::{Model, NONE, Stall, state};

use crate::{Anchor, Emphasis, Layer, Scene, time};

/// Most arrows of one stall: more could not be told apart.
const MAX_ARROWS: usize = 40;
/// Narrowest stall that is explained on the timeline, points.
const WORDS: f32 = 24.0;

pub(crate) fn emphasis(scene: &Scene<'_>, emphasis: Emphasis, layer: &mut Layer) {
    if let Some((from, until)) = emphasis.range {
        range(scene, from, until, layer);
    }
    if let Some((thread, start, end)) = emphasis.interval {
        interval(scene, thread, start, end, layer);
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

/// A frame that is seen on any ground.
fn frame(scene: &Scene<'_>, x: f32, y: f32, w: f32, h: f32, layer: &mut Layer) {
    let halo = scene.palette.background.alpha(0.85);
    layer.outline(x - 3.0, y - 3.0, w + 6.0, h + 6.0, 1.0, halo);
    layer.outline(x - 2.0, y - 2.0, w + 4.0, h + 4.0, 2.0, scene.palette.selection);
}

/// A selected hold or call.
fn interval(scene: &Scene<'_>, thread: u32, start: i64, end: i64, layer: &mut Layer) {
    if let Some((y, h)) = scene.row_of(thread)
        && let Some((x, w)) = scene.stretch(start, end)
    {
        frame(scene, x, y, w.max(2.0), h, layer);
    }
}

/// What came before a stall and how long it took, in one line.
fn story(model: &Model, stall: &Stall) -> String {
    let call = match stall.call {
        NONE => String::new(),
        call => {
            let name = gilscope_trace::syscalls::name(state::call_nr(call));
            format!("{name} took {}, then ", time::duration(i64::from(stall.io_ns)))
        }
    };
    let released = if stall.release == i64::MIN { "" } else { "released the GIL, " };
    let culprit = stall.culprit().and_then(|culprit| model.threads.get(culprit));
    let behind = culprit.map_or(String::new(), |culprit| format!(" for {}", culprit.name()));
    format!("{released}{call}waited {}{behind}", time::duration(stall.duration()))
}

/// A selected stall: the release, the call, the wait, and an arrow to each thread that held the GIL meanwhile.
fn stall(scene: &Scene<'_>, index: u32, layer: &mut Layer) {
    let Some(stall) = scene.model.stalls.get(index as usize) else {
        return;
    };
    let Some((y, h)) = scene.row_of(stall.thread) else {
        return;
    };
    let Some((x, w)) = scene.stretch(stall.start, stall.end) else {
        return;
    };
    let color = scene.palette.selection;
    let halo = scene.palette.background.alpha(0.85);
    // From the release on: the call is part of what happened.
    let begin = if stall.release == i64::MIN { x } else { scene.x(stall.release).clamp(-4.0, x) };
    frame(scene, begin, y, (x + w - begin).max(2.0), h, layer);
    if x - begin > 2.0 {
        layer.rect(x - 0.5, y, 1.0, h, color);
    }
    // Words only where the stall itself can be told from its neighbours.
    if w > WORDS {
        let text = story(scene.model, stall);
        let width = crate::text::width(&text, 11.5) + 10.0;
        let left = begin.max(2.0).min(scene.width - width - 2.0).max(0.0);
        // Above its lane, or below it where that is the first.
        let top = if y >= 19.0 { y - 19.0 } else { y + h + 3.0 };
        layer.rect(left, top, width, 16.0, scene.palette.background.alpha(0.92));
        layer.label([left + 5.0, top + 8.0], Anchor::Left, text, 11.5, scene.palette.text);
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
        if let Some((x, w)) = scene.stretch(hold.start, hold.end) {
            layer.outline(x, holder_y, w.max(1.0), holder_h, 2.0, color);
        }
        // From inside the one bar into the other: between neighbours there would be no room for an arrow.
        let (start, end) = if holder_y > y {
            (y + h * 0.75, holder_y + holder_h * 0.4)
        } else {
            (y + h * 0.25, holder_y + holder_h * 0.6)
        };
        layer.arrow_on([at, start], [at, end], 2.5, color, halo);
    }
}
