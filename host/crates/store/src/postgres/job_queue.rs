//! Writes that are stored as jobs, and the lines in which jobs wait.

use tokio_postgres::Client;

use sluice_crm::{CrmWrite, LineKey};
use sluice_kit::{Cause, StoreError, StoreFault};

use super::batch::{Batch, Param, byte_arrays, bytes, int, query, text};
use super::error::corrupt;
use super::usage::{WriteContext, add_usage, check_usage};
use crate::error::{CrmSqlError, SqlError};

pub(super) const WAITED_FOR: &str = "SELECT true FROM job_line WHERE line = ANY ($1) LIMIT 1";

const INSERT: &str = "WITH made AS (
        INSERT INTO job (brand, what, write, state, created_at, due_at)
        VALUES ($1, $2, $3, 'waiting', $4, $4) RETURNING id),
    lines AS (
        INSERT INTO job_line (line, job_id)
        SELECT line, made.id FROM made CROSS JOIN unnest($5::bytea[]) AS line)
    SELECT id FROM made";

/// The keys of a write's lines.
pub(super) fn line_keys(brand: &str, write: &CrmWrite) -> Vec<LineKey> {
    write.lines().iter().map(|line| line.key(brand)).collect()
}

pub(super) fn line_array(keys: &[LineKey]) -> Param<'_> {
    byte_arrays(keys.iter().map(LineKey::as_slice).collect())
}

/// Whether a job waits in any of the lines.
pub(super) async fn is_waited_for(conn: &Client, lines: &[LineKey]) -> Result<bool, SqlError> {
    Ok(!query(conn, WAITED_FOR, [line_array(lines)]).await?.is_empty())
}

/// A write in the form in which a job stores it.
pub(super) struct StoredJob {
    what: String,
    write: Vec<u8>,
    lines: Vec<LineKey>,
}

impl StoredJob {
    pub(super) fn of(brand: &str, write: &CrmWrite) -> Result<Self, SqlError> {
        let stored = rmp_serde::to_vec_named(write)
            .map_err(|error| StoreError::Failed(StoreFault::Write(Cause::of(error))))?;
        Ok(Self { what: write.to_string(), write: stored, lines: line_keys(brand, write) })
    }

    /// Adds a statement that stores the job at the end of its lines and returns its id.
    pub(super) fn add<'a>(&'a self, batch: &mut Batch<'a>, brand: &'a str, now_ms: i64) {
        let Self { what, write, lines } = self;
        batch.add(INSERT, [text(brand), text(what), bytes(write), int(now_ms), line_array(lines)]);
    }

    pub(super) fn bytes(&self) -> i64 {
        job_bytes(&self.write)
    }

    pub(super) fn first_line(&self) -> Option<&LineKey> {
        self.lines.first()
    }
}

/// Stores the write as a job at the end of its lines.
pub(super) async fn insert(
    conn: &Client,
    write: &CrmWrite,
    WriteContext { brand, slot, caps, now_ms }: WriteContext<'_>,
) -> Result<(), CrmSqlError> {
    let job = StoredJob::of(brand, write)?;
    let mut batch = Batch::new();
    job.add(&mut batch, brand, now_ms);
    add_usage(&mut batch, brand, slot, job.bytes());
    let [_, usage] = batch.run_for(conn).await?;
    check_usage(usage.first(), job.bytes(), caps)
}

/// The write that a job stores.
pub(super) fn decode(write: &[u8]) -> Result<CrmWrite, SqlError> {
    rmp_serde::from_slice(write).map_err(|error| corrupt("job", Cause::of(error)).into())
}

/// The bytes that a job takes of its brand's quota until it is done.
pub(super) fn job_bytes(write: &[u8]) -> i64 {
    i64::try_from(write.len()).unwrap_or(i64::MAX)
}
