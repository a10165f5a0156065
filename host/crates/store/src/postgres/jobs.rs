//! Jobs: queued, applied, and managed by operators.

mod run;

use std::collections::BTreeMap;
use std::time::Duration;

use tokio_postgres::{Client, Row};

use sluice_crm::{
    CapsOfBrand, CrmCaps, CrmFault, CrmWrite, Job, JobChoice, JobCounts, JobRun, JobState, JobStore,
};
use sluice_kit::{BadRow, BoxFuture, StoreError};

#[cfg(test)]
pub(super) use self::run::NEXT;

use super::PostgresStore;
use super::batch::{Batch, execute, flag, int, ints, optional_int, optional_text, query};
use super::crm::write::check;
use super::error::corrupt;
use super::job_queue::{decode, is_waited_for, job_bytes, line_array, line_keys};
use super::queue::read_count;
use super::usage::{UsageSlot, add_usage, check_room};
use crate::error::SqlError;

/// The time limit of one job. It exceeds the server's own limits, so that a job that reaches
/// those is recorded as failed and frees its lines.
const JOB_MAX: Duration = Duration::from_secs(15);

const LIST: &str = "SELECT id, brand, what, state, is_late, tries, last_error, created_at, due_at, ended_at
    FROM job WHERE ($1::text IS NULL OR brand = $1) AND ($2::text IS NULL OR state = $2)
    ORDER BY id LIMIT $3";

const COUNT: &str = "SELECT
    (SELECT count(*) FROM job WHERE state = 'waiting'),
    (SELECT count(*) FROM job WHERE state = 'parked'),
    (SELECT created_at FROM job WHERE state = 'waiting' ORDER BY id LIMIT 1)";

const COUNT_PARKED: &str = "SELECT brand, count(*) FROM job WHERE state = 'parked' GROUP BY brand
    ORDER BY 2 DESC, 1 LIMIT $1";

/// The lock keeps a worker and an operator from changing the same job at once.
const CHOOSE: &str = "SELECT id, brand, write, state = 'parked' FROM job
    WHERE ($1::bigint IS NULL OR id = $1) AND ($2::text IS NULL OR brand = $2)
    AND (state = 'parked' OR (state = 'waiting' AND $1 IS NOT NULL))
    ORDER BY id FOR UPDATE";

const ENTER_LINES: &str = "INSERT INTO job_line (line, job_id)
    SELECT line, $1 FROM unnest($2::bytea[]) AS line ON CONFLICT DO NOTHING";

const RETRY_NOW: &str = "UPDATE job SET state = 'waiting', is_late = is_late OR $2, tries = 0, due_at = $3,
    ended_at = NULL WHERE id = $1";

pub(super) const DELETE_FINISHED: &str = "DELETE FROM job WHERE id = ANY (ARRAY(
        SELECT id FROM job WHERE state = 'done' AND ended_at < $1
        ORDER BY ended_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl JobStore for PostgresStore {
    /// Two round trips, without a transaction.
    fn check_job(
        &self,
        brand: &str,
        write: &CrmWrite,
        queued_bytes: u64,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<(), CrmFault>> {
        let (brand, write) = (brand.to_owned(), write.clone());
        self.database.run(move |conn| {
            Box::pin(async move {
                check_room(conn, &brand, queued_bytes, caps).await?;
                if let Err(fault) = check(conn, Batch::new(), &brand, &write, caps, now_ms).await {
                    let others_wait =
                        fault.0.may_pass() && is_waited_for(conn, &line_keys(&brand, &write)).await?;
                    if !others_wait {
                        return Err(fault);
                    }
                }
                Ok(())
            })
        })
    }

    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>> {
        Box::pin(async move {
            let mut runs = Vec::new();
            for _ in 0..jobs_max {
                let caps = caps.clone();
                let run = self.database.run_within(JOB_MAX, move |conn| {
                    Box::pin(async move { run::run_one(conn, &caps, now_ms).await })
                });
                match run.await {
                    Ok(Some(run)) => runs.push(run),
                    Ok(None) => break,
                    // Report the finished jobs first. The next call reports the error.
                    Err(_) if !runs.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(runs)
        })
    }

    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.database.run(move |conn| {
            Box::pin(async move {
                let state = optional_text(state.map(JobState::as_str));
                let params = [optional_text(brand.as_deref()), state, int(jobs_max.into())];
                query(conn, LIST, params).await?.iter().map(read_job).collect()
            })
        })
    }

    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>> {
        self.database.run(|conn| {
            Box::pin(async move {
                let rows = query(conn, COUNT, []).await?;
                let row = rows.first().ok_or_else(|| corrupt("job count", BadRow::Missing))?;
                let (waiting, parked): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
                Ok(JobCounts {
                    waiting: waiting.unsigned_abs(),
                    parked: parked.unsigned_abs(),
                    oldest_waiting_at: row.try_get(2)?,
                })
            })
        })
    }

    fn count_parked_jobs(&self, brands_max: u32) -> BoxFuture<'_, Result<Vec<(String, u64)>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                query(conn, COUNT_PARKED, [int(brands_max.into())]).await?.iter().map(read_count).collect()
            })
        })
    }

    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let chosen = choose(conn, &which).await?;
                for job in &chosen {
                    let lines = line_keys(&job.brand, &decode(&job.write)?);
                    Batch::new()
                        .query(ENTER_LINES, [int(job.id), line_array(&lines)])
                        .query(RETRY_NOW, [int(job.id), flag(job.is_parked), int(now_ms)])
                        .run(conn)
                        .await?;
                }
                execute(conn, "COMMIT").await?;
                Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
            })
        })
    }

    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let chosen = choose(conn, &which).await?;
                let ids = chosen.iter().map(|job| job.id).collect();
                Batch::new().query("DELETE FROM job WHERE id = ANY ($1)", [ints(ids)]).run(conn).await?;
                let mut freed: BTreeMap<&str, i64> = BTreeMap::new();
                for job in &chosen {
                    *freed.entry(&job.brand).or_default() -= job_bytes(&job.write);
                }
                // In the order of the brands, so that two operators do not wait for each other.
                let mut batch = Batch::new();
                for (brand, bytes) in freed {
                    add_usage(&mut batch, brand, UsageSlot::of_line(None), bytes);
                }
                batch.run(conn).await?;
                execute(conn, "COMMIT").await?;
                Ok(u32::try_from(chosen.len()).unwrap_or(u32::MAX))
            })
        })
    }

    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, DELETE_FINISHED, [int(before_ms), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

fn read_job(row: &Row) -> Result<Job, SqlError> {
    let state: &str = row.try_get(3)?;
    let tries: i64 = row.try_get(5)?;
    Ok(Job {
        id: row.try_get(0)?,
        brand: row.try_get(1)?,
        what: row.try_get(2)?,
        state: JobState::from_name(state).ok_or_else(|| corrupt("job", BadRow::UnknownState))?,
        is_late: row.try_get(4)?,
        tries: u32::try_from(tries).unwrap_or(u32::MAX),
        last_error: row.try_get(6)?,
        created_at: row.try_get(7)?,
        due_at: row.try_get(8)?,
        ended_at: row.try_get(9)?,
    })
}

/// A job that an operator chose. It is locked.
struct ChosenJob {
    id: i64,
    brand: String,
    write: Vec<u8>,
    is_parked: bool,
}

/// Begins a transaction, and locks the jobs.
async fn choose(conn: &Client, which: &JobChoice) -> Result<Vec<ChosenJob>, SqlError> {
    let (id, brand) = match which {
        JobChoice::One(id) => (Some(*id), None),
        JobChoice::Parked { brand } => (None, brand.as_deref()),
    };
    let params = [optional_int(id), optional_text(brand)];
    let [rows] = Batch::begin().query(CHOOSE, params).run_for(conn).await?;
    let read = |row: &Row| {
        Ok(ChosenJob {
            id: row.try_get(0)?,
            brand: row.try_get(1)?,
            write: row.try_get(2)?,
            is_parked: row.try_get(3)?,
        })
    };
    rows.iter().map(read).collect()
}
