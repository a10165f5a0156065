//! What one request changes: the session, used tokens and queued writes, in one transaction. One
//! round trip locks the session's row and records the tokens, one writes, and one commits. A
//! change of the session alone is written and committed in one round trip.

use std::time::Duration;

use tokio_postgres::{Client, Row};

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_session::storage::SessionError;
use sluice_session::{
    Committed, RunCommit, SessionAddress, SessionCommit, SessionKey, SessionRow, SessionRowId, SessionStore,
    SessionUsage, UsedToken,
};

use super::batch::{Batch, bytes, execute, int, query, text};
use super::error::corrupt;
use super::job_queue::StoredJob;
use super::usage::{UsageSlot, add_usage, check_usage};
use super::{PostgresStore, queue, session, token};
use crate::error::{CommitSqlError, SqlError};

/// How long counting all sessions may take.
const USAGE_MAX: Duration = Duration::from_secs(60);

impl SessionStore for PostgresStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows =
                    query(conn, session::LOAD, [text(&key.brand), bytes(&key.id_hash), int(now_ms)]).await?;
                rows.first().map(session::read_row).transpose()
            })
        })
    }

    fn commit_run(&self, commit: RunCommit, now_ms: i64) -> BoxFuture<'_, Result<Committed, SessionError>> {
        self.database.run(move |conn| Box::pin(run(conn, commit, now_ms)))
    }

    fn confirm_session(&self, at: SessionAddress) -> BoxFuture<'_, Result<(), StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                query(conn, session::CONFIRM, [bytes(at.row_id.as_bytes()), text(&at.brand)]).await?;
                Ok(())
            })
        })
    }

    fn session_usage(&self) -> BoxFuture<'_, Result<Vec<(String, SessionUsage)>, StoreError>> {
        self.database.run_within(USAGE_MAX, move |conn| {
            Box::pin(async move {
                let rows = query(conn, session::USAGE, []).await?;
                let usage = rows.iter().map(|row| {
                    let (rows, bytes): (i64, i64) = (row.try_get(1)?, row.try_get(2)?);
                    let usage = SessionUsage { rows: rows.unsigned_abs(), bytes: bytes.unsigned_abs() };
                    Ok((row.try_get(0)?, usage))
                });
                usage.collect()
            })
        })
    }

    fn evict_sessions(
        &self,
        brand: String,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<SessionUsage, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let mut gone = SessionUsage::default();
                for row in query(conn, session::EVICT, [text(&brand), int(rows_max.into())]).await? {
                    gone.rows += 1;
                    gone.bytes += row.try_get::<_, i64>(0)?.unsigned_abs();
                }
                Ok(gone)
            })
        })
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, session::DELETE_EXPIRED, [int(now_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

async fn run(conn: &Client, commit: RunCommit, now_ms: i64) -> Result<Committed, CommitSqlError> {
    let RunCommit { brand, session, tokens, jobs, caps, queue } = commit;
    let row_id = session.as_ref().map(|session| session.row_id);
    let row = begin(conn, &brand, row_id, &tokens, now_ms).await?;
    let change = session.map(|SessionCommit { row_id, edit }| (row_id, edit(row.as_ref())));
    let jobs = jobs.iter().map(|write| StoredJob::of(&brand, write)).collect::<Result<Vec<_>, _>>()?;

    let mut batch = Batch::new();
    let stamp = match change.as_ref() {
        Some((row_id, change)) => {
            session::add_change(&mut batch, (&brand, row_id), change, row.as_ref(), now_ms)
        }
        None => None,
    };
    let changes = batch.queries();
    queue::add_commit(&mut batch, &brand, &queue, now_ms);
    let queue_answers = batch.queries() - changes;
    for job in &jobs {
        job.add(&mut batch, &brand, now_ms);
    }
    let bytes = jobs.iter().map(StoredJob::bytes).fold(0, i64::saturating_add);
    let slot = UsageSlot::of_line(jobs.first().and_then(StoredJob::first_line));
    add_usage(&mut batch, &brand, slot, bytes);
    let is_session_only = jobs.is_empty() && tokens.is_empty() && queue.is_empty();
    let batch = if is_session_only { batch.commit() } else { batch };
    let answers = batch.run(conn).await?;

    let (changed, made) = answers.split_at_checked(changes).unwrap_or_default();
    if let Some((_, change)) = change {
        session::check_change(change, changed.first())?;
    }
    let (queued, made) = made.split_at_checked(queue_answers).unwrap_or_default();
    queue::check_commit(queued, &queue)?;
    let ids = made.iter().take(jobs.len()).map(|rows| job_id(rows)).collect::<Result<_, _>>()?;
    if !jobs.is_empty() {
        check_usage(made.last().and_then(|rows| rows.first()), bytes, caps)?;
    }
    if !is_session_only {
        execute(conn, "COMMIT").await?;
    }
    Ok(Committed { session: stamp, jobs: ids })
}

/// Begins the transaction, records the tokens, and locks the session's row.
async fn begin(
    conn: &Client,
    brand: &str,
    row_id: Option<SessionRowId>,
    tokens: &[UsedToken],
    now_ms: i64,
) -> Result<Option<SessionRow>, CommitSqlError> {
    let mut batch = Batch::begin();
    if let Some(row_id) = &row_id {
        session::add_lock(&mut batch, (brand, row_id), now_ms);
    }
    for used in tokens {
        token::add_spend(&mut batch, brand, used);
    }
    let answers = batch.run(conn).await?;
    let (locked, spent) = answers.split_at_checked(row_id.iter().len()).unwrap_or_default();
    if spent.iter().any(Vec::is_empty) {
        return Err(SessionError::TokenUsed.into());
    }
    let row = locked.first().and_then(|rows| rows.first());
    Ok(row.map(session::read_row).transpose()?)
}

fn job_id(rows: &[Row]) -> Result<i64, SqlError> {
    let row = rows.first().ok_or_else(|| corrupt("job", BadRow::Missing))?;
    Ok(row.try_get(0)?)
}
