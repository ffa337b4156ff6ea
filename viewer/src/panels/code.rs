//! Blame on code: an icicle of what the holders ran during the stalls of the range. Width is stall time caused.

use egui::{Align2, FontId, Rect, ScrollArea, Sense, Ui, vec2};
use gilscope_analysis::Model;
use gilscope_draw::{text, time};

use super::Shown;
use crate::theme::color;

/// Stalls that are looked at for one picture; past it every n-th stands for n.
const STALLS: usize = 4000;
/// A sample speaks for the time around it: two periods of the slowest usual rate.
const NEAR: i64 = 50_000_000;
const ROW: f32 = 20.0;
const DEEPEST: usize = 40;

/// A frame with the stall time that it caused.
#[derive(Clone, PartialEq, Debug, Default)]
pub(super) struct Node {
    /// Index for the model's stacks; `None` at the root.
    frame: Option<u32>,
    ns: i64,
    children: Vec<Node>,
}

pub(super) fn show(shown: &mut Shown<'_>, ui: &mut Ui) {
    let model = shown.model();
    if model.stacks.is_empty() {
        ui.label("The trace has no Python stacks. Record with --stacks to see what the holders ran.");
        return;
    }
    let (from, until) =
        shown.timeline.selection.range.unwrap_or((shown.timeline.view.from, shown.timeline.view.until));
    // Building takes a millisecond or two; only when the range or the trace changed.
    let key = (from, until, model.events);
    let id = ui.scope_id().with("icicle");
    let kept: Option<((i64, i64, u64), std::sync::Arc<Node>)> = ui.data(|data| data.get_temp(id));
    let root = match kept {
        Some((same, root)) if same == key => root,
        _ => {
            let root = std::sync::Arc::new(icicle(model, from, until));
            ui.data_mut(|data| data.insert_temp(id, (key, root.clone())));
            root
        }
    };
    if root.ns == 0 {
        ui.label("No stall in this range has a stack sample near it.");
        return;
    }
    ui.weak(format!("what holders ran during {} of stalls, by samples", time::duration(root.ns)));
    ScrollArea::vertical().id_salt("code").auto_shrink(false).show(ui, |ui| {
        let depth = depth(&root).min(DEEPEST);
        let (area, _) =
            ui.allocate_exact_size(vec2(ui.available_width(), ROW * depth as f32), Sense::hover());
        let mut x = area.left();
        for child in &root.children {
            let w = area.width() * child.ns as f32 / root.ns as f32;
            bar(shown, ui, child, root.ns, Rect::from_min_size(egui::pos2(x, area.top()), vec2(w, ROW)), 0);
            x += w;
        }
    });
}

fn depth(node: &Node) -> usize {
    1 + node.children.iter().map(depth).max().unwrap_or(0)
}

fn bar(shown: &Shown<'_>, ui: &mut Ui, node: &Node, total: i64, rect: Rect, depth: usize) {
    if rect.width() < 1.0 || depth >= DEEPEST {
        return;
    }
    let Some(frame) = node.frame.and_then(|frame| shown.model().stacks.frame(frame)) else { return };
    let hue =
        frame.file.bytes().fold(0_usize, |sum, byte| sum.wrapping_mul(31).wrapping_add(usize::from(byte)));
    let fill = shown.palette.thread(hue).towards(shown.palette.lane, 0.15);
    ui.painter().rect_filled(rect.shrink(0.5), 2.0, color(fill));
    let file = frame.file.rsplit('/').next().unwrap_or(&frame.file);
    let caption = format!("{} {file}:{}", frame.function, frame.line);
    if let Some(caption) = text::fit(&caption, rect.width() - 8.0, 12.0) {
        let at = rect.left_center() + vec2(4.0, 0.0);
        ui.painter().text(
            at,
            Align2::LEFT_CENTER,
            caption,
            FontId::proportional(12.0),
            color(shown.palette.text_on(fill)),
        );
    }
    let response =
        ui.interact(rect, ui.scope_id().with((node.frame, depth, rect.left() as i32)), Sense::hover());
    let share = 100.0 * node.ns as f64 / total as f64;
    response.on_hover_text(format!(
        "{}\n{}:{}\n{} of stalls, {share:.0} %",
        frame.function,
        frame.file,
        frame.line,
        time::duration(node.ns)
    ));
    let mut x = rect.left();
    for child in &node.children {
        let w = rect.width() * child.ns as f32 / node.ns as f32;
        bar(
            shown,
            ui,
            child,
            total,
            Rect::from_min_size(egui::pos2(x, rect.bottom()), vec2(w, ROW)),
            depth + 1,
        );
        x += w;
    }
}

/// What the longest holder of each stall ran, by the sample nearest to the stall; outermost frames first.
pub(super) fn icicle(model: &Model, from: i64, until: i64) -> Node {
    let mut root = Node::default();
    let count = model.stalls_in(from, until).count();
    let every = count.div_ceil(STALLS).max(1);
    for (_, stall) in model.stalls_in(from, until).step_by(every) {
        let Some(culprit) = stall.culprit().and_then(|culprit| model.threads.get(culprit)) else { continue };
        let ns = (stall.end.min(until) - stall.start.max(from)).max(0) * every as i64;
        let inside = culprit.samples.range(stall.start, stall.end).first().copied();
        let sample = inside.or_else(|| {
            culprit.samples.before(stall.start).filter(|sample| stall.start - sample.time <= NEAR)
        });
        let Some(sample) = sample else { continue };
        root.ns += ns;
        let mut node = &mut root;
        for &frame in model.stacks.stack(sample.stack).iter().rev() {
            let place = match node.children.iter().position(|child| child.frame == Some(frame)) {
                Some(place) => place,
                None => {
                    node.children.push(Node { frame: Some(frame), ..Node::default() });
                    node.children.len() - 1
                }
            };
            node = &mut node.children[place];
            node.ns += ns;
        }
    }
    gravest_first(&mut root);
    root
}

/// What took most stands at the left, where one begins to read.
fn gravest_first(node: &mut Node) {
    node.children.sort_by_key(|child| std::cmp::Reverse(child.ns));
    node.children.iter_mut().for_each(gravest_first);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_took_most_stands_at_the_left() {
        let leaf = |frame, ns| Node { frame: Some(frame), ns, children: Vec::new() };
        let below = Node { frame: Some(9), ns: 7, children: vec![leaf(1, 2), leaf(2, 5)] };
        let mut root = Node { frame: None, ns: 10, children: vec![leaf(8, 3), below] };
        gravest_first(&mut root);
        assert_eq!(root.children.iter().map(|child| child.ns).collect::<Vec<_>>(), [7, 3]);
        assert_eq!(root.children[0].children[0].ns, 5);
    }
}
