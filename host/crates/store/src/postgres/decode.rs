//! Conversions between parameters, columns and the host's types.

use serde_json::Value;

use sluice_crm::EntryId;
use sluice_kit::{BadRow, Cause};

use super::error::corrupt;
use crate::error::SqlError;

pub(super) fn entry_id(bytes: &[u8]) -> Result<EntryId, SqlError> {
    let bytes =
        bytes.try_into().map_err(|_| corrupt("CRM entry", BadRow::Length { column: "id", bytes: 16 }))?;
    Ok(EntryId::from_bytes(bytes))
}

/// A stored CRM value.
pub(super) fn value(bytes: &[u8]) -> Result<Value, SqlError> {
    rmp_serde::from_slice(bytes).map_err(|error| corrupt("CRM value", Cause::of(error)).into())
}

pub(super) fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
