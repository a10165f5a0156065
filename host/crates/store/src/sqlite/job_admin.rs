//! Jobs as operators see them: listed, counted, retried, dropped, forgotten.

use rusqlite::{Connection, Row};

use sluice_crm::{Job, JobChoice, JobCounts, JobState};
use sluice_kit::StoreError;

use super::crm_write::first;
use super::jobs::{decode, give_back, leave_lines, stand_in_line};
use crate::error::SqlError;

const COLUMNS: &str = "id, brand, what, state, is_late, tries, last_error, created_at, due_at, ended_at";

/// By name, or all finished jobs would be sorted: the writer waits for it.
pub(super) const DELETE_FINISHED: &str = "DELETE FROM job WHERE id IN (
         SELECT id FROM job INDEXED BY job_done WHERE state = 'done' AND ended_at < ?1
         ORDER BY ended_at LIMIT ?2)";

pub(super) fn list(
    conn: &Connection,
    brand: Option<&str>,
    state: Option<JobState>,
    jobs_max: u32,
) -> Result<Vec<Job>, SqlError> {
    let sql = format!(
        "SELECT {COLUMNS} FROM job WHERE (?1 IS NULL OR brand = ?1) AND (?2 IS NULL OR state = ?2)
         ORDER BY id LIMIT ?3"
    );
    let mut query = conn.prepare_cached(&sql)?;
    let rows = query.query_map((brand, state.map(JobState::as_str), jobs_max), read_job)?;
    rows.collect::<rusqlite::Result<Vec<_>>>()?.into_iter().map(|(job, state)| named(job, &state)).collect()
}

/// The job, and its state still to be read.
fn read_job(row: &Row<'_>) -> rusqlite::Result<(Job, String)> {
    let job = Job {
        id: row.get(0)?,
        brand: row.get(1)?,
        what: row.get(2)?,
        state: JobState::Waiting,
        is_late: row.get(4)?,
        tries: row.get(5)?,
        last_error: row.get(6)?,
        created_at: row.get(7)?,
        due_at: row.get(8)?,
        ended_at: row.get(9)?,
    };
    Ok((job, row.get(3)?))
}

fn named(job: Job, state: &str) -> Result<Job, SqlError> {
    let corrupt = || StoreError::Corrupt { what: "job", why: "its state is not known".to_owned() };
    Ok(Job { state: JobState::from_name(state).ok_or_else(corrupt)?, ..job })
}

pub(super) fn count(conn: &Connection) -> Result<JobCounts, SqlError> {
    let count = |state: &str| -> Result<u64, SqlError> {
        let found: Option<i64> = first(conn, "SELECT count(*) FROM job WHERE state = ?1", [state])?;
        Ok(found.unwrap_or(0).unsigned_abs())
    };
    Ok(JobCounts {
        waiting: count("waiting")?,
        parked: count("parked")?,
        oldest_waiting_at: first(
            conn,
            "SELECT created_at FROM job WHERE state = 'waiting' ORDER BY id LIMIT 1",
            [],
        )?,
    })
}

/// A job that an operator means.
struct Chosen {
    id: i64,
    brand: String,
    write: Vec<u8>,
    is_parked: bool,
}

fn choose(conn: &Connection, which: &JobChoice) -> Result<Vec<Chosen>, SqlError> {
    let (id, brand) = match which {
        JobChoice::One(id) => (Some(*id), None),
        JobChoice::Parked { brand } => (None, brand.as_deref()),
    };
    let mut query = conn.prepare_cached(
        "SELECT id, brand, write, state = 'parked' FROM job
         WHERE (?1 IS NULL OR id = ?1) AND (?2 IS NULL OR brand = ?2)
         AND (state = 'parked' OR (state = 'waiting' AND ?1 IS NOT NULL))
         ORDER BY id",
    )?;
    let read = |row: &Row<'_>| {
        Ok(Chosen { id: row.get(0)?, brand: row.get(1)?, write: row.get(2)?, is_parked: row.get(3)? })
    };
    Ok(query.query_map((id, brand), read)?.collect::<rusqlite::Result<_>>()?)
}

pub(super) fn retry(conn: &Connection, which: &JobChoice, now_ms: i64) -> Result<u32, SqlError> {
    let chosen = choose(conn, which)?;
    for job in &chosen {
        if job.is_parked {
            stand_in_line(conn, job.id, &job.brand, &decode(job.id, &job.write)?)?;
        }
        conn.prepare_cached(
            "UPDATE job SET state = 'waiting', is_late = is_late OR ?2, tries = 0, due_at = ?3,
                 ended_at = NULL
             WHERE id = ?1",
        )?
        .execute((job.id, job.is_parked, now_ms))?;
    }
    Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
}

pub(super) fn drop_chosen(conn: &Connection, which: &JobChoice) -> Result<u32, SqlError> {
    let chosen = choose(conn, which)?;
    for job in &chosen {
        leave_lines(conn, job.id)?;
        conn.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([job.id])?;
        give_back(conn, &job.brand, &job.write)?;
    }
    Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
}

pub(super) fn delete_finished(conn: &Connection, before_ms: i64, rows_max: u32) -> Result<u32, SqlError> {
    let rows = conn.prepare_cached(DELETE_FINISHED)?.execute((before_ms, rows_max))?;
    Ok(u32::try_from(rows).unwrap_or(u32::MAX))
}
