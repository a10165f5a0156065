//! The ids of kept files. An id says everything about a file except its size: the name that the script gave it,
//! whether everybody may read it, and its type. So no list of files has to agree with the store.
//!
//! `invoices/2026~s0f3a….pdf`: the name, `p` (public) or `s` (signed addresses only), random digits, and the ending.

use std::fmt;

use sluice_kit::hex::hex;

use crate::media::{self, Media};

/// A name cannot have more bytes.
const NAME_BYTES_MAX: usize = 120;
const RANDOM_BYTES: usize = 16;
const ID_BYTES_MAX: usize = 200;

/// The id of a kept file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct FileId(String);

/// Why a text is not a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a name has 1 to {NAME_BYTES_MAX} letters, digits, `_`, `-`, `.` and `/`, and no part of it begins with a point"
)]
pub struct BadName;

/// Whether a text may be the name of a file, or the beginning of one.
fn is_name(name: &str) -> bool {
    let is_part = |part: &str| !part.is_empty() && !part.starts_with('.');
    (1..=NAME_BYTES_MAX).contains(&name.len()) && is_name_prefix(name) && name.split('/').all(is_part)
}

/// Whether a text may be the beginning of a name.
pub fn is_name_prefix(text: &str) -> bool {
    let is_name_byte = |byte: u8| byte.is_ascii_alphanumeric() || b"_-./".contains(&byte);
    text.len() <= NAME_BYTES_MAX && text.bytes().all(is_name_byte)
}

impl FileId {
    /// A new id, which nobody can guess. `None` without random numbers.
    ///
    /// # Errors
    /// The name is not one.
    pub fn new(name: &str, is_public: bool, media: Media) -> Result<Option<Self>, BadName> {
        if !is_name(name) {
            return Err(BadName);
        }
        let mut random = [0; RANDOM_BYTES];
        if getrandom::fill(&mut random).is_err() {
            return Ok(None);
        }
        let kind = if is_public { 'p' } else { 's' };
        Ok(Some(Self(format!("{name}~{kind}{}.{}", hex(&random), media.ending))))
    }

    /// The id that a text is.
    pub fn parse(text: &str) -> Option<Self> {
        let (name, rest) = text.split_once('~')?;
        let (random, ending) = rest.split_once('.')?;
        let random = random.strip_prefix(['p', 's'])?;
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let is_valid = text.len() <= ID_BYTES_MAX
            && is_name(name)
            && random.len() == 2 * RANDOM_BYTES
            && random.bytes().all(is_hex)
            && media::of_ending(ending).ending == ending;
        is_valid.then(|| Self(text.to_owned()))
    }

    /// The name that the script gave the file.
    pub fn name(&self) -> &str {
        self.0.split('~').next().unwrap_or_default()
    }

    /// Whether everybody who knows the address may read the file.
    pub fn is_public(&self) -> bool {
        self.0.split_once('~').is_some_and(|(_, rest)| rest.starts_with('p'))
    }

    /// The type of the file.
    pub fn media(&self) -> Media {
        media::of_ending(self.0.rsplit('.').next().unwrap_or_default())
    }

    /// The name under which a browser saves the file.
    pub fn filename(&self) -> String {
        let last = self.name().rsplit('/').next().unwrap_or_default();
        let ending = self.media().ending;
        let has_ending = last.rsplit_once('.').is_some_and(|(_, own)| own.eq_ignore_ascii_case(ending));
        if has_ending { last.to_owned() } else { format!("{last}.{ending}") }
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for FileId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_says_what_the_file_is() {
        let png = media::of_ending("png");
        let id = FileId::new("avatars/ann", true, png).unwrap().unwrap();
        assert_eq!(FileId::parse(id.as_str()), Some(id.clone()));
        assert_eq!((id.name(), id.is_public(), id.media()), ("avatars/ann", true, png));
        assert_eq!(id.filename(), "ann.png");
        let other = FileId::new("a.PNG", false, png).unwrap().unwrap();
        assert_eq!((other.filename().as_str(), other.is_public()), ("a.PNG", false));
        assert_ne!(FileId::new("a", true, png), FileId::new("a", true, png));
    }

    #[test]
    fn names_lead_nowhere_else() {
        let png = media::of_ending("png");
        for name in
            ["", ".", "..", "../a", "a/../b", "/a", "a/", "a//b", "a b", "a~b", "a\\b", "\u{e9}", "a/.b"]
        {
            assert_eq!(FileId::new(name, true, png), Err(BadName), "{name}");
        }
        assert!(FileId::new(&"a".repeat(NAME_BYTES_MAX), true, png).is_ok());
        assert!(FileId::new(&"a".repeat(NAME_BYTES_MAX + 1), true, png).is_err());
        let random = "0".repeat(32);
        assert!(FileId::parse(&format!("a~p{random}.png")).is_some());
        for text in [
            "a".to_owned(),
            format!("a~x{random}.png"),
            format!("a~p{random}.exe"),
            format!("a~p{random}"),
            format!("a~p{random}.png/x"),
            format!("../a~p{random}.png"),
            format!("a~p{}.png", "0".repeat(31)),
            format!("a~p{}.png", "G".repeat(32)),
        ] {
            assert_eq!(FileId::parse(&text), None, "{text}");
        }
    }
}
