//! Lost records: stripes over each lane whose state is not known because of them. Drawn from the list of losses, one by one,
//! so that no zoom averages them away.

use gilscope_analysis::{State, state};

use crate::{Layer, RowKind, Scene};

/// Narrowest stripes, points: a loss of a microsecond is seen in a view of an hour.
const MIN_WIDTH: f32 = 3.0;

pub(crate) fn rows(scene: &Scene<'_>, layer: &mut Layer) {
    let spans = visible(scene);
    if spans.is_empty() {
        return;
    }
    for row in scene.visible() {
        let RowKind::Thread(thread) = row.kind else {
            continue;
        };
        let lane = &scene.model.threads[thread as usize].lane;
        let y = row.y - scene.scroll;
        for &(start, end, x, w) in &spans {
            let middle = start + (end - start) / 2;
            let lost = |time: i64| {
                lane.at(time).is_some_and(|place| {
                    let interval = lane.get(place);
                    interval.state == State::Unknown && interval.arg == state::LOST
                })
            };
            if lost(start) || lost(middle) {
                layer.rect(x, y, w, row.h, scene.palette.lane);
                layer.hatch(x, y, w, row.h, scene.palette.lost.alpha(0.65));
            }
        }
    }
}

/// The losses in sight, those that would overlap joined: start, end, left edge, width.
fn visible(scene: &Scene<'_>) -> Vec<(i64, i64, f32, f32)> {
    let mut spans: Vec<(i64, i64, f32, f32)> = Vec::new();
    for lost in &scene.model.lost {
        let Some((x, w)) = scene.stretch(lost.start, lost.end) else {
            continue;
        };
        match spans.last_mut() {
            Some(last) if x < last.2 + last.3 => {
                last.3 = last.3.max(x + w - last.2);
                last.1 = last.1.max(lost.end);
            }
            _ => spans.push((lost.start, lost.end, x, w.max(MIN_WIDTH))),
        }
    }
    spans
}
