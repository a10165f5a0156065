//! How many bytes each brand's CRM data and queued jobs take.

use rusqlite::Connection;

use sluice_crm::{CapReached, CrmCaps, CrmFault};

use super::connection::first;
use crate::error::CrmSqlError;

/// Adds `bytes` to the brand's count. Fails if that exceeds `brand_bytes_max`; a write that
/// makes the data smaller never does.
pub(super) fn add_usage(
    conn: &Connection,
    brand: &str,
    bytes: i64,
    caps: CrmCaps,
) -> Result<(), CrmSqlError> {
    if bytes == 0 {
        return Ok(());
    }
    let total: i64 = conn
        .prepare_cached(
            "INSERT INTO crm_usage (brand, bytes) VALUES (?1, ?2)
             ON CONFLICT (brand) DO UPDATE SET bytes = bytes + excluded.bytes
             RETURNING bytes",
        )?
        .query_row((brand, bytes), |row| row.get(0))?;
    match bytes > 0 && u64::try_from(total).is_ok_and(|total| total > caps.brand_bytes_max) {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}

/// Fails if `bytes` more would exceed `brand_bytes_max`. Writes nothing.
pub(super) fn check_room(
    conn: &Connection,
    brand: &str,
    bytes: u64,
    caps: CrmCaps,
) -> Result<(), CrmSqlError> {
    let stored: Option<i64> = first(conn, "SELECT bytes FROM crm_usage WHERE brand = ?1", [brand])?;
    let stored = u64::try_from(stored.unwrap_or(0)).unwrap_or(0);
    match stored.saturating_add(bytes) > caps.brand_bytes_max {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}
