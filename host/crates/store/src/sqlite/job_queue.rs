//! Writes that are stored as jobs, and the lines in which jobs wait. All of it runs in the
//! writer's transaction.

use rusqlite::Connection;

use sluice_crm::{CrmCaps, CrmWrite, Line};
use sluice_kit::{BadRow, Cause, StoreError, StoreFault};

use super::connection::first;
use super::usage::add_usage;
use crate::error::{CrmSqlError, SqlError};

/// Whether a job waits in any of the lines.
pub(super) fn is_waited_for(conn: &Connection, brand: &str, lines: &[Line]) -> Result<bool, SqlError> {
    for line in lines {
        let waits = "SELECT 1 FROM job_line WHERE line = ?1 LIMIT 1";
        if first::<i64>(conn, waits, [line.key(brand)])?.is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Stores the write as a job at the end of its lines. Returns the job's id.
pub(super) fn insert(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<i64, CrmSqlError> {
    let bytes = rmp_serde::to_vec_named(write)
        .map_err(|error| StoreError::Failed(StoreFault::Write(Cause::of(error))))?;
    add_usage(conn, brand, job_bytes(&bytes), caps)?;
    let id = conn
        .prepare_cached(
            "INSERT INTO job (brand, what, write, state, created_at, due_at)
             VALUES (?1, ?2, ?3, 'waiting', ?4, ?4) RETURNING id",
        )?
        .query_row((brand, write.to_string(), &bytes, now_ms), |row| row.get(0))?;
    enter_lines(conn, id, brand, write)?;
    Ok(id)
}

/// The write that a job stores.
pub(super) fn decode(id: i64, write: &[u8]) -> Result<CrmWrite, SqlError> {
    rmp_serde::from_slice(write).map_err(|error| {
        StoreError::Corrupt { what: "job", why: BadRow::Job { id, cause: Cause::of(error) } }.into()
    })
}

/// Puts the job at the end of each line of its write.
pub(super) fn enter_lines(conn: &Connection, id: i64, brand: &str, write: &CrmWrite) -> Result<(), SqlError> {
    for line in write.lines() {
        conn.prepare_cached("INSERT INTO job_line (line, job_id) VALUES (?1, ?2)")?
            .execute((line.key(brand), id))?;
    }
    Ok(())
}

/// Takes the job out of all lines.
pub(super) fn leave_lines(conn: &Connection, id: i64) -> Result<(), SqlError> {
    conn.prepare_cached("DELETE FROM job_line WHERE job_id = ?1")?.execute([id])?;
    Ok(())
}

/// Subtracts a job's bytes from what its brand uses.
pub(super) fn release_usage(conn: &Connection, brand: &str, write: &[u8]) -> Result<(), SqlError> {
    Ok(add_usage(conn, brand, -job_bytes(write), CrmCaps::default())?)
}

/// The bytes that a job takes of its brand's quota until it is done.
fn job_bytes(write: &[u8]) -> i64 {
    i64::try_from(write.len()).unwrap_or(i64::MAX)
}
