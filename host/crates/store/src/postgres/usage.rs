//! How many bytes each brand's CRM data and queued jobs take.

use tokio_postgres::{Client, Row};

use sluice_crm::{CapReached, CrmCaps, CrmFault, CrmWrite, LineKey};
use sluice_kit::BadRow;

use super::batch::{Batch, int, query, small, text};
use super::error::corrupt;
use crate::error::CrmSqlError;

/// The rows of `crm_usage` over which the writers of a brand are spread.
const USAGE_SLOTS: u8 = 16;

/// A statement's snapshot shows neither the statement's own change nor a change for which it
/// waited. So the slot's new count comes from the change and the other counts from the table.
pub(super) const ADD_USAGE: &str = "WITH mine AS (
        INSERT INTO crm_usage (brand, slot, bytes) VALUES ($1, $2, $3)
        ON CONFLICT (brand, slot) DO UPDATE SET bytes = crm_usage.bytes + excluded.bytes
        RETURNING bytes)
    SELECT ((SELECT bytes FROM mine)
        + coalesce((SELECT sum(bytes) FROM crm_usage WHERE brand = $1 AND slot <> $2), 0))::bigint";

/// The row of `crm_usage` to which a transaction adds. It adds to one row only, so that two
/// transactions never wait for each other's rows.
#[derive(Clone, Copy)]
pub(super) struct UsageSlot(i16);

impl UsageSlot {
    /// Spreads writers by the line that they write to, or by the first of several lines.
    pub(super) fn of_line(line: Option<&LineKey>) -> Self {
        let byte = line.and_then(|key| key.last()).copied().unwrap_or_default();
        Self(i16::from(byte % USAGE_SLOTS))
    }

    pub(super) fn of_write(brand: &str, write: &CrmWrite) -> Self {
        Self::of_line(write.lines().first().map(|line| line.key(brand)).as_ref())
    }
}

/// What all writes of one transaction have in common.
#[derive(Clone, Copy)]
pub(super) struct WriteContext<'a> {
    pub(super) brand: &'a str,
    pub(super) slot: UsageSlot,
    pub(super) caps: CrmCaps,
    pub(super) now_ms: i64,
}

/// Adds `added` bytes to the brand's count. Returns false if there is nothing to add; else the
/// batch returns the row that [`check_usage`] needs.
pub(super) fn add_usage<'a>(batch: &mut Batch<'a>, brand: &'a str, slot: UsageSlot, added: i64) -> bool {
    if added != 0 {
        batch.add(ADD_USAGE, [text(brand), small(slot.0), int(added)]);
    }
    added != 0
}

/// Fails if the write exceeds `brand_bytes_max`; a write that makes the data smaller never does.
/// Writers that commit to other slots at the same moment are not visible. Together they may
/// exceed the quota by the size of their writes.
pub(super) fn check_usage(total: Option<&Row>, added: i64, caps: CrmCaps) -> Result<(), CrmSqlError> {
    let total: i64 = total.ok_or_else(|| corrupt("CRM usage", BadRow::Missing))?.try_get(0)?;
    match added > 0 && u64::try_from(total).is_ok_and(|total| total > caps.brand_bytes_max) {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}

const USED: &str = "SELECT coalesce(sum(bytes), 0)::bigint FROM crm_usage WHERE brand = $1";

/// Fails if `bytes` more would exceed `brand_bytes_max`. Writes nothing.
pub(super) async fn check_room(
    conn: &Client,
    brand: &str,
    bytes: u64,
    caps: CrmCaps,
) -> Result<(), CrmSqlError> {
    let rows = query(conn, USED, [text(brand)]).await?;
    let stored: i64 = rows.first().ok_or_else(|| corrupt("CRM usage", BadRow::Missing))?.try_get(0)?;
    let stored = u64::try_from(stored).unwrap_or(0);
    match stored.saturating_add(bytes) > caps.brand_bytes_max {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}
