//! Session rows.

use tokio_postgres::Row;

use sluice_kit::{BadRow, StoreError, StoreFault};
use sluice_session::storage::SessionError;
use sluice_session::{SessionChange, SessionKind, SessionRow, SessionRowId, SessionStamp};

use super::batch::{Batch, bytes, int, small, text};
use super::error::corrupt;
use crate::error::SqlError;

pub(super) const LOAD: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at, kind FROM session
    WHERE brand = $1 AND id_hash = $2 AND expires_at > $3";

/// The lock makes other commits of this session wait until this one is done.
pub(super) const LOCK: &str = "SELECT row_id, id_hash, sealed, created_at, expires_at, kind FROM session
    WHERE row_id = $1 AND brand = $2 AND expires_at > $3 FOR UPDATE";

/// Replaces a row of the same brand that has expired and has not been deleted yet.
const ISSUE: &str = "INSERT INTO session
        (row_id, brand, id_hash, sealed, created_at, expires_at, kind, lasts_until)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
    ON CONFLICT (row_id) DO UPDATE SET
        id_hash = excluded.id_hash, sealed = excluded.sealed,
        created_at = excluded.created_at, expires_at = excluded.expires_at,
        kind = excluded.kind, lasts_until = excluded.lasts_until
    WHERE session.brand = excluded.brand
    RETURNING true";

const WRITE: &str = "UPDATE session SET sealed = $3 WHERE row_id = $1 AND brand = $2";

const WRITE_AND_CONFIRM: &str = "UPDATE session
    SET sealed = $3, kind = 1, expires_at = greatest(expires_at, lasts_until)
    WHERE row_id = $1 AND brand = $2";

const DELETE: &str = "DELETE FROM session WHERE row_id = $1 AND brand = $2";

/// Skips rows that another host is deleting or committing.
pub(super) const DELETE_EXPIRED: &str = "DELETE FROM session WHERE row_id = ANY (ARRAY(
        SELECT row_id FROM session WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

pub(super) const CONFIRM: &str = "UPDATE session SET kind = 1, expires_at = greatest(expires_at, lasts_until)
    WHERE row_id = $1 AND brand = $2 AND kind = 0 RETURNING true";

pub(super) const USAGE: &str = "SELECT brand, count(*), coalesce(sum(octet_length(sealed)), 0)::bigint
    FROM session GROUP BY brand";

/// Skips rows that another host is deleting or committing.
pub(super) const EVICT: &str = "DELETE FROM session WHERE row_id = ANY (ARRAY(
        SELECT row_id FROM session WHERE brand = $1
        ORDER BY kind, created_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING octet_length(sealed)::bigint";

/// Adds a statement that locks the row and returns it.
pub(super) fn add_lock<'a>(batch: &mut Batch<'a>, (brand, row_id): (&'a str, &'a SessionRowId), now_ms: i64) {
    batch.add(LOCK, [bytes(row_id.as_bytes()), text(brand), int(now_ms)]);
}

/// Adds the statement of a change, if it has one. Returns the session after the change.
pub(super) fn add_change<'a>(
    batch: &mut Batch<'a>,
    (brand, row_id): (&'a str, &'a SessionRowId),
    change: &'a SessionChange,
    row: Option<&SessionRow>,
    now_ms: i64,
) -> Option<SessionStamp> {
    let id = || [bytes(row_id.as_bytes()), text(brand)];
    match change {
        SessionChange::Fail(_) => None,
        SessionChange::Keep => row.map(stamp),
        SessionChange::Write { sealed } => {
            let row = row?;
            let update = if row.is_unconfirmed { WRITE_AND_CONFIRM } else { WRITE };
            batch.add(update, Vec::from_iter(id().into_iter().chain([bytes(sealed)])));
            Some(stamp(row))
        }
        SessionChange::Issue { id_hash, sealed, expires_at, kind } => {
            let ends = [int(now_ms), int(*expires_at), small(kind.rank()), int(kind.until())];
            let rest = [bytes(id_hash), bytes(sealed)].into_iter().chain(ends);
            batch.add(ISSUE, Vec::from_iter(id().into_iter().chain(rest)));
            Some(SessionStamp { id_hash: *id_hash, created_at: now_ms, expires_at: *expires_at })
        }
        SessionChange::Delete => {
            batch.add(DELETE, id());
            None
        }
    }
}

/// Fails unless the statement of [`add_change`] has changed the row. `rows` is what it returned.
pub(super) fn check_change(change: SessionChange, rows: Option<&Vec<Row>>) -> Result<(), SessionError> {
    match change {
        SessionChange::Fail(error) => Err(error),
        SessionChange::Issue { .. } if rows.is_none_or(Vec::is_empty) => {
            Err(StoreError::Failed(StoreFault::ForeignSession).into())
        }
        _ => Ok(()),
    }
}

fn stamp(row: &SessionRow) -> SessionStamp {
    SessionStamp { id_hash: row.id_hash, created_at: row.created_at, expires_at: row.expires_at }
}

pub(super) fn read_row(row: &Row) -> Result<SessionRow, SqlError> {
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
        is_unconfirmed: row.try_get::<_, i16>(5)? == SessionKind::UNCONFIRMED_RANK,
    })
}
