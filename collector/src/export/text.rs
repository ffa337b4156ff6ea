//! Texts of a trace, made harmless for files that other programs open. This is the one place where exports do that.
//!
//! The model's texts have no control characters any more (see `gilscope_analysis::clean`). What is markup depends on where a
//! text ends up, and nobody knows where that is for an export: so `<` and `>` become `‹` and `›` in all of them. Names that
//! Python itself gives to code, such as `<module>`, are left alone: nothing else can hide in them.

use std::borrow::Cow;

use gilscope_analysis::clean::clean;

/// What CPython calls code without a name or without a file.
const PYTHONS_OWN: [&str; 8] =
    ["<module>", "<lambda>", "<genexpr>", "<listcomp>", "<dictcomp>", "<setcomp>", "<string>", "<stdin>"];

/// The text without control characters, without characters that reorder or hide text, and without markup.
pub(super) fn harmless(text: &str) -> Cow<'_, str> {
    let text = clean(text);
    if !text.contains(['<', '>']) || is_pythons_own(&text) {
        return text;
    }
    text.replace('<', "‹").replace('>', "›").into()
}

/// A thread's or file's name that a spreadsheet would take for a formula gets an apostrophe before it.
pub(super) fn no_formula(text: &str) -> Cow<'_, str> {
    match text.trim_start().starts_with(['=', '+', '-', '@']) {
        true => format!("'{text}").into(),
        false => text.into(),
    }
}

fn is_pythons_own(text: &str) -> bool {
    // A qualified name has several parts: `main.<locals>.<lambda>`.
    let part = |part: &str| !part.contains(['<', '>']) || part == "<locals>" || PYTHONS_OWN.contains(&part);
    let frozen = text.strip_prefix("<frozen ").and_then(|rest| rest.strip_suffix('>'));
    text.split('.').all(part)
        || frozen.is_some_and(|name| name.chars().all(|c| c.is_ascii_alphanumeric() || "._".contains(c)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn markup_and_control_characters_do_not_get_through() {
        assert_eq!(harmless("<script>alert(1)</script>"), "‹script›alert(1)‹/script›");
        assert_eq!(harmless("a\x1b[2Jb\u{202e}c\0"), r"a\x1b[2Jb\u{202e}c\x00");
        assert_eq!(harmless("<frozen <b>>"), "‹frozen ‹b››");
    }

    #[test]
    fn pythons_own_names_stay_as_they_are() {
        for name in
            ["<module>", "main.<locals>.<lambda>", "<frozen importlib._bootstrap>", "worker-1", "線程"]
        {
            assert_eq!(harmless(name), name);
        }
    }

    #[test]
    fn a_formula_is_text() {
        assert_eq!(no_formula("=1+1"), "'=1+1");
        assert_eq!(no_formula("worker-1"), "worker-1");
    }
}
