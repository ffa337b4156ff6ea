//! How wide text is. The picture is set in the font that the window uses, which is bundled, so it fits alike everywhere.

use std::sync::LazyLock;

use skrifa::{
    FontRef, GlyphId, MetadataProvider,
    instance::{LocationRef, Size},
};

/// The font of all pictures: Ubuntu Light.
pub(crate) static FONT: LazyLock<FontRef<'static>> =
    LazyLock::new(|| FontRef::new(epaint_default_fonts::UBUNTU_LIGHT).expect("the bundled font is a font"));

/// Advance widths of the printable characters of ASCII, of one em.
static ASCII: LazyLock<[f32; 128]> =
    LazyLock::new(|| std::array::from_fn(|code| advance(code as u8 as char)));

fn advance(character: char) -> f32 {
    let metrics = FONT.glyph_metrics(Size::new(1.0), LocationRef::default());
    metrics.advance_width(glyph(character)).unwrap_or(0.5)
}

/// The glyph of a character; that of a box if the font has none.
pub(crate) fn glyph(character: char) -> GlyphId {
    FONT.charmap().map(character).unwrap_or(GlyphId::NOTDEF)
}

/// Width of one character, in ems.
pub(crate) fn advance_of(character: char) -> f32 {
    match ASCII.get(character as usize) {
        Some(&width) => width,
        None => advance(character),
    }
}

/// Width of a text of that size, in points.
pub fn width(text: &str, size: f32) -> f32 {
    text.chars().map(advance_of).sum::<f32>() * size
}

/// The text, cut to `width` with an ellipsis; `None` if fewer than two characters of it would be left.
pub fn fit(text: &str, available: f32, size: f32) -> Option<String> {
    // No character is narrower than this: what has no room for two need not be measured.
    if available < size * 0.5 || text.is_empty() {
        return None;
    }
    let mut used = 0.0;
    let mut cut = 0;
    let mut kept = 0;
    let ellipsis = advance_of('…') * size;
    for (place, character) in text.char_indices() {
        used += advance_of(character) * size;
        if used + ellipsis <= available {
            cut = place + character.len_utf8();
            kept += 1;
        }
        if used > available {
            return (kept >= 2).then(|| format!("{}…", text[..cut].trim_end()));
        }
    }
    Some(text.to_owned())
}

/// The text, cut in the middle: what tells `pool-worker-1` from `pool-worker-2` stands at the end. `None` as in [`fit`].
pub fn fit_middle(text: &str, available: f32, size: f32) -> Option<String> {
    if width(text, size) <= available {
        return (!text.is_empty()).then(|| text.to_owned());
    }
    let room = available - advance_of('…') * size;
    let characters: Vec<char> = text.chars().collect();
    let (mut head, mut tail, mut used) = (0, 0, 0.0);
    while head + tail < characters.len() {
        // By turns from the begin and from the end.
        let from_head = head <= tail;
        let next = characters[if from_head { head } else { characters.len() - 1 - tail }];
        used += advance_of(next) * size;
        if used > room {
            break;
        }
        if from_head {
            head += 1;
        } else {
            tail += 1;
        }
    }
    let (begin, end) = (&characters[..head], &characters[characters.len() - tail..]);
    (head + tail >= 2).then(|| begin.iter().chain(&['…']).chain(end).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_that_fits_stays_whole_and_a_longer_one_is_cut() {
        let whole = width("MainThread", 12.0);
        assert_eq!(fit("MainThread", whole + 0.1, 12.0).as_deref(), Some("MainThread"));
        let cut = fit("MainThread", whole * 0.6, 12.0).unwrap();
        assert!(cut.ends_with('…') && width(&cut, 12.0) <= whole * 0.6, "{cut}");
        assert_eq!(fit("MainThread", 9.0, 12.0), None);
    }

    #[test]
    fn names_that_differ_at_the_end_still_differ_when_cut() {
        let cut = |name| fit_middle(name, 90.0, 13.0).unwrap();
        let (one, other) = (cut("Dask-Default-Threads-14306-1"), cut("Dask-Default-Threads-14306-2"));
        assert_ne!(one, other);
        assert!(one.starts_with("Dask") && one.ends_with("-1") && width(&one, 13.0) <= 90.0, "{one}");
        assert_eq!(fit_middle("MainThread", 200.0, 13.0).as_deref(), Some("MainThread"));
        assert_eq!(fit_middle("MainThread", 9.0, 13.0), None);
    }

    #[test]
    fn characters_beyond_the_font_have_a_width() {
        assert!(width("線程", 12.0) > 0.0);
    }
}
