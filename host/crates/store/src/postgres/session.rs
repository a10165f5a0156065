//! Session rows.

use tokio_postgres::Row;

use sluice_kit::{BadRow, BoxFuture, StoreError, StoreFault};
use sluice_session::{
    SessionAddress, SessionChange, SessionEdit, SessionKey, SessionRow, SessionRowId, SessionStamp,
    SessionStore,
};

use super::PostgresStore;
use super::batch::{Batch, bytes, execute, int, query, text};
use super::error::corrupt;
use crate::error::SqlError;

pub(super) const LOAD: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at FROM session
    WHERE brand = $1 AND id_hash = $2 AND expires_at > $3";

/// The lock makes other commits of this session wait until this one is done.
pub(super) const LOCK: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at FROM session
    WHERE row_id = $1 AND brand = $2 AND expires_at > $3 FOR UPDATE";

/// Replaces a row of the same brand that has expired and has not been deleted yet.
const ISSUE: &str = "INSERT INTO session (row_id, brand, id_hash, sealed, created_at, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6)
    ON CONFLICT (row_id) DO UPDATE SET
        id_hash = excluded.id_hash, sealed = excluded.sealed,
        created_at = excluded.created_at, expires_at = excluded.expires_at
    WHERE session.brand = excluded.brand
    RETURNING true";

const WRITE: &str = "UPDATE session SET sealed = $3 WHERE row_id = $1 AND brand = $2";

const DELETE: &str = "DELETE FROM session WHERE row_id = $1 AND brand = $2";

/// Skips rows that another host is deleting or committing.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM session WHERE row_id = ANY (ARRAY(
        SELECT row_id FROM session WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl SessionStore for PostgresStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, LOAD, [text(&key.brand), bytes(&key.id_hash), int(now_ms)]).await?;
                rows.first().map(read_row).transpose()
            })
        })
    }

    /// Two round trips: one reads and locks, one writes and commits.
    fn commit_session(
        &self,
        at: SessionAddress,
        now_ms: i64,
        edit: SessionEdit,
    ) -> BoxFuture<'_, Result<Option<SessionStamp>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let id = || [bytes(at.row_id.as_bytes()), text(&at.brand)];
                let lock = Vec::from_iter(id().into_iter().chain([int(now_ms)]));
                let [rows] = Batch::begin().query(LOCK, lock).run_for(conn).await?;
                let row = rows.first().map(read_row).transpose()?;
                match (edit(row.as_ref()), row) {
                    (SessionChange::Keep, row) => {
                        execute(conn, "COMMIT").await?;
                        Ok(row.as_ref().map(stamp))
                    }
                    (SessionChange::Write { .. }, None) => {
                        execute(conn, "COMMIT").await?;
                        Ok(None)
                    }
                    (SessionChange::Write { sealed }, Some(row)) => {
                        let params = Vec::from_iter(id().into_iter().chain([bytes(&sealed)]));
                        Batch::new().query(WRITE, params).commit().run(conn).await?;
                        Ok(Some(stamp(&row)))
                    }
                    (SessionChange::Issue { id_hash, sealed, expires_at }, _) => {
                        let rest = [bytes(&id_hash), bytes(&sealed), int(now_ms), int(expires_at)];
                        let params = Vec::from_iter(id().into_iter().chain(rest));
                        let [issued] = Batch::new().query(ISSUE, params).commit().run_for(conn).await?;
                        if issued.is_empty() {
                            return Err(StoreError::Failed(StoreFault::ForeignSession).into());
                        }
                        Ok(Some(SessionStamp { id_hash, created_at: now_ms, expires_at }))
                    }
                    (SessionChange::Delete, _) => {
                        Batch::new().query(DELETE, id()).commit().run(conn).await?;
                        Ok(None)
                    }
                }
            })
        })
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

fn stamp(row: &SessionRow) -> SessionStamp {
    SessionStamp { id_hash: row.id_hash, created_at: row.created_at, expires_at: row.expires_at }
}

fn read_row(row: &Row) -> Result<SessionRow, SqlError> {
    let (row_id, id_hash): (&[u8], &[u8]) = (row.try_get(0)?, row.try_get(1)?);
    let row_id =
        row_id.try_into().map_err(|_| corrupt("session", BadRow::Length { column: "id", bytes: 16 }))?;
    Ok(SessionRow {
        row_id: SessionRowId::from_bytes(row_id),
        id_hash: id_hash
            .try_into()
            .map_err(|_| corrupt("session", BadRow::Length { column: "hash", bytes: 32 }))?,
        sealed: row.try_get(2)?,
        created_at: row.try_get(3)?,
        expires_at: row.try_get(4)?,
    })
}
