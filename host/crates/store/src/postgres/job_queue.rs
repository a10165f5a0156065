//! Writes that are stored as jobs, and the lines in which jobs wait.

use tokio_postgres::Client;

use sluice_crm::{CrmWrite, LineKey};
use sluice_kit::{BadRow, Cause, StoreError, StoreFault};

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

/// Stores the write as a job at the end of its lines. Returns the job's id.
pub(super) async fn insert(
    conn: &Client,
    write: &CrmWrite,
    WriteContext { brand, slot, caps, now_ms }: WriteContext<'_>,
) -> Result<i64, CrmSqlError> {
    let stored = rmp_serde::to_vec_named(write)
        .map_err(|error| StoreError::Failed(StoreFault::Write(Cause::of(error))))?;
    let (what, lines) = (write.to_string(), line_keys(brand, write));
    let params = [text(brand), text(&what), bytes(&stored), int(now_ms), line_array(&lines)];
    let mut batch = Batch::new().query(INSERT, params);
    let added = job_bytes(&stored);
    add_usage(&mut batch, brand, slot, added);
    let [inserted, usage] = batch.run_for(conn).await?;
    check_usage(usage.first(), added, caps)?;
    let row = inserted.first().ok_or_else(|| corrupt("job", BadRow::Missing))?;
    Ok(row.try_get(0)?)
}

/// The write that a job stores.
pub(super) fn decode(write: &[u8]) -> Result<CrmWrite, SqlError> {
    rmp_serde::from_slice(write).map_err(|error| corrupt("job", Cause::of(error)).into())
}

/// The bytes that a job takes of its brand's quota until it is done.
pub(super) fn job_bytes(write: &[u8]) -> i64 {
    i64::try_from(write.len()).unwrap_or(i64::MAX)
}
