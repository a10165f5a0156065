//! Values that scripts keep: `storage` and `cache`.
//!
//! A call takes one round trip. A call that changes a value locks the key first, whether there is a row or
//! not. The statement after the lock sees what the previous holder of the lock has committed.

use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};
use tokio::sync::Mutex;
use tokio_postgres::{Client, Row};

use sluice_kit::{BadRow, BoxFuture, NoAnswer, StoreError, database_time};
use sluice_storage::{
    AddDone, Area, Condition, Key, Listed, ListedKey, Listing, Place, Put, PutDone, Quota, StorageCaps,
    StorageStore, StoredValue,
};

use super::PostgresStore;
use super::batch::{
    Batch, Param, bytes, flag, int, optional_bytes, optional_int, optional_number, query, small, text,
};
use super::error::corrupt;
use crate::error::SqlError;
use crate::storage_rows::{columns, end_of_prefix, for_area, size, value};

/// The rows of the usage over which the writers of a brand are spread.
const USAGE_SLOTS: u8 = 16;
/// How long a change waits for those of other requests of this host.
const TURN_MAX: Duration = Duration::from_secs(10);
/// The slot of deletions that no writer waits for.
const CLEANUP_SLOT: i16 = 0;

const LOCK: &str = "SELECT pg_advisory_xact_lock($1)";

pub(super) const GET: &str = "SELECT value, digest, number FROM {t}
    WHERE brand = $1 AND namespace = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4)";

pub(super) const HAS: &str = "SELECT true FROM {t}
    WHERE brand = $1 AND namespace = $2 AND key = $3 AND (expires_at IS NULL OR expires_at > $4)";

/// `$4`: now. `$5` to `$9`: the row's columns. `$10`: the slot. `$11`, `$12`: the quotas. `$13`: 0 in any
/// case, 1 if absent, 2 if equal to `$14` or `$15`, or if absent and `$16`. The row is locked, too, so that
/// no clean-up deletes it meanwhile.
pub(super) const PUT: &str = "WITH found AS MATERIALIZED (
        SELECT size, digest, number, (expires_at IS NULL OR expires_at > $4) AS is_present FROM {t}
        WHERE brand = $1 AND namespace = $2 AND key = $3 FOR UPDATE),
    checked AS (
        SELECT CASE $13
                WHEN 0 THEN true
                WHEN 1 THEN NOT EXISTS (SELECT 1 FROM found WHERE is_present)
                ELSE CASE WHEN EXISTS (SELECT 1 FROM found WHERE is_present)
                    THEN EXISTS (SELECT 1 FROM found
                        WHERE number = $15 OR (number IS NULL AND digest = $14))
                    ELSE $16 END
            END AS is_met,
            1 - (SELECT count(*) FROM found) AS keys,
            $8 - coalesce((SELECT size FROM found), 0) AS bytes),
    used AS (
        SELECT coalesce(sum(keys), 0) AS keys, coalesce(sum(bytes), 0) AS bytes
        FROM {t}_usage WHERE brand = $1),
    decided AS (
        SELECT is_met, checked.keys, checked.bytes,
            (checked.keys > 0 AND used.keys + checked.keys > $11) AS has_too_many_keys,
            (checked.bytes > 0 AND used.bytes + checked.bytes > $12) AS has_too_many_bytes
        FROM checked CROSS JOIN used),
    stored AS (
        INSERT INTO {t} (brand, namespace, key, value, digest, number, size, expires_at)
        SELECT $1, $2, $3, $5, $6, $7, $8, $9 FROM decided
        WHERE is_met AND NOT has_too_many_keys AND NOT has_too_many_bytes
        ON CONFLICT (brand, namespace, key) DO UPDATE SET value = excluded.value,
            digest = excluded.digest, number = excluded.number, size = excluded.size,
            expires_at = excluded.expires_at),
    counted AS (
        INSERT INTO {t}_usage (brand, slot, keys, bytes)
        SELECT $1, $10, keys, bytes FROM decided
        WHERE is_met AND NOT has_too_many_keys AND NOT has_too_many_bytes AND (keys <> 0 OR bytes <> 0)
        ON CONFLICT (brand, slot) DO UPDATE
            SET keys = {t}_usage.keys + excluded.keys, bytes = {t}_usage.bytes + excluded.bytes)
    SELECT is_met, has_too_many_keys, has_too_many_bytes FROM decided";

/// `$4`: now. `$5`: the amount. `$6`: the end of a new number. `$7`: the size of a number's row. `$8`: the
/// slot. `$9`, `$10`: the quotas. Sums that overflow are those of [`sluice_storage::overflows`].
pub(super) const ADD: &str = "WITH found AS MATERIALIZED (
        SELECT size, number, expires_at, (expires_at IS NULL OR expires_at > $4) AS is_present FROM {t}
        WHERE brand = $1 AND namespace = $2 AND key = $3 FOR UPDATE),
    present AS (
        SELECT CASE WHEN EXISTS (SELECT 1 FROM found WHERE is_present)
                THEN (SELECT number FROM found) ELSE 0 END AS number,
            CASE WHEN EXISTS (SELECT 1 FROM found WHERE is_present)
                THEN (SELECT expires_at FROM found) ELSE $6 END AS expires_at),
    checked AS (
        SELECT number IS NOT NULL AS is_number,
            CASE WHEN number > 0 AND $5 > 0 AND number >= 1.7976931348623157e308 - $5 THEN NULL
                WHEN number < 0 AND $5 < 0 AND number <= -1.7976931348623157e308 - $5 THEN NULL
                ELSE number + $5 END AS sum,
            expires_at,
            1 - (SELECT count(*) FROM found) AS keys,
            $7 - coalesce((SELECT size FROM found), 0) AS bytes
        FROM present),
    used AS (
        SELECT coalesce(sum(keys), 0) AS keys, coalesce(sum(bytes), 0) AS bytes
        FROM {t}_usage WHERE brand = $1),
    decided AS (
        SELECT is_number, sum, expires_at, checked.keys, checked.bytes,
            (checked.keys > 0 AND used.keys + checked.keys > $9) AS has_too_many_keys,
            (checked.bytes > 0 AND used.bytes + checked.bytes > $10) AS has_too_many_bytes
        FROM checked CROSS JOIN used),
    stored AS (
        INSERT INTO {t} (brand, namespace, key, value, digest, number, size, expires_at)
        SELECT $1, $2, $3, '', '', sum, $7, expires_at FROM decided
        WHERE sum IS NOT NULL AND NOT has_too_many_keys AND NOT has_too_many_bytes
        ON CONFLICT (brand, namespace, key) DO UPDATE SET value = excluded.value,
            digest = excluded.digest, number = excluded.number, size = excluded.size,
            expires_at = excluded.expires_at),
    counted AS (
        INSERT INTO {t}_usage (brand, slot, keys, bytes)
        SELECT $1, $8, keys, bytes FROM decided
        WHERE sum IS NOT NULL AND NOT has_too_many_keys AND NOT has_too_many_bytes
            AND (keys <> 0 OR bytes <> 0)
        ON CONFLICT (brand, slot) DO UPDATE
            SET keys = {t}_usage.keys + excluded.keys, bytes = {t}_usage.bytes + excluded.bytes)
    SELECT is_number, sum, has_too_many_keys, has_too_many_bytes FROM decided";

pub(super) const REMOVE: &str = "WITH gone AS (
        DELETE FROM {t} WHERE brand = $1 AND namespace = $2 AND key = $3 RETURNING size),
    counted AS (
        INSERT INTO {t}_usage (brand, slot, keys, bytes) SELECT $1, $4, -1, -size FROM gone
        ON CONFLICT (brand, slot) DO UPDATE
            SET keys = {t}_usage.keys + excluded.keys, bytes = {t}_usage.bytes + excluded.bytes)
    SELECT true FROM gone";

/// From `$3`, or after it if `$5`, to `$4`. `$6`: now. `$7`: how many. `$8`: the bytes.
/// One key more is chosen than is listed.
pub(super) const LIST: &str = "WITH chosen AS (
        SELECT key, value, digest, number, expires_at FROM {t}
        WHERE brand = $1 AND namespace = $2 AND key >= $3 AND key < $4 AND (NOT $5 OR key <> $3)
            AND (expires_at IS NULL OR expires_at > $6)
        ORDER BY key LIMIT $7),
    measured AS (
        SELECT *, sum(octet_length(value)) OVER (ORDER BY key) AS bytes,
            row_number() OVER (ORDER BY key) AS place, count(*) OVER () AS chosen
        FROM chosen)
    SELECT key, value, digest, number, expires_at, chosen FROM measured
    WHERE place = 1 OR bytes <= $8 ORDER BY key";

/// Skips rows that are in use.
pub(super) const FORGET: &str = "WITH gone AS (
        DELETE FROM {t} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {t} WHERE brand = $1 AND expires_at <= $2
            ORDER BY expires_at LIMIT $3 FOR UPDATE SKIP LOCKED))
        RETURNING size),
    counted AS (
        INSERT INTO {t}_usage (brand, slot, keys, bytes)
        SELECT $1, $4, -count(*), -sum(size) FROM gone HAVING count(*) > 0
        ON CONFLICT (brand, slot) DO UPDATE
            SET keys = {t}_usage.keys + excluded.keys, bytes = {t}_usage.bytes + excluded.bytes)
    SELECT count(*) FROM gone";

/// Skips rows that are in use.
pub(super) const DELETE_EXPIRED: &str = "WITH gone AS (
        DELETE FROM {t} WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM {t} WHERE expires_at <= $1
            ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
        RETURNING brand, size),
    counted AS (
        INSERT INTO {t}_usage (brand, slot, keys, bytes)
        SELECT brand, $3, -count(*), -sum(size) FROM gone GROUP BY brand ORDER BY brand
        ON CONFLICT (brand, slot) DO UPDATE
            SET keys = {t}_usage.keys + excluded.keys, bytes = {t}_usage.bytes + excluded.bytes)
    SELECT count(*) FROM gone";

/// What identifies a value, owned by the work on a connection.
#[derive(Clone)]
struct At {
    place: Place,
    key: Key,
}

impl At {
    fn of(place: &Place, key: &Key) -> Self {
        Self { place: place.clone(), key: key.clone() }
    }

    fn sql(&self, sql: &str) -> String {
        for_area(sql, self.place.area)
    }

    fn with<'a>(&'a self, rest: impl IntoIterator<Item = Param<'a>>) -> Vec<Param<'a>> {
        let own = [text(&self.place.brand), text(self.place.namespace.as_str()), text(self.key.as_str())];
        own.into_iter().chain(rest).collect()
    }

    /// The number that stands for the key in locks. Other keys with the same number only wait without need.
    fn number(&self) -> i64 {
        let mut hash = Sha256::new();
        let area = for_area("{t}", self.place.area);
        for part in [&area, &self.place.brand, self.place.namespace.as_str(), self.key.as_str()] {
            hash.update(part);
            hash.update([0]);
        }
        let hash = hash.finalize();
        i64::from_be_bytes(std::array::from_fn(|index| hash.get(index).copied().unwrap_or_default()))
    }

    fn slot(&self) -> i16 {
        let [byte, ..] = self.number().to_be_bytes();
        i16::from(byte % USAGE_SLOTS)
    }
}

impl StorageStore for PostgresStore {
    fn get(
        &self,
        at: &Place,
        key: &Key,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<StoredValue>, StoreError>> {
        let at = At::of(at, key);
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, &at.sql(GET), at.with([int(now_ms)])).await?;
                rows.first().map(read).transpose()
            })
        })
    }

    fn has(&self, at: &Place, key: &Key, now_ms: i64) -> BoxFuture<'_, Result<bool, StoreError>> {
        let at = At::of(at, key);
        self.database.run(move |conn| {
            Box::pin(async move { Ok(!query(conn, &at.sql(HAS), at.with([int(now_ms)])).await?.is_empty()) })
        })
    }

    fn put(
        &self,
        at: &Place,
        put: Put,
        caps: StorageCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<PutDone, StoreError>> {
        let at = At::of(at, &put.key);
        self.in_turn(at.number(), move |conn| {
            Box::pin(async move {
                let Put { value, expires_at, condition, .. } = put;
                let (value_bytes, digest, number) = columns(&value);
                let (mode, expected) = match &condition {
                    Condition::Always => (0, None),
                    Condition::Absent => (1, None),
                    Condition::Equals(expected) => (2, Some(expected)),
                };
                let (_, other, equal) = expected.map_or((&[][..], &[][..], None), columns);
                let params = at.with([
                    int(now_ms),
                    bytes(value_bytes),
                    bytes(digest),
                    optional_number(number),
                    int(size(&at.place, &at.key, &value)),
                    optional_int(expires_at),
                    small(at.slot()),
                    int(cap(caps.keys_max)),
                    int(cap(caps.bytes_max)),
                    small(mode),
                    optional_bytes(equal.is_none().then_some(other)),
                    optional_number(equal),
                    flag(expected.is_some_and(StoredValue::is_null)),
                ]);
                let sql = at.sql(PUT);
                let [_, rows] = Batch::begin()
                    .query(LOCK, [int(at.number())])
                    .query(&sql, params)
                    .commit()
                    .run_for(conn)
                    .await?;
                let row = rows.first().ok_or_else(missing)?;
                Ok(match (row.try_get(0)?, exceeded(row)?) {
                    (false, _) => PutDone::NotMet,
                    (true, Some(quota)) => PutDone::Full(quota),
                    (true, None) => PutDone::Stored,
                })
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
        let at = At::of(at, key);
        self.in_turn(at.number(), move |conn| {
            Box::pin(async move {
                let params = at.with([
                    int(now_ms),
                    optional_number(Some(amount)),
                    optional_int(expires_at),
                    int(size(&at.place, &at.key, &StoredValue::Number(amount))),
                    small(at.slot()),
                    int(cap(caps.keys_max)),
                    int(cap(caps.bytes_max)),
                ]);
                let sql = at.sql(ADD);
                let batch = Batch::begin().query(LOCK, [int(at.number())]).query(&sql, params).commit();
                let [_, rows] = batch.run_for(conn).await?;
                let row = rows.first().ok_or_else(missing)?;
                let (is_number, sum): (bool, Option<f64>) = (row.try_get(0)?, row.try_get(1)?);
                Ok(match (sum, exceeded(row)?) {
                    (None, _) if is_number => AddDone::Overflow,
                    (None, _) => AddDone::NotANumber,
                    (Some(_), Some(quota)) => AddDone::Full(quota),
                    (Some(sum), None) => AddDone::Sum(sum),
                })
            })
        })
    }

    fn remove(&self, at: &Place, key: &Key) -> BoxFuture<'_, Result<(), StoreError>> {
        let at = At::of(at, key);
        self.database.run(move |conn| {
            Box::pin(async move {
                query(conn, &at.sql(REMOVE), at.with([small(at.slot())])).await?;
                Ok(())
            })
        })
    }

    fn list(&self, at: &Place, listing: Listing, now_ms: i64) -> BoxFuture<'_, Result<Listed, StoreError>> {
        let at = at.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let Listing { prefix, after, keys_max, bytes_max } = &listing;
                // Keys before the prefix are not listed, whatever `after` says.
                let after = after.as_ref().map(Key::as_str).filter(|after| *after >= prefix.as_str());
                let end = end_of_prefix(prefix);
                let params = [
                    text(&at.brand),
                    text(at.namespace.as_str()),
                    text(after.unwrap_or(prefix.as_str())),
                    text(&end),
                    flag(after.is_some()),
                    int(now_ms),
                    int(i64::from(*keys_max) + 1),
                    int(i64::try_from(*bytes_max).unwrap_or(i64::MAX)),
                ];
                let rows = query(conn, &for_area(LIST, at.area), params).await?;
                listed(&rows, *keys_max)
            })
        })
    }

    fn forget(
        &self,
        area: Area,
        brand: &str,
        expired_by: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [text(&brand), int(expired_by), int(rows_max.into()), small(CLEANUP_SLOT)];
                count(&query(conn, &for_area(FORGET, area), params).await?)
            })
        })
    }

    fn delete_expired_values(
        &self,
        area: Area,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [int(now_ms), int(rows_max.into()), small(CLEANUP_SLOT)];
                count(&query(conn, &for_area(DELETE_EXPIRED, area), params).await?)
            })
        })
    }
}

/// The changes of one key, which this host makes one after the other. Otherwise those that wait for the lock of
/// a key in the database would each take one of the host's connections.
pub(super) struct KeyTurns(Vec<Mutex<()>>);

/// Two keys seldom have the same turns. If they do, they only wait without need.
const TURNS: usize = 1_024;

impl Default for KeyTurns {
    fn default() -> Self {
        Self((0..TURNS).map(|_| Mutex::default()).collect())
    }
}

impl PostgresStore {
    /// Runs `work` when no other change of the key with this number is running on this host.
    fn in_turn<T: Send + 'static>(
        &self,
        number: i64,
        work: impl for<'c> FnOnce(&'c Client) -> BoxFuture<'c, Result<T, SqlError>> + Send + 'static,
    ) -> BoxFuture<'_, Result<T, StoreError>> {
        Box::pin(async move {
            let index = usize::try_from(number.unsigned_abs()).unwrap_or_default() % TURNS;
            let turn = self.turns.0.get(index).map(Mutex::lock);
            let began = Instant::now();
            let wait_max = database_time::left().unwrap_or(TURN_MAX).min(TURN_MAX);
            let waited = tokio::time::timeout(wait_max, async { Some(turn?.await) }).await;
            database_time::spend(began.elapsed());
            let late = |_| StoreError::Unavailable(NoAnswer::TimedOut { ms: wait_max.as_millis() });
            let _turn = waited.map_err(late)?;
            self.database.run(work).await
        })
    }
}

/// The quota that a change would exceed.
fn exceeded(row: &Row) -> Result<Option<Quota>, SqlError> {
    let has_too_many_keys = row.try_get("has_too_many_keys")?;
    let has_too_many_bytes = row.try_get("has_too_many_bytes")?;
    Ok(match (has_too_many_keys, has_too_many_bytes) {
        (true, _) => Some(Quota::Keys),
        (false, true) => Some(Quota::Bytes),
        (false, false) => None,
    })
}

fn cap(max: u64) -> i64 {
    i64::try_from(max).unwrap_or(i64::MAX)
}

fn missing() -> StoreError {
    corrupt("value of a script", BadRow::Missing)
}

fn count(rows: &[Row]) -> Result<u32, SqlError> {
    let count: i64 = rows.first().ok_or_else(missing)?.try_get(0)?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

/// Reads the columns `value`, `digest` and `number`.
fn read(row: &Row) -> Result<StoredValue, SqlError> {
    let digest: &[u8] = row.try_get("digest")?;
    let value = value(row.try_get("value")?, digest, row.try_get("number")?);
    Ok(value.ok_or_else(|| corrupt("value of a script", BadRow::Length { column: "digest", bytes: 32 }))?)
}

fn listed(rows: &[Row], keys_max: u32) -> Result<Listed, SqlError> {
    let chosen: i64 = rows.first().map_or(Ok(0), |row| row.try_get("chosen"))?;
    let keys_max = usize::try_from(keys_max).unwrap_or(usize::MAX);
    let mut keys = Vec::with_capacity(rows.len().min(keys_max));
    for row in rows.iter().take(keys_max) {
        let (key, expires_at) = (row.try_get("key")?, row.try_get("expires_at")?);
        keys.push(ListedKey { key, value: read(row)?, expires_at });
    }
    let has_more = i64::try_from(keys.len()).is_ok_and(|listed| listed < chosen);
    Ok(Listed { keys, has_more })
}
