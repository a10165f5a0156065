//! Where a value is stored.

use super::error::KeyError;
use super::{CACHE_KEY_CHARS_MAX, KEY_CHARS_MAX, NAMESPACE_CHARS_MAX};

/// The two places in which values are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Area {
    /// Durable values.
    Storage,
    /// Values that may be forgotten.
    Cache,
}

impl Area {
    fn key_chars_max(self) -> usize {
        match self {
            Self::Storage => KEY_CHARS_MAX,
            Self::Cache => CACHE_KEY_CHARS_MAX,
        }
    }
}

/// Whether keys and namespaces may contain this byte.
fn is_allowed(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b':' | b'-')
}

/// The key of a value, or a prefix of keys.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Key(String);

impl Key {
    /// Checks a key.
    ///
    /// # Errors
    /// The key is empty, too long, or contains another character than `A-Z a-z 0-9 _ . : -`.
    pub fn new(area: Area, text: &str) -> Result<Self, KeyError> {
        match text {
            "" => Err(KeyError::Empty),
            _ => Self::prefix(area, text),
        }
    }

    /// Checks the beginning of keys, which may be empty.
    ///
    /// # Errors
    /// As [`Key::new`].
    pub fn prefix(area: Area, text: &str) -> Result<Self, KeyError> {
        checked(text, area.key_chars_max()).map(Self)
    }

    /// The text of the key.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// A group of keys. The same key in two namespaces names two values.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Namespace(String);

impl Namespace {
    /// Checks a namespace.
    ///
    /// # Errors
    /// The namespace is empty, too long, or contains another character than `A-Z a-z 0-9 _ . : -`.
    pub fn new(text: &str) -> Result<Self, KeyError> {
        match text {
            "" => Err(KeyError::Empty),
            _ => checked(text, NAMESPACE_CHARS_MAX).map(Self),
        }
    }

    /// The text of the namespace.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Namespace {
    fn default() -> Self {
        Self("default".to_owned())
    }
}

fn checked(text: &str, chars_max: usize) -> Result<String, KeyError> {
    if text.len() > chars_max {
        return Err(KeyError::TooLong { chars_max });
    }
    match text.bytes().all(is_allowed) {
        true => Ok(text.to_owned()),
        false => Err(KeyError::Characters),
    }
}

/// The group of keys that a call uses.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Place {
    /// `storage` or `cache`.
    pub area: Area,
    /// The brand's id.
    pub brand: String,
    /// The script's group of keys.
    pub namespace: Namespace,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_have_a_limited_alphabet_and_length() {
        let valid = ["a", "user:42", "A.b_c-d:9", &"k".repeat(191)];
        for text in valid {
            assert_eq!(Key::new(Area::Storage, text).unwrap().as_str(), text);
        }
        assert_eq!(Key::new(Area::Storage, ""), Err(KeyError::Empty));
        assert_eq!(Key::new(Area::Storage, &"k".repeat(192)), Err(KeyError::TooLong { chars_max: 191 }));
        assert!(Key::new(Area::Cache, &"k".repeat(200)).is_ok());
        assert_eq!(Key::new(Area::Cache, &"k".repeat(201)), Err(KeyError::TooLong { chars_max: 200 }));
        for text in ["a b", "ä", "a/b", "a\0", "a\n", "%", "a~"] {
            assert_eq!(Key::new(Area::Storage, text), Err(KeyError::Characters), "{text:?}");
        }
        assert!(Key::prefix(Area::Storage, "").is_ok());
        assert!(Namespace::new(&"n".repeat(64)).is_ok());
        assert_eq!(Namespace::new(&"n".repeat(65)), Err(KeyError::TooLong { chars_max: 64 }));
    }
}
