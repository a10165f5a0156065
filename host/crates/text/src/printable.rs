//! Escapes text that authors or visitors wrote, so that it cannot forge log lines or move
//! the cursor of a terminal. Everything that prints such text uses it.

/// Returns `text` with control characters and bidirectional overrides escaped.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if is_unsafe(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// Does the same for JSON on one line. The result is JSON with the same value.
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // All these characters are below U+10000, and JSON has them inside strings only.
        if is_unsafe(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn is_unsafe(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escapes_characters_that_forge_lines_or_move_the_cursor() {
        assert_eq!(printable("a\nb\u{1b}[31mü\u{202e}"), "a\\nb\\u{1b}[31mü\\u{202e}");
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\u{2028}ü"});
        let shown = printable_json(&value.to_string());
        assert_eq!(shown, r#"{"a":"\u009b31m\u202e\u2028ü"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
