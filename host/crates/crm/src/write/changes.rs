//! The row changes of a planned write, which a store carries out.

use super::CrmWritten;
use crate::{EntryId, FieldKey, IndexRow, UniqueRow, stage_history_bytes};

/// Row changes, to be carried out in the order of the fields. `line` is an index into
/// the write's [`wants`](super::CrmWrite::wants).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Entries to add. They are created and updated now.
    pub new_entries: Vec<NewEntry>,
    /// Values to add or replace. No entry has a key twice.
    pub values: Vec<NewValue>,
    /// Values to delete.
    pub removed_values: Vec<(EntryId, FieldKey)>,
    /// Entries to delete with all their values.
    pub deleted_entries: Vec<EntryId>,
    /// Entries to move, and the ids of their new stages. Each move is a line of the entry's history.
    pub placed: Vec<(EntryId, i64)>,
    /// All entries and values of the first line are given to the second.
    pub reassigned: Option<(usize, usize)>,
    /// Entries that are updated now, without the new ones.
    pub touched: Vec<EntryId>,
    /// Lines that may have no entry left.
    pub emptied: Vec<usize>,
    /// Rows of indexes to add or to replace.
    pub index_rows: Vec<IndexRow>,
    /// Values of unique fields that entries take, to be taken in this order. If another entry has one of
    /// them, the write is refused as [`Duplicate`](crate::Refusal::Duplicate).
    pub unique_taken: Vec<UniqueRow>,
    /// Indexes and entries whose other values become free.
    pub unique_freed: Vec<(i64, EntryId)>,
    /// By how many bytes the brand's data grow.
    pub bytes: i64,
    /// The result for the caller.
    pub written: CrmWritten,
}

/// An entry to add.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Index of its line.
    pub line: usize,
    /// Greater than any other id of the line.
    pub id: EntryId,
}

/// A value to add or replace.
#[derive(Clone, Debug, PartialEq)]
pub struct NewValue {
    /// Index of its line.
    pub line: usize,
    /// The entry.
    pub entry: EntryId,
    /// The key.
    pub key: FieldKey,
    /// The value as MessagePack.
    pub value: Vec<u8>,
}

impl Plan {
    pub(super) fn new(written: CrmWritten) -> Self {
        Self {
            new_entries: Vec::new(),
            values: Vec::new(),
            removed_values: Vec::new(),
            deleted_entries: Vec::new(),
            placed: Vec::new(),
            reassigned: None,
            touched: Vec::new(),
            emptied: Vec::new(),
            index_rows: Vec::new(),
            unique_taken: Vec::new(),
            unique_freed: Vec::new(),
            bytes: 0,
            written,
        }
    }

    /// Moves `entry`, which is in another stage and was moved `moves` times before.
    pub(super) fn place(&mut self, entry: EntryId, moves: u64, stage_id: i64) {
        self.placed.push((entry, stage_id));
        self.bytes += signed(stage_history_bytes(moves.saturating_add(1)) - stage_history_bytes(moves));
    }

    /// Records that `entry` changes.
    pub(super) fn touch(&mut self, entry: EntryId) {
        let is_new = self.new_entries.iter().any(|new| new.id == entry);
        if !is_new && !self.touched.contains(&entry) {
            self.touched.push(entry);
        }
    }
}

/// Converts a size for a difference. Databases count in 64 signed bits.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
