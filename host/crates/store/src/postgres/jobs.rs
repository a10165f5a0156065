//! Jobs. Workers of any number of hosts share the queue: a job that one has taken is
//! locked until it is marked, and the others pass over it.

use std::collections::BTreeMap;

use tokio_postgres::{Client, Row};

use sluice_crm::{
    CapsOfBrand, CrmCaps, CrmWrite, Job, JobChoice, JobCounts, JobEnd, JobRun, JobState, LineKey,
};
use sluice_kit::StoreError;

use super::batch::{
    Batch, byte_arrays, bytes, execute, flag, int, ints, optional_int, optional_text, query, text,
};
use super::crm_write::{self, Context, UsageSlot, add_usage, check_usage};
use super::error::corrupt;
use crate::error::{CrmSqlError, SqlError};

/// The oldest job that is due, has no earlier one in any of its lines, and is nobody
/// else's. One that is taken still stands in its lines.
pub(super) const NEXT: &str = "SELECT id, brand, what, write, tries FROM job AS mine
    WHERE state = 'waiting' AND due_at <= $1 AND NOT EXISTS (
        SELECT 1 FROM job_line AS own JOIN job_line AS earlier
        ON earlier.line = own.line AND earlier.job_id < own.job_id
        WHERE own.job_id = mine.id)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";

pub(super) const WAITED_FOR: &str = "SELECT true FROM job_line WHERE line = ANY ($1) LIMIT 1";

const INSERT: &str = "WITH made AS (
        INSERT INTO job (brand, what, write, state, created_at, due_at)
        VALUES ($1, $2, $3, 'waiting', $4, $4) RETURNING id),
    lines AS (
        INSERT INTO job_line (line, job_id)
        SELECT line, made.id FROM made CROSS JOIN unnest($5::bytea[]) AS line)
    SELECT id FROM made";

const STAND_IN_LINE: &str = "INSERT INTO job_line (line, job_id)
    SELECT line, $1 FROM unnest($2::bytea[]) AS line ON CONFLICT DO NOTHING";

const LEAVE_LINES: &str = "DELETE FROM job_line WHERE job_id = $1";

const DONE: &str = "UPDATE job SET state = 'done', write = '', ended_at = $2, last_error = NULL
    WHERE id = $1";

const PARK: &str = "UPDATE job SET state = 'parked', tries = tries + 1, last_error = $2, ended_at = $3
    WHERE id = $1";

const RETRY_LATER: &str = "UPDATE job SET tries = tries + 1, last_error = $2, due_at = $3 WHERE id = $1";

const LIST: &str = "SELECT id, brand, what, state, is_late, tries, last_error, created_at, due_at, ended_at
    FROM job WHERE ($1::text IS NULL OR brand = $1) AND ($2::text IS NULL OR state = $2)
    ORDER BY id LIMIT $3";

const COUNT: &str = "SELECT
    (SELECT count(*) FROM job WHERE state = 'waiting'),
    (SELECT count(*) FROM job WHERE state = 'parked'),
    (SELECT created_at FROM job WHERE state = 'waiting' ORDER BY id LIMIT 1)";

/// The lock keeps workers away from what an operator changes, and the other way round.
const CHOOSE: &str = "SELECT id, brand, write, state = 'parked' FROM job
    WHERE ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR brand = $2)
    AND (state = 'parked' OR (state = 'waiting' AND $1 IS NOT NULL))
    ORDER BY id FOR UPDATE";

const RETRY_NOW: &str = "UPDATE job SET state = 'waiting', is_late = is_late OR $2, tries = 0, due_at = $3,
    ended_at = NULL WHERE id = $1";

pub(super) const DELETE_FINISHED: &str = "DELETE FROM job WHERE id = ANY (ARRAY(
        SELECT id FROM job WHERE state = 'done' AND ended_at < $1
        ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

pub(super) async fn queue(
    conn: &Client,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<i64, CrmSqlError> {
    if let Err(fault) = crm_write::check(conn, Batch::begin(), brand, write, caps, now_ms).await {
        let others_wait = fault.0.may_pass() && is_waited_for(conn, &line_keys(brand, write)).await?;
        if !others_wait {
            return Err(fault);
        }
    }
    let slot = UsageSlot::of(line_keys(brand, write).first());
    let id = insert(conn, write, Context { brand, slot, caps, now_ms }).await?;
    execute(conn, "COMMIT").await?;
    Ok(id)
}

pub(super) fn line_keys(brand: &str, write: &CrmWrite) -> Vec<LineKey> {
    write.lines().iter().map(|line| line.key(brand)).collect()
}

fn slices(keys: &[LineKey]) -> Vec<&[u8]> {
    keys.iter().map(LineKey::as_slice).collect()
}

/// Whether a job waits in any of the lines.
pub(super) async fn is_waited_for(conn: &Client, lines: &[LineKey]) -> Result<bool, SqlError> {
    Ok(!query(conn, WAITED_FOR, [byte_arrays(slices(lines))]).await?.is_empty())
}

/// Stores the write as a job at the end of its lines.
pub(super) async fn insert(
    conn: &Client,
    write: &CrmWrite,
    Context { brand, slot, caps, now_ms }: Context<'_>,
) -> Result<i64, CrmSqlError> {
    let stored = rmp_serde::to_vec_named(write)
        .map_err(|error| StoreError::Failed(format!("a write cannot be stored: {error}")))?;
    let (what, lines) = (write.to_string(), line_keys(brand, write));
    let params = [text(brand), text(&what), bytes(&stored), int(now_ms), byte_arrays(slices(&lines))];
    let mut batch = Batch::new().query(INSERT, params);
    let added = job_bytes(&stored);
    add_usage(&mut batch, brand, slot, added);
    let [made, usage] = batch.run_for(conn).await?;
    check_usage(usage.first(), added, caps)?;
    let made = made.first().ok_or_else(|| corrupt("job", "it is not there"))?;
    Ok(made.try_get(0)?)
}

/// What a job counts against its brand's bytes until it is done.
fn job_bytes(write: &[u8]) -> i64 {
    i64::try_from(write.len()).unwrap_or(i64::MAX)
}

/// A job whose turn it is.
struct Due {
    id: i64,
    brand: String,
    what: String,
    write: Vec<u8>,
    tries: i64,
}

impl Due {
    /// The same for all that one try adds to.
    fn slot(&self) -> UsageSlot {
        let lines = decode(&self.write).map(|write| line_keys(&self.brand, &write));
        UsageSlot::of(lines.unwrap_or_default().first())
    }
}

/// Takes one job and tries it, all in one transaction. `None`: nothing is due.
pub(super) async fn run_one(
    conn: &Client,
    caps: &CapsOfBrand,
    now_ms: i64,
) -> Result<Option<JobRun>, SqlError> {
    let [rows] = Batch::begin().query(NEXT, [int(now_ms)]).run_for(conn).await?;
    let Some(row) = rows.first() else {
        execute(conn, "COMMIT").await?;
        return Ok(None);
    };
    let due = Due {
        id: row.try_get(0)?,
        brand: row.try_get(1)?,
        what: row.try_get(2)?,
        write: row.try_get(3)?,
        tries: row.try_get(4)?,
    };
    let end = match apply(conn, &due, caps(&due.brand), now_ms).await {
        Ok(()) => JobEnd::Done,
        Err(fault) => {
            // Fails where the connection is gone; then nothing of this try is left.
            execute(conn, "ROLLBACK TO SAVEPOINT job").await?;
            let tries = u32::try_from(due.tries).unwrap_or(u32::MAX).saturating_add(1);
            JobEnd::of_failure(&fault.0, tries, now_ms)
        }
    };
    mark(conn, &due, &end, now_ms).await?;
    let Due { id, brand, what, .. } = due;
    Ok(Some(JobRun { id, brand, what, end }))
}

async fn apply(conn: &Client, due: &Due, caps: CrmCaps, now_ms: i64) -> Result<(), CrmSqlError> {
    let savepoint = Batch::new().plain("SAVEPOINT job");
    let write = match decode(&due.write) {
        Ok(write) => write,
        Err(error) => {
            savepoint.run(conn).await?;
            return Err(error.into());
        }
    };
    let slot = due.slot();
    let context = Context { brand: &due.brand, slot, caps, now_ms };
    crm_write::write_after(conn, savepoint, &write, context).await.map(drop)
}

fn decode(write: &[u8]) -> Result<CrmWrite, SqlError> {
    rmp_serde::from_slice(write).map_err(|error| corrupt("job", &error.to_string()).into())
}

/// Records how a try ended, and commits it with what the try did.
async fn mark(conn: &Client, due: &Due, end: &JobEnd, now_ms: i64) -> Result<(), SqlError> {
    let mut batch = Batch::new();
    match end {
        JobEnd::Done => {
            batch.add(DONE, [int(due.id), int(now_ms)]);
            batch.add(LEAVE_LINES, [int(due.id)]);
            add_usage(&mut batch, &due.brand, due.slot(), -job_bytes(&due.write));
        }
        JobEnd::Parked { error } => {
            batch.add(PARK, [int(due.id), text(error), int(now_ms)]);
            batch.add(LEAVE_LINES, [int(due.id)]);
        }
        JobEnd::Retry { error, due_at } => {
            batch.add(RETRY_LATER, [int(due.id), text(error), int(*due_at)]);
        }
    }
    batch.commit().run(conn).await.map(drop)
}

pub(super) async fn list(
    conn: &Client,
    brand: Option<&str>,
    state: Option<JobState>,
    jobs_max: u32,
) -> Result<Vec<Job>, SqlError> {
    let params = [optional_text(brand), optional_text(state.map(JobState::as_str)), int(jobs_max.into())];
    query(conn, LIST, params).await?.iter().map(read_job).collect()
}

fn read_job(row: &Row) -> Result<Job, SqlError> {
    let state: &str = row.try_get(3)?;
    let tries: i64 = row.try_get(5)?;
    Ok(Job {
        id: row.try_get(0)?,
        brand: row.try_get(1)?,
        what: row.try_get(2)?,
        state: JobState::from_name(state).ok_or_else(|| corrupt("job", "its state is not known"))?,
        is_late: row.try_get(4)?,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        last_error: row.try_get(6)?,
        created_at: row.try_get(7)?,
        due_at: row.try_get(8)?,
        ended_at: row.try_get(9)?,
    })
}

pub(super) async fn count(conn: &Client) -> Result<JobCounts, SqlError> {
    let rows = query(conn, COUNT, []).await?;
    let row = rows.first().ok_or_else(|| corrupt("job count", "it is not there"))?;
    let (waiting, parked): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
    Ok(JobCounts {
        waiting: waiting.unsigned_abs(),
        parked: parked.unsigned_abs(),
        oldest_waiting_at: row.try_get(2)?,
    })
}

/// A job that an operator means, locked.
struct Chosen {
    id: i64,
    brand: String,
    write: Vec<u8>,
    is_parked: bool,
}

/// Begins a transaction.
async fn choose(conn: &Client, which: &JobChoice) -> Result<Vec<Chosen>, SqlError> {
    let (id, brand) = match which {
        JobChoice::One(id) => (Some(*id), None),
        JobChoice::Parked { brand } => (None, brand.as_deref()),
    };
    let params = [optional_int(id), optional_text(brand)];
    let [rows] = Batch::begin().query(CHOOSE, params).run_for(conn).await?;
    let read = |row: &Row| {
        Ok(Chosen {
            id: row.try_get(0)?,
            brand: row.try_get(1)?,
            write: row.try_get(2)?,
            is_parked: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect()
}

pub(super) async fn retry(conn: &Client, which: &JobChoice, now_ms: i64) -> Result<u32, SqlError> {
    let chosen = choose(conn, which).await?;
    for job in &chosen {
        let lines = line_keys(&job.brand, &decode(&job.write)?);
        Batch::new()
            .query(STAND_IN_LINE, [int(job.id), byte_arrays(slices(&lines))])
            .query(RETRY_NOW, [int(job.id), flag(job.is_parked), int(now_ms)])
            .run(conn)
            .await?;
    }
    execute(conn, "COMMIT").await?;
    Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
}

pub(super) async fn drop_chosen(conn: &Client, which: &JobChoice) -> Result<u32, SqlError> {
    let chosen = choose(conn, which).await?;
    let ids = chosen.iter().map(|job| job.id).collect();
    Batch::new().query("DELETE FROM job WHERE id = ANY ($1)", [ints(ids)]).run(conn).await?;
    let mut freed: BTreeMap<&str, i64> = BTreeMap::new();
    for job in &chosen {
        *freed.entry(&job.brand).or_default() -= job_bytes(&job.write);
    }
    // In the order of the brands: two who drop at once do not wait in a circle.
    let mut batch = Batch::new();
    for (brand, bytes) in freed {
        add_usage(&mut batch, brand, UsageSlot::of(None), bytes);
    }
    batch.run(conn).await?;
    execute(conn, "COMMIT").await?;
    Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
}

pub(super) async fn delete_finished(conn: &Client, before_ms: i64, rows_max: u32) -> Result<u32, SqlError> {
    let rows = query(conn, DELETE_FINISHED, [int(before_ms), int(rows_max.into())]).await?;
    Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
}
