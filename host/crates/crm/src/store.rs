//! CRM data: what is asked of a database once a call's options are checked.

use serde_json::Value;

use sluice_kit::{BoxFuture, StoreError};

use crate::{
    Address, CrmCaps, CrmSchema, CrmWrite, CrmWritten, Entity, EntitySpec, Entry, FieldKey, Reference,
    Refusal, Slug,
};

/// Why the store did not do what a CRM call asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmFault {
    /// The brand has no entity of this slug.
    #[error("the brand has no entity {0:?}")]
    UnknownSlug(String),
    /// A quota would be exceeded; nothing was written.
    #[error("a quota would be exceeded: {0}")]
    Cap(CapReached),
    /// Nothing was written.
    #[error("{0}")]
    Refused(Refusal),
    /// Reading stopped where the result became larger than it may be.
    #[error("the result is too large")]
    ResultTooLarge,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl From<Refusal> for CrmFault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl CrmFault {
    /// Whether writes that are still to come in the same line could make it go away.
    /// A write that is queued behind others is not refused for it.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Cap(_) => true,
            Self::Refused(refusal) => {
                matches!(refusal, Refusal::NoEntry | Refusal::NothingToMove | Refusal::AmbiguousStage)
            }
            Self::UnknownSlug(_) | Self::ResultTooLarge | Self::Store(_) => false,
        }
    }
}

/// Which of [`CrmCaps`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CapReached {
    /// `keys_an_entry_max`
    #[error("keys of an entry")]
    KeysAnEntry,
    /// `entries_a_reference_max`
    #[error("entries of a reference")]
    EntriesAReference,
    /// `brand_bytes_max`; writes that make the data smaller are never refused.
    #[error("bytes of the brand's CRM data")]
    BrandBytes,
    /// `fields_an_entity_max` or `entities_a_brand_max`
    #[error("fields of an entity, or entities of a brand")]
    Schema,
}

/// What [`CrmStore::ensure_entity`] found and added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// The entity's id.
    pub id: i64,
    /// It was not there before.
    pub created: bool,
    /// Keys of fields that were not there before, in the order they were asked for.
    pub fields_added: Vec<String>,
    /// Keys of fields that were there already, as they are.
    pub fields_skipped: Vec<String>,
}

/// CRM data of all brands. "Newest" is the greatest entry id, see
/// [`EntryId`](crate::EntryId).
pub trait CrmStore: Send + Sync {
    /// Adds and updates what `schema` declares and removes nothing, in one
    /// transaction. Gives one sentence for each change; none where all is as declared.
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// Adds what is missing of one entity and changes nothing that is there, in one
    /// transaction.
    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>>;

    /// An entity with its fields and pipelines.
    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>>;

    /// All entities of a brand, by slug, all of one moment.
    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>>;

    /// For each key the value in the newest entry that has it, in the order of
    /// `keys`, all of one moment. `bytes_max` bounds what is read:
    /// [`CrmFault::ResultTooLarge`] where the stored values have more.
    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>>;

    /// At most `limit` values of a key, those of the newest entries first, all of one
    /// moment. `bytes_max` as in [`CrmStore::get_fields`].
    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>>;

    /// At most `limit` entries, newest first, all of one moment. `bytes_max` as in
    /// [`CrmStore::get_fields`].
    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>>;

    /// Carries out `write` in one transaction: locks its [`lines`](CrmWrite::lines),
    /// loads what it [`wants`](CrmWrite::wants) and applies its
    /// [`plan`](CrmWrite::plan). All of it or nothing.
    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>>;

    /// Gives all that `from` has in any entity of the brand to `to`, in one
    /// transaction and whatever the quotas are; says how many entries that were. Where
    /// jobs wait that write to `from`, what they will have written follows.
    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;
}
