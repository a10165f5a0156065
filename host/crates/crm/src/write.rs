//! A write to CRM data, in checked parts only: what a call executes and what a job
//! stores are the same thing.
//!
//! ```text
//! CrmWrite ─ wants() ─▶ what to load ─ the store ─▶ LineRows ─ plan() ─▶ row changes
//! ```
//!
//! The store locks the lines, loads what is wanted and carries the plan out, all in one
//! transaction; it decides nothing, so every backend does the same.

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

pub use line::{Line, LineKey};
pub use place::{Destination, Named};
pub use plan::{NewEntry, NewValue, Plan};
pub use rows::{EntryRow, Held, LineRows, Want};

use super::{FieldKey, Reference, Slug};

/// One write. Serialized, it is what a job stores: variants and their fields keep
/// their names.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub enum CrmWrite {
    /// Writes fields, all or none.
    SetFields {
        /// Where.
        at: Line,
        /// In order; of two with one key the last is written.
        fields: Vec<(FieldKey, Value)>,
        /// Into which entry.
        into: WriteInto,
    },
    /// Deletes all entries.
    Clear {
        /// Whose.
        at: Line,
    },
    /// Puts entries into a stage.
    Move {
        /// Whose.
        at: Line,
        /// Which stage.
        to: Destination,
        /// Every entry, not only the newest.
        all_entries: bool,
    },
    /// Copies fields of a reference from one entity to another.
    MoveToEntity {
        /// In both entities.
        reference: Reference,
        /// Read here.
        from: Slug,
        /// Written here.
        to: Slug,
        /// Key there, key here; in order.
        fields: Vec<(FieldKey, FieldKey)>,
        /// Where the target's newest entry is put.
        place: Option<Destination>,
        /// Takes the copied keys away from where they were read.
        remove_from_old: bool,
    },
    /// Gives all entries of a reference to another one.
    Reassign {
        /// The entity.
        slug: Slug,
        /// Who has them.
        from: Reference,
        /// Who gets them.
        to: Reference,
    },
}

/// Which entry a field is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum WriteInto {
    /// The newest entry that has the key; else the newest; else a new one, which is
    /// then the newest for the fields after it.
    Holder,
    /// The newest entry; else a new one.
    Newest,
    /// A new entry, one for all fields.
    New,
}

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrmWritten {
    /// All fields are written.
    Fields,
    /// Entries that were deleted.
    Cleared {
        /// How many.
        deleted: u64,
    },
    /// Entries were put into a stage.
    Moved {
        /// Entries that were not there before.
        moved: u64,
        /// Entries that it was about.
        matched: u64,
        /// Of the newest one, now.
        pipeline_id: i64,
        /// Of the newest one, now.
        stage_id: i64,
    },
    /// Fields were copied to another entity.
    Copied {
        /// Fields written.
        fields: u64,
        /// Keys taken away from where they were read.
        removed: u64,
    },
    /// Entries have another reference.
    Reassigned {
        /// How many.
        moved: u64,
    },
}

/// Why a write was not done although the database answered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The reference has no entry.
    NoEntry,
    /// No reference is given and nobody is logged in.
    NoReference,
    /// The caller may not do this, or a quota is used up.
    NotAllowed,
    /// An argument is not what it must be.
    InvalidInput,
    /// The entity has no such stage.
    UnknownStage,
    /// The entity has no such pipeline.
    UnknownPipeline,
    /// Several pipelines have such a stage.
    AmbiguousStage,
    /// The stage belongs to another pipeline.
    StageNotInPipeline,
    /// The entity has no pipelines.
    NotCrmMode,
    /// The entries have none of the fields.
    NothingToMove,
}

impl Refusal {
    /// As scripts see it in `error`.
    pub fn code(self) -> &'static str {
        match self {
            Self::NoEntry => "no_entry",
            Self::NoReference => "no_reference",
            Self::NotAllowed => "not_allowed",
            Self::InvalidInput => "invalid_input",
            Self::UnknownStage => "unknown_stage",
            Self::UnknownPipeline => "unknown_pipeline",
            Self::AmbiguousStage => "ambiguous_stage",
            Self::StageNotInPipeline => "stage_not_in_pipeline",
            Self::NotCrmMode => "not_crm_mode",
            Self::NothingToMove => "nothing_to_move",
        }
    }
}

/// A sentence for the page's author.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NoEntry => "the reference has no entry",
            Self::NoReference => "no referenceId was given and nobody is logged in",
            Self::NotAllowed => "this is not allowed",
            Self::InvalidInput => "an argument is not valid",
            Self::UnknownStage => "the entity has no such stage",
            Self::UnknownPipeline => "the entity has no such pipeline",
            Self::AmbiguousStage => "several pipelines have a stage of this slug; name the pipeline, too",
            Self::StageNotInPipeline => "the stage belongs to another pipeline",
            Self::NotCrmMode => "the entity has mode \"data\" and therefore no pipelines",
            Self::NothingToMove => "the entries have none of the fields",
        })
    }
}

impl CrmWrite {
    /// The name of the call that makes such a write, for people.
    pub fn name(&self) -> &'static str {
        match self {
            Self::SetFields { into: WriteInto::New, .. } => "addCrmFieldValue",
            Self::SetFields { fields, .. } if fields.len() == 1 => "setCrmField",
            Self::SetFields { .. } => "setCrmFields",
            Self::Clear { .. } => "clearCrmEntries",
            Self::Move { .. } => "moveCrmToStage",
            Self::MoveToEntity { .. } => "moveCrmToEntity",
            Self::Reassign { .. } => "reassignCrmReference",
        }
    }

    /// The entities and references that it reads or writes; a line that is there
    /// twice is there once. Lock them in their order, and nobody waits in a circle.
    pub fn lines(&self) -> Vec<Line> {
        let mut lines: Vec<Line> = self.wants().into_iter().map(|want| want.line).collect();
        lines.sort_unstable();
        lines.dedup();
        lines
    }

    /// What [`plan`](Self::plan) has to know, line by line.
    pub fn wants(&self) -> Vec<Want> {
        match self {
            Self::SetFields { at, fields, into } => {
                let mut want = Want::of(at.clone());
                want.count = *into == WriteInto::New;
                // Who writes into the newest entry has to know what it replaces there.
                if *into != WriteInto::New {
                    want.keys = fields.iter().map(|(key, _)| key.clone()).collect();
                }
                vec![want.with_unique_keys()]
            }
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

/// `setCrmField leads customer/7`: no values, which are nobody's business in a log.
impl fmt::Display for CrmWrite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = self.name();
        match self {
            Self::SetFields { at, .. } | Self::Clear { at } | Self::Move { at, .. } => {
                write!(f, "{name} {at}")
            }
            Self::MoveToEntity { reference, from, to, .. } => {
                write!(f, "{name} {} → {} {reference}", from.as_str(), to.as_str())
            }
            Self::Reassign { slug, from, to } => write!(f, "{name} {} {from} → {to}", slug.as_str()),
        }
    }
}
