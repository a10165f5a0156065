//! One entry, whichever reference has it.

use tokio_postgres::{Client, Row};

use sluice_crm::{BrowsedEntry, CrmFault, CrmWrite, EntryId, Reference, ResultMemory, Slug};
use sluice_kit::Cause;

use super::{read_entry, reject_too_large};
use crate::error::{CrmSqlError, SqlError};
use crate::postgres::batch::{bytes, int, query, text};
use crate::postgres::decode;
use crate::postgres::error::corrupt;
use crate::rows::decoded_reference;

/// Returns no row if the entity does not exist, and one row with a `NULL` id if it does not have the entry.
/// Otherwise returns a row for each value of the entry, and one row if it has none.
pub(in crate::postgres) const ENTRY: &str = "WITH entity AS (
        SELECT id FROM crm_entity WHERE brand = $1 AND slug = $2),
    found AS (
        SELECT e.id, e.created_at, e.updated_at, e.stage_id, r.type, r.reference_id, v.key, v.value,
            sum(octet_length(v.key) + octet_length(v.value)) OVER () > $4 AS too_large
        FROM entity
        JOIN crm_entry e ON e.id = $3
        JOIN crm_reference r ON r.id = e.reference AND r.entity_id = entity.id
        LEFT JOIN crm_value v ON v.entry_id = e.id)
    SELECT f.id, f.created_at, f.updated_at, p.id, p.slug, s.id, s.slug, f.type, f.reference_id, f.key,
        CASE WHEN f.too_large THEN NULL ELSE f.value END, f.too_large
    FROM entity LEFT JOIN found f ON true
    LEFT JOIN crm_stage s ON s.id = f.stage_id
    LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
    ORDER BY f.key";

/// Loads one entry in one round trip.
pub(super) async fn one_entry(
    conn: &Client,
    brand: &str,
    slug: &Slug,
    id: EntryId,
    bytes_max: usize,
) -> Result<Option<BrowsedEntry>, CrmSqlError> {
    let params = [text(brand), text(slug.as_str()), bytes(id.as_bytes()), int(decode::signed(bytes_max))];
    let rows = query(conn, ENTRY, params).await?;
    if rows.is_empty() {
        return Err(CrmFault::UnknownSlug(slug.as_str().to_owned()).into());
    }
    let mut memory = ResultMemory::new(bytes_max);
    let mut found: Option<BrowsedEntry> = None;
    for row in &rows {
        reject_too_large(row, 11)?;
        if row.try_get::<_, Option<&[u8]>>(0)?.is_none() {
            break;
        }
        let mut browsed = match found.take() {
            Some(browsed) => browsed,
            None => read_browsed(row, id)?,
        };
        if let Some(key) = row.try_get(9)? {
            browsed.entry.values.push((key, memory.charge(decode::value(row.try_get(10)?)?)?));
        }
        found = Some(browsed);
    }
    Ok(found)
}

/// An entry with its reference, without its values. The columns are those of [`ENTRY`].
pub(in crate::postgres) fn read_browsed(row: &Row, id: EntryId) -> Result<BrowsedEntry, SqlError> {
    let reference_id = std::str::from_utf8(row.try_get(8)?);
    let reference_id = reference_id.map_err(|error| corrupt("CRM reference", Cause::of(error)))?.to_owned();
    Ok(BrowsedEntry { reference_type: row.try_get(7)?, reference_id, entry: read_entry(row, id)? })
}

/// The reference of the entry `$3`. Returns no row if the entity does not exist, and NULLs if the entity does
/// not have the entry.
pub(in crate::postgres) const REFERENCE_OF: &str = "SELECT r.type, r.reference_id
    FROM crm_entity e
    LEFT JOIN (crm_entry c JOIN crm_reference r ON r.id = c.reference) ON c.id = $3 AND r.entity_id = e.id
    WHERE e.brand = $1 AND e.slug = $2";

/// The reference that has an entry of an entity.
pub(in crate::postgres) async fn reference_of(
    conn: &Client,
    brand: &str,
    slug: &str,
    id: EntryId,
) -> Result<Option<Reference>, CrmSqlError> {
    let rows = query(conn, REFERENCE_OF, [text(brand), text(slug), bytes(id.as_bytes())]).await?;
    let row = rows.first().ok_or_else(|| CrmFault::UnknownSlug(slug.to_owned()))?;
    let kind: Option<&str> = row.try_get(0)?;
    Ok(kind.map(|kind| Ok::<_, SqlError>(decoded_reference(kind, row.try_get(1)?)?)).transpose()?)
}

/// Tells a write that was made earlier which reference its entry belongs to now.
pub(in crate::postgres) async fn follow(
    conn: &Client,
    brand: &str,
    write: &mut CrmWrite,
) -> Result<(), CrmSqlError> {
    if let Some((slug, id)) = write.entry()
        && let Some(reference) = reference_of(conn, brand, slug.as_str(), id).await?
    {
        write.follow(reference);
    }
    Ok(())
}
