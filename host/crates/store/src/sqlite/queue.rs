//! Jobs of scripts.

use rusqlite::{Connection, OptionalExtension, Row, params};

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_queue::{
    Claim, ClaimedJob, Ending, JobId, NewJob, QueueChoice, QueueCommit, QueueCounts, QueueStore, QueuedJob,
    State, Status,
};
use sluice_session::storage::SessionError;

use super::SqliteStore;
use super::connection::{count_by_brand, first};
use super::queue_operators::{self as operators, COUNT_PARKED, COUNT_STATE};
use crate::error::{CommitSqlError, SqlError};
use crate::queue_rows::{Ended, state};

pub(super) const COUNT_OF_BRAND: &str = "SELECT count(*) FROM (SELECT 1 FROM queue
     WHERE state IN ('pending', 'running', 'parked') AND brand = ?1 LIMIT ?2)";

const REPLACE: &str = "DELETE FROM queue WHERE brand = ?1 AND key = ?2 AND state = 'pending'";

const INSERT: &str =
    "INSERT INTO queue (id, brand, module, function, payload, state, tag, key, scheduled_for,
         due_at, created_at)
     VALUES (?1, ?2, ?3, ?4, ?5, 'pending', ?6, ?7, ?8, ?8, ?9)";

const DONE: &str =
    "UPDATE queue SET state = 'done', payload = x'', due_at = NULL, ended_at = ?3, outcome = NULL,
         last_error = NULL, console = NULL
     WHERE seq = ?1 AND claims = ?2 AND state = 'running'";

pub(super) const CANCEL: &str = "DELETE FROM queue WHERE brand = ?1 AND tag = ?2 AND state = 'pending'";

/// Goes from one brand to the next, so that it takes as many steps as there are brands with jobs, and not as
/// many as there are jobs.
pub(super) const DUE_BRANDS: &str = "WITH RECURSIVE step (brand) AS (
         SELECT (SELECT brand FROM queue WHERE due_at IS NOT NULL ORDER BY brand LIMIT 1)
         UNION ALL
         SELECT (SELECT next.brand FROM queue AS next
             WHERE next.due_at IS NOT NULL AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
         FROM step WHERE step.brand IS NOT NULL)
     SELECT brand FROM step WHERE brand IS NOT NULL
     AND EXISTS (SELECT 1 FROM queue AS due WHERE due.brand = step.brand AND due.due_at <= ?1)
     ORDER BY brand";

pub(super) const NEXT: &str =
    "SELECT seq FROM queue WHERE brand = ?1 AND due_at <= ?2 ORDER BY due_at, seq LIMIT 1";

const CLAIM: &str =
    "UPDATE queue SET state = 'running', attempts = attempts + 1, claims = claims + 1, due_at = ?2
     WHERE seq = ?1
     RETURNING claims, id, brand, module, function, payload, attempts, scheduled_for";

const RENEW: &str = "UPDATE queue SET due_at = ?3 WHERE seq = ?1 AND claims = ?2 AND state = 'running'";

/// A job is not tried again if a later one with the same key replaces it.
const REPLACED: &str =
    "DELETE FROM queue WHERE seq = ?1 AND claims = ?2 AND state = 'running' AND key IS NOT NULL
     AND EXISTS (SELECT 1 FROM queue AS other WHERE other.brand = queue.brand AND other.key = queue.key
         AND other.state = 'pending')";

const END: &str = "UPDATE queue SET state = ?3, due_at = ?4, ended_at = ?5, attempts = attempts - ?6,
         outcome = coalesce(?7, outcome), last_error = coalesce(?8, last_error),
         console = coalesce(?9, console)
     WHERE seq = ?1 AND claims = ?2 AND state = 'running'";

/// From one brand to the next; see [`DUE_BRANDS`].
const OLDEST_DUE: &str = "WITH RECURSIVE step (brand) AS (
         SELECT (SELECT brand FROM queue WHERE due_at IS NOT NULL ORDER BY brand LIMIT 1)
         UNION ALL
         SELECT (SELECT next.brand FROM queue AS next
             WHERE next.due_at IS NOT NULL AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
         FROM step WHERE step.brand IS NOT NULL)
     SELECT min((SELECT due.due_at FROM queue AS due WHERE due.brand = step.brand AND due.due_at <= ?1
         ORDER BY due.due_at LIMIT 1))
     FROM step WHERE brand IS NOT NULL";

pub(super) const DELETE_DONE: &str = "DELETE FROM queue WHERE seq IN (
         SELECT seq FROM queue INDEXED BY queue_done WHERE state = 'done' AND ended_at < ?1
         ORDER BY ended_at LIMIT ?2)";

/// From one brand to the next; see [`DUE_BRANDS`].
pub(super) const DELETE_EXCESS: &str = "WITH RECURSIVE step (brand) AS (
         SELECT (SELECT brand FROM queue WHERE state = 'done' ORDER BY brand LIMIT 1)
         UNION ALL
         SELECT (SELECT next.brand FROM queue AS next
             WHERE next.state = 'done' AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
         FROM step WHERE step.brand IS NOT NULL)
     DELETE FROM queue WHERE seq IN (
         SELECT old.seq FROM step CROSS JOIN queue AS old ON old.state = 'done' AND old.brand = step.brand
             AND old.seq <= (SELECT kept.seq FROM queue AS kept
                 WHERE kept.state = 'done' AND kept.brand = step.brand ORDER BY kept.seq DESC LIMIT 1 OFFSET ?1)
         LIMIT ?2)";

/// Stores what a run changes. It runs in the writer's transaction.
pub(super) fn commit(
    conn: &Connection,
    brand: &str,
    QueueCommit { jobs, jobs_max, done }: QueueCommit,
    now_ms: i64,
) -> Result<(), CommitSqlError> {
    if let Some(Claim { seq, claims }) = done {
        let ended = conn.prepare_cached(DONE).and_then(|mut sql| sql.execute((seq, claims, now_ms)));
        if ended.map_err(SqlError::from)? == 0 {
            return Err(SessionError::ClaimLost.into());
        }
    }
    if jobs.is_empty() {
        return Ok(());
    }
    for job in &jobs {
        insert(conn, brand, job, now_ms)?;
    }
    match count(conn, brand, jobs_max.saturating_add(1))? > jobs_max {
        true => Err(SessionError::QueueFull.into()),
        false => Ok(()),
    }
}

pub(super) fn insert(conn: &Connection, brand: &str, job: &NewJob, now_ms: i64) -> Result<(), SqlError> {
    let NewJob { id, module, function, payload, due_at, tag, key } = job;
    if let Some(key) = key {
        conn.prepare_cached(REPLACE)?.execute((brand, key))?;
    }
    let id = id.as_str();
    conn.prepare_cached(INSERT)?
        .execute(params![id, brand, module, function, payload, tag, key, due_at, now_ms])?;
    Ok(())
}

pub(super) fn count(conn: &Connection, brand: &str, count_max: u64) -> Result<u64, SqlError> {
    let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
    let jobs: Option<i64> = first(conn, COUNT_OF_BRAND, (brand, count_max))?;
    Ok(jobs.unwrap_or(0).unsigned_abs())
}

impl QueueStore for SqliteStore {
    fn queued_jobs_of(&self, brand: &str, count_max: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| count(conn, &brand, count_max))
    }

    fn add_queued(
        &self,
        brand: &str,
        job: NewJob,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| {
            if count(conn, &brand, jobs_max)? >= jobs_max {
                return Ok(false);
            }
            insert(conn, &brand, &job, now_ms)?;
            Ok(true)
        })
    }

    fn cancel_queued(&self, brand: &str, tag: &str) -> BoxFuture<'_, Result<u32, StoreError>> {
        let (brand, tag) = (brand.to_owned(), tag.to_owned());
        self.writer.write(move |conn| Ok(rows(conn.prepare_cached(CANCEL)?.execute((brand, tag))?)))
    }

    fn queued_status(&self, brand: &str, id: &JobId) -> BoxFuture<'_, Result<Option<Status>, StoreError>> {
        let (brand, id) = (brand.to_owned(), id.clone());
        self.readers.read_by_key(move |conn| {
            let sql = "SELECT state, attempts, scheduled_for FROM queue WHERE id = ?1 AND brand = ?2";
            let mut query = conn.prepare_cached(sql)?;
            let row: Option<(String, u32, i64)> = query
                .query_row((id.as_str(), &brand), |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))
                .optional()?;
            let status = row.map(|(name, attempts, scheduled_for)| {
                Ok::<_, SqlError>(Status { state: state(&name)?, attempts, scheduled_for })
            });
            status.transpose()
        })
    }

    fn due_brands(&self, now_ms: i64) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(DUE_BRANDS)?;
            Ok(query.query_map([now_ms], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn claim_queued(
        &self,
        brand: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> BoxFuture<'_, Result<Option<ClaimedJob>, StoreError>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| {
            let Some(seq) = first::<i64>(conn, NEXT, (brand, now_ms))? else { return Ok(None) };
            let mut claim = conn.prepare_cached(CLAIM)?;
            Ok(Some(claim.query_row((seq, until_ms), |row| read_claimed(seq, row))??))
        })
    }

    fn renew_claims(&self, claims: Vec<Claim>, until_ms: i64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.write(move |conn| {
            let mut renew = conn.prepare_cached(RENEW)?;
            for Claim { seq, claims } in claims {
                renew.execute((seq, claims, until_ms))?;
            }
            Ok(())
        })
    }

    fn end_claim(
        &self,
        claim: Claim,
        ending: Ending,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.writer.write(move |conn| {
            let Claim { seq, claims } = claim;
            let Ended { state, due_at, ended_at, failed } = Ended::of(ending, now_ms);
            if state == State::Pending && conn.prepare_cached(REPLACED)?.execute((seq, claims))? > 0 {
                return Ok(true);
            }
            let (outcome, error, console) = match &failed {
                Some(failed) => (Some(failed.outcome), Some(&failed.error), Some(&failed.console)),
                None => (None, None, None),
            };
            let uncounted = i64::from(failed.is_none());
            let ended = conn.prepare_cached(END)?.execute(params![
                seq,
                claims,
                state.as_str(),
                due_at,
                ended_at,
                uncounted,
                outcome,
                error,
                console
            ])?;
            Ok(ended > 0)
        })
    }

    fn list_queued(
        &self,
        brand: Option<&str>,
        state: Option<State>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<QueuedJob>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(&operators::list(brand.is_some(), state))?;
            let rows = query.query_map((brand, state.map(State::as_str), jobs_max), read_job)?;
            rows.map(|row| row?).collect()
        })
    }

    fn find_queued(&self, id: &JobId) -> BoxFuture<'_, Result<Option<QueuedJob>, StoreError>> {
        let id = id.clone();
        self.readers.read(move |conn| {
            let row =
                conn.prepare_cached(&operators::find())?.query_row([id.as_str()], read_job).optional()?;
            row.transpose()
        })
    }

    fn queued_payload(&self, id: &JobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let id = id.clone();
        let sql = "SELECT payload FROM queue WHERE id = ?1";
        self.readers.read(move |conn| Ok(first(conn, sql, [id.as_str()])?))
    }

    fn count_queued(&self, now_ms: i64) -> BoxFuture<'_, Result<QueueCounts, StoreError>> {
        self.readers.read(move |conn| {
            let count = |state: State| -> Result<u64, SqlError> {
                let jobs: Option<i64> = first(conn, COUNT_STATE, [state.as_str()])?;
                Ok(jobs.unwrap_or(0).unsigned_abs())
            };
            Ok(QueueCounts {
                pending: count(State::Pending)?,
                running: count(State::Running)?,
                parked: count(State::Parked)?,
                oldest_due_at: first::<Option<i64>>(conn, OLDEST_DUE, [now_ms])?.flatten(),
            })
        })
    }

    fn count_parked_queued(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.readers.read(move |conn| count_by_brand(conn, COUNT_PARKED, brands_max))
    }

    fn retry_queued(&self, which: QueueChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let (sql, of_choice) = operators::retry(&which);
            Ok(rows(conn.prepare_cached(&sql)?.execute((of_choice, now_ms))?))
        })
    }

    fn drop_queued(&self, which: QueueChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let (sql, of_choice) = operators::drop(&which);
            Ok(rows(conn.prepare_cached(&sql)?.execute([of_choice])?))
        })
    }

    fn delete_excess_queued(&self, kept_max: u32, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer
            .write(move |conn| Ok(rows(conn.prepare_cached(DELETE_EXCESS)?.execute((kept_max, rows_max))?)))
    }

    fn delete_finished_queued(
        &self,
        before_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer
            .write(move |conn| Ok(rows(conn.prepare_cached(DELETE_DONE)?.execute((before_ms, rows_max))?)))
    }
}

fn rows(rows: usize) -> u32 {
    u32::try_from(rows).unwrap_or(u32::MAX)
}

fn job_id(text: &str) -> Result<JobId, SqlError> {
    let corrupt = || StoreError::Corrupt { what: "job", why: BadRow::Missing };
    Ok(JobId::parse(text).ok_or_else(corrupt)?)
}

fn read_claimed(seq: i64, row: &Row<'_>) -> rusqlite::Result<Result<ClaimedJob, SqlError>> {
    let id: String = row.get("id")?;
    let id = match job_id(&id) {
        Ok(id) => id,
        Err(error) => return Ok(Err(error)),
    };
    Ok(Ok(ClaimedJob {
        claim: Claim { seq, claims: row.get("claims")? },
        id,
        brand: row.get("brand")?,
        module: row.get("module")?,
        function: row.get("function")?,
        payload: row.get("payload")?,
        attempt: row.get("attempts")?,
        scheduled_for: row.get("scheduled_for")?,
    }))
}

fn read_job(row: &Row<'_>) -> rusqlite::Result<Result<QueuedJob, SqlError>> {
    let name: String = row.get("state")?;
    let state = match state(&name) {
        Ok(state) => state,
        Err(error) => return Ok(Err(error.into())),
    };
    Ok(Ok(QueuedJob {
        id: row.get("id")?,
        brand: row.get("brand")?,
        module: row.get("module")?,
        function: row.get("function")?,
        state,
        tag: row.get("tag")?,
        key: row.get("key")?,
        attempts: row.get("attempts")?,
        payload_bytes: row.get::<_, i64>("payload_bytes")?.unsigned_abs(),
        payload_head: row.get("payload_head")?,
        created_at: row.get("created_at")?,
        scheduled_for: row.get("scheduled_for")?,
        due_at: row.get("due_at")?,
        ended_at: row.get("ended_at")?,
        outcome: row.get("outcome")?,
        last_error: row.get("last_error")?,
        console: row.get("console")?,
    }))
}
