//! Searching the entries of an entity: what a search looks for, and how a database finds it.
//!
//! ```text
//! where, orderBy ─ options/search.rs ─▶ Search ─ drive.rs, which asks SearchRows ─▶ Found
//! ```
//!
//! A database only returns ranges of rows in order. `drive.rs` chooses the range and checks every entry
//! itself, so that a filter means the same on each database. A search examines a bounded number of
//! entries; then it returns what it has found, and the position from which the next call goes on.

mod candidates;
mod drive;
mod filter;
mod position;
mod scalar;
#[cfg(test)]
mod tests;

use sluice_kit::BoxFuture;

pub use candidates::KeyRange;
pub use drive::search;
pub use filter::{Filter, Operand, Test};
pub use position::Position;
pub(crate) use position::{Cursor, CursorKey};
pub use scalar::{SortKey, UniqueKey};

use crate::{BrowsedEntry, CrmFault, EntryId, FieldKey, Reference, Slug};

/// Most entries that one search examines.
pub const EXAMINED_MAX: u32 = 10_000;
/// Most rows of an index that are counted without being examined.
pub const COUNTED_MAX: u32 = 100_000;
/// A filter or an order on a field without an index works for this many entries.
pub const UNINDEXED_ENTRIES_MAX: u32 = 1_000;
/// Most conditions of a filter.
pub const CONDITIONS_MAX: usize = 32;
/// Most levels of `and` and `or` in each other.
pub const FILTER_DEPTH_MAX: usize = 8;
/// Most values of all `in` of a filter. Each can be a statement of the database.
pub const IN_VALUES_MAX: usize = 100;

/// The order of the entries that are found. Entries that are equal are in the order of their ids.
#[derive(Clone, Debug, PartialEq)]
pub struct Order {
    /// The field, or `None` for the order of creation.
    pub field: Option<FieldKey>,
    /// From the last to the first.
    pub is_descending: bool,
}

/// What to look for.
#[derive(Clone, Debug, PartialEq)]
pub struct Search {
    /// The entity.
    pub slug: Slug,
    /// Only entries of this reference.
    pub reference: Option<Reference>,
    /// Only entries that match.
    pub filter: Filter,
    /// In this order.
    pub order: Order,
    /// Only entries after this position.
    pub after: Option<Position>,
    /// At most this many entries. `None` counts them.
    pub limit: Option<u32>,
    /// At most this many bytes of values, but at least one entry.
    pub bytes_max: usize,
}

/// The result of a search.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Found {
    /// The entries, in order. Empty if they were only counted.
    pub entries: Vec<BrowsedEntry>,
    /// Where the next search has to go on. `None` if this one has come to the end.
    pub next: Option<Position>,
    /// The number of entries that match, as far as the search went.
    pub count: u32,
    /// The number of rows that were read to decide whether they match.
    pub examined: u32,
}

/// Where a search looks, as a database knows it.
#[derive(Clone, Debug, PartialEq)]
pub struct Place {
    /// The entity's id.
    pub entity: i64,
    /// The row of the reference. `None` if none was asked for, or if it has no entry.
    pub reference: Option<i64>,
    /// The entries of the entity, or of the reference, up to [`UNINDEXED_ENTRIES_MAX`] and one more.
    pub entries: u32,
    /// The declared fields.
    pub fields: Vec<DeclaredField>,
}

/// A declared field, as far as a search needs it.
#[derive(Clone, Debug, PartialEq)]
pub struct DeclaredField {
    /// The field's key.
    pub key: String,
    /// Its index, if it has one.
    pub index: Option<FieldIndex>,
}

/// The index of a field. It has one row for each entry of the entity.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldIndex {
    /// Its number.
    pub id: i64,
    /// The field's key.
    pub key: String,
    /// Two entries must not have the same value.
    pub is_unique: bool,
    /// Every entry is in it.
    pub is_ready: bool,
}

/// A range of rows in order.
#[derive(Clone, Debug, PartialEq)]
pub enum Source {
    /// The entries of an entity, by id.
    Entity(i64),
    /// The entries of a row in `crm_reference`, by id.
    Reference(i64),
    /// The rows of an index within a range of keys, by key and then by id.
    Index(i64, KeyRange),
}

/// What an entry has for the fields that a search looks at.
#[derive(Clone, Debug, PartialEq)]
pub struct ExaminedRow {
    /// The entry.
    pub id: EntryId,
    /// The row of its reference.
    pub reference: i64,
    /// Keys and the first bytes of their stored values.
    pub values: Vec<(String, Vec<u8>)>,
}

/// What a database returns to a search. All answers are of one snapshot.
pub trait SearchRows {
    /// Looks up the entity, the reference and the fields.
    fn place<'a>(
        &'a mut self,
        slug: &'a Slug,
        reference: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Place, CrmFault>>;

    /// The first `rows_max` rows after `after`. The positions of [`Source::Entity`] and
    /// [`Source::Reference`] have no key.
    fn scan<'a>(
        &'a mut self,
        source: &'a Source,
        after: Option<&'a Position>,
        is_descending: bool,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<Position>, CrmFault>>;

    /// The number of rows, up to `rows_max`.
    fn count<'a>(&'a mut self, source: &'a Source, rows_max: u32) -> BoxFuture<'a, Result<u32, CrmFault>>;

    /// For each entry the values of `keys`, each up to `bytes_max` bytes. In any order.
    fn examine<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        keys: &'a [FieldKey],
        bytes_max: u32,
    ) -> BoxFuture<'a, Result<Vec<ExaminedRow>, CrmFault>>;

    /// Loads entries in the order of `entries`, as long as their keys and values are within `bytes_max`.
    fn load<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Vec<BrowsedEntry>, CrmFault>>;
}
