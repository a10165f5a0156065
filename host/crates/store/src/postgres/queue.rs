//! Jobs of scripts. Each call is one statement, except that the end of a claim takes two in one round trip.

use tokio_postgres::Row;

use sluice_kit::{BadRow, BoxFuture, StoreError};
use sluice_queue::{
    Claim, ClaimedJob, Ending, JobId, NewJob, PAYLOAD_HEAD_MAX, QueueChoice, QueueCommit, QueueCounts,
    QueueStore, QueuedJob, State, Status,
};
use sluice_session::storage::SessionError;

use super::PostgresStore;
use super::batch::{Batch, Param, bytes, flag, int, ints, optional_int, optional_text, query, text};
use super::error::corrupt;
use crate::error::{CommitSqlError, SqlError};
use crate::queue_rows::{Ended, chosen, state};

pub(super) const COUNT_OF_BRAND: &str = "SELECT count(*) FROM (SELECT 1 FROM queue
    WHERE state IN ('pending', 'running', 'parked') AND brand = $1 LIMIT $2) AS jobs";

/// A pending job with the same key gets the contents of the new one. If a host claims it at this moment, the
/// new one is stored beside it.
pub(super) const INSERT: &str =
    "INSERT INTO queue (id, brand, module, function, payload, state, tag, key, scheduled_for,
        due_at, created_at)
    VALUES ($1, $2, $3, $4, $5, 'pending', $6, $7, $8, $8, $9)
    ON CONFLICT (brand, key) WHERE state = 'pending' AND key IS NOT NULL DO UPDATE SET id = excluded.id,
        module = excluded.module, function = excluded.function, payload = excluded.payload,
        tag = excluded.tag, attempts = 0, scheduled_for = excluded.scheduled_for, due_at = excluded.due_at,
        created_at = excluded.created_at, outcome = NULL, last_error = NULL, console = NULL
    RETURNING true";

/// As [`INSERT`], if the brand has room.
pub(super) const ADD: &str =
    "INSERT INTO queue (id, brand, module, function, payload, state, tag, key, scheduled_for,
        due_at, created_at)
    SELECT $1, $2, $3, $4, $5, 'pending', $6, $7, $8, $8, $9
    WHERE (SELECT count(*) FROM (SELECT 1 FROM queue
        WHERE state IN ('pending', 'running', 'parked') AND brand = $2 LIMIT $10) AS jobs) < $10
    ON CONFLICT (brand, key) WHERE state = 'pending' AND key IS NOT NULL DO UPDATE SET id = excluded.id,
        module = excluded.module, function = excluded.function, payload = excluded.payload,
        tag = excluded.tag, attempts = 0, scheduled_for = excluded.scheduled_for, due_at = excluded.due_at,
        created_at = excluded.created_at, outcome = NULL, last_error = NULL, console = NULL
    RETURNING true";

pub(super) const DONE: &str =
    "UPDATE queue SET state = 'done', payload = '', due_at = NULL, ended_at = $3, outcome = NULL,
        last_error = NULL, console = NULL
    WHERE seq = $1 AND claims = $2 AND state = 'running' RETURNING true";

pub(super) const CANCEL: &str =
    "DELETE FROM queue WHERE brand = $1 AND tag = $2 AND state = 'pending' RETURNING true";

pub(super) const STATUS: &str =
    "SELECT state, attempts, scheduled_for FROM queue WHERE id = $1 AND brand = $2";

/// Goes from one brand to the next, so that it takes as many steps as there are brands with jobs, and not as
/// many as there are jobs.
pub(super) const DUE_BRANDS: &str = "WITH RECURSIVE step (brand) AS (
        (SELECT brand FROM queue WHERE due_at IS NOT NULL ORDER BY brand LIMIT 1)
        UNION ALL
        SELECT (SELECT next.brand FROM queue AS next
            WHERE next.due_at IS NOT NULL AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
        FROM step WHERE step.brand IS NOT NULL)
    SELECT brand FROM step WHERE brand IS NOT NULL
    AND EXISTS (SELECT 1 FROM queue AS due WHERE due.brand = step.brand AND due.due_at <= $1)
    ORDER BY brand";

/// Skips jobs that another host is claiming.
pub(super) const CLAIM: &str =
    "UPDATE queue SET state = 'running', attempts = attempts + 1, claims = claims + 1,
        due_at = $3
    WHERE seq = (SELECT seq FROM queue WHERE brand = $1 AND due_at <= $2 ORDER BY due_at, seq LIMIT 1
        FOR UPDATE SKIP LOCKED)
    RETURNING seq, claims, id, brand, module, function, payload, attempts, scheduled_for";

const RENEW: &str = "UPDATE queue SET due_at = $3
    FROM (SELECT unnest($1::bigint[]) AS seq, unnest($2::bigint[]) AS claims) AS mine
    WHERE queue.seq = mine.seq AND queue.claims = mine.claims AND state = 'running' RETURNING true";

/// A job is not tried again if a later one with the same key replaces it.
pub(super) const REPLACED: &str =
    "DELETE FROM queue WHERE seq = $1 AND claims = $2 AND state = 'running' AND $3
    AND key IS NOT NULL AND EXISTS (SELECT 1 FROM queue AS other WHERE other.brand = queue.brand
        AND other.key = queue.key AND other.state = 'pending')
    RETURNING true";

pub(super) const END: &str =
    "UPDATE queue SET state = $3, due_at = $4, ended_at = $5, attempts = attempts - $6,
        outcome = coalesce($7, outcome), last_error = coalesce($8, last_error),
        console = coalesce($9, console)
    WHERE seq = $1 AND claims = $2 AND state = 'running' RETURNING true";

/// The last column goes from one brand to the next; see [`DUE_BRANDS`].
pub(super) const COUNT: &str = "WITH RECURSIVE step (brand) AS (
        (SELECT brand FROM queue WHERE due_at IS NOT NULL ORDER BY brand LIMIT 1)
        UNION ALL
        SELECT (SELECT next.brand FROM queue AS next
            WHERE next.due_at IS NOT NULL AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
        FROM step WHERE step.brand IS NOT NULL)
    SELECT (SELECT count(*) FROM queue WHERE state = 'pending'),
        (SELECT count(*) FROM queue WHERE state = 'running'),
        (SELECT count(*) FROM queue WHERE state = 'parked'),
        (SELECT min((SELECT due.due_at FROM queue AS due WHERE due.brand = step.brand AND due.due_at <= $1
            ORDER BY due.due_at LIMIT 1)) FROM step WHERE brand IS NOT NULL)";

const LIST: &str = "SELECT id, brand, module, function, state, tag, key, attempts,
        length(payload) AS payload_bytes, substring(payload FROM 1 FOR $4::integer) AS payload_head, created_at,
        scheduled_for, due_at, ended_at, outcome, last_error, console
    FROM queue WHERE ($1::text IS NULL OR brand = $1) AND ($2::text IS NULL OR state = $2)
    ORDER BY CASE WHEN $2 IN ('pending', 'running') THEN due_at END, seq LIMIT $3";

const FIND: &str = "SELECT id, brand, module, function, state, tag, key, attempts,
        length(payload) AS payload_bytes, substring(payload FROM 1 FOR $2::integer) AS payload_head, created_at,
        scheduled_for, due_at, ended_at, outcome, last_error, console
    FROM queue WHERE id = $1";

const COUNT_PARKED: &str = "SELECT brand, count(*) FROM queue WHERE state = 'parked' GROUP BY brand
    ORDER BY 2 DESC, 1 LIMIT $1";

const RETRY: &str = "UPDATE queue SET state = 'pending', due_at = $4, ended_at = NULL, attempts = 0
    WHERE ($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR brand = $2)
    AND (state = 'parked' OR ($3 AND state = 'pending'))
    AND (key IS NULL OR state = 'pending' OR NOT EXISTS (SELECT 1 FROM queue AS other
        WHERE other.brand = queue.brand AND other.key = queue.key AND other.seq <> queue.seq
        AND (other.state = 'pending' OR (other.state = 'parked' AND other.seq > queue.seq))))
    RETURNING true";

const DROP: &str =
    "DELETE FROM queue WHERE ($1::text IS NULL OR id = $1) AND ($2::text IS NULL OR brand = $2)
    AND (state = 'parked' OR ($3 AND state = 'pending')) RETURNING true";

pub(super) const DELETE_DONE: &str = "DELETE FROM queue WHERE seq = ANY (ARRAY(
        SELECT seq FROM queue WHERE state = 'done' AND ended_at < $1
        ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

/// From one brand to the next; see [`DUE_BRANDS`].
pub(super) const DELETE_EXCESS: &str = "WITH RECURSIVE step (brand) AS (
        (SELECT brand FROM queue WHERE state = 'done' ORDER BY brand LIMIT 1)
        UNION ALL
        SELECT (SELECT next.brand FROM queue AS next
            WHERE next.state = 'done' AND next.brand > step.brand ORDER BY next.brand LIMIT 1)
        FROM step WHERE step.brand IS NOT NULL)
    DELETE FROM queue WHERE seq = ANY (ARRAY(
        SELECT old.seq FROM step CROSS JOIN LATERAL (SELECT seq FROM queue
            WHERE state = 'done' AND brand = step.brand ORDER BY seq DESC LIMIT $2 OFFSET $1) AS old
        LIMIT $2))
    RETURNING true";

/// Adds the statements that store what a run changes. Jobs with a key are locked in the order of their keys,
/// so that two runs cannot wait for each other.
pub(super) fn add_commit<'a>(batch: &mut Batch<'a>, brand: &'a str, queue: &'a QueueCommit, now_ms: i64) {
    if let Some(Claim { seq, claims }) = queue.done {
        batch.add(DONE, [int(seq), int(claims), int(now_ms)]);
    }
    let mut jobs: Vec<_> = queue.jobs.iter().collect();
    jobs.sort_by_key(|job| job.key.as_deref());
    for job in jobs {
        batch.add(INSERT, columns(job, brand, now_ms));
    }
    if !queue.jobs.is_empty() {
        let count_max = i64::try_from(queue.jobs_max.saturating_add(1)).unwrap_or(i64::MAX);
        batch.add(COUNT_OF_BRAND, [text(brand), int(count_max)]);
    }
}

/// The parameters of [`INSERT`].
pub(super) fn columns<'a>(job: &'a NewJob, brand: &'a str, now_ms: i64) -> Vec<Param<'a>> {
    vec![
        text(job.id.as_str()),
        text(brand),
        text(&job.module),
        text(&job.function),
        bytes(&job.payload),
        optional_text(job.tag.as_deref()),
        optional_text(job.key.as_deref()),
        int(job.due_at),
        int(now_ms),
    ]
}

/// Checks the answers of the statements of [`add_commit`].
pub(super) fn check_commit(answers: &[Vec<Row>], queue: &QueueCommit) -> Result<(), CommitSqlError> {
    if queue.done.is_some() && answers.first().is_none_or(Vec::is_empty) {
        return Err(SessionError::ClaimLost.into());
    }
    if !queue.jobs.is_empty() && count(answers.last().map_or(&[][..], Vec::as_slice))? > queue.jobs_max {
        return Err(SessionError::QueueFull.into());
    }
    Ok(())
}

impl QueueStore for PostgresStore {
    fn queued_jobs_of(&self, brand: &str, count_max: u64) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let count_max = i64::try_from(count_max).unwrap_or(i64::MAX);
                count(&query(conn, COUNT_OF_BRAND, [text(&brand), int(count_max)]).await?)
            })
        })
    }

    fn add_queued(
        &self,
        brand: &str,
        job: NewJob,
        jobs_max: u64,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let mut params = columns(&job, &brand, now_ms);
                params.push(int(i64::try_from(jobs_max).unwrap_or(i64::MAX)));
                Ok(!query(conn, ADD, params).await?.is_empty())
            })
        })
    }

    fn cancel_queued(&self, brand: &str, tag: &str) -> BoxFuture<'_, Result<u32, StoreError>> {
        let (brand, tag) = (brand.to_owned(), tag.to_owned());
        self.database.run(move |conn| {
            Box::pin(async move { Ok(rows(&query(conn, CANCEL, [text(&brand), text(&tag)]).await?)) })
        })
    }

    fn queued_status(&self, brand: &str, id: &JobId) -> BoxFuture<'_, Result<Option<Status>, StoreError>> {
        let (brand, id) = (brand.to_owned(), id.clone());
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, STATUS, [text(id.as_str()), text(&brand)]).await?;
                let status = rows.first().map(|row| {
                    let (state, attempts) = (state(row.try_get(0)?)?, number(row.try_get(1)?));
                    Ok::<_, SqlError>(Status { state, attempts, scheduled_for: row.try_get(2)? })
                });
                status.transpose()
            })
        })
    }

    fn due_brands(&self, now_ms: i64) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DUE_BRANDS, [int(now_ms)]).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect()
            })
        })
    }

    fn claim_queued(
        &self,
        brand: &str,
        now_ms: i64,
        until_ms: i64,
    ) -> BoxFuture<'_, Result<Option<ClaimedJob>, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, CLAIM, [text(&brand), int(now_ms), int(until_ms)]).await?;
                rows.first().map(read_claimed).transpose()
            })
        })
    }

    fn renew_claims(&self, claims: Vec<Claim>, until_ms: i64) -> BoxFuture<'_, Result<(), StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let (seqs, counts) = claims.iter().map(|claim| (claim.seq, claim.claims)).unzip();
                query(conn, RENEW, [ints(seqs), ints(counts), int(until_ms)]).await?;
                Ok(())
            })
        })
    }

    fn end_claim(
        &self,
        claim: Claim,
        ending: Ending,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let Ended { state, due_at, ended_at, failed } = Ended::of(ending, now_ms);
                let uncounted = i64::from(failed.is_none());
                let (outcome, error, console) = match failed {
                    Some(failed) => (Some(failed.outcome), Some(failed.error), Some(failed.console)),
                    None => (None, None, None),
                };
                let of_claim = || [int(claim.seq), int(claim.claims)];
                let replaced = of_claim().into_iter().chain([flag(state == State::Pending)]);
                let ended = of_claim().into_iter().chain([
                    text(state.as_str()),
                    optional_int(due_at),
                    optional_int(ended_at),
                    int(uncounted),
                    optional_text(outcome),
                    optional_text(error.as_deref()),
                    optional_text(console.as_deref()),
                ]);
                let [replaced, ended] = Batch::begin()
                    .query(REPLACED, replaced.collect::<Vec<_>>())
                    .query(END, ended.collect::<Vec<_>>())
                    .commit()
                    .run_for(conn)
                    .await?;
                Ok(!replaced.is_empty() || !ended.is_empty())
            })
        })
    }

    fn list_queued(
        &self,
        brand: Option<&str>,
        state: Option<State>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<QueuedJob>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.database.run(move |conn| {
            Box::pin(async move {
                let state = optional_text(state.map(State::as_str));
                let head = int(PAYLOAD_HEAD_MAX.into());
                let params = [optional_text(brand.as_deref()), state, int(jobs_max.into()), head];
                query(conn, LIST, params).await?.iter().map(read_job).collect()
            })
        })
    }

    fn find_queued(&self, id: &JobId) -> BoxFuture<'_, Result<Option<QueuedJob>, StoreError>> {
        let id = id.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, FIND, [text(id.as_str()), int(PAYLOAD_HEAD_MAX.into())]).await?;
                rows.first().map(read_job).transpose()
            })
        })
    }

    fn queued_payload(&self, id: &JobId) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let id = id.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows =
                    query(conn, "SELECT payload FROM queue WHERE id = $1", [text(id.as_str())]).await?;
                rows.first().map(|row| Ok(row.try_get(0)?)).transpose()
            })
        })
    }

    fn count_queued(&self, now_ms: i64) -> BoxFuture<'_, Result<QueueCounts, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, COUNT, [int(now_ms)]).await?;
                let row = rows.first().ok_or_else(missing)?;
                let number = |index| Ok::<_, SqlError>(row.try_get::<_, i64>(index)?.unsigned_abs());
                Ok(QueueCounts {
                    pending: number(0)?,
                    running: number(1)?,
                    parked: number(2)?,
                    oldest_due_at: row.try_get(3)?,
                })
            })
        })
    }

    fn count_parked_queued(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                query(conn, COUNT_PARKED, [int(brands_max.into())]).await?.iter().map(read_count).collect()
            })
        })
    }

    fn retry_queued(&self, which: QueueChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let (id, brand, with_pending) = chosen(&which);
                let params = [optional_text(id), optional_text(brand), flag(with_pending), int(now_ms)];
                Ok(rows(&query(conn, RETRY, params).await?))
            })
        })
    }

    fn drop_queued(&self, which: QueueChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let (id, brand, with_pending) = chosen(&which);
                let params = [optional_text(id), optional_text(brand), flag(with_pending)];
                Ok(rows(&query(conn, DROP, params).await?))
            })
        })
    }

    fn delete_excess_queued(&self, kept_max: u32, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [int(kept_max.into()), int(rows_max.into())];
                Ok(rows(&query(conn, DELETE_EXCESS, params).await?))
            })
        })
    }

    fn delete_finished_queued(
        &self,
        before_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                Ok(rows(&query(conn, DELETE_DONE, [int(before_ms), int(rows_max.into())]).await?))
            })
        })
    }
}

fn missing() -> StoreError {
    corrupt("job", BadRow::Missing)
}

fn rows(rows: &[Row]) -> u32 {
    u32::try_from(rows.len()).unwrap_or(u32::MAX)
}

fn number(number: i64) -> u32 {
    u32::try_from(number).unwrap_or(u32::MAX)
}

fn count(rows: &[Row]) -> Result<u64, SqlError> {
    let count: i64 = rows.first().ok_or_else(missing)?.try_get(0)?;
    Ok(count.unsigned_abs())
}

fn read_claimed(row: &Row) -> Result<ClaimedJob, SqlError> {
    Ok(ClaimedJob {
        claim: Claim { seq: row.try_get("seq")?, claims: row.try_get("claims")? },
        id: JobId::parse(row.try_get("id")?).ok_or_else(missing)?,
        brand: row.try_get("brand")?,
        module: row.try_get("module")?,
        function: row.try_get("function")?,
        payload: row.try_get("payload")?,
        attempt: number(row.try_get("attempts")?),
        scheduled_for: row.try_get("scheduled_for")?,
    })
}

/// A brand, and a number of jobs.
pub(super) fn read_count(row: &Row) -> Result<(String, u64), SqlError> {
    Ok((row.try_get(0)?, row.try_get::<_, i64>(1)?.unsigned_abs()))
}

fn read_job(row: &Row) -> Result<QueuedJob, SqlError> {
    let payload_bytes: i32 = row.try_get("payload_bytes")?;
    Ok(QueuedJob {
        id: row.try_get("id")?,
        brand: row.try_get("brand")?,
        module: row.try_get("module")?,
        function: row.try_get("function")?,
        state: state(row.try_get("state")?)?,
        tag: row.try_get("tag")?,
        key: row.try_get("key")?,
        attempts: number(row.try_get("attempts")?),
        payload_bytes: payload_bytes.unsigned_abs().into(),
        payload_head: row.try_get("payload_head")?,
        created_at: row.try_get("created_at")?,
        scheduled_for: row.try_get("scheduled_for")?,
        due_at: row.try_get("due_at")?,
        ended_at: row.try_get("ended_at")?,
        outcome: row.try_get("outcome")?,
        last_error: row.try_get("last_error")?,
        console: row.try_get("console")?,
    })
}
