//! How large things are: as JSON for the rule on objects, as stored for the quota.

use serde_json::{Number, Value};

use super::Reference;

/// What an entry's row and its places in two indexes count.
const ENTRY_ROW_BYTES: u64 = 256;

/// What a value counts besides its own bytes: its row and its place in an index.
const VALUE_ROW_BYTES: u64 = 64;

/// What an entry counts against a brand's bytes besides its values. A reference is
/// stored twice, once in an index; each of its entries counts it, so that taking an
/// entry away gives back what adding it took.
pub fn entry_bytes(reference: &Reference) -> u64 {
    let text = reference.kind().len() + reference.id().len();
    ENTRY_ROW_BYTES + 2 * text as u64
}

/// What a stored value counts against a brand's bytes. `stored_bytes` is the
/// length of its MessagePack; the key is stored twice, in the row and in an index.
pub fn value_bytes(key: &str, stored_bytes: usize) -> u64 {
    VALUE_ROW_BYTES + 2 * key.len() as u64 + stored_bytes as u64
}

/// The sum of [`value_bytes`] over `count` values, from the sums of their lengths.
pub fn values_bytes(count: u32, key_bytes: u64, stored_bytes: u64) -> u64 {
    u64::from(count) * VALUE_ROW_BYTES + 2 * key_bytes + stored_bytes
}

/// Bytes of UTF-8 that `JSON.stringify(value)` has.
pub fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_bytes(number),
        Value::String(text) => string_bytes(text),
        Value::Array(items) => list(items.iter().map(json_bytes)),
        Value::Object(map) => list(map.iter().map(|(key, value)| string_bytes(key) + 1 + json_bytes(value))),
    }
}

/// Two brackets and a comma between each two parts.
fn list(parts: impl Iterator<Item = usize>) -> usize {
    let (count, bytes) = parts.fold((0usize, 0usize), |(n, sum), part| (n + 1, sum + part));
    2 + bytes + count.saturating_sub(1)
}

/// Levels of arrays and objects; none for any other value.
pub(super) fn depth(value: &Value) -> usize {
    match value {
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
        Value::Object(map) => 1 + map.values().map(depth).max().unwrap_or(0),
        _ => 0,
    }
}

fn string_bytes(text: &str) -> usize {
    let escaped = |c: char| match c {
        '"' | '\\' | '\u{8}' | '\t' | '\n' | '\u{c}' | '\r' => 2,
        '\0'..'\u{20}' => 6,
        other => other.len_utf8(),
    };
    2 + text.chars().map(escaped).sum::<usize>()
}

/// ECMAScript's Number::toString: the same shortest digits as Rust's, laid out by
/// rules of its own.
fn number_bytes(number: &Number) -> usize {
    let Some(x) = number.as_f64().filter(|_| number.is_f64()) else {
        return number.to_string().len();
    };
    if x == 0.0 {
        return 1;
    }
    let text = format!("{:e}", x.abs());
    let (mantissa, exponent) = text.split_once('e').unwrap_or((&text, "0"));
    let digits = mantissa.bytes().filter(u8::is_ascii_digit).count() as i64;
    let point = exponent.parse::<i64>().unwrap_or(0) + 1;
    let bytes = match point {
        1..=21 if digits <= point => point,
        1..=21 => digits + 1,
        -5..=0 => 2 - point + digits,
        _ => {
            let exponent = (point - 1).abs().to_string().len() as i64;
            digits + i64::from(digits > 1) + 2 + exponent
        }
    };
    usize::from(x < 0.0) + bytes as usize
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// The right column was printed by a JavaScript engine.
    #[test]
    fn numbers_are_as_long_as_javascript_writes_them() {
        for (number, text) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (-1.5, "-1.5"),
            (100.0, "100"),
            (0.1, "0.1"),
            (123.456, "123.456"),
            (1e20, "100000000000000000000"),
            (1e21, "1e+21"),
            (1.5e21, "1.5e+21"),
            (-1.25e-7, "-1.25e-7"),
            (0.000001, "0.000001"),
            (0.0000012, "0.0000012"),
            (1e-7, "1e-7"),
            (5e-324, "5e-324"),
            (f64::MAX, "1.7976931348623157e+308"),
            (0.1 + 0.2, "0.30000000000000004"),
            (9007199254740993.0, "9007199254740992"),
        ] {
            assert_eq!(json_bytes(&json!(number)), text.len(), "{text}");
        }
        assert_eq!(json_bytes(&json!(-42)), 3);
        assert_eq!(json_bytes(&json!(u64::MAX)), 20);
    }

    #[test]
    fn depths() {
        for (value, levels) in [(json!(1), 0), (json!([]), 1), (json!([1, {"a": [2]}]), 3)] {
            assert_eq!(depth(&value), levels);
        }
    }

    #[test]
    fn everything_else_is_as_long_as_compact_json() {
        let value = json!({
            "a": [], "b": [1, null, true, false], "é🙂": "\0\u{1f}\u{7f}\"\\/\n\t\u{2028}",
            "": {"nested": [{}]}
        });
        assert_eq!(json_bytes(&value), value.to_string().len());
    }
}
