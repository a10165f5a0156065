//! What one request changes: the session, used tokens and queued writes. It runs in the writer's
//! transaction, and an error undoes all of it.

use rusqlite::{Connection, OptionalExtension};

use sluice_kit::{BoxFuture, StoreError};
use sluice_session::storage::SessionError;
use sluice_session::{
    Committed, RunCommit, SessionAddress, SessionKey, SessionRow, SessionStore, SessionUsage,
};

use super::{SqliteStore, job_queue, queue, session, token};
use crate::error::CommitSqlError;

impl SessionStore for SqliteStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        self.readers.read_by_key(move |conn| {
            let mut query = conn.prepare_cached(session::LOAD)?;
            Ok(query.query_row((&key.brand, key.id_hash, now_ms), session::read_row).optional()?)
        })
    }

    fn commit_run(&self, commit: RunCommit, now_ms: i64) -> BoxFuture<'_, Result<Committed, SessionError>> {
        self.writer.write(move |conn| run(conn, commit, now_ms))
    }

    fn confirm_session(&self, at: SessionAddress) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.write(move |conn| {
            conn.prepare_cached(session::CONFIRM)?.execute((at.row_id.as_bytes(), &at.brand))?;
            Ok(())
        })
    }

    fn session_usage(&self) -> BoxFuture<'_, Result<Vec<(String, SessionUsage)>, StoreError>> {
        self.readers.read(move |conn| {
            let sql = "SELECT brand, count(*), sum(length(sealed)) FROM session GROUP BY brand";
            let mut query = conn.prepare_cached(sql)?;
            let rows = query.query_map([], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
            let usage = rows.map(|row| {
                let (brand, rows, bytes): (String, i64, i64) = row?;
                Ok((brand, SessionUsage { rows: rows.unsigned_abs(), bytes: bytes.unsigned_abs() }))
            });
            usage.collect()
        })
    }

    fn evict_sessions(
        &self,
        brand: String,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<SessionUsage, StoreError>> {
        self.writer.write(move |conn| {
            let mut query = conn.prepare_cached(session::EVICT)?;
            let mut gone = SessionUsage::default();
            for bytes in query.query_map((&brand, rows_max), |row| row.get::<_, i64>(0))? {
                gone.rows += 1;
                gone.bytes += bytes?.unsigned_abs();
            }
            Ok(gone)
        })
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(session::DELETE_EXPIRED)?.execute((now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}

fn run(conn: &Connection, commit: RunCommit, now_ms: i64) -> Result<Committed, CommitSqlError> {
    let RunCommit { brand, session, tokens, jobs, caps, queue } = commit;
    for used in &tokens {
        if !token::spend(conn, &brand, used)? {
            return Err(SessionError::TokenUsed.into());
        }
    }
    let session = match session {
        Some(session) => session::commit(conn, &brand, session, now_ms)?,
        None => None,
    };
    let mut ids = Vec::with_capacity(jobs.len());
    for write in &jobs {
        ids.push(job_queue::insert(conn, &brand, write, caps, now_ms)?);
    }
    queue::commit(conn, &brand, queue, now_ms)?;
    Ok(Committed { session, jobs: ids })
}
