//! Entries of all references of an entity, in one statement.

use tokio_postgres::{Client, Row};

use sluice_crm::{Browse, BrowsedEntry, CrmFault, Entry, EntryId, Placement, StageChoice};

use super::batch::{flag, int, optional_bytes, optional_int, query, text};
use super::crm_read::{decode, entry_id, signed};
use super::error::corrupt;
use crate::error::{CrmSqlError, SqlError};

/// No row: the entity is not there. A row for each value of each entry, and one for an
/// entry that has none; `NULL` as id: there is no entry. The first entry is given
/// whatever its size, the others as long as there is room.
pub(super) const ENTRIES: &str = "WITH entity AS (
        SELECT id FROM crm_entity WHERE brand = $1 AND slug = $2),
    found AS (
        SELECT e.id, e.created_at, e.updated_at, e.stage_id, r.type, r.reference_id
        FROM entity JOIN crm_reference r ON r.entity_id = entity.id
        JOIN crm_entry e ON e.reference = r.id
        WHERE ($3::bytea IS NULL OR e.id < $3) AND (NOT $4 OR e.stage_id IS NOT DISTINCT FROM $5)
        ORDER BY e.id DESC LIMIT $6),
    sized AS (
        SELECT found.*, row_number() OVER newest AS n, sum(size.bytes) OVER newest AS bytes
        FROM found CROSS JOIN LATERAL (
            SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) AS bytes
            FROM crm_value WHERE entry_id = found.id) size
        WINDOW newest AS (ORDER BY found.id DESC))
    SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, e.type, e.reference_id, v.key, v.value
    FROM entity LEFT JOIN sized e ON e.n = 1 OR e.bytes <= $7
    LEFT JOIN crm_stage s ON s.id = e.stage_id
    LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
    LEFT JOIN crm_value v ON v.entry_id = e.id
    ORDER BY e.id DESC, v.key";

pub(super) async fn entries(conn: &Client, browse: &Browse) -> Result<Vec<BrowsedEntry>, CrmSqlError> {
    let (is_asked, stage) = match browse.stage {
        StageChoice::Any => (false, None),
        StageChoice::None => (true, None),
        StageChoice::In(id) => (true, Some(id)),
    };
    let before = browse.before.as_ref().map(|id| id.as_bytes().as_slice());
    let params = [
        text(&browse.brand),
        text(browse.slug.as_str()),
        optional_bytes(before),
        flag(is_asked),
        optional_int(stage),
        int(browse.entries_max.into()),
        int(signed(browse.bytes_max)),
    ];
    let rows = query(conn, ENTRIES, params).await?;
    if rows.is_empty() {
        return Err(CrmFault::UnknownSlug(browse.slug.as_str().to_owned()).into());
    }
    let mut entries: Vec<BrowsedEntry> = Vec::new();
    for row in &rows {
        let Some(id) = row.try_get::<_, Option<&[u8]>>(0)? else { break };
        let id = entry_id(id)?;
        if entries.last().is_none_or(|last| last.entry.id != id) {
            entries.push(read(row, id)?);
        }
        let key: Option<String> = row.try_get(9)?;
        if let (Some(browsed), Some(key)) = (entries.last_mut(), key) {
            let value: &[u8] = row.try_get(10)?;
            browsed.entry.values.push((key, decode(value)?));
        }
    }
    Ok(entries)
}

fn read(row: &Row, id: EntryId) -> Result<BrowsedEntry, SqlError> {
    let placement = match row.try_get::<_, Option<i64>>(5)? {
        None => None,
        Some(stage_id) => Some(Placement {
            pipeline_id: row.try_get(3)?,
            pipeline_slug: row.try_get(4)?,
            stage_id,
            stage_slug: row.try_get(6)?,
        }),
    };
    let entry =
        Entry { id, placement, values: Vec::new(), created_at: row.try_get(1)?, updated_at: row.try_get(2)? };
    let reference_id = std::str::from_utf8(row.try_get(8)?);
    let reference_id = reference_id.map_err(|error| corrupt("CRM reference", &error.to_string()))?;
    Ok(BrowsedEntry { reference_type: row.try_get(7)?, reference_id: reference_id.to_owned(), entry })
}
