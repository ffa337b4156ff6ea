//! A draw list as PNG, on the processor.

use skrifa::{
    MetadataProvider,
    instance::{LocationRef, Size},
    outline::{DrawSettings, OutlinePen},
};
use tiny_skia::{FillRule, Mask, Paint, Path, PathBuilder, Pixmap, Transform};

use crate::{Anchor, DrawList, Layer, Rgba, list::stripes, svg::arrowhead, text};

/// Longest edge of a picture, pixels: 64 million of them take 256 MB.
const MAX_EDGE: f32 = 16_384.0;

/// Why a picture could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PictureError {
    /// It has no pixels, or more than memory should be taken for.
    #[error("a picture of {width} × {height} points at {scale} pixels a point cannot be made")]
    Size {
        /// Width, points.
        width: f32,
        /// Height, points.
        height: f32,
        /// Pixels a point.
        scale: f32,
    },
    /// The pixels could not be encoded.
    #[error("cannot encode the picture: {0}")]
    Encode(String),
}

/// The picture as a PNG file, `scale` pixels a point, on `background`.
pub fn png(list: &DrawList, background: Rgba, scale: f32) -> Result<Vec<u8>, PictureError> {
    let pixmap = pixels(list, background, scale)?;
    pixmap.encode_png().map_err(|error| PictureError::Encode(error.to_string()))
}

/// Opaque pixels, red, green, blue and opacity a byte each, as a PNG file.
pub fn encode_png(width: u32, height: u32, pixels: Vec<u8>) -> Result<Vec<u8>, PictureError> {
    let refused = || PictureError::Size { width: width as f32, height: height as f32, scale: 1.0 };
    let size = tiny_skia::IntSize::from_wh(width, height).ok_or_else(refused)?;
    let pixmap = Pixmap::from_vec(pixels, size).ok_or_else(refused)?;
    pixmap.encode_png().map_err(|error| PictureError::Encode(error.to_string()))
}

fn pixels(list: &DrawList, background: Rgba, scale: f32) -> Result<Pixmap, PictureError> {
    let [width, height] = list.size;
    let refused = || PictureError::Size { width, height, scale };
    let (w, h) = ((width * scale).ceil(), (height * scale).ceil());
    if !(w >= 1.0 && h >= 1.0 && w <= MAX_EDGE && h <= MAX_EDGE) {
        return Err(refused());
    }
    let mut pixmap = Pixmap::new(w as u32, h as u32).ok_or_else(refused)?;
    pixmap.fill(color(background));
    let transform = Transform::from_scale(scale, scale);
    for layer in &list.layers {
        paint(&mut pixmap, layer, transform);
    }
    Ok(pixmap)
}

fn color(color: Rgba) -> tiny_skia::Color {
    let [r, g, b, a] = color.0;
    tiny_skia::Color::from_rgba8(r, g, b, a)
}

fn brush(rgba: Rgba) -> Paint<'static> {
    let mut paint = Paint::default();
    paint.set_color(color(rgba));
    paint
}

fn paint(pixmap: &mut Pixmap, layer: &Layer, transform: Transform) {
    let mask = layer.clip.and_then(|[x, y, w, h]| {
        let mut mask = Mask::new(pixmap.width(), pixmap.height())?;
        let rect = tiny_skia::Rect::from_xywh(x, y, w, h)?;
        mask.fill_path(&PathBuilder::from_rect(rect), FillRule::Winding, false, transform);
        Some(mask)
    });
    let mask = mask.as_ref();
    for rect in &layer.rects {
        if let Some(area) = tiny_skia::Rect::from_xywh(rect.x, rect.y, rect.w, rect.h) {
            pixmap.fill_rect(area, &brush(rect.color), transform, mask);
        }
    }
    for hatch in &layer.hatches {
        let mut path = PathBuilder::new();
        for [a, b, c, d] in stripes(hatch) {
            path.move_to(a[0], a[1]);
            [b, c, d].iter().for_each(|corner| path.line_to(corner[0], corner[1]));
            path.close();
        }
        fill(pixmap, path.finish(), hatch.color, transform, mask);
    }
    for line in &layer.lines {
        let mut path = PathBuilder::new();
        path.move_to(line.from[0], line.from[1]);
        path.line_to(line.to[0], line.to[1]);
        if let Some(path) = path.finish() {
            let stroke = tiny_skia::Stroke { width: line.width, ..tiny_skia::Stroke::default() };
            pixmap.stroke_path(&path, &brush(line.color), &stroke, transform, mask);
        }
        if let Some([a, b, c]) = arrowhead(line) {
            let mut path = PathBuilder::new();
            path.move_to(a[0], a[1]);
            path.line_to(b[0], b[1]);
            path.line_to(c[0], c[1]);
            path.close();
            fill(pixmap, path.finish(), line.color, transform, mask);
        }
    }
    for label in &layer.labels {
        let width = text::width(&label.text, label.size);
        let x = match label.anchor {
            Anchor::Left => label.at[0],
            Anchor::Middle => label.at[0] - width / 2.0,
            Anchor::Right => label.at[0] - width,
        };
        let path = outlines(&label.text, label.size, x, label.at[1] + label.size * 0.35);
        fill(pixmap, path, label.color, transform, mask);
    }
}

fn fill(pixmap: &mut Pixmap, path: Option<Path>, color: Rgba, transform: Transform, mask: Option<&Mask>) {
    if let Some(path) = path {
        let paint = Paint { anti_alias: true, ..brush(color) };
        pixmap.fill_path(&path, &paint, FillRule::Winding, transform, mask);
    }
}

/// The outlines of a text whose baseline begins at `x`, `y`.
fn outlines(text: &str, size: f32, x: f32, y: f32) -> Option<Path> {
    let mut pen = Pen { path: PathBuilder::new(), x, y };
    let glyphs = text::FONT.outline_glyphs();
    for character in text.chars() {
        if let Some(glyph) = glyphs.get(text::glyph(character)) {
            // A glyph that cannot be drawn leaves a gap.
            let _ = glyph.draw(DrawSettings::unhinted(Size::new(size), LocationRef::default()), &mut pen);
        }
        pen.x += text::advance_of(character) * size;
    }
    pen.path.finish()
}

/// Glyphs grow upwards, pictures downwards.
struct Pen {
    path: PathBuilder,
    x: f32,
    y: f32,
}

impl OutlinePen for Pen {
    fn move_to(&mut self, x: f32, y: f32) {
        self.path.move_to(self.x + x, self.y - y);
    }

    fn line_to(&mut self, x: f32, y: f32) {
        self.path.line_to(self.x + x, self.y - y);
    }

    fn quad_to(&mut self, cx: f32, cy: f32, x: f32, y: f32) {
        self.path.quad_to(self.x + cx, self.y - cy, self.x + x, self.y - y);
    }

    fn curve_to(&mut self, ax: f32, ay: f32, bx: f32, by: f32, x: f32, y: f32) {
        self.path.cubic_to(self.x + ax, self.y - ay, self.x + bx, self.y - by, self.x + x, self.y - y);
    }

    fn close(&mut self) {
        self.path.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pixels_have_the_colours_of_the_list_and_clips_hold() {
        let red = Rgba::hex(0xd55e00);
        let mut list = DrawList::new(40.0, 20.0);
        list.layer(Some([0.0, 0.0, 30.0, 20.0])).rect(10.0, 0.0, 30.0, 20.0, red);
        let picture = pixels(&list, Rgba::hex(0), 2.0).unwrap();
        let at = |x: u32, y: u32| {
            let pixel = picture.pixel(x, y).unwrap();
            [pixel.red(), pixel.green(), pixel.blue()]
        };
        assert_eq!([at(10, 10), at(30, 10), at(70, 10)], [[0, 0, 0], [0xd5, 0x5e, 0], [0, 0, 0]]);
    }

    #[test]
    fn a_picture_without_end_is_refused() {
        assert!(png(&DrawList::new(1e9, 10.0), Rgba::hex(0), 1.0).is_err());
        assert!(png(&DrawList::new(0.0, 10.0), Rgba::hex(0), 1.0).is_err());
        assert!(png(&DrawList::new(f32::NAN, 10.0), Rgba::hex(0), 1.0).is_err());
    }
}
