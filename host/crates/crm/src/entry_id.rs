//! The ids of entries: UUIDs of version 7, in order of creation. They are not made by the
//! `uuid` crate, which cannot make an id that is certainly greater than a given one.

use std::fmt;

use serde::{Deserialize, Serialize};

const MS_MAX: u64 = (1 << 48) - 1;
const TAIL_BITS: u32 = 74;
const TAIL_MAX: u128 = (1 << TAIL_BITS) - 1;

/// 48 bits of Unix milliseconds and 74 bits that distinguish ids of one millisecond. The ids of
/// one reference ascend in the order in which its entries were made ([`EntryId::after`]), so
/// that the newest entry has the greatest id and one index finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct EntryId([u8; 16]);

impl EntryId {
    /// Makes an id for a new entry. `newest` is the newest entry of its reference. The id is
    /// greater than `newest`, even if clocks disagree or went back.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn after(now_ms: i64, newest: Option<Self>) -> Result<Self, getrandom::Error> {
        let ms = u64::try_from(now_ms).unwrap_or(0).min(MS_MAX);
        match newest {
            Some(newest) if ms <= newest.ms() => {
                // The step is random, so that the next id is as hard to guess as the first.
                let step = u128::from(getrandom::u32()?) + 1;
                let sum = newest.tail() + step;
                Ok(if sum <= TAIL_MAX {
                    Self::build(newest.ms(), sum)
                } else {
                    Self::build(newest.ms() + 1, sum & TAIL_MAX)
                })
            }
            _ => {
                let mut bytes = [0u8; 16];
                getrandom::fill(&mut bytes)?;
                // The top bit stays free for the steps of the same millisecond.
                let tail = u128::from_be_bytes(bytes) & (TAIL_MAX >> 1);
                Ok(Self::build(ms, tail))
            }
        }
    }

    /// Makes an id from the bytes of [`EntryId::as_bytes`]. Any 16 bytes are valid.
    pub fn from_bytes(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }

    /// Reads the text of an id, as `Display` writes it. `None` if no id has such a text.
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0u8; 16];
        let digits: Vec<u8> = text.bytes().filter(|byte| *byte != b'-').collect();
        if digits.len() != 32 {
            return None;
        }
        for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
            let digit = |index: usize| char::from(*pair.get(index)?).to_digit(16);
            *byte = u8::try_from(digit(0)? << 4 | digit(1)?).ok()?;
        }
        let id = Self(bytes);
        (id.to_string() == text).then_some(id)
    }

    /// The id's bytes, which sort like the ids and like their text.
    pub fn as_bytes(&self) -> &[u8; 16] {
        &self.0
    }

    fn ms(self) -> u64 {
        (u128::from_be_bytes(self.0) >> 80) as u64
    }

    fn tail(self) -> u128 {
        let id = u128::from_be_bytes(self.0);
        ((id >> 64) & 0xfff) << 62 | id & ((1 << 62) - 1)
    }

    /// Makes an id from its parts, with version and variant as in RFC 9562.
    fn build(ms: u64, tail: u128) -> Self {
        let (high, low) = (tail >> 62, tail & ((1 << 62) - 1));
        let id = u128::from(ms & MS_MAX) << 80 | 7 << 76 | high << 64 | 0b10 << 62 | low;
        Self(id.to_be_bytes())
    }
}

/// The text is not an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of an entry")]
pub struct EntryIdError;

impl TryFrom<String> for EntryId {
    type Error = EntryIdError;

    fn try_from(text: String) -> Result<Self, EntryIdError> {
        Self::parse(&text).ok_or(EntryIdError)
    }
}

impl From<EntryId> for String {
    fn from(id: EntryId) -> Self {
        id.to_string()
    }
}

/// Writes `01234567-89ab-7def-8123-456789abcdef`.
impl fmt::Display for EntryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, byte) in self.0.iter().enumerate() {
            if matches!(index, 4 | 6 | 8 | 10) {
                f.write_str("-")?;
            }
            write!(f, "{byte:02x}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_ascend_even_if_the_clock_goes_back() {
        let mut ids: Vec<EntryId> = Vec::new();
        for now in [1_000, 1_000, 1_000, 999, 5, -1, i64::MIN, 1_001, 1_001, 2_000] {
            ids.push(EntryId::after(now, ids.last().copied()).unwrap());
        }
        assert!(ids.is_sorted_by(|a, b| a < b));
        assert_eq!(ids[3].ms(), 1_000);
        assert_eq!(ids[7].ms(), 1_001);
        let texts: Vec<_> = ids.iter().map(EntryId::to_string).collect();
        assert!(texts.is_sorted_by(|a, b| a < b));
    }

    #[test]
    fn full_millisecond_overflows_into_the_next() {
        let full = EntryId::build(7, TAIL_MAX);
        let next = EntryId::after(7, Some(full)).unwrap();
        assert!(next > full);
        assert_eq!(next.ms(), 8);
    }

    #[test]
    fn id_keeps_its_parts() {
        for tail in [0, 1, TAIL_MAX, TAIL_MAX >> 1, 1 << 62] {
            let id = EntryId::build(MS_MAX, tail);
            assert_eq!((id.ms(), id.tail()), (MS_MAX, tail));
            assert_eq!(EntryId::from_bytes(*id.as_bytes()), id);
        }
        let id = EntryId::build(0x0123_4567_89ab, 0);
        assert_eq!(id.to_string(), "01234567-89ab-7000-8000-000000000000");
        assert_eq!(EntryId::parse(&id.to_string()), Some(id));
        for other in ["", "0123456789ab70008000000000000000", "01234567-89AB-7000-8000-000000000000", "é"] {
            assert_eq!(EntryId::parse(other), None, "{other}");
        }
    }

    #[test]
    fn ids_without_a_predecessor_differ() {
        let one = EntryId::after(1, None).unwrap();
        assert_ne!(one, EntryId::after(1, None).unwrap());
    }
}
