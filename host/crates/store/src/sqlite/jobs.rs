//! Jobs that are queued and applied. All of it runs inside the writer's transaction, and
//! there is only one writer at a time: what is due and first stays so until it is marked.

use rusqlite::{Connection, OptionalExtension, Row};

use sluice_crm::{CrmCaps, CrmWrite, JobEnd, JobRun, LineKey};
use sluice_kit::StoreError;

use super::crm_write::{self, add_usage, first};
use crate::error::{CrmSqlError, SqlError};

/// The oldest job that is due and has no earlier one in any of its lines.
pub(super) const NEXT: &str = "SELECT id, brand, what, write, tries FROM job AS mine
     WHERE state = 'waiting' AND due_at <= ?1 AND NOT EXISTS (
         SELECT 1 FROM job_line AS own JOIN job_line AS earlier
         ON earlier.line = own.line AND earlier.job_id < own.job_id
         WHERE own.job_id = mine.id)
     ORDER BY id LIMIT 1";

pub(super) fn queue(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<i64, CrmSqlError> {
    if let Err(fault) = crm_write::check(conn, brand, write, caps, now_ms) {
        let others_wait = fault.0.may_pass() && is_any_waited_for(conn, brand, write)?;
        if !others_wait {
            return Err(fault);
        }
    }
    insert(conn, brand, write, caps, now_ms)
}

fn is_any_waited_for(conn: &Connection, brand: &str, write: &CrmWrite) -> Result<bool, CrmSqlError> {
    for line in write.lines() {
        if is_waited_for(conn, &line.key(brand))? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a job waits in the line.
pub(super) fn is_waited_for(conn: &Connection, line: &LineKey) -> Result<bool, CrmSqlError> {
    Ok(first::<i64>(conn, "SELECT 1 FROM job_line WHERE line = ?1 LIMIT 1", [line])?.is_some())
}

/// Stores the write as a job at the end of its lines.
pub(super) fn insert(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<i64, CrmSqlError> {
    let bytes = rmp_serde::to_vec_named(write)
        .map_err(|error| StoreError::Failed(format!("a write cannot be stored: {error}")))?;
    add_usage(conn, brand, job_bytes(&bytes), caps)?;
    let id = conn
        .prepare_cached(
            "INSERT INTO job (brand, what, write, state, created_at, due_at)
             VALUES (?1, ?2, ?3, 'waiting', ?4, ?4) RETURNING id",
        )?
        .query_row((brand, write.to_string(), &bytes, now_ms), |row| row.get(0))?;
    stand_in_line(conn, id, brand, write)?;
    Ok(id)
}

pub(super) fn stand_in_line(
    conn: &Connection,
    id: i64,
    brand: &str,
    write: &CrmWrite,
) -> Result<(), SqlError> {
    for line in write.lines() {
        conn.prepare_cached("INSERT INTO job_line (line, job_id) VALUES (?1, ?2)")?
            .execute((line.key(brand), id))?;
    }
    Ok(())
}

pub(super) fn leave_lines(conn: &Connection, id: i64) -> Result<(), SqlError> {
    conn.prepare_cached("DELETE FROM job_line WHERE job_id = ?1")?.execute([id])?;
    Ok(())
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
    tries: u32,
}

fn next(conn: &Connection, now_ms: i64) -> Result<Option<Due>, SqlError> {
    let read = |row: &Row<'_>| {
        Ok(Due {
            id: row.get(0)?,
            brand: row.get(1)?,
            what: row.get(2)?,
            write: row.get(3)?,
            tries: row.get(4)?,
        })
    };
    Ok(conn.prepare_cached(NEXT)?.query_row([now_ms], read).optional()?)
}

/// For a reader: so that looking for work does not take the write lock.
pub(super) fn is_due(conn: &Connection, now_ms: i64) -> Result<bool, SqlError> {
    Ok(first::<i64>(conn, NEXT, [now_ms])?.is_some())
}

pub(super) fn run(
    conn: &Connection,
    caps: &dyn Fn(&str) -> CrmCaps,
    jobs_max: u32,
    now_ms: i64,
) -> Result<Vec<JobRun>, SqlError> {
    let mut runs = Vec::new();
    while (runs.len() as u64) < u64::from(jobs_max)
        && let Some(due) = next(conn, now_ms)?
    {
        let caps = caps(&due.brand);
        runs.push(run_one(conn, due, caps, now_ms)?);
    }
    Ok(runs)
}

/// Applies one job in a savepoint, so that a failure undoes nothing but itself.
fn run_one(conn: &Connection, due: Due, caps: CrmCaps, now_ms: i64) -> Result<JobRun, SqlError> {
    let Due { id, brand, what, write, tries } = due;
    execute(conn, "SAVEPOINT crm_job")?;
    let applied = decode(id, &write)
        .map_err(CrmSqlError::from)
        .and_then(|write| crm_write::write(conn, &brand, &write, caps, now_ms));
    let end = match applied {
        Ok(_) => JobEnd::Done,
        Err(fault) => {
            // Fails where the error was one that rolls back everything; then nothing of
            // this transaction is left, and nothing of it is told.
            execute(conn, "ROLLBACK TO crm_job")?;
            JobEnd::of_failure(&fault.0, tries + 1, now_ms)
        }
    };
    execute(conn, "RELEASE crm_job")?;
    match &end {
        JobEnd::Done => done(conn, id, &brand, &write, now_ms)?,
        JobEnd::Parked { error } => park(conn, id, error, now_ms)?,
        JobEnd::Retry { error, due_at } => retry_later(conn, id, error, *due_at)?,
    }
    Ok(JobRun { id, brand, what, end })
}

pub(super) fn decode(id: i64, write: &[u8]) -> Result<CrmWrite, SqlError> {
    rmp_serde::from_slice(write)
        .map_err(|error| StoreError::Corrupt { what: "job", why: format!("job {id}: {error}") }.into())
}

fn done(conn: &Connection, id: i64, brand: &str, write: &[u8], now_ms: i64) -> Result<(), SqlError> {
    conn.prepare_cached(
        "UPDATE job SET state = 'done', write = x'', ended_at = ?2, last_error = NULL WHERE id = ?1",
    )?
    .execute((id, now_ms))?;
    leave_lines(conn, id)?;
    give_back(conn, brand, write)
}

/// The bytes that a job counted.
pub(super) fn give_back(conn: &Connection, brand: &str, write: &[u8]) -> Result<(), SqlError> {
    Ok(add_usage(conn, brand, -job_bytes(write), CrmCaps::default())?)
}

fn park(conn: &Connection, id: i64, error: &str, now_ms: i64) -> Result<(), SqlError> {
    conn.prepare_cached(
        "UPDATE job SET state = 'parked', tries = tries + 1, last_error = ?2, ended_at = ?3
         WHERE id = ?1",
    )?
    .execute((id, error, now_ms))?;
    leave_lines(conn, id)
}

fn retry_later(conn: &Connection, id: i64, error: &str, due_at: i64) -> Result<(), SqlError> {
    conn.prepare_cached("UPDATE job SET tries = tries + 1, last_error = ?2, due_at = ?3 WHERE id = ?1")?
        .execute((id, error, due_at))?;
    Ok(())
}

fn execute(conn: &Connection, sql: &str) -> Result<(), SqlError> {
    conn.prepare_cached(sql)?.execute([])?;
    Ok(())
}
