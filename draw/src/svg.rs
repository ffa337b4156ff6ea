//! A draw list as SVG. One file, no scripts, nothing loaded from elsewhere; all text is escaped.

use std::fmt::Write;

use crate::{
    Anchor, DrawList, Layer, Rgba,
    list::{Line, STRIPE, STRIPE_WIDTH},
};

/// The picture as an SVG document, on `background`. `title` is what a reader of the page hears of it.
pub fn svg(list: &DrawList, background: Rgba, title: &str) -> String {
    let [width, height] = list.size;
    let mut out = String::with_capacity(4096 + list.len() * 64);
    // Writing to a string cannot fail.
    let _ = write!(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width}\" height=\"{height}\" viewBox=\"0 0 {width} {height}\" \
         role=\"img\" font-family=\"Ubuntu, 'Segoe UI', 'Helvetica Neue', Arial, sans-serif\">\n<title>{}</title>\n",
        escape(title)
    );
    defs(list, &mut out);
    let _ = writeln!(out, "<rect width=\"{width}\" height=\"{height}\"{}/>", Fill(background));
    for (number, layer) in list.layers.iter().enumerate() {
        match layer.clip {
            Some(_) => {
                let _ = writeln!(out, "<g clip-path=\"url(#gilscope-clip{number})\">");
            }
            None => out.push_str("<g>\n"),
        }
        write_layer(layer, &mut out);
        out.push_str("</g>\n");
    }
    out.push_str("</svg>\n");
    out
}

fn defs(list: &DrawList, out: &mut String) {
    out.push_str("<defs>\n");
    for (number, layer) in list.layers.iter().enumerate() {
        if let Some([x, y, w, h]) = layer.clip {
            let _ = writeln!(
                out,
                "<clipPath id=\"gilscope-clip{number}\"><rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\"/></clipPath>",
                Number(x),
                Number(y),
                Number(w),
                Number(h)
            );
        }
    }
    let mut colors: Vec<Rgba> = Vec::new();
    for hatch in list.layers.iter().flat_map(|layer| &layer.hatches) {
        if !colors.contains(&hatch.color) {
            colors.push(hatch.color);
        }
    }
    for color in colors {
        let _ = writeln!(
            out,
            "<pattern id=\"{}\" width=\"{STRIPE}\" height=\"{STRIPE}\" patternUnits=\"userSpaceOnUse\">\
             <path d=\"M-1,1 l2,-2 M0,{STRIPE} l{STRIPE},-{STRIPE} M{},{} l2,-2\" stroke=\"{}\" stroke-opacity=\"{}\" stroke-width=\"{}\"/></pattern>",
            pattern(color),
            STRIPE - 1.0,
            STRIPE + 1.0,
            Hex(color),
            Opacity(color),
            STRIPE_WIDTH * 0.7
        );
    }
    out.push_str("</defs>\n");
}

fn pattern(color: Rgba) -> String {
    let [r, g, b, a] = color.0;
    format!("gilscope-lost-{r:02x}{g:02x}{b:02x}{a:02x}")
}

fn write_layer(layer: &Layer, out: &mut String) {
    // Runs of one colour share a group, which halves the size of a picture of many bars.
    let mut rest = layer.rects.as_slice();
    while let Some(first) = rest.first() {
        let run = rest.iter().take_while(|rect| rect.color == first.color).count();
        let _ = writeln!(out, "<path{} d=\"", Fill(first.color)).map(|()| out.pop());
        for rect in &rest[..run] {
            let _ = write!(
                out,
                "M{},{}h{}v{}h{}z",
                Number(rect.x),
                Number(rect.y),
                Number(rect.w),
                Number(rect.h),
                Number(-rect.w)
            );
        }
        out.push_str("\"/>\n");
        rest = &rest[run..];
    }
    for hatch in &layer.hatches {
        let _ = writeln!(
            out,
            "<rect x=\"{}\" y=\"{}\" width=\"{}\" height=\"{}\" fill=\"url(#{})\"/>",
            Number(hatch.x),
            Number(hatch.y),
            Number(hatch.w),
            Number(hatch.h),
            pattern(hatch.color)
        );
    }
    for line in &layer.lines {
        let _ = writeln!(
            out,
            "<line x1=\"{}\" y1=\"{}\" x2=\"{}\" y2=\"{}\" stroke=\"{}\" stroke-opacity=\"{}\" stroke-width=\"{}\"/>",
            Number(line.from[0]),
            Number(line.from[1]),
            Number(line.to[0]),
            Number(line.to[1]),
            Hex(line.color),
            Opacity(line.color),
            Number(line.width)
        );
        if let Some([a, b, c]) = arrowhead(line) {
            let _ = writeln!(
                out,
                "<path{} d=\"M{},{}L{},{}L{},{}z\"/>",
                Fill(line.color),
                Number(a[0]),
                Number(a[1]),
                Number(b[0]),
                Number(b[1]),
                Number(c[0]),
                Number(c[1])
            );
        }
    }
    for label in &layer.labels {
        let anchor = match label.anchor {
            Anchor::Left => "start",
            Anchor::Middle => "middle",
            Anchor::Right => "end",
        };
        let _ = writeln!(
            out,
            "<text x=\"{}\" y=\"{}\" dy=\"0.35em\" text-anchor=\"{anchor}\" font-size=\"{}\"{}>{}</text>",
            Number(label.at[0]),
            Number(label.at[1]),
            Number(label.size),
            Fill(label.color),
            escape(&label.text)
        );
    }
}

/// The three corners of a line's arrowhead, if it has one and is long enough to carry it.
pub fn arrowhead(line: &Line) -> Option<[[f32; 2]; 3]> {
    let (dx, dy) = (line.to[0] - line.from[0], line.to[1] - line.from[1]);
    let length = dx.hypot(dy);
    if !line.arrow || length < 3.0 {
        return None;
    }
    let size = (3.0 + 2.5 * line.width).min(length);
    let (ux, uy) = (dx / length, dy / length);
    let back = [line.to[0] - ux * size, line.to[1] - uy * size];
    let side = [-uy * size * 0.5, ux * size * 0.5];
    Some([line.to, [back[0] + side[0], back[1] + side[1]], [back[0] - side[0], back[1] - side[1]]])
}

/// Text for markup: a name in a trace is a stranger's.
pub fn escape(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '<' => out.push_str("&lt;"),
            '>' => out.push_str("&gt;"),
            '&' => out.push_str("&amp;"),
            '"' => out.push_str("&quot;"),
            '\'' => out.push_str("&#39;"),
            // XML has no way to say these at all.
            c if (c < ' ' && !matches!(c, '\t' | '\n' | '\r')) || matches!(c, '\u{fffe}' | '\u{ffff}') => {
                out.push('\u{fffd}')
            }
            c => out.push(c),
        }
    }
    out
}

/// A coordinate with at most two decimals.
struct Number(f32);

impl std::fmt::Display for Number {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let hundredths = (f64::from(self.0) * 100.0).round() as i64;
        let (whole, part) = (hundredths.abs() / 100, hundredths.abs() % 100);
        let sign = if hundredths < 0 { "-" } else { "" };
        match (part, part % 10) {
            (0, _) => write!(f, "{sign}{whole}"),
            (part, 0) => write!(f, "{sign}{whole}.{}", part / 10),
            (part, _) => write!(f, "{sign}{whole}.{part:02}"),
        }
    }
}

struct Hex(Rgba);

impl std::fmt::Display for Hex {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let [r, g, b, _] = self.0.0;
        write!(f, "#{r:02x}{g:02x}{b:02x}")
    }
}

struct Opacity(Rgba);

impl std::fmt::Display for Opacity {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}", Number(f32::from(self.0.0[3]) / 255.0))
    }
}

/// The attributes of a fill.
struct Fill(Rgba);

impl std::fmt::Display for Fill {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, " fill=\"{}\"", Hex(self.0))?;
        match self.0.0[3] {
            255 => Ok(()),
            _ => write!(f, " fill-opacity=\"{}\"", Opacity(self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_strangers_name_stays_text() {
        let mut list = DrawList::new(100.0, 20.0);
        let text = "<script>alert(1)</script> & \"'\u{1}";
        list.layer(None).label([0.0, 10.0], Anchor::Left, text, 12.0, Rgba::hex(0));
        let page = svg(&list, Rgba::hex(0xffffff), text);
        assert!(!page.contains("<script"), "{page}");
        assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt; &amp; &quot;&#39;\u{fffd}"), "{page}");
    }

    #[test]
    fn coordinates_are_as_short_as_they_can_be() {
        let text = |number| Number(number).to_string();
        assert_eq!(
            [text(1.0), text(0.5), text(-2.25), text(-0.001), text(10.07)],
            ["1", "0.5", "-2.25", "0", "10.07"]
        );
    }
}
