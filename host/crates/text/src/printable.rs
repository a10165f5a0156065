//! Text that authors and visitors wrote, made safe to print.

/// `text` with control characters escaped: what authors and visitors write must
/// not forge log lines or move the cursor.
pub fn printable(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        if moves_text(c) {
            out.extend(c.escape_default());
        } else {
            out.push(c);
        }
    }
    out
}

/// The same for JSON on one line, which stays the same JSON.
pub fn printable_json(json: &str) -> String {
    let mut out = String::with_capacity(json.len());
    for c in json.chars() {
        // All of them are of the basic plane, and JSON has them in strings only.
        if moves_text(c) {
            out.push_str(&format!("\\u{:04x}", u32::from(c)));
        } else {
            out.push(c);
        }
    }
    out
}

fn moves_text(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_forge_lines() {
        assert_eq!(printable("a\nb\u{1b}[31mü\u{202e}"), "a\\nb\\u{1b}[31mü\\u{202e}");
        let value = serde_json::json!({"a": "\u{9b}31m\u{202e}\u{2028}ü"});
        let shown = printable_json(&value.to_string());
        assert_eq!(shown, r#"{"a":"\u009b31m\u202e\u2028ü"}"#);
        assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
    }
}
