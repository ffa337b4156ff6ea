//! JSON text, written piece by piece.

use serde_json::Value;

/// The value as JSON that also stays text inside HTML: `<`, `>` and `&` are escaped.
pub(super) fn json(value: &Value) -> String {
    let text = value.to_string();
    if !text.contains(['<', '>', '&']) {
        return text;
    }
    // In JSON they occur nowhere but in strings.
    text.replace('<', "\\u003c").replace('>', "\\u003e").replace('&', "\\u0026")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_text_reads_as_it_was() {
        let value = serde_json::json!({"name": "<module> & \"x\""});
        assert!(!json(&value).contains(['<', '>', '&']));
        assert_eq!(serde_json::from_str::<Value>(&json(&value)).unwrap(), value);
    }
}
