//! Positions in the order of a search, and the cursors that scripts see for them.

use std::fmt::Write as _;

use sha2::{Digest as _, Sha256};

use crate::EntryId;

/// A place in an order: entries follow if their key is greater, or if it is the same and their id is greater.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Position {
    /// The bytes of a [`SortKey`](super::SortKey). Empty in the order of creation.
    pub key: Vec<u8>,
    /// The entry.
    pub id: EntryId,
}

/// Tells the cursors of different searches apart, so that a cursor is not taken for one of another search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct CursorKey([u8; 8]);

impl CursorKey {
    /// The key for a search with these options.
    pub(crate) fn of<'a>(parts: impl IntoIterator<Item = &'a str>) -> Self {
        let mut hash = Sha256::new();
        for part in parts {
            hash.update((part.len() as u64).to_be_bytes());
            hash.update(part.as_bytes());
        }
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 8];
        key.copy_from_slice(hash.split_at(8).0);
        Self(key)
    }
}

/// The text that stands for a position: the key of the search, the id and the key of the position as
/// hexadecimal digits. It gives no rights: a search from any position returns what a script can read anyway.
pub(crate) struct Cursor;

impl Cursor {
    pub(crate) fn text(key: CursorKey, position: &Position) -> String {
        let bytes = key.0.iter().chain(position.id.as_bytes()).chain(&position.key);
        bytes.fold(String::new(), |mut text, byte| {
            let _ = write!(text, "{byte:02x}");
            text
        })
    }

    /// The position. `None` if the text is no cursor of this search.
    pub(crate) fn read(key: CursorKey, text: &str) -> Option<Position> {
        // Longer than any cursor.
        if text.len() > 512 || !text.len().is_multiple_of(2) {
            return None;
        }
        let digits = text.bytes().map(|digit| match digit {
            b'0'..=b'9' => Some(digit - b'0'),
            b'a'..=b'f' => Some(digit - b'a' + 10),
            _ => None,
        });
        let digits = digits.collect::<Option<Vec<u8>>>()?;
        let bytes: Vec<u8> =
            digits.chunks_exact(2).map(|pair| pair.iter().fold(0, |b, d| b << 4 | d)).collect();
        let (of_search, rest) = bytes.split_first_chunk::<8>()?;
        let (id, rest) = rest.split_first_chunk::<16>()?;
        (CursorKey(*of_search) == key).then(|| Position { key: rest.to_vec(), id: EntryId::from_bytes(*id) })
    }
}
