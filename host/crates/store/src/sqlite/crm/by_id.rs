//! Finds out which reference has an entry.

use rusqlite::{Connection, OptionalExtension as _};

use sluice_crm::{CrmWrite, EntryId, Reference};

use super::schema;
use crate::error::CrmSqlError;
use crate::rows::decoded_reference;

/// The reference that has an entry of an entity.
pub(in crate::sqlite) fn reference_of(
    conn: &Connection,
    brand: &str,
    slug: &str,
    id: EntryId,
) -> Result<Option<Reference>, CrmSqlError> {
    let entity = schema::entity_id(conn, brand, slug)?;
    let row: Option<(String, Vec<u8>)> = conn
        .prepare_cached(
            "SELECT r.type, r.reference_id FROM crm_entry e JOIN crm_reference r ON r.id = e.reference
             WHERE e.id = ?1 AND r.entity_id = ?2",
        )?
        .query_row((id.as_bytes(), entity), |row| row.try_into())
        .optional()?;
    Ok(row.map(|(kind, id)| decoded_reference(&kind, &id)).transpose()?)
}

/// Tells a write that was made earlier which reference its entry belongs to now.
pub(in crate::sqlite) fn follow(
    conn: &Connection,
    brand: &str,
    write: &mut CrmWrite,
) -> Result<(), CrmSqlError> {
    if let Some((slug, id)) = write.entry()
        && let Some(reference) = reference_of(conn, brand, slug.as_str(), id)?
    {
        write.follow(reference);
    }
    Ok(())
}
