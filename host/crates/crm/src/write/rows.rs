//! What a store loads for a plan.

use super::Line;
use crate::{EntityMode, EntryId, FieldKey, Pipeline};

/// What a plan has to know of one line.
#[derive(Clone, Debug, PartialEq)]
pub struct Want {
    /// Which line.
    pub line: Line,
    /// The newest entry that has each of these keys; each key once.
    pub keys: Vec<FieldKey>,
    /// What they hold, too.
    pub values: bool,
    /// Every entry, not only the newest.
    pub all: bool,
    /// How many entries there are.
    pub count: bool,
    /// The entity's pipelines with their stages.
    pub pipelines: bool,
}

impl Want {
    /// The newest entry and nothing else.
    pub(super) fn of(line: Line) -> Self {
        Self { line, keys: Vec::new(), values: false, all: false, count: false, pipelines: false }
    }

    pub(super) fn with_unique_keys(mut self) -> Self {
        self.keys.sort_unstable();
        self.keys.dedup();
        self
    }
}

/// What a store found, all of one moment.
#[derive(Clone, Debug, PartialEq)]
pub struct LineRows {
    /// The entity's mode.
    pub mode: EntityMode,
    /// In order; empty where they were not wanted.
    pub pipelines: Vec<Pipeline>,
    /// Entries of the reference; 0 where they were not to be counted.
    pub count: u32,
    /// The newest entry, the holders of the wanted keys, and all others where they
    /// were wanted. Newest first, each once.
    pub entries: Vec<EntryRow>,
    /// For each wanted key that any entry has.
    pub held: Vec<Held>,
}

/// An entry without its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryRow {
    /// Ascends with creation.
    pub id: EntryId,
    /// Where it stands.
    pub stage_id: Option<i64>,
    /// How many keys it has.
    pub keys: u32,
    /// Sum of [`value_bytes`](crate::value_bytes) over them.
    pub bytes: u64,
}

/// Where a key's newest value is.
#[derive(Clone, Debug, PartialEq)]
pub struct Held {
    /// One of the wanted keys.
    pub key: FieldKey,
    /// The newest entry that has it.
    pub entry: EntryId,
    /// Length of the stored value, which is MessagePack.
    pub stored_bytes: usize,
    /// The stored value, where values were wanted.
    pub value: Vec<u8>,
}
