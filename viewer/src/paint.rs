//! From a draw list to egui: everything of a layer but its text is one mesh.

use egui::{Align2, FontId, Mesh, Painter, Pos2, Rect, Shape, Vec2, pos2};
use gilscope_draw::{Anchor, DrawList, Layer, arrowhead, stripes};

use crate::theme::color;

/// Paints the list with its upper left corner at `origin`.
pub(crate) fn paint(painter: &Painter, origin: Pos2, list: &DrawList) {
    for layer in &list.layers {
        paint_layer(painter, origin, layer);
    }
}

fn paint_layer(painter: &Painter, origin: Pos2, layer: &Layer) {
    let painter = match layer.clip {
        Some([x, y, w, h]) => {
            let clip = Rect::from_min_size(origin + Vec2::new(x, y), Vec2::new(w, h));
            painter.with_clip_rect(painter.clip_rect().intersect(clip))
        }
        None => painter.clone(),
    };
    let pixel = 1.0 / painter.ctx().pixels_per_point();
    let mesh = mesh(layer, origin, pixel);
    if !mesh.is_empty() {
        painter.add(Shape::mesh(mesh));
    }
    for label in &layer.labels {
        let anchor = match label.anchor {
            Anchor::Left => Align2::LEFT_CENTER,
            Anchor::Middle => Align2::CENTER_CENTER,
            Anchor::Right => Align2::RIGHT_CENTER,
        };
        let at = origin + Vec2::new(label.at[0], label.at[1]);
        painter.text(at, anchor, &label.text, FontId::proportional(label.size), color(label.color));
    }
}

/// Rectangles, stripes and lines of a layer. Nothing becomes narrower than a pixel: without it a bar would come and go.
pub(crate) fn mesh(layer: &Layer, origin: Pos2, pixel: f32) -> Mesh {
    let mut mesh = Mesh::default();
    mesh.reserve_triangles(layer.rects.len() * 2 + layer.lines.len() * 3);
    mesh.reserve_vertices(layer.rects.len() * 4 + layer.lines.len() * 7);
    for rect in &layer.rects {
        let corner = pos2(origin.x + rect.x, snap(origin.y + rect.y, pixel));
        let bottom = snap(origin.y + rect.y + rect.h, pixel).max(corner.y + pixel);
        let right = corner.x + rect.w.max(pixel);
        mesh.add_colored_rect(Rect::from_min_max(corner, pos2(right, bottom)), color(rect.color));
    }
    for hatch in &layer.hatches {
        let color = color(hatch.color);
        for corners in stripes(hatch) {
            polygon(&mut mesh, &corners.map(|[x, y]| origin + Vec2::new(x, y)), color);
        }
    }
    for line in &layer.lines {
        let color = color(line.color);
        let (from, to) = (origin + Vec2::from(line.from), origin + Vec2::from(line.to));
        let side = (to - from).normalized().rot90() * line.width / 2.0;
        polygon(&mut mesh, &[from + side, to + side, to - side, from - side], color);
        if let Some(corners) = arrowhead(line) {
            polygon(&mut mesh, &corners.map(|[x, y]| origin + Vec2::new(x, y)), color);
        }
    }
    mesh
}

/// Heights stand on whole pixels, so that lanes do not blur; along time nothing is moved.
#[inline]
fn snap(y: f32, pixel: f32) -> f32 {
    (y / pixel).round() * pixel
}

fn polygon(mesh: &mut Mesh, corners: &[Pos2], color: egui::Color32) {
    let first = mesh.vertices.len() as u32;
    for &corner in corners {
        mesh.colored_vertex(corner, color);
    }
    for corner in 2..corners.len() as u32 {
        mesh.add_triangle(first, first + corner - 1, first + corner);
    }
}
