//! Jobs: queued, applied, and managed by operators.

mod run;

use rusqlite::{Connection, Row};

use sluice_crm::{
    CapsOfBrand, CrmCaps, CrmFault, CrmWrite, Job, JobChoice, JobCounts, JobRun, JobState, JobStore,
};
use sluice_kit::{BadRow, BoxFuture, StoreError};

#[cfg(test)]
pub(super) use self::run::NEXT;

use super::SqliteStore;
use super::connection::{count_by_brand, first};
use super::crm::write::check;
use super::job_queue::{decode, enter_lines, is_waited_for, leave_lines, release_usage};
use super::usage::check_room;
use crate::error::SqlError;

const COLUMNS: &str = "id, brand, what, state, is_late, tries, last_error, created_at, due_at, ended_at";

/// The index is named because SQLite would otherwise sort all finished jobs while the writer
/// waits.
pub(super) const DELETE_FINISHED: &str = "DELETE FROM job WHERE id IN (
         SELECT id FROM job INDEXED BY job_done WHERE state = 'done' AND ended_at < ?1
         ORDER BY ended_at LIMIT ?2)";

impl JobStore for SqliteStore {
    fn check_job(
        &self,
        brand: &str,
        write: &CrmWrite,
        queued_bytes: u64,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<(), CrmFault>> {
        let (brand, write) = (brand.to_owned(), write.clone());
        self.readers.read(move |conn| {
            check_room(conn, &brand, queued_bytes, caps)?;
            if let Err(fault) = check(conn, &brand, &write, caps, now_ms) {
                let others_wait = fault.0.may_pass() && is_waited_for(conn, &brand, &write.lines())?;
                if !others_wait {
                    return Err(fault);
                }
            }
            Ok(())
        })
    }

    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>> {
        Box::pin(async move {
            // A reader looks first, so that an empty queue does not take the write lock.
            let is_due: BoxFuture<'_, Result<bool, StoreError>> =
                self.readers.read(move |conn| run::is_due(conn, now_ms));
            if !is_due.await? {
                return Ok(Vec::new());
            }
            self.writer.write(move |conn| run::run(conn, &*caps, jobs_max, now_ms)).await
        })
    }

    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.readers.read(move |conn| {
            let sql = format!(
                "SELECT {COLUMNS} FROM job WHERE (?1 IS NULL OR brand = ?1) AND (?2 IS NULL OR state = ?2)
                 ORDER BY id LIMIT ?3"
            );
            let mut query = conn.prepare_cached(&sql)?;
            let rows = query.query_map((brand, state.map(JobState::as_str), jobs_max), read_job)?;
            let rows = rows.collect::<rusqlite::Result<Vec<_>>>()?;
            rows.into_iter().map(|(job, state)| with_state(job, &state)).collect()
        })
    }

    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>> {
        self.readers.read(|conn| {
            let count = |state: &str| -> Result<u64, SqlError> {
                let jobs: Option<i64> = first(conn, "SELECT count(*) FROM job WHERE state = ?1", [state])?;
                Ok(jobs.unwrap_or(0).unsigned_abs())
            };
            let oldest = "SELECT created_at FROM job WHERE state = 'waiting' ORDER BY id LIMIT 1";
            Ok(JobCounts {
                waiting: count("waiting")?,
                parked: count("parked")?,
                oldest_waiting_at: first(conn, oldest, [])?,
            })
        })
    }

    fn count_parked_jobs(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.readers.read(move |conn| {
            let sql = "SELECT brand, count(*) FROM job WHERE state = 'parked' GROUP BY brand
                 ORDER BY 2 DESC, 1 LIMIT ?1";
            count_by_brand(conn, sql, brands_max)
        })
    }

    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let chosen = choose(conn, &which)?;
            for job in &chosen {
                if job.is_parked {
                    enter_lines(conn, job.id, &job.brand, &decode(job.id, &job.write)?)?;
                }
                conn.prepare_cached(
                    "UPDATE job SET state = 'waiting', is_late = is_late OR ?2, tries = 0, due_at = ?3,
                         ended_at = NULL
                     WHERE id = ?1",
                )?
                .execute((job.id, job.is_parked, now_ms))?;
            }
            Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
        })
    }

    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let chosen = choose(conn, &which)?;
            for job in &chosen {
                leave_lines(conn, job.id)?;
                conn.prepare_cached("DELETE FROM job WHERE id = ?1")?.execute([job.id])?;
                release_usage(conn, &job.brand, &job.write)?;
            }
            Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
        })
    }

    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_FINISHED)?.execute((before_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}

/// The job and the name of its state, which [`with_state`] decodes.
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

fn with_state(job: Job, state: &str) -> Result<Job, SqlError> {
    let corrupt = || StoreError::Corrupt { what: "job", why: BadRow::UnknownState };
    Ok(Job { state: JobState::from_name(state).ok_or_else(corrupt)?, ..job })
}

/// A job that an operator chose.
struct ChosenJob {
    id: i64,
    brand: String,
    write: Vec<u8>,
    is_parked: bool,
}

fn choose(conn: &Connection, which: &JobChoice) -> Result<Vec<ChosenJob>, SqlError> {
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
        Ok(ChosenJob { id: row.get(0)?, brand: row.get(1)?, write: row.get(2)?, is_parked: row.get(3)? })
    };
    Ok(query.query_map((id, brand), read)?.collect::<rusqlite::Result<_>>()?)
}
