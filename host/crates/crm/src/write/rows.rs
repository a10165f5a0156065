//! The rows that a store loads for a plan.

use super::Line;
use crate::{EntityMode, EntryId, FieldIndex, FieldKey, Pipeline};

/// What a plan needs to know about one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// The line.
    pub line: Line,
    /// For each of these keys, the newest entry that has it. Each key is there once.
    pub keys: Vec<FieldKey>,
    /// The values of these keys, too.
    pub values: bool,
    /// Only this entry, if it is in the line: [`keys`](Self::keys) are looked for in it.
    pub entry: Option<EntryId>,
    /// Every entry, not only the newest.
    pub all: bool,
    /// The number of entries.
    pub count: bool,
    /// The entity's pipelines with their stages.
    pub pipelines: bool,
}

impl Want {
    /// Wants only the newest entry.
    pub(super) fn of(line: Line) -> Self {
        let keys = Vec::new();
        Self { line, keys, values: false, entry: None, all: false, count: false, pipelines: false }
    }

    pub(super) fn with_unique_keys(mut self) -> Self {
        self.keys.sort_unstable();
        self.keys.dedup();
        self
    }
}

/// The rows that a store loaded for one [`Want`], all of one snapshot.
#[derive(Clone, Debug, PartialEq)]
pub struct LineRows {
    /// The entity's mode.
    pub mode: EntityMode,
    /// In order. Empty if they were not wanted.
    pub pipelines: Vec<Pipeline>,
    /// The indexes of the entity's fields.
    pub indexes: Vec<FieldIndex>,
    /// The number of the reference's entries. 0 if it was not wanted.
    pub count: u32,
    /// The wanted entry. Or else the newest entry, the entries with the wanted keys, and all others if they were wanted.
    /// Newest first, each once.
    pub entries: Vec<EntryRow>,
    /// One for each wanted key that an entry has.
    pub held: Vec<Held>,
}

/// An entry without its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// A later entry has a greater id.
    pub id: EntryId,
    /// The id of its stage, if it is in one.
    pub stage_id: Option<i64>,
    /// How often it was moved to another stage.
    pub stage_moves: u64,
    /// Unix milliseconds of the last change.
    pub updated_at: i64,
    /// The number of its keys.
    pub keys: u32,
    /// The sum of [`value_bytes`](crate::value_bytes) over its keys.
    pub bytes: u64,
}

/// The newest value of a key, or that of the wanted entry.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// One of the wanted keys.
    pub key: FieldKey,
    /// The entry that has the key.
    pub entry: EntryId,
    /// Length of the stored value, which is MessagePack.
    pub stored_bytes: usize,
    /// The stored value. Empty if values were not wanted.
    pub value: Vec<u8>,
}
