//! The rules for one value each. Pure; every sentence an author may see is here.

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::size::{depth, json_bytes};
use super::{
    Call, CrmError, DEPTH_MAX, FIELD_KEY_CHARS_MAX, OBJECT_BYTES_MAX, REFERENCE_ID_CHARS_MAX,
    REFERENCE_TYPE_CHARS_MAX, SLUG_CHARS_MAX, STRING_CHARS_MAX,
};

/// An entity's slug: `^[a-z0-9][a-z0-9_-]*$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// A field's key: `^[A-Za-z0-9_.-]+$`. `__proto__` is one like any other.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldKey(String);

/// What entries are attached to, such as `customer` and a customer's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Reference {
    kind: String,
    id: String,
}

impl Slug {
    /// `None` where no entity can have this slug.
    pub fn new(text: &str) -> Option<Self> {
        let tail = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_' || b == b'-';
        let head = |b: &u8| b.is_ascii_lowercase() || b.is_ascii_digit();
        let fits = text.len() <= SLUG_CHARS_MAX
            && text.as_bytes().first().is_some_and(head)
            && text.bytes().all(tail);
        fits.then(|| Self(text.to_owned()))
    }

    /// The slug's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FieldKey {
    /// The error is what is wrong with it, to be put after the property's name.
    pub fn new(text: &str) -> Result<Self, String> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || !text.bytes().all(letter) {
            return Err(format!("{} does not match ^[A-Za-z0-9_.-]+$", quoted(text)));
        }
        if text.len() > FIELD_KEY_CHARS_MAX {
            return Err(format!("is longer than {FIELD_KEY_CHARS_MAX} characters: {}", quoted(text)));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// The error names the property and says what is wrong with it.
    pub fn new(kind: &str, id: &str) -> Result<Self, String> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if kind.is_empty() || !kind.bytes().all(letter) {
            return Err(format!("referenceType {} does not match ^[A-Za-z0-9_-]+$", quoted(kind)));
        }
        if kind.len() > REFERENCE_TYPE_CHARS_MAX {
            return Err(format!("referenceType is longer than {REFERENCE_TYPE_CHARS_MAX} characters"));
        }
        // An empty id would be one reference shared by all who happen to have none.
        if id.is_empty() {
            return Err("referenceId is empty".to_owned());
        }
        if chars(id) > REFERENCE_ID_CHARS_MAX {
            return Err(format!("referenceId is longer than {REFERENCE_ID_CHARS_MAX} characters"));
        }
        if id.contains(['{', '}', '[', ']', '"', '\\']) {
            return Err(r#"referenceId has one of { } [ ] " \ in it"#.to_owned());
        }
        Ok(Self { kind: kind.to_owned(), id: id.to_owned() })
    }

    /// The reference type.
    pub fn kind(&self) -> &str {
        &self.kind
    }

    /// The reference id.
    pub fn id(&self) -> &str {
        &self.id
    }
}

/// `customer/7`, control characters escaped.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id.escape_debug())
    }
}

// What is read back from a job is checked as what comes from a script.

impl TryFrom<String> for Slug {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text).ok_or_else(|| format!("{} is not a slug", quoted(&text)))
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl TryFrom<String> for FieldKey {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        Self::new(&text)
    }
}

impl From<FieldKey> for String {
    fn from(key: FieldKey) -> Self {
        key.0
    }
}

impl TryFrom<(String, String)> for Reference {
    type Error = String;

    fn try_from((kind, id): (String, String)) -> Result<Self, String> {
        Self::new(&kind, &id)
    }
}

impl From<Reference> for (String, String) {
    fn from(reference: Reference) -> Self {
        (reference.kind, reference.id)
    }
}

/// Whether a value may be stored under `property`. `null` is for the caller to refuse.
pub(super) fn value(call: Call, property: &str, value: &Value) -> Result<(), CrmError> {
    match value {
        Value::Null | Value::Bool(_) => Ok(()),
        // A number that JSON cannot hold never becomes a `Value`.
        Value::Number(_) => Ok(()),
        Value::String(text) => match chars(text) {
            count if count > STRING_CHARS_MAX => Err(call.refused(format_args!(
                "{property} is a string of {count} characters; at most {STRING_CHARS_MAX} can be stored"
            ))),
            _ => Ok(()),
        },
        Value::Array(_) | Value::Object(_) => match json_bytes(value) {
            bytes if bytes > OBJECT_BYTES_MAX => Err(call.refused(format_args!(
                "{property} is {bytes} bytes as JSON; at most {OBJECT_BYTES_MAX} can be stored"
            ))),
            _ if depth(value) > DEPTH_MAX => Err(call
                .refused(format_args!("{property} has more than {DEPTH_MAX} levels of arrays and objects"))),
            _ => Ok(()),
        },
    }
}

/// Length as scripts count it.
pub(super) fn chars(text: &str) -> usize {
    text.encode_utf16().count()
}

/// What was given, short enough for a message: `undefined`, `"text"`, `42`, `an array`.
pub(super) fn given(value: Option<&Value>) -> String {
    match value {
        None => "undefined".to_owned(),
        Some(Value::Array(_)) => "an array".to_owned(),
        Some(Value::Object(_)) => "an object".to_owned(),
        Some(Value::String(text)) => quoted(text),
        Some(other) => other.to_string(),
    }
}

/// Text in quotes, control characters escaped, cut after 40 characters.
pub(super) fn quoted(text: &str) -> String {
    const SHOWN: usize = 40;
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::Refusal;

    #[test]
    fn slugs() {
        let longest = "a".repeat(SLUG_CHARS_MAX);
        for good in ["a", "0", "pattern-tracker", "a_b-", longest.as_str()] {
            assert!(Slug::new(good).is_some(), "{good}");
        }
        let longer = "a".repeat(SLUG_CHARS_MAX + 1);
        for bad in ["", "-a", "_a", "A", "a b", "é", "a\n", longer.as_str()] {
            assert!(Slug::new(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn field_keys() {
        let longest = "k".repeat(128);
        for good in ["a", "__proto__", "A.b-c_9", ".", longest.as_str()] {
            assert!(FieldKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a\n", "a[0]", "a\0"] {
            let why = FieldKey::new(bad).unwrap_err();
            assert!(why.ends_with("does not match ^[A-Za-z0-9_.-]+$"), "{why}");
        }
        let why = FieldKey::new(&"k".repeat(129)).unwrap_err();
        assert!(why.starts_with("is longer than 128 characters"));
    }

    #[test]
    fn references() {
        let ok = |kind: &str, id: &str| Reference::new(kind, id).is_ok();
        assert!(ok("customer", "email:ann@example.com"));
        assert!(ok(&"t".repeat(64), &"x".repeat(512)));
        assert!(ok("t", "nul \0, newline \n and 🙂"));
        assert!(ok("t", &"🙂".repeat(256)), "two code units each");
        assert!(!ok("t", &format!("{}x", "🙂".repeat(256))));
        assert!(!ok(&"t".repeat(65), "x") && !ok("", "x") && !ok("a.b", "x"));
        assert!(!ok("t", "") && !ok("t", &"x".repeat(513)));
        for c in ['{', '}', '[', ']', '"', '\\'] {
            assert!(!ok("t", &format!("a{c}b")), "{c}");
        }
    }

    #[test]
    fn values_just_under_and_just_over() {
        let ok = |v: Value| value(Call::SetField, "value", &v).is_ok();
        for v in [json!(0), json!(false), json!(""), json!(-0.0), json!([])] {
            assert!(ok(v));
        }
        assert!(ok(json!("x".repeat(10_000))) && !ok(json!("x".repeat(10_001))));
        assert!(ok(json!("🙂".repeat(5_000))) && !ok(json!("🙂".repeat(5_001))));
        let nested = |levels| (0..levels).fold(json!(1), |inner, _| json!([inner]));
        assert!(ok(nested(500)) && !ok(nested(501)));
        assert!(ok(json!(["x".repeat(10_240 - 4)])) && !ok(json!(["x".repeat(10_240 - 3)])));
        assert_eq!(
            value(Call::SetField, "value", &json!("x".repeat(10_001))).unwrap_err(),
            CrmError::Refused(
                Refusal::InvalidInput,
                "setCrmField: value is a string of 10001 characters; at most 10000 can be stored".to_owned()
            )
        );
    }

    #[test]
    fn what_was_given_is_short_and_escaped() {
        assert_eq!(given(None), "undefined");
        assert_eq!(given(Some(&json!(null))), "null");
        assert_eq!(given(Some(&json!("a\u{1b}[31m"))), r#""a\u{1b}[31m""#);
        assert_eq!(given(Some(&json!({}))), "an object");
        assert_eq!(quoted(&"x".repeat(99)), format!("\"{}…\"", "x".repeat(40)));
    }
}
