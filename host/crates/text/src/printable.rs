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

/// Does the same for text of several lines. Keeps line breaks, and writes a space for a tab, so that
/// marks below a line stay where they are.
pub fn printable_lines(text: &str) -> String {
    text.split('\n').map(|line| printable(&line.replace('\t', " "))).collect::<Vec<_>>().join("\n")
}

/// Does the same for JSON. The result is JSON with the same value. Strings in JSON have no line breaks, so
/// those between its parts stay.
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        if c == '\n' {
            out.push(c);
            continue;
        }
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
        assert_eq!(printable_lines("a\n\u{1b}b\r\n"), "a\n\\u{1b}b\\r\n");
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\u{2028}ü"});
        let laid_out = printable_json(&format!("{value:#}"));
        assert!(laid_out.starts_with("{\n  \"a\": \"\\u009b31m"), "{laid_out}");
        let shown = printable_json(&value.to_string());
        assert_eq!(shown, r#"{"a":"\u009b31m\u202e\u2028ü"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
