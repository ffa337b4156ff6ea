//! Texts in a trace are a stranger's. This is the one place where they are made harmless; everything in a [`crate::Model`]
//! has been through it.
//!
//! Markup (`<`, `&`, quotes) stays as it is, since what is markup depends on where the text goes: a writer of SVG or HTML
//! escapes it there.

use std::borrow::Cow;

/// Longest text that is kept, in characters. Names and paths are shorter; a hostile one must not fill a screen.
pub const MAX_CHARS: usize = 1024;

/// Whether a character moves the cursor, starts an escape sequence, reorders or hides text.
fn is_harmful(character: char) -> bool {
    character.is_control()
        || matches!(character,
            '\u{200b}'..='\u{200f}' // zero-width and direction marks
            | '\u{2028}'..='\u{202e}' // line and paragraph separators, bidirectional overrides
            | '\u{2060}'..='\u{206f}' // invisible operators, isolates
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}') // tags
}

/// The text without harmful characters: each becomes `\xNN` or `\u{NNNN}`, and what is longer than [`MAX_CHARS`] is cut.
pub fn clean(text: &str) -> Cow<'_, str> {
    if text.len() <= MAX_CHARS && !text.chars().any(is_harmful) {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len().min(4 * MAX_CHARS));
    for (count, character) in text.chars().enumerate() {
        if count == MAX_CHARS {
            out.push('…');
            break;
        }
        match character {
            c if !is_harmful(c) => out.push(c),
            c if (c as u32) < 0x100 => out.push_str(&format!("\\x{:02x}", c as u32)),
            c => out.push_str(&format!("\\u{{{:x}}}", c as u32)),
        }
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_become_visible() {
        assert_eq!(clean("a\x1b[31mred\x07\n"), r"a\x1b[31mred\x07\x0a");
        assert_eq!(clean("\u{9b}31m"), r"\x9b31m");
        assert_eq!(clean("abc\u{202e}fdp.exe"), r"abc\u{202e}fdp.exe");
    }

    #[test]
    fn plain_text_of_any_script_stays_as_it_is() {
        for text in ["worker-1", "Größe", "線程", ""] {
            assert!(matches!(clean(text), Cow::Borrowed(same) if same == text));
        }
    }

    #[test]
    fn a_text_without_end_is_cut() {
        assert_eq!(clean(&"x".repeat(1 << 20)).chars().count(), MAX_CHARS + 1);
    }
}
