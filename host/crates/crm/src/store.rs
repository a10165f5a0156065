//! The trait that a database implements to store CRM data. All its arguments are checked.

use serde_json::Value;

use sluice_kit::value;
use sluice_kit::{BoxFuture, StoreError};

use crate::{
    Address, BrowsedEntry, CrmCaps, CrmFault, CrmSchema, CrmWrite, CrmWritten, Entity, EntitySpec, Entry,
    EntryId, FieldKey, Found, IndexStep, RESULT_MEMORY_PER_BYTE, Reference, Search, Slug,
};

/// The memory that the values of one result may take on the host. Stored values are small, so a
/// backend may decode a value before it charges the value.
#[derive(Debug)]
pub struct ResultMemory(usize);

impl ResultMemory {
    /// The memory of a result of at most `bytes_max` bytes of MessagePack.
    pub fn new(bytes_max: usize) -> Self {
        Self(bytes_max.saturating_mul(RESULT_MEMORY_PER_BYTE))
    }

    /// Charges a value for what it holds, and returns it.
    ///
    /// # Errors
    /// The memory is used up.
    pub fn charge(&mut self, value: Value) -> Result<Value, CrmFault> {
        self.0 = self.0.checked_sub(value::held(&value)).ok_or(CrmFault::ResultTooLarge)?;
        Ok(value)
    }
}

/// The result of [`CrmStore::ensure_entity`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ensured {
    /// The entity's id.
    pub id: i64,
    /// The entity is new.
    pub created: bool,
    /// Keys of new fields, in the order of the declaration.
    pub fields_added: Vec<String>,
    /// Keys of fields that existed before. They were not changed.
    pub fields_skipped: Vec<String>,
}

/// The CRM data of all brands. The newest entry is the one with the greatest
/// [`EntryId`](crate::EntryId).
pub trait CrmStore: Send + Sync {
    /// Adds and updates what `schema` declares and removes nothing, in one transaction. Returns
    /// one sentence for each change.
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// Adds the missing parts of one entity and changes no existing ones, in one transaction.
    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>>;

    /// Loads an entity with its fields and pipelines.
    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>>;

    /// Loads all entities of a brand in one snapshot, in order of their slugs.
    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>>;

    /// Loads at most `slugs_max` slugs of a brand: `first` if the brand has such an entity, and then
    /// others in order.
    fn entity_slugs(
        &self,
        brand: &str,
        first: Option<Slug>,
        slugs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>>;

    /// Loads for each of `keys`, in their order, the value in the newest entry that has the key.
    /// All values are of one snapshot. Fails with [`CrmFault::ResultTooLarge`] if the stored
    /// values have more than `bytes_max` bytes.
    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>>;

    /// Loads at most `limit` values of a key in one snapshot, those of the newest entries first.
    /// `bytes_max` is as in [`CrmStore::get_fields`].
    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>>;

    /// Loads at most `limit` entries in one snapshot, newest first. `bytes_max` is as in
    /// [`CrmStore::get_fields`].
    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>>;

    /// Loads an entry of an entity, whichever reference has it. `bytes_max` is as in
    /// [`CrmStore::get_fields`].
    fn get_entry(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Option<BrowsedEntry>, CrmFault>>;

    /// The reference that has an entry of an entity.
    fn entry_reference(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<Reference>, CrmFault>>;

    /// Searches the entries of an entity in one snapshot.
    fn search_entries(&self, brand: &str, search: Search) -> BoxFuture<'_, Result<Found, CrmFault>>;

    /// Executes `write` in one transaction: locks its [`lines`](CrmWrite::lines), loads the rows
    /// that it [`wants`](CrmWrite::wants), and carries out its [`plan`](CrmWrite::plan).
    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>>;

    /// Builds a part of an index that is declared and not complete, of any brand or of one. Returns `None` if
    /// there is none. Hosts can do this at the same time.
    fn build_index(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Option<IndexStep>, StoreError>>;

    /// Gives the entries of `from` in all entities of the brand to `to`, in one transaction and
    /// regardless of quotas. Returns the number of entries. If waiting jobs write to `from`,
    /// their entries will be given to `to`, too.
    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>>;
}
