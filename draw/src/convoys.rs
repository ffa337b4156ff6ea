//! Convoys: a track with their names above the lanes, and bands from victim to culprit over them.

use gilscope_analysis::{Convoy, Model};

use crate::{Anchor, Layer, Scene, time};

/// Height of the track of convoys, points.
pub const TRACK: f32 = 20.0;

/// What a convoy says of itself in one line.
pub fn caption(model: &Model, convoy: &Convoy) -> String {
    let span = convoy.end.saturating_sub(convoy.start).max(1);
    let share = (100.0 * convoy.stalled_ns as f64 / span as f64).min(100.0);
    format!(
        "convoy: {} stalled {share:.0} % of {} by {} · {} stalls",
        name(model, convoy.victim),
        time::duration(span),
        culprits(model, convoy),
        convoy.stalls
    )
}

/// The culprits of a convoy by name: one or two, and how many more have at least a tenth of the first one's share.
pub fn culprits(model: &Model, convoy: &Convoy) -> String {
    let most = convoy.culprits.first().map_or(0, |&(_, nanos)| nanos);
    let named = convoy.culprits.partition_point(|&(_, nanos)| nanos >= most / 10);
    match &convoy.culprits[..named] {
        [] => String::from("nobody known"),
        [(one, _)] => name(model, *one),
        [(one, _), (two, _)] => format!("{} and {}", name(model, *one), name(model, *two)),
        [(one, _), rest @ ..] => format!("{} and {} more", name(model, *one), rest.len()),
    }
}

fn name(model: &Model, thread: u32) -> String {
    model.threads.get(thread as usize).map_or_else(|| String::from("?"), |thread| thread.name())
}

/// The track: each convoy a bar with its caption. Those that share a bucket are one bar.
pub fn track(scene: &Scene<'_>, selected: Option<u32>, layer: &mut Layer) {
    let color = scene.palette.convoy;
    let mut last_right = f32::NEG_INFINITY;
    let mut convoys: Vec<(usize, &Convoy)> = scene.model.convoys.iter().enumerate().collect();
    convoys.sort_by_key(|(_, convoy)| convoy.start);
    let mut row = 0;
    for (index, convoy) in convoys {
        let Some((x, w)) = scene.stretch(convoy.start, convoy.end) else {
            continue;
        };
        let w = w.max(3.0);
        // Two at once share the track: the later one takes the lower half.
        row = if x < last_right { 1 - row } else { 0 };
        let half = x < last_right;
        last_right = last_right.max(x + w);
        let (y, h) = match (half, row) {
            (false, _) => (2.0, TRACK - 4.0),
            (true, 1) => (TRACK / 2.0, TRACK / 2.0 - 2.0),
            (true, _) => (2.0, TRACK / 2.0 - 2.0),
        };
        layer.rect(x, y, w, h, color);
        if selected == Some(index as u32) {
            layer.outline(x, y, w, h, 2.0, scene.palette.selection);
        }
        if h > 12.0 {
            let (left, right) = (x.max(0.0), (x + w).min(scene.width));
            let text = caption(scene.model, convoy);
            let at = [left + 5.0, y + h / 2.0];
            layer.label_within(
                at,
                Anchor::Left,
                &text,
                right - left - 10.0,
                11.5,
                scene.palette.text_on(color),
            );
        }
    }
}

/// The bands over the lanes.
pub(crate) fn bands(scene: &Scene<'_>, selected: Option<u32>, layer: &mut Layer) {
    let color = scene.palette.convoy;
    for (index, convoy) in scene.model.convoys.iter().enumerate() {
        let Some((x, w)) = scene.stretch(convoy.start, convoy.end) else {
            continue;
        };
        let Some((victim, h)) = scene.row_of(convoy.victim) else {
            continue;
        };
        let w = w.max(2.0);
        let emphasised = selected == Some(index as u32);
        // Those that matter: a band over everybody who ever had the GIL would cover all lanes.
        let most = convoy.culprits.first().map_or(0, |&(_, nanos)| nanos);
        let culprits = convoy
            .culprits
            .iter()
            .take_while(|&&(_, nanos)| nanos >= most / 4)
            .take(4)
            .filter_map(|&(thread, _)| scene.row_of(thread));
        let (mut top, mut bottom) = (victim, victim + h);
        for (y, h) in culprits {
            top = top.min(y);
            bottom = bottom.max(y + h);
        }
        let (fill, edge) = if emphasised { (0.16, 1.0) } else { (0.07, 0.75) };
        layer.rect(x, top - 1.0, w, bottom - top + 2.0, color.alpha(fill));
        // Brackets at both ends, and a frame around the victim's own lane.
        let edge = color.alpha(edge);
        for bracket in [x, x + w - 2.0] {
            layer.rect(bracket, top - 1.0, 2.0, bottom - top + 2.0, edge);
        }
        layer.outline(x, victim - 1.5, w, h + 3.0, 1.5, edge);
        // From the first culprit to the victim, at the left end of what is in sight.
        let culprit = convoy.culprits.first().and_then(|&(thread, _)| scene.row_of(thread));
        if let Some((y, culprit_h)) = culprit
            && w > 16.0
        {
            let at = x.max(0.0) + 10.0;
            let (from, to) = if y > victim {
                (y + culprit_h * 0.3, victim + h + 1.0)
            } else {
                (y + culprit_h * 0.7, victim - 1.0)
            };
            layer.arrow([at, from], [at, to], 2.0, color);
        }
    }
}
