//! Cached answers that were dropped.

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_page_cache::{Purge, PurgeStore};

use super::PostgresStore;
use super::batch::{int, query, text};
use super::error::corrupt;

const PURGE: &str = "INSERT INTO page_purge (brand, tag, version, purged_at) VALUES ($1, $2, 1, $3)
    ON CONFLICT (brand, tag) DO UPDATE SET
        version = page_purge.version + 1, purged_at = greatest(page_purge.purged_at, excluded.purged_at)
    RETURNING version";

pub(super) const SINCE: &str = "SELECT brand, tag, version FROM page_purge WHERE purged_at >= $1";

/// Skips rows that another host is deleting or counting in.
pub(super) const DELETE_OLD: &str = "DELETE FROM page_purge WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM page_purge WHERE purged_at < $1
        ORDER BY purged_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl PurgeStore for PostgresStore {
    fn purge<'a>(
        &'a self,
        brand: &'a str,
        tag: &'a str,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<i64, StoreError>> {
        let (brand, tag) = (brand.to_owned(), tag.to_owned());
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, PURGE, [text(&brand), text(&tag), int(now_ms)]).await?;
                let row = rows.first().ok_or_else(|| corrupt("purge", BadRow::Missing))?;
                Ok(row.try_get(0)?)
            })
        })
    }

    fn purges_since(&self, since_ms: i64) -> BoxFuture<'_, Result<Vec<Purge>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, SINCE, [int(since_ms)]).await?;
                let purges = rows.iter().map(|row| {
                    Ok(Purge { brand: row.try_get(0)?, tag: row.try_get(1)?, version: row.try_get(2)? })
                });
                purges.collect()
            })
        })
    }

    fn delete_old_purges(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DELETE_OLD, [int(before_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}
