//! Indexes of fields: which a declaration asks for, what a write changes in them, and how they are built.
//!
//! An index has one row for each entry of its entity, also for those without the field. Writers maintain it
//! from the moment at which it is declared; the entries from before are added in batches. A unique field
//! also has a hash of each value, which only one entry can have.

use crate::search::{SortKey, UniqueKey};
use crate::write::Plan;
use crate::{EntryId, FieldIndex, LineRows, Reference};

/// Most fields with `index` or `unique` in a declared entity. Each costs a row for each entry.
pub const INDEXES_MAX: usize = 16;
/// Most entries that one step of a build reads.
pub const BUILD_ROWS: u32 = 500;
/// Most violations that one step of a build returns.
pub const VIOLATIONS_SHOWN: usize = 20;

/// Whether a field has an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Indexing {
    /// It has none.
    None,
    /// Filters and orders can use it.
    Plain,
    /// Two entries cannot have the same value, either.
    Unique,
}

impl Indexing {
    /// The index of a field for which `index` and `unique` are declared. What is not declared stays.
    pub(crate) fn declared(self, index: Option<bool>, unique: Option<bool>) -> Self {
        match (index, unique) {
            (_, Some(true)) => Self::Unique,
            (Some(false), _) => Self::None,
            (Some(true), Some(false)) => Self::Plain,
            (Some(true), None) => self.max(Self::Plain),
            (None, Some(false)) => self.min(Self::Plain),
            (None, None) => self,
        }
    }

    /// The words for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "no index",
            Self::Plain => "index",
            Self::Unique => "unique",
        }
    }
}

/// What one step has built of an index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct IndexStep {
    /// The brand's id.
    pub brand: String,
    /// The entity's slug.
    pub slug: String,
    /// The field's key.
    pub key: String,
    /// The number of entries that the step has read or removed.
    pub entries: u32,
    /// The index is complete, or cannot be completed because of violations, or is removed.
    pub is_finished: bool,
    /// Entries whose value another entry has, of this step. There may be more than are listed.
    pub violations: Vec<Violation>,
    /// The number of violations of all steps.
    pub violations_total: i64,
}

/// An entry that has the same value in a unique field as another one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violation {
    /// The entry that is not in the index.
    pub entry: EntryId,
    /// The entry's reference.
    pub reference: Reference,
    /// The entry that has the value in the index.
    pub other: EntryId,
}

/// A row of an index to add or to replace.
#[derive(Clone, Debug, PartialEq)]
pub struct IndexRow {
    /// The index.
    pub index: i64,
    /// The entry.
    pub entry: EntryId,
    /// What it has there.
    pub value: SortKey,
}

/// A value of a unique field that an entry takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct UniqueRow {
    /// The index.
    pub index: i64,
    /// The value.
    pub value: UniqueKey,
    /// The entry.
    pub entry: EntryId,
}

impl Plan {
    /// Adds the changes of indexes that follow from the planned values. `rows` are those of the lines.
    pub(crate) fn add_index_changes(&mut self, rows: &[LineRows]) {
        let indexes = |line: usize| rows.get(line).map_or(&[][..], |rows| rows.indexes.as_slice());
        let (mut changed, mut taken, mut freed) = (Vec::new(), Vec::new(), Vec::new());
        for new in &self.values {
            for index in named(indexes(new.line), new.key.as_str()) {
                let value = SortKey::of_stored(&new.value);
                changed.push(IndexRow { index: index.id, entry: new.entry, value });
                if index.is_unique {
                    let value = UniqueKey::of_stored(&new.value);
                    taken.push(UniqueRow { index: index.id, value, entry: new.entry });
                    freed.push((index.id, new.entry));
                }
            }
        }
        // Values are only removed from the first line.
        for (entry, key) in &self.removed_values {
            for index in named(indexes(0), key.as_str()) {
                changed.push(IndexRow { index: index.id, entry: *entry, value: SortKey::missing() });
                if index.is_unique {
                    freed.push((index.id, *entry));
                }
            }
        }
        for new in &self.new_entries {
            for index in indexes(new.line) {
                if !changed.iter().any(|row| row.index == index.id && row.entry == new.id) {
                    changed.push(IndexRow { index: index.id, entry: new.id, value: SortKey::missing() });
                }
            }
        }
        // A later value of a new entry has replaced "missing" already, and a removed entry needs no row.
        changed.retain(|row| !self.deleted_entries.contains(&row.entry));
        // In this order, so that two writers that take two values each never wait for each other.
        taken.sort_unstable();
        (self.index_rows, self.unique_taken, self.unique_freed) = (changed, taken, freed);
    }
}

fn named<'a>(indexes: &'a [FieldIndex], key: &'a str) -> impl Iterator<Item = &'a FieldIndex> {
    indexes.iter().filter(move |index| index.key == key)
}
