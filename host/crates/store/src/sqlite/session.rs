//! Session rows.

use rusqlite::{Connection, OptionalExtension, Row};

use sluice_kit::{BoxFuture, StoreError, StoreFault};
use sluice_session::{
    SessionAddress, SessionChange, SessionEdit, SessionKey, SessionRow, SessionRowId, SessionStamp,
    SessionStore,
};

use super::SqliteStore;
use crate::error::SqlError;

pub(super) const LOAD: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at FROM session
     WHERE brand = ?1 AND id_hash = ?2 AND expires_at > ?3";

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM session WHERE row_id IN (
         SELECT row_id FROM session WHERE expires_at <= ?1
         ORDER BY expires_at LIMIT ?2)";

impl SessionStore for SqliteStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(LOAD)?;
            Ok(query.query_row((&key.brand, key.id_hash, now_ms), read_row).optional()?)
        })
    }

    /// Runs in the writer's transaction, so no other write happens between reading and
    /// writing the row.
    fn commit_session(
        &self,
        at: SessionAddress,
        now_ms: i64,
        edit: SessionEdit,
    ) -> BoxFuture<'_, Result<Option<SessionStamp>, StoreError>> {
        self.writer.write(move |conn| {
            let row = conn
                .prepare_cached(
                    "SELECT row_id, id_hash, sealed, created_at, expires_at FROM session
                     WHERE row_id = ?1 AND brand = ?2 AND expires_at > ?3",
                )?
                .query_row((at.row_id.as_bytes(), &at.brand, now_ms), read_row)
                .optional()?;
            match (edit(row.as_ref()), row) {
                (SessionChange::Keep, row) => Ok(row.map(|row| stamp(&row))),
                (SessionChange::Write { .. }, None) => Ok(None),
                (SessionChange::Write { sealed }, Some(row)) => {
                    conn.prepare_cached("UPDATE session SET sealed = ?2 WHERE row_id = ?1")?
                        .execute((at.row_id.as_bytes(), sealed))?;
                    Ok(Some(stamp(&row)))
                }
                (SessionChange::Issue { id_hash, sealed, expires_at }, _) => {
                    let stamp = SessionStamp { id_hash, created_at: now_ms, expires_at };
                    issue(conn, &at, &stamp, &sealed)?;
                    Ok(Some(stamp))
                }
                (SessionChange::Delete, _) => {
                    conn.prepare_cached("DELETE FROM session WHERE row_id = ?1 AND brand = ?2")?
                        .execute((at.row_id.as_bytes(), &at.brand))?;
                    Ok(None)
                }
            }
        })
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}

/// Inserts the row. It replaces a row of the same brand that has expired and has not been
/// deleted yet.
fn issue(
    conn: &Connection,
    at: &SessionAddress,
    stamp: &SessionStamp,
    sealed: &[u8],
) -> Result<(), SqlError> {
    let rows = conn
        .prepare_cached(
            "INSERT INTO session (row_id, brand, id_hash, sealed, created_at, expires_at)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6)
             ON CONFLICT (row_id) DO UPDATE SET
                 id_hash = excluded.id_hash, sealed = excluded.sealed,
                 created_at = excluded.created_at, expires_at = excluded.expires_at
             WHERE brand = excluded.brand",
        )?
        .execute((
            at.row_id.as_bytes(),
            &at.brand,
            stamp.id_hash,
            sealed,
            stamp.created_at,
            stamp.expires_at,
        ))?;
    match rows {
        1 => Ok(()),
        _ => Err(StoreError::Failed(StoreFault::ForeignSession).into()),
    }
}

fn stamp(row: &SessionRow) -> SessionStamp {
    SessionStamp { id_hash: row.id_hash, created_at: row.created_at, expires_at: row.expires_at }
}

fn read_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        row_id: SessionRowId::from_bytes(row.get(0)?),
        id_hash: row.get(1)?,
        sealed: row.get(2)?,
        created_at: row.get(3)?,
        expires_at: row.get(4)?,
    })
}
