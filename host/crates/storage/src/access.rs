//! The values of one brand, for the scripts of one run. The brand is fixed, and everything else is checked.

use std::sync::Arc;

use serde_json::{Value, json};

use sluice_kit::StoreError;
use sluice_kit::value::Room;

use super::arguments::{self, ListOptions, Options};
use super::{
    AddDone, Area, Call, Condition, Key, LIST_BYTES_MAX, Listed, Listing, Mistake, Place, Put, PutDone,
    Quota, Reached, StorageCaps, StorageError, StorageStore, StoredValue, value::json_number,
};

/// The memory that a value may take on the host for each byte of its MessagePack.
const MEMORY_PER_BYTE: usize = 16;
/// How many values are removed at most to make room for a new one.
const FORGOTTEN: u32 = 500;

/// The result of a call.
#[derive(Debug)]
pub enum Answer {
    /// A value.
    Value(Value),
    /// A stored value, as MessagePack.
    Stored(Vec<u8>),
}

/// The values of one brand.
#[derive(Clone)]
pub struct StorageAccess {
    store: Arc<dyn StorageStore>,
    brand: String,
}

/// A call with its arguments.
struct Asked<'a> {
    call: Call,
    area: Area,
    arguments: &'a [Value],
    caps: StorageCaps,
    memory_max: usize,
    now_ms: i64,
}

impl StorageAccess {
    /// Makes the access to `brand`.
    pub fn new(store: Arc<dyn StorageStore>, brand: &str) -> Self {
        Self { store, brand: brand.to_owned() }
    }

    /// Makes a call. `arguments` are those of the script, as an array. `memory_max` is
    /// the memory that the result may take, in bytes.
    ///
    /// # Errors
    /// The arguments are invalid, a quota is reached, or the database failed.
    pub async fn call(
        &self,
        (call, area): (Call, Area),
        arguments: &Value,
        caps: StorageCaps,
        memory_max: usize,
        now_ms: i64,
    ) -> Result<Answer, StorageError> {
        let arguments = arguments.as_array().map_or(&[][..], Vec::as_slice);
        let asked = Asked { call, area, arguments, caps, memory_max, now_ms };
        if !call.exists_in(area) {
            return Err(asked.mistake(Mistake::NoSuchCall));
        }
        match call {
            Call::Get => self.get(&asked).await,
            Call::Has => self.has(&asked).await,
            Call::Del => self.remove(&asked).await,
            Call::Set => self.put(&asked, 1, Condition::Always).await,
            Call::SetIfAbsent => self.put(&asked, 1, Condition::Absent).await,
            Call::CompareAndSet => self.compare_and_set(&asked).await,
            Call::Increment => self.increment(&asked).await,
            Call::List => self.list(&asked).await,
        }
    }

    fn place(&self, asked: &Asked<'_>, options: Options) -> Place {
        Place { area: asked.area, brand: self.brand.clone(), namespace: options.namespace }
    }

    /// The key and where it is, of a call whose options are argument number `last`.
    fn find(&self, asked: &Asked<'_>, last: usize) -> Result<(Place, Key, Option<i64>), StorageError> {
        let key = asked.key()?;
        let options = asked.options(last)?;
        let expires_at = options.ttl_ms.map(|ttl_ms| asked.now_ms.saturating_add(ttl_ms));
        Ok((self.place(asked, options), key, expires_at))
    }

    async fn get(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let (place, key, _) = self.find(asked, 1)?;
        let found = self.store.get(&place, &key, asked.now_ms).await.map_err(StorageError::Store)?;
        let Some(found) = found else { return Ok(Answer::Value(Value::Null)) };
        match found.size() > asked.bytes_max() {
            true => Err(asked.reached(Reached::Memory)),
            false => Ok(Answer::Stored(found.into_bytes())),
        }
    }

    async fn has(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let (place, key, _) = self.find(asked, 1)?;
        let has = self.store.has(&place, &key, asked.now_ms).await.map_err(StorageError::Store)?;
        Ok(Answer::Value(has.into()))
    }

    async fn remove(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let (place, key, _) = self.find(asked, 1)?;
        self.store.remove(&place, &key).await.map_err(StorageError::Store)?;
        Ok(Answer::Value(true.into()))
    }

    async fn compare_and_set(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let expected = StoredValue::of(asked.argument(1).unwrap_or(&Value::Null));
        self.put(asked, 2, Condition::Equals(expected)).await
    }

    /// Stores the argument number `value`. The options follow it.
    async fn put(
        &self,
        asked: &Asked<'_>,
        value: usize,
        condition: Condition,
    ) -> Result<Answer, StorageError> {
        let (place, key, expires_at) = self.find(asked, value + 1)?;
        let value = StoredValue::of(asked.argument(value).unwrap_or(&Value::Null));
        asked.check_size(&value)?;
        let put = Put { key, value, expires_at, condition };
        let store = || self.store.put(&place, put.clone(), asked.caps, asked.now_ms);
        let mut done = store().await.map_err(StorageError::Store)?;
        if matches!(done, PutDone::Full(_)) && self.make_room(asked).await? {
            done = store().await.map_err(StorageError::Store)?;
        }
        match done {
            PutDone::Stored => Ok(Answer::Value(true.into())),
            PutDone::NotMet => Ok(Answer::Value(false.into())),
            PutDone::Full(quota) => Err(asked.full(quota)),
        }
    }

    async fn increment(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let (place, key, expires_at) = self.find(asked, 2)?;
        let amount = arguments::amount(asked.argument(1)).map_err(|mistake| asked.mistake(mistake))?;
        let add = || self.store.add(&place, &key, amount, expires_at, asked.caps, asked.now_ms);
        let mut done = add().await.map_err(StorageError::Store)?;
        if matches!(done, AddDone::Full(_)) && self.make_room(asked).await? {
            done = add().await.map_err(StorageError::Store)?;
        }
        match done {
            AddDone::Sum(sum) => Ok(Answer::Value(json_number(sum))),
            AddDone::NotANumber => Err(asked.mistake(Mistake::NotANumber(key.as_str().to_owned()))),
            AddDone::Overflow => Err(asked.reached(Reached::Number)),
            AddDone::Full(quota) => Err(asked.full(quota)),
        }
    }

    /// Removes values that have expired, or any values of a cache, if the brand has no room for another one.
    /// Returns whether there were some.
    async fn make_room(&self, asked: &Asked<'_>) -> Result<bool, StorageError> {
        let expired_by = match asked.area {
            Area::Storage => asked.now_ms,
            Area::Cache => i64::MAX,
        };
        let forgotten = self.store.forget(asked.area, &self.brand, expired_by, FORGOTTEN).await;
        Ok(forgotten.map_err(StorageError::Store)? > 0)
    }

    async fn list(&self, asked: &Asked<'_>) -> Result<Answer, StorageError> {
        let options = ListOptions::of(asked.argument(0)).map_err(|mistake| asked.mistake(mistake))?;
        let ListOptions { namespace, prefix, after, limit } = options;
        let place = Place { area: asked.area, brand: self.brand.clone(), namespace };
        let bytes_max = LIST_BYTES_MAX.min(asked.bytes_max());
        let listing = Listing { prefix, after, keys_max: limit, bytes_max };
        let listed = self.store.list(&place, listing, asked.now_ms).await.map_err(StorageError::Store)?;
        asked.listed(listed).map(Answer::Value)
    }
}

impl Asked<'_> {
    /// The most bytes of MessagePack that the result may have.
    fn bytes_max(&self) -> usize {
        self.memory_max / MEMORY_PER_BYTE
    }

    fn argument(&self, index: usize) -> Option<&Value> {
        self.arguments.get(index)
    }

    fn key(&self) -> Result<Key, StorageError> {
        arguments::key("key", self.area, self.argument(0)).map_err(|mistake| self.mistake(mistake))
    }

    fn options(&self, index: usize) -> Result<Options, StorageError> {
        Options::of(self.area, self.argument(index)).map_err(|mistake| self.mistake(mistake))
    }

    fn mistake(&self, mistake: Mistake) -> StorageError {
        StorageError::Type { call: self.call, area: self.area, mistake }
    }

    fn reached(&self, reached: Reached) -> StorageError {
        StorageError::Range { call: self.call, area: self.area, reached }
    }

    fn full(&self, quota: Quota) -> StorageError {
        self.reached(Reached::Brand(match (self.area, quota) {
            (Area::Storage, Quota::Keys) => "storage_keys_max",
            (Area::Storage, Quota::Bytes) => "storage_bytes_max",
            (Area::Cache, Quota::Keys) => "cache_keys_max",
            (Area::Cache, Quota::Bytes) => "the size of a cache",
        }))
    }

    fn check_size(&self, value: &StoredValue) -> Result<(), StorageError> {
        let (bytes, bytes_max) = (value.size(), self.caps.value_bytes_max);
        let quota = match self.area {
            Area::Storage => "storage_value_bytes_max",
            Area::Cache => "cache_value_bytes_max",
        };
        match bytes > bytes_max {
            true => Err(self.reached(Reached::ValueBytes { bytes, bytes_max, quota })),
            false => Ok(()),
        }
    }

    /// `{keys: [{key, value, expires_at}], next}`.
    fn listed(&self, listed: Listed) -> Result<Value, StorageError> {
        let next = listed.has_more.then(|| listed.keys.last().map(|last| last.key.clone())).flatten();
        let room = Room::new(self.memory_max);
        let mut keys = Vec::with_capacity(listed.keys.len());
        for listed in listed.keys {
            let value = listed.value.to_value(&room).map_err(|error| match error.is_too_large() {
                true => self.reached(Reached::Memory),
                false => StorageError::Store(corrupt(&error)),
            })?;
            keys.push(json!({ "key": listed.key, "value": value, "expires_at": listed.expires_at }));
        }
        Ok(json!({ "keys": keys, "next": next }))
    }
}

fn corrupt(error: &sluice_kit::value::ValueError) -> StoreError {
    StoreError::Corrupt { what: "value of storage", why: sluice_kit::Cause::of(error).into() }
}
