//! The draw list: what is painted, as plain data. Units are points from the upper left corner; x grows to the right, y down.

use crate::Rgba;

/// A filled rectangle.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Rect {
    /// Left.
    pub x: f32,
    /// Top.
    pub y: f32,
    /// Width.
    pub w: f32,
    /// Height.
    pub h: f32,
    /// Colour.
    pub color: Rgba,
}

impl Rect {
    /// Right.
    pub fn right(&self) -> f32 {
        self.x + self.w
    }

    /// Bottom.
    pub fn bottom(&self) -> f32 {
        self.y + self.h
    }
}

/// A straight line.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Line {
    /// From where, x and y.
    pub from: [f32; 2],
    /// To where.
    pub to: [f32; 2],
    /// Width.
    pub width: f32,
    /// Colour.
    pub color: Rgba,
    /// Whether it ends in an arrowhead.
    pub arrow: bool,
}

/// Where a label stands relative to its point.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Anchor {
    /// The point is at its left end, half-way up.
    Left,
    /// The point is its middle.
    Middle,
    /// The point is at its right end, half-way up.
    Right,
}

/// One line of text.
#[derive(Clone, PartialEq, Debug)]
pub struct Label {
    /// x and y of its point.
    pub at: [f32; 2],
    /// Where it stands relative to that.
    pub anchor: Anchor,
    /// The text, already cut to fit. It may contain anything; a writer of markup escapes it.
    pub text: String,
    /// Size in points.
    pub size: f32,
    /// Colour.
    pub color: Rgba,
}

/// Things painted together: rectangles first, then stripes, lines, labels.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct Layer {
    /// What lies outside of this rectangle is not painted: x, y, width, height.
    pub clip: Option<[f32; 4]>,
    /// Rectangles, in order.
    pub rects: Vec<Rect>,
    /// Rectangles filled with diagonal stripes.
    pub hatches: Vec<Rect>,
    /// Lines.
    pub lines: Vec<Line>,
    /// Text.
    pub labels: Vec<Label>,
}

impl Layer {
    /// Adds a rectangle.
    #[inline]
    pub fn rect(&mut self, x: f32, y: f32, w: f32, h: f32, color: Rgba) {
        self.rects.push(Rect { x, y, w, h, color });
    }

    /// Adds the outline of a rectangle, inside of it.
    pub fn outline(&mut self, x: f32, y: f32, w: f32, h: f32, width: f32, color: Rgba) {
        self.rect(x, y, w, width, color);
        self.rect(x, y + h - width, w, width, color);
        self.rect(x, y + width, width, h - 2.0 * width, color);
        self.rect(x + w - width, y + width, width, h - 2.0 * width, color);
    }

    /// Adds a striped rectangle.
    pub fn hatch(&mut self, x: f32, y: f32, w: f32, h: f32, color: Rgba) {
        self.hatches.push(Rect { x, y, w, h, color });
    }

    /// Adds a line.
    pub fn line(&mut self, from: [f32; 2], to: [f32; 2], width: f32, color: Rgba) {
        self.lines.push(Line { from, to, width, color, arrow: false });
    }

    /// Adds a line with an arrowhead.
    pub fn arrow(&mut self, from: [f32; 2], to: [f32; 2], width: f32, color: Rgba) {
        self.lines.push(Line { from, to, width, color, arrow: true });
    }

    /// Adds a label.
    pub fn label(&mut self, at: [f32; 2], anchor: Anchor, text: impl Into<String>, size: f32, color: Rgba) {
        self.labels.push(Label { at, anchor, text: text.into(), size, color });
    }

    /// Adds a label cut to `width`, unless next to nothing of it would be left.
    pub fn label_within(
        &mut self,
        at: [f32; 2],
        anchor: Anchor,
        text: &str,
        width: f32,
        size: f32,
        color: Rgba,
    ) {
        if let Some(text) = crate::text::fit(text, width, size) {
            self.label(at, anchor, text, size, color);
        }
    }

    /// Adds the first of `texts` that fits into `width`, if any does: a number that is cut would be another one.
    pub fn label_fitting(
        &mut self,
        at: [f32; 2],
        anchor: Anchor,
        texts: &[String],
        width: f32,
        size: f32,
        color: Rgba,
    ) {
        if let Some(text) = texts.iter().find(|text| crate::text::width(text, size) <= width) {
            self.label(at, anchor, text, size, color);
        }
    }

    /// Adds an arrow with an edge of `halo`, which is seen on any ground.
    pub fn arrow_on(&mut self, from: [f32; 2], to: [f32; 2], width: f32, color: Rgba, halo: Rgba) {
        self.arrow(from, to, width + 2.0, halo);
        self.arrow(from, to, width, color);
    }

    /// Moves everything, its clip too.
    pub fn shift(&mut self, dx: f32, dy: f32) {
        if let Some(clip) = &mut self.clip {
            clip[0] += dx;
            clip[1] += dy;
        }
        for rect in self.rects.iter_mut().chain(&mut self.hatches) {
            rect.x += dx;
            rect.y += dy;
        }
        for line in &mut self.lines {
            for end in [&mut line.from, &mut line.to] {
                end[0] += dx;
                end[1] += dy;
            }
        }
        for label in &mut self.labels {
            label.at[0] += dx;
            label.at[1] += dy;
        }
    }
}

/// A picture: layers, the lowest first.
#[derive(Clone, PartialEq, Debug, Default)]
pub struct DrawList {
    /// Width and height.
    pub size: [f32; 2],
    /// The layers.
    pub layers: Vec<Layer>,
}

impl DrawList {
    /// An empty picture of that size.
    pub fn new(width: f32, height: f32) -> DrawList {
        DrawList { size: [width, height], layers: Vec::new() }
    }

    /// A new topmost layer, clipped to `clip`.
    pub fn layer(&mut self, clip: Option<[f32; 4]>) -> &mut Layer {
        self.layers.push(Layer { clip, ..Layer::default() });
        self.layers.last_mut().expect("one was just pushed")
    }

    /// Puts another picture on top of this one, moved by `dx` and `dy`.
    pub fn place(&mut self, other: DrawList, dx: f32, dy: f32) {
        for mut layer in other.layers {
            layer.shift(dx, dy);
            self.layers.push(layer);
        }
    }

    /// Number of rectangles, stripes, lines and labels.
    pub fn len(&self) -> usize {
        let count =
            |layer: &Layer| layer.rects.len() + layer.hatches.len() + layer.lines.len() + layer.labels.len();
        self.layers.iter().map(count).sum()
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// Distance of the stripes of a hatch, in points.
pub const STRIPE: f32 = 7.0;
/// Width of a stripe, in points.
pub(crate) const STRIPE_WIDTH: f32 = 2.0;

/// The stripes of a hatch: quadrilaterals that run from lower left to upper right, cut at its edges. The pattern is fixed to
/// the picture, so hatches side by side continue each other.
pub fn stripes(hatch: &Rect) -> impl Iterator<Item = [[f32; 2]; 4]> {
    let Rect { x, y, w, h, .. } = *hatch;
    // Along a stripe x + y is constant: at the top edge it stands at x = sum - y, at the bottom h further left.
    let first = ((x + y) / STRIPE).floor() as i32;
    let last = ((x + w + y + h) / STRIPE).ceil() as i32;
    // A stripe that leaves at a side edge is cut there, as a thin parallelogram between two heights.
    (first..last.min(first + 20_000)).filter_map(move |number| {
        let sum = number as f32 * STRIPE;
        let top = (sum - (x + w)).max(y);
        let bottom = (sum - x).min(y + h);
        (bottom - top > 0.2).then(|| {
            let at = |height: f32| (sum - height).clamp(x, x + w);
            let right = |height: f32| (sum + STRIPE_WIDTH - height).clamp(x, x + w);
            [[at(top), top], [right(top), top], [right(bottom), bottom], [at(bottom), bottom]]
        })
    })
}
