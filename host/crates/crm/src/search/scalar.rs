//! How stored values compare. A value is compared by the bytes of its [`SortKey`], which sort in the same
//! way on every database: booleans, then numbers, then texts, then arrays and objects, then entries
//! without the field. Texts sort by their UTF-8 bytes, and numbers as doubles.

use std::cmp::Ordering;

use sha2::{Digest as _, Sha256};

use super::Operand;

const FLAG: u8 = 0x10;
const NUMBER: u8 = 0x20;
pub(super) const TEXT: u8 = 0x30;
const OTHER: u8 = 0x40;
pub(super) const MISSING: u8 = 0x50;

/// The bytes of a text that an index and an order take into account.
pub(super) const TEXT_KEY_BYTES: usize = 120;
/// The longest stored number.
const NUMBER_BYTES: usize = 9;
/// The longest start of a stored text before its first byte.
const HEADER_BYTES: usize = 5;

/// A stored value. A text can be cut.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Scalar<'a> {
    Flag(bool),
    Number(f64),
    /// The first bytes of a text, and the length of the whole text.
    Text(&'a [u8], usize),
    /// An array or an object.
    Other,
    Missing,
}

impl<'a> Scalar<'a> {
    /// Reads the first bytes of a value in MessagePack.
    pub(super) fn of_stored(stored: &'a [u8]) -> Self {
        let Some((&kind, rest)) = stored.split_first() else { return Self::Missing };
        let number = |bytes: usize| -> Option<u64> {
            let bytes = rest.get(..bytes)?;
            Some(bytes.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
        };
        let signed = |bytes: usize| -> Option<f64> {
            let shift = 64 - 8 * bytes as u32;
            Some(((number(bytes)? << shift) as i64 >> shift) as f64)
        };
        let text = |length: Option<u64>, bytes: usize| {
            let length = usize::try_from(length?).ok()?;
            let text = rest.get(bytes..)?;
            Some(Self::Text(text.get(..length).unwrap_or(text), length))
        };
        let scalar = match kind {
            0x00..=0x7f => Some(Self::Number(f64::from(kind))),
            0xe0..=0xff => Some(Self::Number(f64::from(kind as i8))),
            0xc2 => Some(Self::Flag(false)),
            0xc3 => Some(Self::Flag(true)),
            0xca => number(4).map(|bits| Self::Number(f64::from(f32::from_bits(bits as u32)))),
            0xcb => number(8).map(|bits| Self::Number(f64::from_bits(bits))),
            0xcc..=0xcf => number(1 << (kind - 0xcc)).map(|number| Self::Number(number as f64)),
            0xd0..=0xd3 => signed(1 << (kind - 0xd0)).map(Self::Number),
            0xa0..=0xbf => text(Some(u64::from(kind & 0x1f)), 0),
            0xd9 => text(number(1), 1),
            0xda => text(number(2), 2),
            0xdb => text(number(4), 4),
            _ => None,
        };
        scalar.unwrap_or(Self::Other)
    }

    /// The bytes of a stored value that decide about texts of `length` bytes, and about numbers.
    pub(super) fn stored_bytes(length: usize) -> usize {
        length.saturating_add(HEADER_BYTES + 1).max(NUMBER_BYTES)
    }

    /// How the value compares with `operand`. `None` if they are of different types.
    pub(super) fn compare(self, operand: &Operand) -> Option<Ordering> {
        match (self, operand) {
            (Self::Flag(flag), Operand::Flag(other)) => Some(flag.cmp(other)),
            (Self::Number(number), Operand::Number(other)) => number.partial_cmp(other),
            (Self::Text(text, _), Operand::Text(other)) => Some(text.cmp(other.as_bytes())),
            _ => None,
        }
    }

    pub(super) fn starts_with(self, start: &str) -> bool {
        matches!(self, Self::Text(text, _) if text.starts_with(start.as_bytes()))
    }

    pub(super) fn sort_key(self) -> SortKey {
        let mut key = Vec::new();
        match self {
            Self::Flag(flag) => key.extend([FLAG, u8::from(flag)]),
            Self::Number(number) => {
                key.push(NUMBER);
                key.extend(ordered_bits(number).to_be_bytes());
            }
            Self::Text(text, _) => {
                key.push(TEXT);
                key.extend(text.iter().take(TEXT_KEY_BYTES));
            }
            Self::Other => key.push(OTHER),
            Self::Missing => key.push(MISSING),
        }
        SortKey(key)
    }
}

/// Bits that sort like the numbers. `-0` is the same as `0`.
fn ordered_bits(number: f64) -> u64 {
    let bits = (number + 0.0).to_bits();
    if bits >> 63 == 1 { !bits } else { bits | 1 << 63 }
}

/// What an index has for a value. Values that compare as equal have the same key; so have texts that only
/// differ after their first 120 bytes.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct SortKey(Vec<u8>);

impl SortKey {
    /// The key of a value in MessagePack.
    pub fn of_stored(stored: &[u8]) -> Self {
        Scalar::of_stored(stored).sort_key()
    }

    /// The key of an entry that does not have the field.
    pub fn missing() -> Self {
        Scalar::Missing.sort_key()
    }

    /// The key as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// A hash of a value, which two entries cannot both have in a unique field. Numbers and texts have the same
/// hash exactly if they are equal, arrays and objects if they have the same JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UniqueKey([u8; 16]);

impl UniqueKey {
    /// The hash of a value in MessagePack.
    pub fn of_stored(stored: &[u8]) -> Self {
        let scalar = Scalar::of_stored(stored);
        let mut hash = Sha256::new();
        match scalar {
            Scalar::Text(text, _) => hash.update([&[TEXT], text].concat()),
            Scalar::Other => hash.update([&[OTHER], stored].concat()),
            other => hash.update(other.sort_key().as_bytes()),
        }
        let hash: [u8; 32] = hash.finalize().into();
        let mut key = [0; 16];
        key.copy_from_slice(hash.split_at(16).0);
        Self(key)
    }

    /// The hash as it is stored.
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}
