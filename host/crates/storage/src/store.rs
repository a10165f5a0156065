//! The trait that a database implements to keep values. All its arguments are checked.

use sluice_kit::{BoxFuture, StoreError};
use sluice_limits::Limits;

use super::{Area, CACHE_BYTES_MAX, Key, Place, StoredValue};

/// The quotas of a brand in one area.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageCaps {
    /// Keys of the brand.
    pub keys_max: u64,
    /// Bytes of the brand's keys and values, with [`ROW_BYTES`](crate::ROW_BYTES) for each.
    pub bytes_max: u64,
    /// Bytes of one value as MessagePack.
    pub value_bytes_max: usize,
}

impl StorageCaps {
    /// The quotas of `area` in a page's limits.
    pub fn of(limits: &Limits, area: Area) -> Self {
        match area {
            Area::Storage => Self {
                keys_max: limits.storage_keys_max,
                bytes_max: limits.storage_bytes_max,
                value_bytes_max: limits.storage_value_bytes_max,
            },
            Area::Cache => Self {
                keys_max: limits.cache_keys_max,
                bytes_max: CACHE_BYTES_MAX,
                value_bytes_max: limits.cache_value_bytes_max,
            },
        }
    }
}

/// When a value is stored.
#[derive(Clone, Debug, PartialEq)]
pub enum Condition {
    /// In any case.
    Always,
    /// If the key has no value.
    Absent,
    /// If the key has a value that equals this one. `null` also equals no value.
    Equals(StoredValue),
}

/// A value to store.
#[derive(Clone, Debug, PartialEq)]
pub struct Put {
    /// The key.
    pub key: Key,
    /// The value.
    pub value: StoredValue,
    /// Unix milliseconds from which on the value is absent. `None` keeps it for ever.
    pub expires_at: Option<i64>,
    /// When it is stored.
    pub condition: Condition,
}

/// A quota of a brand that a value would exceed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Quota {
    /// The number of keys.
    Keys,
    /// The bytes of all keys and values.
    Bytes,
}

/// What [`StorageStore::put`] did.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutDone {
    /// The value is stored.
    Stored,
    /// The condition did not hold. Nothing has changed.
    NotMet,
    /// The brand has no room for the value. Nothing has changed.
    Full(Quota),
}

/// What [`StorageStore::add`] did.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum AddDone {
    /// The value is this number now.
    Sum(f64),
    /// The value is not a number. Nothing has changed.
    NotANumber,
    /// The sum is not finite. Nothing has changed.
    Overflow,
    /// The brand has no room for the value. Nothing has changed.
    Full(Quota),
}

/// Which keys are listed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Listing {
    /// How the keys begin.
    pub prefix: Key,
    /// The keys that follow this one, or all.
    pub after: Option<Key>,
    /// The most keys.
    pub keys_max: u32,
    /// The most bytes of values. The first value is listed in any case.
    pub bytes_max: usize,
}

/// A key that was listed.
#[derive(Clone, Debug, PartialEq)]
pub struct ListedKey {
    /// The key.
    pub key: String,
    /// Its value.
    pub value: StoredValue,
    /// Unix milliseconds from which on it is absent.
    pub expires_at: Option<i64>,
}

/// The keys of a listing, in ascending order of their bytes.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Listed {
    /// The keys.
    pub keys: Vec<ListedKey>,
    /// Whether more keys follow.
    pub has_more: bool,
}

/// The values of all brands. A value whose time is over is never returned, and counts toward the quotas
/// until it is deleted.
pub trait StorageStore: Send + Sync {
    /// Loads a value.
    fn get(
        &self,
        at: &Place,
        key: &Key,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<StoredValue>, StoreError>>;

    /// Whether there is a value.
    fn has(&self, at: &Place, key: &Key, now_ms: i64) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Stores a value if its condition holds.
    fn put(
        &self,
        at: &Place,
        put: Put,
        caps: StorageCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<PutDone, StoreError>>;

    /// Adds `amount` to a number, which is 0 if there is no value. Only a new number gets `expires_at`.
    fn add(
        &self,
        at: &Place,
        key: &Key,
        amount: f64,
        expires_at: Option<i64>,
        caps: StorageCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<AddDone, StoreError>>;

    /// Removes a value, if there is one.
    fn remove(&self, at: &Place, key: &Key) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Lists keys.
    fn list(&self, at: &Place, listing: Listing, now_ms: i64) -> BoxFuture<'_, Result<Listed, StoreError>>;

    /// Removes at most `rows_max` values of a brand that expire until `expired_by`, in Unix milliseconds,
    /// those first that expire first. Returns how many.
    fn forget(
        &self,
        area: Area,
        brand: &str,
        expired_by: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` expired values of an area. Returns how many.
    fn delete_expired_values(
        &self,
        area: Area,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>>;
}
