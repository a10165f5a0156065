//! A write to CRM data. All its parts are checked. A call executes it, or a job stores it.
//!
//! ```text
//! CrmWrite ─ wants() ─▶ what to load ─ the store ─▶ LineRows ─ plan() ─▶ row changes
//! ```
//!
//! In one transaction, the store locks the lines, loads the wanted rows and carries out the
//! plan. It decides nothing, so that every backend does the same.

mod changes;
mod line;
mod place;
mod plan;
mod rows;
mod state;
#[cfg(test)]
mod tests;

use std::fmt;

use serde::{Deserialize, Serialize};
use serde_json::Value;

pub use changes::{NewEntry, NewValue, Plan};
pub use line::{Line, LineKey};
pub use place::{Destination, Named};
pub use rows::{EntryRow, Held, LineRows, Want};

use super::{EntryId, FieldKey, Reference, Slug};

/// One write. A job stores it serialized, so variants and fields must keep their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CrmWrite {
    /// Writes all fields or none.
    SetFields {
        /// The line to write to.
        at: Line,
        /// In order. If two have the same key, the last one is written.
        fields: Vec<(FieldKey, Value)>,
        /// The entry to write to.
        into: WriteInto,
    },
    /// Adds an entry, even without any field.
    CreateEntry {
        /// The line of the entry.
        at: Line,
        /// Each key once.
        fields: Vec<(FieldKey, Value)>,
        /// The stage in which the entry begins.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Destination>,
    },
    /// Changes fields of one entry.
    UpdateEntry {
        /// The line of the entry when the call was made.
        at: Line,
        /// The entry.
        id: EntryId,
        /// Each key once. `None` removes the field.
        fields: Vec<(FieldKey, Option<Value>)>,
        /// The entry is changed only if it was last updated at this time.
        if_updated_at: Option<String>,
        /// The stage to which the entry is moved.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        place: Option<Destination>,
    },
    /// Deletes one entry.
    DeleteEntry {
        /// The line of the entry when the call was made.
        at: Line,
        /// The entry.
        id: EntryId,
    },
    /// Deletes all entries.
    Clear {
        /// The line of the entries.
        at: Line,
    },
    /// Moves entries to a stage.
    Move {
        /// The line of the entries.
        at: Line,
        /// The stage.
        to: Destination,
        /// Moves every entry, not only the newest.
        all_entries: bool,
    },
    /// Copies fields of a reference from one entity to another.
    MoveToEntity {
        /// The reference in both entities.
        reference: Reference,
        /// The source entity.
        from: Slug,
        /// The target entity.
        to: Slug,
        /// Keys in the source and in the target, in order.
        fields: Vec<(FieldKey, FieldKey)>,
        /// The stage to which the target's newest entry is moved.
        place: Option<Destination>,
        /// Removes the copied keys from the source.
        remove_from_old: bool,
    },
    /// Gives all entries of a reference to another one.
    Reassign {
        /// The entity.
        slug: Slug,
        /// The reference that has the entries.
        from: Reference,
        /// The reference that gets them.
        to: Reference,
    },
}

/// The entry to which a field is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteInto {
    /// The newest entry that has the key. Otherwise the newest entry. If there are no entries, a
    /// new one, which the following fields use too.
    Holder,
    /// The newest entry, or a new one if there is none.
    Newest,
    /// One new entry for all fields.
    New,
}

/// The result of a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrmWritten {
    /// All fields were written.
    Fields,
    /// An entry was added.
    Created {
        /// The entry.
        id: EntryId,
    },
    /// An entry was changed.
    Updated {
        /// The time of the change in Unix milliseconds, which is later than that of the one before.
        updated_at: i64,
    },
    /// An entry was deleted.
    Deleted,
    /// Entries were deleted.
    Cleared {
        /// The number of entries.
        deleted: u64,
    },
    /// Entries were moved to a stage.
    Moved {
        /// The number of entries that are in the stage now.
        moved: u64,
        /// The number of all selected entries.
        matched: u64,
        /// The pipeline of the newest entry after the write.
        pipeline_id: i64,
        /// The stage of the newest entry after the write.
        stage_id: i64,
    },
    /// Fields were copied to another entity.
    Copied {
        /// The number of fields written.
        fields: u64,
        /// The number of keys removed from the source.
        removed: u64,
    },
    /// Entries were given to another reference.
    Reassigned {
        /// The number of entries.
        moved: u64,
    },
}

impl CrmWrite {
    /// The name of the call that makes such a write, for people.
    fn name(&self) -> &'static str {
        match self {
            Self::SetFields { into: WriteInto::New, .. } => "addCrmFieldValue",
            Self::SetFields { fields, .. } if fields.len() == 1 => "setCrmField",
            Self::SetFields { .. } => "setCrmFields",
            Self::CreateEntry { .. } => "createCrmEntry",
            Self::UpdateEntry { .. } => "updateCrmEntry",
            Self::DeleteEntry { .. } => "deleteCrmEntry",
            Self::Clear { .. } => "clearCrmEntries",
            Self::Move { .. } => "moveCrmToStage",
            Self::MoveToEntity { .. } => "moveCrmToEntity",
            Self::Reassign { .. } => "reassignCrmReference",
        }
    }

    /// Returns the lines that it reads or writes, each once and sorted. Stores must lock them in
    /// this order, so that writes do not deadlock.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.wants().into_iter().map(|want| want.line).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// The entity's slug and the entry, if the write is to one entry, wherever that is.
    pub fn entry(&self) -> Option<(&Slug, EntryId)> {
        match self {
            Self::UpdateEntry { at, id, .. } | Self::DeleteEntry { at, id } => Some((&at.slug, *id)),
            _ => None,
        }
    }

    /// Tells a write to one entry which reference the entry belongs to now.
    pub fn follow(&mut self, reference: Reference) {
        if let Self::UpdateEntry { at, .. } | Self::DeleteEntry { at, .. } = self {
            at.reference = reference;
        }
    }

    /// Returns the rows that [`plan`](Self::plan) needs, line by line.
    pub fn wants(&self) -> Vec<Want> {
        match self {
            Self::SetFields { at, fields, into } => {
                let mut want = Want::of(at.clone());
                want.count = *into == WriteInto::New;
                // A write into the newest entry may replace a value, whose size must be known.
                if *into != WriteInto::New {
                    want.keys = fields.iter().map(|(key, _)| key.clone()).collect();
                }
                vec![want.with_unique_keys()]
            }
            Self::CreateEntry { at, place, .. } => {
                vec![Want { count: true, pipelines: place.is_some(), ..Want::of(at.clone()) }]
            }
            Self::UpdateEntry { at, id, fields, place, .. } => {
                let (keys, pipelines) =
                    (fields.iter().map(|(key, _)| key.clone()).collect(), place.is_some());
                let want = Want { keys, entry: Some(*id), pipelines, ..Want::of(at.clone()) };
                vec![want.with_unique_keys()]
            }
            Self::DeleteEntry { at, id } => vec![Want { entry: Some(*id), ..Want::of(at.clone()) }],
            Self::Clear { at } => vec![Want { all: true, ..Want::of(at.clone()) }],
            Self::Move { at, all_entries, .. } => {
                vec![Want { all: *all_entries, pipelines: true, ..Want::of(at.clone()) }]
            }
            Self::MoveToEntity { reference, from, to, fields, place, .. } => {
                let mut source = Want::of(Line { slug: from.clone(), reference: reference.clone() });
                source.keys = fields.iter().map(|(from, _)| from.clone()).collect();
                source.values = true;
                let mut target = Want::of(Line { slug: to.clone(), reference: reference.clone() });
                target.keys = fields.iter().map(|(_, to)| to.clone()).collect();
                target.pipelines = place.is_some();
                vec![source.with_unique_keys(), target.with_unique_keys()]
            }
            Self::Reassign { slug, from, to } => {
                let line = |reference: &Reference| Line { slug: slug.clone(), reference: reference.clone() };
                let count = |reference| Want { count: true, ..Want::of(line(reference)) };
                vec![count(from), count(to)]
            }
        }
    }
}

/// Writes `setCrmField leads customer/7`. It contains no values, because these must not be
/// logged.
impl fmt::Display for CrmWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::SetFields { at, .. }
            | Self::CreateEntry { at, .. }
            | Self::UpdateEntry { at, .. }
            | Self::DeleteEntry { at, .. }
            | Self::Clear { at }
            | Self::Move { at, .. } => {
                write!(f, "{name} {at}")
            }
            Self::MoveToEntity { reference, from, to, .. } => {
                write!(f, "{name} {} → {} {reference}", from.as_str(), to.as_str())
            }
            Self::Reassign { slug, from, to } => write!(f, "{name} {} {from} → {to}", slug.as_str()),
        }
    }
}
