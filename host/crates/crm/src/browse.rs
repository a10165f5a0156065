//! The trait that a database implements so that operators can look through the CRM data of
//! all references of an entity.

use sluice_kit::BoxFuture;

use crate::{CrmFault, Entry, EntryId, Slug, StageHistory};

/// Selects entries of an entity, newest first.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Browse {
    /// The brand's id.
    pub brand: String,
    /// The entity.
    pub slug: Slug,
    /// Only entries in this stage.
    pub stage: StageChoice,
    /// Only entries that are older than this one.
    pub before: Option<EntryId>,
    /// At most this many entries.
    pub entries_max: u32,
    /// At most this many bytes of values, but at least one entry.
    pub bytes_max: usize,
}

/// Selects entries by stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StageChoice {
    /// All entries.
    Any,
    /// Entries that are in no stage.
    None,
    /// Entries in the stage with this id.
    In(i64),
}

/// An entry and the reference that owns it.
#[derive(Clone, Debug, PartialEq)]
pub struct BrowsedEntry {
    /// The reference's type.
    pub reference_type: String,
    /// The reference's id.
    pub reference_id: String,
    /// The entry.
    pub entry: Entry,
}

/// Reads CRM data for operators.
pub trait BrowseStore: Send + Sync {
    /// Reads the entries in one snapshot. It never returns entries of another brand, not even if
    /// the stage belongs to one.
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>>;

    /// Reads through which stages an entry was moved. Returns `None` if the entity does not have the entry.
    fn stage_history(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<StageHistory>, CrmFault>>;
}
