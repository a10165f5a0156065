//! CRM data as operators look through it: all references of an entity at once.

use sluice_kit::BoxFuture;

use crate::{CrmFault, Entry, EntryId, Slug};

/// Which entries of an entity, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browse {
    /// The brand's id.
    pub brand: String,
    /// The entity.
    pub slug: Slug,
    /// In which stage.
    pub stage: StageChoice,
    /// Older than this one.
    pub before: Option<EntryId>,
    /// How many at most.
    pub entries_max: u32,
    /// Where the values have more bytes, fewer entries are given, but one.
    pub bytes_max: usize,
}

/// A stage, or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageChoice {
    /// All entries.
    Any,
    /// Those that stand in no stage.
    None,
    /// Those that stand in this one.
    In(i64),
}

/// An entry with what it is attached to.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowsedEntry {
    pub reference_type: String,
    pub reference_id: String,
    pub entry: Entry,
}

/// Looks through CRM data; changes nothing.
pub trait BrowseStore: Send + Sync {
    /// The entries, all of one moment. Never another brand's, whatever the stage.
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>>;
}
