//! Applies jobs that are due. Jobs run in the writer's transaction, and there is only one
//! writer at a time: the next job stays the next one until its result is recorded.

use rusqlite::{Connection, OptionalExtension, Row};

use sluice_crm::{CrmCaps, JobEnd, JobRun, RETRY_WAIT_MS_MAX};

use crate::error::{CrmSqlError, SqlError};
use crate::sqlite::connection::first;
use crate::sqlite::crm::by_id::follow;
use crate::sqlite::crm::write::write_crm;
use crate::sqlite::job_queue::{decode, leave_lines, release_usage};

/// The oldest job that is due and that no earlier job precedes in any of its lines. A job that was never
/// tried is due whatever the clock says, and one that was is due after [`RETRY_WAIT_MS_MAX`] at the latest.
pub(in crate::sqlite) const NEXT: &str = "SELECT id, brand, what, write, tries FROM job AS mine
     WHERE state = 'waiting' AND (tries = 0 OR due_at <= ?1 OR due_at > ?1 + ?2) AND NOT EXISTS (
         SELECT 1 FROM job_line AS own JOIN job_line AS earlier
         ON earlier.line = own.line AND earlier.job_id < own.job_id
         WHERE own.job_id = mine.id)
     ORDER BY id LIMIT 1";

/// A job that is next in all of its lines.
struct DueJob {
    id: i64,
    brand: String,
    what: String,
    write: Vec<u8>,
    tries: u32,
}

fn next(conn: &Connection, now_ms: i64) -> Result<Option<DueJob>, SqlError> {
    let read = |row: &Row<'_>| {
        Ok(DueJob {
            id: row.get(0)?,
            brand: row.get(1)?,
            what: row.get(2)?,
            write: row.get(3)?,
            tries: row.get(4)?,
        })
    };
    Ok(conn.prepare_cached(NEXT)?.query_row([now_ms, RETRY_WAIT_MS_MAX], read).optional()?)
}

/// Whether a job can run now.
pub(super) fn is_due(conn: &Connection, now_ms: i64) -> Result<bool, SqlError> {
    Ok(first::<i64>(conn, NEXT, [now_ms, RETRY_WAIT_MS_MAX])?.is_some())
}

/// Applies at most `jobs_max` jobs and records how each of them ended.
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

/// Applies one job in a savepoint, so that a failure undoes only this job.
fn run_one(conn: &Connection, due: DueJob, caps: CrmCaps, now_ms: i64) -> Result<JobRun, SqlError> {
    let DueJob { id, brand, what, write, tries } = due;
    execute(conn, "SAVEPOINT crm_job")?;
    let applied = decode(id, &write).map_err(CrmSqlError::from).and_then(|mut write| {
        follow(conn, &brand, &mut write)?;
        write_crm(conn, &brand, &write, caps, now_ms)
    });
    let end = match applied {
        Ok(_) => JobEnd::Done,
        Err(fault) => {
            // This fails if SQLite has rolled back the whole transaction. Then no job of this
            // call was applied, and none is reported.
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

fn done(conn: &Connection, id: i64, brand: &str, write: &[u8], now_ms: i64) -> Result<(), SqlError> {
    conn.prepare_cached(
        "UPDATE job SET state = 'done', write = x'', ended_at = ?2, last_error = NULL WHERE id = ?1",
    )?
    .execute((id, now_ms))?;
    leave_lines(conn, id)?;
    release_usage(conn, brand, write)
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
