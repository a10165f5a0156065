//! Values during rendering. They borrow from the scope wherever that is possible.

use std::cmp::Ordering;
use std::sync::Arc;

use serde_json::{Map, Value};

/// A value with JavaScript's meaning. Lists and records that a template creates share their
/// parts, so cloning one is cheap.
#[derive(Debug, Clone)]
pub(super) enum Val<'a> {
    Undefined,
    Null,
    Bool(bool),
    Number(f64),
    Text(&'a str),
    Made(Arc<str>),
    /// Text that the filter `json` made, or that contains such text. `raw` does not print it
    /// unescaped in attributes.
    Json(Arc<str>),
    Array(&'a [Value]),
    Object(&'a Map<String, Value>),
    List(Arc<List<'a>>),
    Dict(Arc<Dict<'a>>),
    Loop(LoopState),
}

/// An array that the template created, with its nesting depth.
#[derive(Debug)]
pub(super) struct List<'a> {
    pub items: Vec<Val<'a>>,
    depth: usize,
}

/// A record that the template created, with its nesting depth.
#[derive(Debug)]
pub(super) struct Dict<'a> {
    pub fields: Vec<(&'a str, Val<'a>)>,
    depth: usize,
}

/// The value of `loop` inside `@foreach`.
#[derive(Debug, Clone, Copy)]
pub(super) struct LoopState {
    pub index: usize,
    pub length: usize,
}

/// How deep lists and records that a template creates may nest. Dropping them recurses.
pub(super) const DEPTH_MAX: usize = 32;

impl<'a> Val<'a> {
    pub(super) fn of(value: &'a Value) -> Val<'a> {
        match value {
            Value::Null => Val::Null,
            Value::Bool(flag) => Val::Bool(*flag),
            Value::Number(number) => Val::Number(number.as_f64().unwrap_or(f64::NAN)),
            Value::String(text) => Val::Text(text),
            Value::Array(items) => Val::Array(items),
            Value::Object(fields) => Val::Object(fields),
        }
    }

    pub(super) fn made(text: impl Into<Arc<str>>) -> Val<'a> {
        Val::Made(text.into())
    }

    /// Whether it is text that contains JSON.
    pub(super) fn is_json(&self) -> bool {
        matches!(self, Val::Json(_))
    }

    /// The same text, marked as JSON. Other values stay unchanged.
    pub(super) fn into_json(self) -> Val<'a> {
        match self {
            Val::Made(text) => Val::Json(text),
            value => value,
        }
    }

    /// A new list, or `None` if it would nest deeper than [`DEPTH_MAX`].
    pub(super) fn list(items: Vec<Val<'a>>) -> Option<Val<'a>> {
        let depth = depth_above(items.iter())?;
        Some(Val::List(Arc::new(List { items, depth })))
    }

    /// A new record, or `None` if it would nest deeper than [`DEPTH_MAX`].
    pub(super) fn dict(fields: Vec<(&'a str, Val<'a>)>) -> Option<Val<'a>> {
        let depth = depth_above(fields.iter().map(|(_, value)| value))?;
        Some(Val::Dict(Arc::new(Dict { fields, depth })))
    }

    pub(super) fn as_str(&self) -> Option<&str> {
        match self {
            Val::Text(text) => Some(text),
            Val::Made(text) | Val::Json(text) => Some(text),
            _ => None,
        }
    }

    pub(super) fn is_nullish(&self) -> bool {
        matches!(self, Val::Undefined | Val::Null)
    }

    /// Whether JavaScript compares the value by identity: arrays, records and `loop`.
    pub(super) fn is_object(&self) -> bool {
        matches!(self, Val::Array(_) | Val::Object(_) | Val::List(_) | Val::Dict(_) | Val::Loop(_))
    }

    pub(super) fn is_record(&self) -> bool {
        matches!(self, Val::Object(_) | Val::Dict(_) | Val::Loop(_))
    }

    pub(super) fn truthy(&self) -> bool {
        match self {
            Val::Undefined | Val::Null => false,
            Val::Bool(flag) => *flag,
            Val::Number(number) => *number != 0.0 && !number.is_nan(),
            Val::Text(text) => !text.is_empty(),
            Val::Made(text) | Val::Json(text) => !text.is_empty(),
            _ => true,
        }
    }

    /// How many bytes looking up a key of `key_bytes` bytes, or an index, may have to read.
    pub(super) fn lookup_bytes(&self, key_bytes: usize) -> usize {
        match self {
            Val::Text(text) => text.len().saturating_add(key_bytes),
            Val::Made(text) | Val::Json(text) => text.len().saturating_add(key_bytes),
            Val::Dict(dict) => dict.fields.len().saturating_mul(8 + key_bytes / 8),
            Val::Object(map) => {
                let rounds = map.len().checked_ilog2().unwrap_or(0) as usize + 2;
                key_bytes.saturating_mul(rounds)
            }
            _ => key_bytes,
        }
    }

    /// The number of elements of an array or of fields of a record.
    pub(super) fn entries(&self) -> usize {
        match self {
            Val::Array(items) => items.len(),
            Val::Object(map) => map.len(),
            Val::List(list) => list.items.len(),
            Val::Dict(dict) => dict.fields.len(),
            Val::Loop(_) => 4,
            _ => 0,
        }
    }

    /// The elements of an array, or `None` for any other value.
    pub(super) fn items(&self) -> Option<Items<'_, 'a>> {
        match self {
            Val::Array(items) => Some(Items::Borrowed(items)),
            Val::List(list) => Some(Items::Made(&list.items)),
            _ => None,
        }
    }

    /// The fields of a record in their order, or `None` for any other value.
    pub(super) fn fields(&self) -> Option<Vec<(&'a str, Val<'a>)>> {
        match self {
            Val::Object(map) => Some(map.iter().map(|(key, value)| (key.as_str(), Val::of(value))).collect()),
            Val::Dict(dict) => Some(dict.fields.clone()),
            Val::Loop(state) => Some(state.fields().to_vec()),
            _ => None,
        }
    }

    /// `value.key`. Unlike in JavaScript, prototypes have no part in it.
    pub(super) fn get(&self, key: &str) -> Val<'a> {
        match self {
            Val::Object(map) => map.get(key).map_or(Val::Undefined, Val::of),
            Val::Dict(dict) => find(&dict.fields, key),
            Val::Loop(state) => find(&state.fields(), key),
            Val::Text(_) | Val::Made(_) | Val::Json(_) | Val::Array(_) | Val::List(_) => match key {
                "length" => self.length().map_or(Val::Undefined, |n| Val::Number(n as f64)),
                _ => array_index(key).map_or(Val::Undefined, |index| self.at(index)),
            },
            Val::Undefined | Val::Null | Val::Bool(_) | Val::Number(_) => Val::Undefined,
        }
    }

    /// An element of an array or a character of a text.
    pub(super) fn at(&self, index: usize) -> Val<'a> {
        match self {
            Val::Array(items) => items.get(index).map_or(Val::Undefined, Val::of),
            Val::List(list) => list.items.get(index).cloned().unwrap_or(Val::Undefined),
            Val::Text(_) | Val::Made(_) | Val::Json(_) => {
                let text = self.as_str().unwrap_or("");
                utf16_unit(text, index).map_or(Val::Undefined, |c| Val::made(c.to_string()))
            }
            _ => Val::Undefined,
        }
    }

    /// The number of elements of an array or of UTF-16 units of a text.
    pub(super) fn length(&self) -> Option<usize> {
        match self {
            Val::Array(items) => Some(items.len()),
            Val::List(list) => Some(list.items.len()),
            _ => self.as_str().map(utf16_length),
        }
    }

    fn depth(&self) -> usize {
        match self {
            Val::List(list) => list.depth,
            Val::Dict(dict) => dict.depth,
            _ => 0,
        }
    }
}

impl LoopState {
    fn fields<'a>(self) -> [(&'a str, Val<'a>); 4] {
        [
            ("index", Val::Number(self.index as f64)),
            ("first", Val::Bool(self.index == 0)),
            ("last", Val::Bool(self.index + 1 == self.length)),
            ("length", Val::Number(self.length as f64)),
        ]
    }
}

/// The elements of an array from the scope or of one that the template created.
#[derive(Clone, Copy)]
pub(super) enum Items<'v, 'a> {
    Borrowed(&'a [Value]),
    Made(&'v [Val<'a>]),
}

impl<'v, 'a> Items<'v, 'a> {
    pub(super) fn len(self) -> usize {
        match self {
            Items::Borrowed(items) => items.len(),
            Items::Made(items) => items.len(),
        }
    }

    pub(super) fn get(self, index: usize) -> Option<Val<'a>> {
        match self {
            Items::Borrowed(items) => items.get(index).map(Val::of),
            Items::Made(items) => items.get(index).cloned(),
        }
    }

    pub(super) fn iter(self) -> impl DoubleEndedIterator<Item = Val<'a>> + 'v
    where
        'a: 'v,
    {
        (0..self.len()).filter_map(move |index| self.get(index))
    }
}

fn find<'a>(fields: &[(&'a str, Val<'a>)], key: &str) -> Val<'a> {
    fields.iter().find(|(name, _)| *name == key).map_or(Val::Undefined, |(_, value)| value.clone())
}

fn depth_above<'v, 'a: 'v>(parts: impl Iterator<Item = &'v Val<'a>>) -> Option<usize> {
    let depth = parts.map(Val::depth).max().unwrap_or(0) + 1;
    (depth <= DEPTH_MAX).then_some(depth)
}

/// The most digits of an array index.
const INDEX_DIGITS_MAX: usize = 20;

/// The array index that JavaScript sees in a key: `7`, but not `07` or `+7`.
fn array_index(key: &str) -> Option<usize> {
    let canonical = key == "0" || !key.starts_with(['0', '+']);
    match canonical && key.len() <= INDEX_DIGITS_MAX {
        true => key.parse().ok(),
        false => None,
    }
}

pub(super) fn utf16_length(text: &str) -> usize {
    match text.is_ascii() {
        true => text.len(),
        false => text.chars().map(char::len_utf16).sum(),
    }
}

/// The UTF-16 unit at an index. Half of a surrogate pair becomes U+FFFD.
fn utf16_unit(text: &str, index: usize) -> Option<char> {
    let unit = text.encode_utf16().nth(index)?;
    Some(char::from_u32(unit.into()).unwrap_or('\u{fffd}'))
}

/// Compares texts as JavaScript does, by UTF-16 units.
pub(super) fn compare_texts(a: &str, b: &str) -> Ordering {
    let same = a.bytes().zip(b.bytes()).take_while(|(a, b)| a == b).count();
    // Only the first character that differs decides.
    let from = a.floor_char_boundary(same);
    let rest = |text| str::get(text, from..).unwrap_or_default().encode_utf16();
    rest(a).cmp(rest(b))
}

/// A number as JavaScript prints it.
pub(super) fn number_text(number: f64) -> String {
    ryu_js::Buffer::new().format(number).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn prints_numbers_as_javascript_does() {
        for (number, expected) in [
            (0.0, "0"),
            (-0.0, "0"),
            (1.0, "1"),
            (0.1 + 0.2, "0.30000000000000004"),
            (1e21, "1e+21"),
            (123_456_789_012_345_680_000.0, "123456789012345680000"),
            (1e-7, "1e-7"),
            (f64::NAN, "NaN"),
            (f64::NEG_INFINITY, "-Infinity"),
        ] {
            assert_eq!(number_text(number), expected);
        }
    }

    #[test]
    fn looks_up_own_fields_and_not_prototypes() {
        let value = json!({"a": [1, "xö😀"], "length": 7});
        let value = Val::of(&value);
        assert!(matches!(value.get("length"), Val::Number(7.0)));
        assert!(matches!(value.get("constructor"), Val::Undefined));
        let array = value.get("a");
        assert!(matches!(array.get("length"), Val::Number(2.0)));
        assert!(matches!(array.get("0"), Val::Number(1.0)));
        assert!(matches!(array.get("00"), Val::Undefined));
        assert!(matches!(array.get("map"), Val::Undefined));
        let text = array.at(1);
        assert_eq!(text.length(), Some(4));
        assert_eq!(text.at(1).as_str(), Some("ö"));
        assert_eq!(text.at(2).as_str(), Some("\u{fffd}"));
    }

    #[test]
    fn orders_texts_by_utf16_units() {
        for (a, b, expected) in [
            ("", "", Ordering::Equal),
            ("a", "ab", Ordering::Less),
            ("é", "è", Ordering::Greater),
            ("xé", "xè", Ordering::Greater),
            ("x\u{ff5e}", "x\u{1f600}", Ordering::Greater),
            ("x\u{1f600}", "x\u{1f601}", Ordering::Less),
        ] {
            assert_eq!(compare_texts(a, b), expected, "{a} {b}");
            assert_eq!(compare_texts(b, a), expected.reverse(), "{b} {a}");
        }
    }

    #[test]
    fn limits_the_nesting_of_created_lists_and_records() {
        let mut value = Val::Null;
        for _ in 0..DEPTH_MAX {
            value = Val::list(vec![value]).unwrap_or(Val::Undefined);
        }
        assert!(matches!(value, Val::List(_)));
        assert!(Val::list(vec![value.clone()]).is_none());
        assert!(Val::dict(vec![("a", value)]).is_none());
    }
}
