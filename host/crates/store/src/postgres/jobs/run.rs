//! Applies jobs that are due. Workers of any number of hosts share the queue: a job that one
//! worker has taken is locked until its result is recorded, and other workers skip it.

use tokio_postgres::Client;

use sluice_crm::{CapsOfBrand, CrmCaps, JobEnd, JobRun, RETRY_WAIT_MS_MAX};

use crate::error::{CrmSqlError, SqlError};
use crate::postgres::batch::{Batch, execute, int, text};
use crate::postgres::crm::by_id::follow;
use crate::postgres::crm::write::write_after;
use crate::postgres::job_queue::{decode, job_bytes};
use crate::postgres::usage::{UsageSlot, WriteContext, add_usage};

/// The oldest job that is due, that no earlier job precedes in any of its lines, and that no
/// other worker has taken. A job that is taken stays in its lines. A job that was never tried is due
/// whatever the clock says, and one that was is due after [`RETRY_WAIT_MS_MAX`] at the latest.
pub(in crate::postgres) const NEXT: &str = "SELECT id, brand, what, write, tries FROM job AS mine
    WHERE state = 'waiting' AND (tries = 0 OR due_at <= $1 OR due_at > $1 + $2) AND NOT EXISTS (
        SELECT 1 FROM job_line AS own JOIN job_line AS earlier
        ON earlier.line = own.line AND earlier.job_id < own.job_id
        WHERE own.job_id = mine.id)
    ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED";

const LEAVE_LINES: &str = "DELETE FROM job_line WHERE job_id = $1";

const DONE: &str = "UPDATE job SET state = 'done', write = '', ended_at = $2, last_error = NULL
    WHERE id = $1";

const PARK: &str = "UPDATE job SET state = 'parked', tries = tries + 1, last_error = $2, ended_at = $3
    WHERE id = $1";

const RETRY_LATER: &str = "UPDATE job SET tries = tries + 1, last_error = $2, due_at = $3 WHERE id = $1";

/// A job that is next in all of its lines.
struct DueJob {
    id: i64,
    brand: String,
    what: String,
    write: Vec<u8>,
    tries: i64,
}

impl DueJob {
    /// The slot for everything that one attempt adds.
    fn slot(&self) -> UsageSlot {
        match decode(&self.write) {
            Ok(write) => UsageSlot::of_write(&self.brand, &write),
            Err(_) => UsageSlot::of_line(None),
        }
    }
}

/// Takes one job and applies it, in one transaction. Returns `None` if no job is due.
pub(super) async fn run_one(
    conn: &Client,
    caps: &CapsOfBrand,
    now_ms: i64,
) -> Result<Option<JobRun>, SqlError> {
    let [rows] = Batch::begin().query(NEXT, [int(now_ms), int(RETRY_WAIT_MS_MAX)]).run_for(conn).await?;
    let Some(row) = rows.first() else {
        execute(conn, "COMMIT").await?;
        return Ok(None);
    };
    let due = DueJob {
        id: row.try_get(0)?,
        brand: row.try_get(1)?,
        what: row.try_get(2)?,
        write: row.try_get(3)?,
        tries: row.try_get(4)?,
    };
    let end = match apply(conn, &due, caps(&due.brand), now_ms).await {
        Ok(()) => JobEnd::Done,
        Err(fault) => {
            // This fails if the connection is lost. Then the attempt leaves nothing behind.
            execute(conn, "ROLLBACK TO SAVEPOINT job").await?;
            let tries = u32::try_from(due.tries).unwrap_or(u32::MAX).saturating_add(1);
            JobEnd::of_failure(&fault.0, tries, now_ms)
        }
    };
    record(conn, &due, &end, now_ms).await?;
    let DueJob { id, brand, what, .. } = due;
    Ok(Some(JobRun { id, brand, what, end }))
}

async fn apply(conn: &Client, due: &DueJob, caps: CrmCaps, now_ms: i64) -> Result<(), CrmSqlError> {
    let mut savepoint = Batch::new().plain("SAVEPOINT job");
    let mut write = match decode(&due.write) {
        Ok(write) => write,
        Err(error) => {
            savepoint.run(conn).await?;
            return Err(error.into());
        }
    };
    if write.entry().is_some() {
        let savepoint = std::mem::take(&mut savepoint);
        savepoint.run(conn).await?;
        follow(conn, &due.brand, &mut write).await?;
    }
    let context = WriteContext { brand: &due.brand, slot: due.slot(), caps, now_ms };
    write_after(conn, savepoint, &write, context).await.map(drop)
}

/// Records how an attempt ended, and commits that together with what the attempt did.
async fn record(conn: &Client, due: &DueJob, end: &JobEnd, now_ms: i64) -> Result<(), SqlError> {
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
