//! Sizes: that of a value as JSON, for its limit, and those of stored rows, for the brand's
//! quota.

use serde_json::{Number, Value};

use super::Reference;

/// The bytes that count for the row of an entry and its places in two indexes.
const ENTRY_ROW_BYTES: u64 = 256;

/// The bytes that count for the row of a value and its place in an index.
const VALUE_ROW_BYTES: u64 = 64;

/// Returns how many bytes of the brand's quota an entry without its values uses. The
/// reference is stored twice, once in an index. It counts for each of its entries, so that
/// deleting an entry frees as much as adding it used.
pub fn entry_bytes(reference: &Reference) -> u64 {
    let text = reference.kind().len() + reference.id().len();
    ENTRY_ROW_BYTES + 2 * text as u64
}

/// Returns how many bytes of the brand's quota a value uses. `stored_bytes` is the length of
/// its MessagePack. The key is stored twice, once in an index.
pub fn value_bytes(key: &str, stored_bytes: usize) -> u64 {
    VALUE_ROW_BYTES + 2 * key.len() as u64 + stored_bytes as u64
}

/// Returns the sum of [`value_bytes`] over `count` values, from the sums of the lengths of
/// their keys and of their MessagePack.
pub fn values_bytes(count: u32, key_bytes: u64, stored_bytes: u64) -> u64 {
    u64::from(count) * VALUE_ROW_BYTES + 2 * key_bytes + stored_bytes
}

/// Returns the length of `JSON.stringify(value)` in bytes of UTF-8. The text is not made,
/// because a value may be large.
pub(super) fn json_bytes(value: &Value) -> usize {
    match value {
        Value::Null | Value::Bool(true) => 4,
        Value::Bool(false) => 5,
        Value::Number(number) => number_bytes(number),
        Value::String(text) => string_bytes(text),
        Value::Array(items) => list(items.iter().map(json_bytes)),
        Value::Object(map) => list(map.iter().map(|(key, value)| string_bytes(key) + 1 + json_bytes(value))),
    }
}

/// The length of parts with two brackets around them and commas between them.
fn list(parts: impl Iterator<Item = usize>) -> usize {
    let (count, bytes) = parts.fold((0usize, 0usize), |(n, sum), part| (n + 1, sum + part));
    2 + bytes + count.saturating_sub(1)
}

/// Returns the number of levels of arrays and objects, which is 0 for other values.
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

/// The length of a number as JavaScript writes it.
fn number_bytes(number: &Number) -> usize {
    match number.as_f64().filter(|_| number.is_f64()) {
        Some(double) => ryu_js::Buffer::new().format(double).len(),
        None => number.to_string().len(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A JavaScript engine printed the texts.
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
    fn depth_counts_arrays_and_objects() {
        for (value, levels) in [(json!(1), 0), (json!([]), 1), (json!([1, {"a": [2]}]), 3)] {
            assert_eq!(depth(&value), levels);
        }
    }

    #[test]
    fn other_values_are_as_long_as_compact_json() {
        let value = json!({
            "a": [], "b": [1, null, true, false], "é🙂": "\0\u{1f}\u{7f}\"\\/\n\t\u{2028}",
            "": {"nested": [{}]}
        });
        assert_eq!(json_bytes(&value), value.to_string().len());
    }
}
