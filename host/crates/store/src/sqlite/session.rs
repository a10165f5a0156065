//! Session rows.

use rusqlite::{Connection, OptionalExtension, Params, Row};

use sluice_kit::{StoreError, StoreFault};
use sluice_session::{SessionChange, SessionCommit, SessionKind, SessionRow, SessionRowId, SessionStamp};

use crate::error::{CommitSqlError, SqlError};

pub(super) const LOAD: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at, kind FROM session
     WHERE brand = ?1 AND id_hash = ?2 AND expires_at > ?3";

const WRITE: &str = "UPDATE session SET sealed = ?2 WHERE row_id = ?1";

const WRITE_AND_CONFIRM: &str =
    "UPDATE session SET sealed = ?2, kind = 1, expires_at = max(expires_at, lasts_until) WHERE row_id = ?1";

pub(super) const DELETE_EXPIRED: &str = "DELETE FROM session WHERE row_id IN (
         SELECT row_id FROM session WHERE expires_at <= ?1
         ORDER BY expires_at LIMIT ?2)";

pub(super) const CONFIRM: &str = "UPDATE session SET kind = 1, expires_at = max(expires_at, lasts_until)
     WHERE row_id = ?1 AND brand = ?2 AND kind = 0";

pub(super) const EVICT: &str = "DELETE FROM session WHERE row_id IN (
         SELECT row_id FROM session WHERE brand = ?1
         ORDER BY kind, created_at LIMIT ?2)
     RETURNING length(sealed)";

/// Applies one request's changes to the row. It runs in the writer's transaction, so no other
/// write happens between reading and writing the row.
pub(super) fn commit(
    conn: &Connection,
    brand: &str,
    SessionCommit { row_id, edit }: SessionCommit,
    now_ms: i64,
) -> Result<Option<SessionStamp>, CommitSqlError> {
    let row = load(conn, brand, row_id, now_ms)?;
    let stored = row.as_ref().map(stamp);
    let is_unconfirmed = row.as_ref().is_some_and(|row| row.is_unconfirmed);
    Ok(match (edit(row.as_ref()), stored) {
        (SessionChange::Fail(error), _) => return Err(error.into()),
        (SessionChange::Keep, stored) => stored,
        (SessionChange::Write { .. }, None) => None,
        (SessionChange::Write { sealed }, Some(stored)) => {
            let update = if is_unconfirmed { WRITE_AND_CONFIRM } else { WRITE };
            execute(conn, update, (row_id.as_bytes(), sealed))?;
            Some(stored)
        }
        (SessionChange::Issue { id_hash, sealed, expires_at, kind }, _) => {
            let stamp = SessionStamp { id_hash, created_at: now_ms, expires_at };
            issue(conn, brand, row_id, &stamp, &sealed, kind)?;
            Some(stamp)
        }
        (SessionChange::Delete, _) => {
            let delete = "DELETE FROM session WHERE row_id = ?1 AND brand = ?2";
            execute(conn, delete, (row_id.as_bytes(), brand))?;
            None
        }
    })
}

fn load(
    conn: &Connection,
    brand: &str,
    row_id: SessionRowId,
    now_ms: i64,
) -> Result<Option<SessionRow>, SqlError> {
    let mut query = conn.prepare_cached(
        "SELECT row_id, id_hash, sealed, created_at, expires_at, kind FROM session
         WHERE row_id = ?1 AND brand = ?2 AND expires_at > ?3",
    )?;
    Ok(query.query_row((row_id.as_bytes(), brand, now_ms), read_row).optional()?)
}

fn execute(conn: &Connection, sql: &str, params: impl Params) -> Result<usize, SqlError> {
    Ok(conn.prepare_cached(sql)?.execute(params)?)
}

/// Inserts the row. It replaces a row of the same brand that has expired and has not been
/// deleted yet.
fn issue(
    conn: &Connection,
    brand: &str,
    row_id: SessionRowId,
    stamp: &SessionStamp,
    sealed: &[u8],
    kind: SessionKind,
) -> Result<(), SqlError> {
    let rows = conn
        .prepare_cached(
            "INSERT INTO session (row_id, brand, id_hash, sealed, created_at, expires_at, kind, lasts_until)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)
             ON CONFLICT (row_id) DO UPDATE SET
                 id_hash = excluded.id_hash, sealed = excluded.sealed,
                 created_at = excluded.created_at, expires_at = excluded.expires_at,
                 kind = excluded.kind, lasts_until = excluded.lasts_until
             WHERE brand = excluded.brand",
        )?
        .execute((
            row_id.as_bytes(),
            brand,
            stamp.id_hash,
            sealed,
            stamp.created_at,
            stamp.expires_at,
            kind.rank(),
            kind.until(),
        ))?;
    match rows {
        1 => Ok(()),
        _ => Err(StoreError::Failed(StoreFault::ForeignSession).into()),
    }
}

fn stamp(row: &SessionRow) -> SessionStamp {
    SessionStamp { id_hash: row.id_hash, created_at: row.created_at, expires_at: row.expires_at }
}

pub(super) fn read_row(row: &Row<'_>) -> rusqlite::Result<SessionRow> {
    Ok(SessionRow {
        row_id: SessionRowId::from_bytes(row.get(0)?),
        id_hash: row.get(1)?,
        sealed: row.get(2)?,
        created_at: row.get(3)?,
        expires_at: row.get(4)?,
        is_unconfirmed: row.get::<_, i16>(5)? == SessionKind::UNCONFIRMED_RANK,
    })
}
