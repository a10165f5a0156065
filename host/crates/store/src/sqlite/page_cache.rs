//! Cached answers that were dropped.

use sluice_kit::{BoxFuture, StoreError};
use sluice_page_cache::{Purge, PurgeStore};

use super::SqliteStore;

const PURGE: &str = "INSERT INTO page_purge (brand, tag, version, purged_at) VALUES (?1, ?2, 1, ?3)
     ON CONFLICT (brand, tag) DO UPDATE SET
         version = version + 1, purged_at = max(purged_at, excluded.purged_at)
     RETURNING version";

pub(super) const SINCE: &str = "SELECT brand, tag, version FROM page_purge WHERE purged_at >= ?1";

pub(super) const DELETE_OLD: &str = "DELETE FROM page_purge WHERE (brand, tag) IN (
         SELECT brand, tag FROM page_purge WHERE purged_at < ?1
         ORDER BY purged_at LIMIT ?2)";

impl PurgeStore for SqliteStore {
    fn purge<'a>(
        &'a self,
        brand: &'a str,
        tag: &'a str,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<i64, StoreError>> {
        let (brand, tag) = (brand.to_owned(), tag.to_owned());
        self.writer.write(move |conn| {
            Ok(conn.prepare_cached(PURGE)?.query_row((brand, tag, now_ms), |row| row.get(0))?)
        })
    }

    fn purges_since(&self, since_ms: i64) -> BoxFuture<'_, Result<Vec<Purge>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(SINCE)?;
            let purge = |row: &rusqlite::Row<'_>| {
                Ok(Purge { brand: row.get(0)?, tag: row.get(1)?, version: row.get(2)? })
            };
            Ok(query.query_map([since_ms], purge)?.collect::<Result<_, _>>()?)
        })
    }

    fn delete_old_purges(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_OLD)?.execute((before_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}
