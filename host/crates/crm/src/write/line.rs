//! Lines. A line is a reference in an entity. The writes and jobs of a line are executed one
//! after another.

use std::fmt;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use crate::{Address, Reference, Slug};

/// A reference's entries in one entity of a brand.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Line {
    /// The entity's slug.
    pub slug: Slug,
    /// The reference that owns the entries.
    pub reference: Reference,
}

/// A hash of a line and its brand. If two lines had the same key, their writes would only wait
/// for each other without need.
pub type LineKey = [u8; 16];

impl Slug {
    /// A hash of the entity and its brand, which is no key of a line.
    pub fn key(&self, brand: &str) -> LineKey {
        key_of(&[brand, self.as_str()])
    }
}

fn key_of(parts: &[&str]) -> LineKey {
    let mut hash = Sha256::new();
    for part in parts {
        // With lengths, so that two different lists of parts never give the same bytes.
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let hash: [u8; 32] = hash.finalize().into();
    let mut key = LineKey::default();
    key.copy_from_slice(hash.split_at(16).0);
    key
}

impl Line {
    /// The line's key in `brand`.
    pub fn key(&self, brand: &str) -> LineKey {
        key_of(&[brand, self.slug.as_str(), self.reference.kind(), self.reference.id()])
    }
}

impl fmt::Display for Line {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.slug.as_str(), self.reference)
    }
}

impl Address {
    /// The address without its brand.
    pub fn line(&self) -> Line {
        Line { slug: self.slug.clone(), reference: self.reference.clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn different_lines_have_different_keys() {
        let line = |slug: &str, kind: &str, id: &str| Line {
            slug: Slug::new(slug).unwrap(),
            reference: Reference::new(kind, id).unwrap(),
        };
        let mut keys = vec![
            line("leads", "customer", "7").key("acme"),
            line("leads", "customer", "7").key("acm"),
            line("leads", "customer", "77").key("acme"),
            line("leads", "custome", "r7").key("acme"),
            line("lead", "s", "7").key("acme"),
        ];
        assert_eq!(line("leads", "customer", "7").key("acme"), keys[0]);
        keys.sort_unstable();
        keys.dedup();
        assert_eq!(keys.len(), 5);
    }
}
