//! CRM data: what is asked of a database once a call's options are checked.

use serde_json::Value;

use super::{BoxFuture, StoreError};
use crate::crm::{Address, CrmCaps, CrmSchema, Entity, Entry, FieldKey, Slug};

/// Fields to be written to one reference, all or none.
#[derive(Clone, Debug, PartialEq)]
pub struct SetFields {
    /// Where.
    pub at: Address,
    /// In order; of two with one key the last is written.
    pub fields: Vec<(FieldKey, Value)>,
    /// Into which entry.
    pub into: WriteInto,
}

/// Which entry a field is written into.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WriteInto {
    /// The newest entry that has the key; else the newest; else a new one, which is
    /// then the newest for the fields after it.
    Holder,
    /// The newest entry; else a new one.
    Newest,
    /// A new entry, one for all fields.
    New,
}

/// Why the store did not do what a CRM call asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmFault {
    /// The brand has no entity of this slug.
    #[error("the brand has no such entity")]
    UnknownSlug,
    /// A quota would be exceeded; nothing was written.
    #[error("a quota would be exceeded")]
    Cap(CapReached),
    /// Reading stopped where the result became larger than it may be.
    #[error("the result is too large")]
    ResultTooLarge,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Which of [`CrmCaps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CapReached {
    /// `keys_an_entry_max`
    KeysAnEntry,
    /// `entries_a_reference_max`
    EntriesAReference,
    /// `brand_bytes_max`; writes that make the data smaller are never refused.
    BrandBytes,
}

/// CRM data of all brands. "Newest" is the greatest entry id, see
/// [`EntryId`](crate::crm::EntryId).
pub trait CrmStore: Send + Sync {
    /// Adds and updates what `schema` declares and removes nothing, in one
    /// transaction. Gives one sentence for each change; none where all is as declared.
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// An entity with its fields and pipelines.
    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>>;

    /// For each key the value in the newest entry that has it, in the order of
    /// `keys`, all of one moment. `bytes_max` bounds what is read:
    /// [`CrmFault::ResultTooLarge`] where the stored values have more.
    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>>;

    /// At most `limit` entries, newest first, all of one moment. `bytes_max` as in
    /// [`CrmStore::get_fields`].
    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>>;

    /// Writes all fields or none, each into the entry that `write.into` says.
    fn set_fields(&self, write: SetFields, caps: CrmCaps, now_ms: i64)
    -> BoxFuture<'_, Result<(), CrmFault>>;
}
