//! Finds secrets in text and replaces them by their names.

use std::borrow::Cow;
use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD_NO_PAD, URL_SAFE_NO_PAD};
use serde_json::Value;

use sluice_text::bounded::{CUT, bound, bounded};
use sluice_text::printable::printable;

use super::VALUE_BYTES_MIN;

/// What stands behind a text that was cut. The engine quotes single words of a text that it cannot
/// parse as JSON or as a script, such as `unexpected token: 'word'`.
const CUT_BEFORE: [&[u8]; 2] = [CUT.as_bytes(), b"'"];

/// The texts that must not leave a run, and their replacements.
#[derive(Clone, Default)]
pub(super) struct Masks {
    /// Each form of each secret, and the secret's label. The longest form comes first, because
    /// one may begin with another.
    forms: Vec<(String, String)>,
    /// Whether a form begins with the byte, by byte.
    begins: Vec<bool>,
}

impl Masks {
    pub(super) fn new(secrets: &BTreeMap<String, String>) -> Self {
        let mut masks = Self { forms: Vec::new(), begins: vec![false; 256] };
        for (name, value) in secrets.iter().filter(|(_, value)| !value.is_empty()) {
            for form in forms(value) {
                if let Some(begins) =
                    form.bytes().next().and_then(|first| masks.begins.get_mut(usize::from(first)))
                {
                    *begins = true;
                }
                masks.forms.push((form, format!("[secret {name}]")));
            }
        }
        masks.forms.sort_by_key(|(form, _)| std::cmp::Reverse(form.len()));
        masks
    }

    /// Replaces every secret in `text`, also where something cut the text in the middle of one.
    /// Returns at most `bytes_max` bytes, and reads little more than that.
    pub(super) fn replace<'a>(&self, text: &'a str, bytes_max: usize) -> Cow<'a, str> {
        if self.forms.is_empty() {
            return bounded(text, bytes_max);
        }
        let mut out = String::new();
        // Everything before this offset is in `out`.
        let mut copied = 0;
        let mut at = 0;
        while at < text.len() && out.len() + (at - copied) <= bytes_max {
            match self.find_at(text, at) {
                None => at += 1,
                Some((end, label)) => {
                    out.push_str(text.get(copied..at).unwrap_or_default());
                    out.push_str(label);
                    (at, copied) = (end, end);
                }
            }
        }
        if copied == 0 {
            return bounded(text, bytes_max);
        }
        let rest = text.get(copied..).unwrap_or_default();
        out.push_str(&bounded(rest, bytes_max.saturating_sub(out.len())));
        bound(&mut out, bytes_max);
        Cow::Owned(out)
    }

    /// Replaces secrets in all texts and names of a value.
    pub(super) fn replace_in(&self, value: &mut Value) {
        match value {
            Value::String(text) => {
                if let Cow::Owned(masked) = self.replace(text, usize::MAX) {
                    *text = masked;
                }
            }
            Value::Number(number) => {
                if let Cow::Owned(masked) = self.replace(&number.to_string(), usize::MAX) {
                    *value = Value::String(masked);
                }
            }
            Value::Array(items) => items.iter_mut().for_each(|item| self.replace_in(item)),
            Value::Object(members) => {
                for (name, mut member) in std::mem::take(members) {
                    self.replace_in(&mut member);
                    members.insert(self.replace(&name, usize::MAX).into_owned(), member);
                }
            }
            Value::Null | Value::Bool(_) => {}
        }
    }

    /// The secret that begins at this offset: where it ends, and its label. A secret that begins
    /// within another one and ends behind it extends it.
    fn find_at(&self, text: &str, at: usize) -> Option<(usize, &str)> {
        let (mut end, label) = self.longest_at(text, at)?;
        let mut inner = at + 1;
        while inner < end {
            if let Some((later, _)) = self.longest_at(text, inner) {
                end = end.max(later);
            }
            inner += 1;
        }
        Some((end, label))
    }

    fn longest_at(&self, text: &str, at: usize) -> Option<(usize, &str)> {
        let rest = text.as_bytes().get(at..)?;
        if !rest.first().and_then(|first| self.begins.get(usize::from(*first))).is_some_and(|begins| *begins)
        {
            return None;
        }
        let found = self.forms.iter().filter_map(|(form, label)| {
            let length = shared(form.as_bytes(), rest);
            let is_cut = || {
                let after = rest.get(length..).unwrap_or_default();
                length >= VALUE_BYTES_MIN
                    && (after.is_empty() || CUT_BEFORE.iter().any(|end| after.starts_with(end)))
            };
            let is_complete = length == form.len();
            (is_complete || is_cut()).then_some((at + length, is_complete, label.as_str()))
        });
        // A complete value wins over the beginning of a longer one.
        let longest = found.max_by_key(|(end, is_complete, _)| (*end, *is_complete))?;
        Some((longest.0, longest.2))
    }
}

/// How many bytes both begin with.
fn shared(one: &[u8], other: &[u8]) -> usize {
    one.iter().zip(other).take_while(|(one, other)| one == other).count()
}

/// The value, and the common encodings of it.
fn forms(value: &str) -> Vec<String> {
    // The console logs a value inside an object as JSON.
    let quoted = Value::from(value).to_string();
    let debug = format!("{value:?}");
    let [json, debug] = [&quoted, &debug]
        .map(|text| text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or_default());
    // `encodeURIComponent`, `encodeURI`, `escape` (of ASCII) and HTML forms keep different characters.
    let kept = ["-_.!~*'()", "-_.!~*'();,/?:@&=+$#", "@*_+-./", "-_.* "];
    let [component, uri, escape, form] = kept.map(|kept| percent(value, kept));
    let mut forms = vec![
        value.to_owned(),
        json.to_owned(),
        debug.to_owned(),
        printable(value),
        value.escape_debug().to_string(),
        value.bytes().map(|byte| format!("{byte:02x}")).collect(),
    ];
    forms.extend([component, uri, escape].into_iter().flatten());
    forms.extend(form.map(|text| text.replace(' ', "+")));
    for before in 0..3 {
        forms.extend(base64_behind(value, before));
    }
    forms.sort_unstable();
    forms.dedup();
    forms
}

/// The characters that stand for `value` in the base64 of text with `before` bytes in front of it
/// (modulo 3), in both alphabets. The characters at the ends, which neighbours influence, are
/// left out.
fn base64_behind(value: &str, before: usize) -> [String; 2] {
    let mut bytes = vec![0; before];
    bytes.extend_from_slice(value.as_bytes());
    // 6 bits are a character.
    let from = (before * 8).div_ceil(6);
    let to = bytes.len() * 8 / 6;
    [STANDARD_NO_PAD.encode(&bytes), URL_SAFE_NO_PAD.encode(&bytes)]
        .map(|text| text.get(from..to).unwrap_or_default().to_owned())
}

/// `value` percent-encoded, with digits in upper and in lower case. Characters in `kept`, letters
/// and digits are not encoded.
fn percent(value: &str, kept: &str) -> [String; 2] {
    let mut both = [String::new(), String::new()];
    for byte in value.bytes() {
        let is_plain = byte.is_ascii_alphanumeric() || kept.as_bytes().contains(&byte);
        for (text, is_upper) in both.iter_mut().zip([true, false]) {
            match (is_plain, is_upper) {
                (true, _) => text.push(char::from(byte)),
                (false, true) => text.push_str(&format!("%{byte:02X}")),
                (false, false) => text.push_str(&format!("%{byte:02x}")),
            }
        }
    }
    both
}

#[cfg(test)]
mod tests {
    use super::*;

    fn masks(secrets: &[(&str, &str)]) -> Masks {
        Masks::new(&secrets.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect())
    }

    fn masked(masks: &Masks, text: &str) -> String {
        masks.replace(text, usize::MAX).into_owned()
    }

    #[test]
    fn masks_values_in_json_and_in_truncated_text() {
        let pem = "-----BEGIN-----\nMIIE\"\\x\n";
        let masks = masks(&[("ONE", "prefix"), ("TWO", "prefix-and-rest"), ("PEM", pem)]);
        let mask = |text: &str| masked(&masks, text);
        assert_eq!(mask("prefix-and-rest, prefix"), "[secret TWO], [secret ONE]");
        assert_eq!(mask(&format!("raw {pem}")), "raw [secret PEM]");
        assert_eq!(mask(&serde_json::json!({"k": pem}).to_string()), r#"{"k":"[secret PEM]"}"#);
        assert_eq!(mask("cut -----BEGIN…"), "cut [secret PEM]…");
        assert_eq!(mask("Error: -----BEGIN…\nat x"), "Error: [secret PEM]…\nat x");
        assert_eq!(mask("cut -----BEGIN-----\\nMI"), "cut [secret PEM]");
        assert_eq!(mask("unexpected token: 'prefix-and'"), "unexpected token: '[secret TWO]'");
        assert_eq!(mask("---- is no secret"), "---- is no secret");
        assert_eq!(mask("prefix-and"), "[secret TWO]", "nothing of a cut value is left");
        let quoted = self::masks(&[("QUOTED", "\"in quotes\"")]);
        assert_eq!(masked(&quoted, r#"{"k":"\"in quotes\""}"#), r#"{"k":"[secret QUOTED]"}"#);
    }

    #[test]
    fn masks_common_encodings() {
        let value = "pä ss/w+rd?'\n";
        let masks = masks(&[("KEY", value)]);
        let hex: String = value.bytes().map(|byte| format!("{byte:02x}")).collect();
        let escaped = value.escape_debug().to_string();
        let encoded = [
            "p%C3%A4%20ss%2Fw%2Brd%3F'%0A",
            "p%c3%a4%20ss%2fw%2brd%3f'%0a",
            "p%C3%A4+ss%2Fw%2Brd%3F%27%0A",
            "p%C3%A4%20ss/w+rd?'%0A",
        ];
        for form in encoded.into_iter().chain([hex.as_str(), escaped.as_str()]) {
            assert_eq!(masked(&masks, &format!("a {form} b")), "a [secret KEY] b", "{form}");
        }
        for before in ["", "u", "us", "use", "user:"] {
            for after in ["", ":", "!!"] {
                for engine in [STANDARD_NO_PAD, URL_SAFE_NO_PAD] {
                    let text = engine.encode(format!("{before}{value}{after}"));
                    let shown = masked(&masks, &text);
                    assert!(shown.contains("[secret KEY]"), "{before} {after}: {text}");
                    // At each end, at most one character of the secret's bits is left.
                    let rest = shown.len() - "[secret KEY]".len();
                    assert!(rest <= (before.len() + after.len()).div_ceil(3) * 4 + 4, "{shown}");
                }
            }
        }
    }

    #[test]
    fn masks_secrets_that_overlap() {
        let masks = masks(&[("ONE", "abcd1234"), ("TWO", "1234efgh")]);
        assert_eq!(masked(&masks, "x abcd1234efgh y"), "x [secret ONE] y");
    }

    #[test]
    fn bounds_what_it_returns_without_cutting_a_secret() {
        let masks = masks(&[("KEY", "0123456789")]);
        for bytes_max in 0..60 {
            let shown = masks.replace("......................0123456789.......0123456789.......", bytes_max);
            assert!(shown.len() <= bytes_max.max(CUT.len()), "{bytes_max}: {shown}");
            assert!(!shown.contains("012"), "{bytes_max}: {shown}");
        }
        let long = "x".repeat(100_000);
        assert_eq!(masks.replace(&long, 100).len(), 100);
    }

    #[test]
    fn masks_texts_names_and_numbers_of_a_value() {
        let masks = masks(&[("PIN", "123456")]);
        let mut value = serde_json::json!({"a": ["is 123456", 123_456, 7], "123456": null});
        masks.replace_in(&mut value);
        let expected = serde_json::json!({"a": ["is [secret PIN]", "[secret PIN]", 7], "[secret PIN]": null});
        assert_eq!(value, expected);
    }
}
