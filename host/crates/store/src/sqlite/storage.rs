//! Values that scripts keep: `storage` and `cache`.

use std::collections::BTreeMap;

use rusqlite::{Connection, OptionalExtension, Row, params};

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_storage::{
    AddDone, Area, Condition, Key, Listed, ListedKey, Listing, Place, Put, PutDone, Quota, StorageCaps,
    StorageStore, StoredValue, overflows,
};

use super::SqliteStore;
use crate::error::SqlError;
use crate::storage_rows::{columns, end_of_prefix, for_area, size, value};

const GET: &str = "SELECT value, digest, number FROM {t}
     WHERE brand = ?1 AND namespace = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)";

const HAS: &str = "SELECT 1 FROM {t}
     WHERE brand = ?1 AND namespace = ?2 AND key = ?3 AND (expires_at IS NULL OR expires_at > ?4)";

const FIND: &str = "SELECT value, digest, number, size, expires_at FROM {t}
     WHERE brand = ?1 AND namespace = ?2 AND key = ?3";

const PUT: &str = "INSERT INTO {t} (brand, namespace, key, value, digest, number, size, expires_at)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
     ON CONFLICT (brand, namespace, key) DO UPDATE SET value = excluded.value, digest = excluded.digest,
         number = excluded.number, size = excluded.size, expires_at = excluded.expires_at";

const REMOVE: &str = "DELETE FROM {t} WHERE brand = ?1 AND namespace = ?2 AND key = ?3 RETURNING brand, size";

const LIST: &str = "SELECT key, value, digest, number, expires_at FROM {t}
     WHERE brand = ?1 AND namespace = ?2 AND key >= ?3 AND key < ?4 AND (NOT ?5 OR key <> ?3)
     AND (expires_at IS NULL OR expires_at > ?6) ORDER BY key";

const FORGET: &str = "DELETE FROM {t} WHERE rowid IN (
         SELECT rowid FROM {t} WHERE brand = ?1 AND expires_at <= ?2 ORDER BY expires_at LIMIT ?3)
     RETURNING brand, size";

const DELETE_EXPIRED: &str = "DELETE FROM {t} WHERE rowid IN (
         SELECT rowid FROM {t} WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)
     RETURNING brand, size";

const USAGE: &str = "SELECT keys, bytes FROM {t}_usage WHERE brand = ?1";

const ADD_USAGE: &str = "INSERT INTO {t}_usage (brand, keys, bytes) VALUES (?1, ?2, ?3)
     ON CONFLICT (brand) DO UPDATE SET keys = keys + excluded.keys, bytes = bytes + excluded.bytes";

impl StorageStore for SqliteStore {
    fn get(
        &self,
        at: &Place,
        key: &Key,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<StoredValue>, StoreError>> {
        let (at, key) = (at.clone(), key.clone());
        self.readers.read_by_key(move |conn| {
            let mut query = conn.prepare_cached(&for_area(GET, at.area))?;
            let row = query
                .query_row((&at.brand, at.namespace.as_str(), key.as_str(), now_ms), columns_of)
                .optional()?;
            row.map(checked).transpose()
        })
    }

    fn has(&self, at: &Place, key: &Key, now_ms: i64) -> BoxFuture<'_, Result<bool, StoreError>> {
        let (at, key) = (at.clone(), key.clone());
        self.readers.read_by_key(move |conn| {
            let mut query = conn.prepare_cached(&for_area(HAS, at.area))?;
            let at = (&at.brand, at.namespace.as_str(), key.as_str(), now_ms);
            Ok(query.exists(at)?)
        })
    }

    fn put(
        &self,
        at: &Place,
        put: Put,
        caps: StorageCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<PutDone, StoreError>> {
        let at = at.clone();
        self.writer.write(move |conn| {
            let found = find(conn, &at, &put.key)?;
            let present = found.as_ref().filter(|found| found.is_present(now_ms)).map(|found| &found.value);
            let is_met = match (&put.condition, present) {
                (Condition::Always, _) | (Condition::Absent, None) => true,
                (Condition::Absent, Some(_)) => false,
                (Condition::Equals(expected), None) => expected.is_null(),
                (Condition::Equals(expected), Some(present)) => expected.equals(present),
            };
            if !is_met {
                return Ok(PutDone::NotMet);
            }
            let Put { key, value, expires_at, .. } = put;
            Ok(match store(conn, (&at, &key), &value, expires_at, found.as_ref(), caps)? {
                None => PutDone::Stored,
                Some(quota) => PutDone::Full(quota),
            })
        })
    }

    fn add(
        &self,
        at: &Place,
        key: &Key,
        amount: f64,
        expires_at: Option<i64>,
        caps: StorageCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<AddDone, StoreError>> {
        let (at, key) = (at.clone(), key.clone());
        self.writer.write(move |conn| {
            let found = find(conn, &at, &key)?;
            let present = found.as_ref().filter(|found| found.is_present(now_ms));
            let (number, expires_at) = match present.map(|found| (&found.value, found.expires_at)) {
                None => (0.0, expires_at),
                Some((StoredValue::Number(number), expires_at)) => (*number, expires_at),
                Some(_) => return Ok(AddDone::NotANumber),
            };
            if overflows(number, amount) {
                return Ok(AddDone::Overflow);
            }
            let sum = number + amount;
            let value = StoredValue::Number(sum);
            Ok(match store(conn, (&at, &key), &value, expires_at, found.as_ref(), caps)? {
                None => AddDone::Sum(sum),
                Some(quota) => AddDone::Full(quota),
            })
        })
    }

    fn remove(&self, at: &Place, key: &Key) -> BoxFuture<'_, Result<(), StoreError>> {
        let (at, key) = (at.clone(), key.clone());
        self.writer.write(move |conn| {
            let key = (&at.brand, at.namespace.as_str(), key.as_str());
            delete(conn, at.area, &for_area(REMOVE, at.area), key).map(drop)
        })
    }

    fn list(&self, at: &Place, listing: Listing, now_ms: i64) -> BoxFuture<'_, Result<Listed, StoreError>> {
        let at = at.clone();
        self.readers.read(move |conn| list(conn, &at, &listing, now_ms))
    }

    fn forget(
        &self,
        area: Area,
        brand: &str,
        expired_by: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        let brand = brand.to_owned();
        self.writer
            .write(move |conn| delete(conn, area, &for_area(FORGET, area), (brand, expired_by, rows_max)))
    }

    fn delete_expired_values(
        &self,
        area: Area,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| delete(conn, area, &for_area(DELETE_EXPIRED, area), (now_ms, rows_max)))
    }
}

/// A row, which may have expired.
struct Found {
    value: StoredValue,
    size: i64,
    expires_at: Option<i64>,
}

impl Found {
    fn is_present(&self, now_ms: i64) -> bool {
        self.expires_at.is_none_or(|expires_at| expires_at > now_ms)
    }
}

type Columns = (Vec<u8>, Vec<u8>, Option<f64>);

fn columns_of(row: &Row<'_>) -> rusqlite::Result<Columns> {
    Ok((row.get("value")?, row.get("digest")?, row.get("number")?))
}

fn checked((bytes, digest, number): Columns) -> Result<StoredValue, SqlError> {
    let corrupt = || {
        let why = BadRow::Length { column: "digest", bytes: 32 };
        SqlError::from(StoreError::Corrupt { what: "value of a script", why })
    };
    value(bytes, &digest, number).ok_or_else(corrupt)
}

fn find(conn: &Connection, at: &Place, key: &Key) -> Result<Option<Found>, SqlError> {
    let mut query = conn.prepare_cached(&for_area(FIND, at.area))?;
    let row = query
        .query_row((&at.brand, at.namespace.as_str(), key.as_str()), |row| {
            Ok((columns_of(row)?, row.get("size")?, row.get("expires_at")?))
        })
        .optional()?;
    let found = row.map(|(columns, size, expires_at)| {
        Ok::<_, SqlError>(Found { value: checked(columns)?, size, expires_at })
    });
    found.transpose()
}

/// Replaces `found`, unless that exceeds a quota, which is returned.
fn store(
    conn: &Connection,
    (at, key): (&Place, &Key),
    value: &StoredValue,
    expires_at: Option<i64>,
    found: Option<&Found>,
    caps: StorageCaps,
) -> Result<Option<Quota>, SqlError> {
    let size = size(at, key, value);
    let (more_keys, more_bytes) = (i64::from(found.is_none()), size - found.map_or(0, |found| found.size));
    let usage = conn
        .prepare_cached(&for_area(USAGE, at.area))?
        .query_row([&at.brand], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    let (keys, bytes): (i64, i64) = usage.unwrap_or_default();
    let is_over = |total: i64, max: u64| u64::try_from(total).is_ok_and(|total| total > max);
    if more_keys > 0 && is_over(keys.saturating_add(more_keys), caps.keys_max) {
        return Ok(Some(Quota::Keys));
    }
    if more_bytes > 0 && is_over(bytes.saturating_add(more_bytes), caps.bytes_max) {
        return Ok(Some(Quota::Bytes));
    }
    let (bytes, digest, number) = columns(value);
    conn.prepare_cached(&for_area(PUT, at.area))?.execute(params![
        at.brand,
        at.namespace.as_str(),
        key.as_str(),
        bytes,
        digest,
        number,
        size,
        expires_at
    ])?;
    add_usage(conn, at.area, &at.brand, (more_keys, more_bytes))?;
    Ok(None)
}

fn add_usage(conn: &Connection, area: Area, brand: &str, (keys, bytes): (i64, i64)) -> Result<(), SqlError> {
    if (keys, bytes) != (0, 0) {
        conn.prepare_cached(&for_area(ADD_USAGE, area))?.execute((brand, keys, bytes))?;
    }
    Ok(())
}

/// Deletes the rows of a statement that returns their brands and sizes. Returns how many.
fn delete(conn: &Connection, area: Area, sql: &str, params: impl rusqlite::Params) -> Result<u32, SqlError> {
    let mut gone: BTreeMap<String, (i64, i64)> = BTreeMap::new();
    let mut count = 0;
    let mut query = conn.prepare_cached(sql)?;
    let mut rows = query.query(params)?;
    while let Some(row) = rows.next()? {
        let (keys, bytes) = gone.entry(row.get(0)?).or_default();
        *keys -= 1;
        *bytes -= row.get::<_, i64>(1)?;
        count += 1;
    }
    for (brand, less) in gone {
        add_usage(conn, area, &brand, less)?;
    }
    Ok(count)
}

fn list(conn: &Connection, at: &Place, listing: &Listing, now_ms: i64) -> Result<Listed, SqlError> {
    let Listing { prefix, after, keys_max, bytes_max } = listing;
    // Keys before the prefix are not listed, whatever `after` says.
    let after = after.as_ref().map(Key::as_str).filter(|after| *after >= prefix.as_str());
    let from = after.unwrap_or(prefix.as_str());
    let mut query = conn.prepare_cached(&for_area(LIST, at.area))?;
    let brand = (&at.brand, at.namespace.as_str());
    let (end, is_after) = (end_of_prefix(prefix), after.is_some());
    let mut rows = query.query((brand.0, brand.1, from, end, is_after, now_ms))?;
    let (mut listed, mut bytes) = (Listed::default(), 0_usize);
    while let Some(row) = rows.next()? {
        let value = checked(columns_of(row)?)?;
        bytes = bytes.saturating_add(value.size());
        let is_full = listed.keys.len() >= usize::try_from(*keys_max).unwrap_or(usize::MAX);
        if is_full || (bytes > *bytes_max && !listed.keys.is_empty()) {
            listed.has_more = true;
            break;
        }
        listed.keys.push(ListedKey { key: row.get("key")?, value, expires_at: row.get("expires_at")? });
    }
    Ok(listed)
}
