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

/// The track: each convoy a bar with its caption. Where several go on at once they take a half of it each, in turns.
pub fn track(scene: &Scene<'_>, selected: Option<u32>, layer: &mut Layer) {
    let color = scene.palette.convoy;
    let visible = in_sight(scene, 3.0);
    let mut rest = &visible[..];
    while let Some(first) = rest.first() {
        let mut right = first.x + first.w;
        let mut count = 1;
        while let Some(next) = rest.get(count).filter(|next| next.x < right) {
            right = right.max(next.x + next.w);
            count += 1;
        }
        let (together, after) = rest.split_at(count);
        rest = after;
        let mut upper_right = f32::NEG_INFINITY;
        for this in together {
            let (y, h) = match (count, this.x < upper_right) {
                (1, _) => (2.0, TRACK - 4.0),
                (_, false) => (2.0, TRACK / 2.0 - 2.5),
                (_, true) => (TRACK / 2.0 + 0.5, TRACK / 2.0 - 2.5),
            };
            if this.x >= upper_right {
                upper_right = this.x + this.w;
            }
            // A point of room, so that one that follows at once is another bar.
            let (x, w) = (this.x, (this.w - 1.0).max(2.0));
            layer.rect(x, y, w, h, color);
            if selected == Some(this.index) {
                layer.outline(x, y, w, h, 2.0, scene.palette.selection);
            }
            if h > 12.0 {
                let (left, right) = (x.max(0.0), (x + w).min(scene.width));
                let texts = captions(scene.model, this.convoy);
                let at = [left + 5.0, y + h / 2.0];
                let on = scene.palette.text_on(color);
                layer.label_fitting(at, Anchor::Left, &texts, right - left - 10.0, 11.5, on);
            }
        }
    }
}

fn captions(model: &Model, convoy: &Convoy) -> [String; 2] {
    let short = format!("{} stalled by {}", name(model, convoy.victim), culprits(model, convoy));
    [caption(model, convoy), short]
}

/// A convoy in sight.
struct InSight<'a> {
    index: u32,
    convoy: &'a Convoy,
    x: f32,
    w: f32,
}

/// The convoys in sight, by their left edges. Of those of one victim that are narrower than `least` and would lie on each
/// other one stands for all: of a hundred thousand a few hundred are left.
fn in_sight<'a>(scene: &Scene<'a>, least: f32) -> Vec<InSight<'a>> {
    let mut visible: Vec<InSight<'_>> = Vec::new();
    for (index, convoy) in scene.model.convoys.iter().enumerate() {
        if let Some((x, w)) = scene.stretch(convoy.start, convoy.end) {
            visible.push(InSight { index: index as u32, convoy, x, w: w.max(least) });
        }
    }
    visible.sort_by(|one, other| one.x.total_cmp(&other.x));
    let mut rights = vec![f32::NEG_INFINITY; scene.model.threads.len()];
    visible.retain(|this| {
        let Some(right) = rights.get_mut(this.convoy.victim as usize) else { return false };
        let hidden = this.w <= least && this.x < *right;
        *right = right.max(this.x + this.w);
        !hidden
    });
    visible
}

/// Distance of the arrows of a long band, points.
const ARROWS: f32 = 280.0;
/// Bands that are looked back at for one that lies under the next.
const UNDER: usize = 24;

/// The bands over the lanes: a frame from victim to culprits, a tint inside, arrows from culprit to victim. Where bands lie on
/// each other only the first is tinted and framed, so that the lanes can be seen however many there are.
pub(crate) fn bands(scene: &Scene<'_>, selected: Option<u32>, layer: &mut Layer) {
    let mut drawn: Vec<[f32; 4]> = Vec::new();
    for this in in_sight(scene, 2.0) {
        let Some(victim) = scene.row_of(this.convoy.victim) else {
            continue;
        };
        let [top, bottom] = reach(scene, this.convoy, victim);
        let emphasised = selected == Some(this.index);
        let under = drawn.iter().rev().take(UNDER).any(|&[left, above, right, below]| {
            this.x < right && this.x + this.w > left && top < below && bottom > above
        });
        drawn.push([this.x, top, this.x + this.w, bottom]);
        band(scene, &this, victim, [top, bottom], emphasised, !under || emphasised, layer);
    }
}

fn band(
    scene: &Scene<'_>,
    this: &InSight<'_>,
    (victim, h): (f32, f32),
    [top, bottom]: [f32; 2],
    emphasised: bool,
    whole: bool,
    layer: &mut Layer,
) {
    let (color, x, w) = (scene.palette.convoy, this.x, this.w);
    let (fill, edge) = if emphasised { (0.14, 1.0) } else { (0.07, 0.8) };
    let edge = color.alpha(edge);
    if whole {
        layer.rect(x, top - 1.0, w, bottom - top + 2.0, color.alpha(fill));
        for bracket in [x, x + w - 2.0] {
            layer.rect(bracket, top - 1.0, 2.0, bottom - top + 2.0, edge);
        }
        // The far edge lies in the gap beyond the last culprit.
        for far in [top - 1.5, bottom] {
            layer.rect(x, far, w, 1.5, edge);
        }
    }
    layer.outline(x, victim - 1.5, w, h + 3.0, 1.5, edge);
    let culprit = this.convoy.culprits.first().and_then(|&(thread, _)| scene.row_of(thread));
    let Some((y, culprit_h)) = culprit.filter(|_| w > 16.0) else { return };
    // From inside the culprit's bar into the victim's, where there would be no room between neighbours, but not as far as the
    // text in them.
    let (from, to) = if y > victim {
        (y + culprit_h * 0.35, victim + (h - 5.0).max(h * 0.6))
    } else {
        (y + culprit_h * 0.65, victim + h.min(5.0).min(h * 0.4))
    };
    let (left, right) = (x.max(0.0), (x + w).min(scene.width));
    let mut at = left + 10.0;
    if !whole {
        layer.arrow([at, from], [at, to], 1.0, color.alpha(0.8));
        return;
    }
    let halo = scene.palette.background.alpha(0.85);
    while at < right - 5.0 {
        layer.arrow_on([at, from], [at, to], 2.5, color, halo);
        at += ARROWS;
    }
}

/// From where to where a band reaches: over the victim and the culprits that matter. One over everybody who ever had the GIL
/// would cover all lanes.
fn reach(scene: &Scene<'_>, convoy: &Convoy, (victim, h): (f32, f32)) -> [f32; 2] {
    let most = convoy.culprits.first().map_or(0, |&(_, nanos)| nanos);
    let culprits = convoy.culprits.iter().take_while(|&&(_, nanos)| nanos >= most / 4).take(4);
    culprits
        .filter_map(|&(thread, _)| scene.row_of(thread))
        .fold([victim, victim + h], |[top, bottom], (y, h)| [top.min(y), bottom.max(y + h)])
}
