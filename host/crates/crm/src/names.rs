//! Slugs, field keys and references: checked text by which entities, values and entries are
//! named. Pure, and used by everything else in this crate.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{FIELD_KEY_CHARS_MAX, REFERENCE_ID_CHARS_MAX, REFERENCE_TYPE_CHARS_MAX, SLUG_CHARS_MAX};

/// An entity's slug: `^[a-z0-9][a-z0-9_-]*$`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// A field's key: `^[A-Za-z0-9_.-]+$`. `__proto__` is an ordinary key.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct FieldKey(String);

/// The person or thing that entries belong to, such as `customer` and a customer's id.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "(String, String)", into = "(String, String)")]
pub struct Reference {
    kind: String,
    id: String,
}

/// The text is not a slug.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{} is not a slug", quoted(.0))]
pub struct SlugError(String);

/// Why a text is not a field key. `Display` writes a sentence without its subject, which is
/// the name of the property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FieldKeyError {
    /// It is empty or has another character.
    #[error("{} does not match ^[A-Za-z0-9_.-]+$", quoted(.0))]
    Characters(String),
    /// It is longer than 128 characters.
    #[error("is longer than {FIELD_KEY_CHARS_MAX} characters: {}", quoted(.0))]
    TooLong(String),
}

/// Why a type and an id are not a reference. `Display` names the property.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceError {
    /// The type is empty or has another character.
    #[error("referenceType {} does not match ^[A-Za-z0-9_-]+$", quoted(.0))]
    TypeCharacters(String),
    /// The type is longer than 64 characters.
    #[error("referenceType is longer than {REFERENCE_TYPE_CHARS_MAX} characters")]
    TypeTooLong,
    /// The id is empty. All callers without an id would share such a reference.
    #[error("referenceId is empty")]
    NoId,
    /// The id is longer than 512 UTF-16 code units.
    #[error("referenceId is longer than {REFERENCE_ID_CHARS_MAX} characters")]
    IdTooLong,
    /// The id has a character that is forbidden in ids.
    #[error(r#"referenceId must not contain {{ }} [ ] " or \"#)]
    IdCharacters,
}

impl Slug {
    /// Checks `text`. Returns `None` if no entity can have this slug.
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
    /// Checks `text`.
    ///
    /// # Errors
    /// The text is not a field key.
    pub fn new(text: &str) -> Result<Self, FieldKeyError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b"_.-".contains(&b);
        if text.is_empty() || !text.bytes().all(letter) {
            return Err(FieldKeyError::Characters(text.to_owned()));
        }
        if text.len() > FIELD_KEY_CHARS_MAX {
            return Err(FieldKeyError::TooLong(text.to_owned()));
        }
        Ok(Self(text.to_owned()))
    }

    /// The key's text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Reference {
    /// Checks a type and an id.
    ///
    /// # Errors
    /// One of them is invalid.
    pub fn new(kind: &str, id: &str) -> Result<Self, ReferenceError> {
        let letter = |b: u8| b.is_ascii_alphanumeric() || b == b'_' || b == b'-';
        if kind.is_empty() || !kind.bytes().all(letter) {
            return Err(ReferenceError::TypeCharacters(kind.to_owned()));
        }
        if kind.len() > REFERENCE_TYPE_CHARS_MAX {
            return Err(ReferenceError::TypeTooLong);
        }
        if id.is_empty() {
            return Err(ReferenceError::NoId);
        }
        if chars(id) > REFERENCE_ID_CHARS_MAX {
            return Err(ReferenceError::IdTooLong);
        }
        if id.contains(['{', '}', '[', ']', '"', '\\']) {
            return Err(ReferenceError::IdCharacters);
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

/// Writes `customer/7`, with control characters escaped.
impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.kind, self.id.escape_debug())
    }
}

// What a stored job contains is checked like what a script sends.

impl TryFrom<String> for Slug {
    type Error = SlugError;

    fn try_from(text: String) -> Result<Self, SlugError> {
        Self::new(&text).ok_or(SlugError(text))
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl TryFrom<String> for FieldKey {
    type Error = FieldKeyError;

    fn try_from(text: String) -> Result<Self, FieldKeyError> {
        Self::new(&text)
    }
}

impl From<FieldKey> for String {
    fn from(key: FieldKey) -> Self {
        key.0
    }
}

impl TryFrom<(String, String)> for Reference {
    type Error = ReferenceError;

    fn try_from((kind, id): (String, String)) -> Result<Self, ReferenceError> {
        Self::new(&kind, &id)
    }
}

impl From<Reference> for (String, String) {
    fn from(reference: Reference) -> Self {
        (reference.kind, reference.id)
    }
}

/// The length of a text in UTF-16 code units, as scripts count it.
pub(crate) fn chars(text: &str) -> usize {
    text.encode_utf16().count()
}

/// How many characters of a text messages show.
const SHOWN_CHARS: usize = 40;

/// A text in quotes for a message: control characters escaped, cut after 40 characters.
pub(crate) fn quoted(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN_CHARS).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    format!("{shown:?}")
}

/// The part of a text that an error keeps for [`quoted`]: one more character than is shown, so
/// that the cut is marked.
pub(crate) fn shown(text: &str) -> String {
    text.chars().take(SHOWN_CHARS + 1).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn checks_slugs() {
        let longest = "a".repeat(SLUG_CHARS_MAX);
        for good in ["a", "0", "pattern-tracker", "a_b-", longest.as_str()] {
            assert!(Slug::new(good).is_some(), "{good}");
        }
        let longer = "a".repeat(SLUG_CHARS_MAX + 1);
        for bad in ["", "-a", "_a", "A", "a b", "é", "a\n", longer.as_str()] {
            assert!(Slug::new(bad).is_none(), "{bad}");
        }
        assert_eq!(Slug::try_from("A".to_owned()).unwrap_err().to_string(), "\"A\" is not a slug");
    }

    #[test]
    fn checks_field_keys() {
        let longest = "k".repeat(128);
        for good in ["a", "__proto__", "A.b-c_9", ".", longest.as_str()] {
            assert!(FieldKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", " ", "a b", "ä", "a\n", "a[0]", "a\0"] {
            let why = FieldKey::new(bad).unwrap_err().to_string();
            assert!(why.ends_with("does not match ^[A-Za-z0-9_.-]+$"), "{why}");
        }
        let why = FieldKey::new(&"k".repeat(129)).unwrap_err().to_string();
        assert!(why.starts_with("is longer than 128 characters: \"kkk"), "{why}");
    }

    #[test]
    fn checks_references() {
        let ok = |kind: &str, id: &str| Reference::new(kind, id).is_ok();
        assert!(ok("customer", "email:ann@example.com"));
        assert!(ok(&"t".repeat(64), &"x".repeat(512)));
        assert!(ok("t", "nul \0, newline \n and 🙂"));
        assert!(ok("t", &"🙂".repeat(256)), "two code units each");
        assert!(!ok("t", &format!("{}x", "🙂".repeat(256))));
        assert!(!ok(&"t".repeat(65), "x") && !ok("", "x") && !ok("a.b", "x"));
        assert!(!ok("t", "") && !ok("t", &"x".repeat(513)));
        for c in ['{', '}', '[', ']', '"', '\\'] {
            let error = Reference::new("t", &format!("a{c}b")).unwrap_err();
            assert_eq!(error.to_string(), r#"referenceId must not contain { } [ ] " or \"#);
        }
    }

    #[test]
    fn quotes_short_and_escaped() {
        assert_eq!(quoted("a\u{1b}[31m"), r#""a\u{1b}[31m""#);
        assert_eq!(quoted(&"x".repeat(99)), format!("\"{}…\"", "x".repeat(40)));
        assert_eq!(quoted(&shown(&"é".repeat(99))), quoted(&"é".repeat(99)));
        assert_eq!(quoted(&shown(&"é".repeat(40))), quoted(&"é".repeat(40)));
    }
}
