//! Entries of all references of an entity.

use rusqlite::{Connection, Row, params};

use sluice_crm::{Browse, BrowsedEntry, CrmFault, Entry, EntryId, Placement, StageChoice};
use sluice_kit::StoreError;

use super::crm_read;
use crate::error::CrmSqlError;

/// From the newest entry on, whoever's it is: CROSS JOIN keeps SQLite to this
/// order, so that it stops as soon as it has enough.
const ENTRIES: &str =
    "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, r.type, r.reference_id
     FROM crm_entry e
     CROSS JOIN crm_reference r ON r.id = e.reference
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE r.entity_id = ?1 AND (?2 IS NULL OR e.id < ?2)
       AND (?3 = 0 OR e.stage_id IS ?4)
     ORDER BY e.id DESC LIMIT ?5";

pub(super) fn entries(conn: &mut Connection, browse: &Browse) -> Result<Vec<BrowsedEntry>, CrmSqlError> {
    let conn = conn.transaction()?;
    let entity = crm_read::entity_id(&conn, &browse.brand, browse.slug.as_str())?;
    let before = browse.before.as_ref().map(|id| id.as_bytes().to_vec());
    let (is_asked, stage) = match browse.stage {
        StageChoice::Any => (false, None),
        StageChoice::None => (true, None),
        StageChoice::In(id) => (true, Some(id)),
    };
    let mut query = conn.prepare_cached(ENTRIES)?;
    let found = query
        .query_map(params![entity, before, is_asked, stage, browse.entries_max], read)?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut room = browse.bytes_max;
    let mut entries: Vec<BrowsedEntry> = Vec::new();
    for mut browsed in found {
        let bytes = values(&conn, &mut browsed.entry)?;
        match room.checked_sub(bytes) {
            None if !entries.is_empty() => break,
            left => room = left.unwrap_or(0),
        }
        entries.push(browsed);
    }
    Ok(entries)
}

fn read(row: &Row<'_>) -> rusqlite::Result<BrowsedEntry> {
    let placement = match row.get::<_, Option<i64>>(5)? {
        None => None,
        Some(stage_id) => Some(Placement {
            pipeline_id: row.get(3)?,
            pipeline_slug: row.get(4)?,
            stage_id,
            stage_slug: row.get(6)?,
        }),
    };
    let entry = Entry {
        id: EntryId::from_bytes(row.get(0)?),
        placement,
        values: Vec::new(),
        created_at: row.get(1)?,
        updated_at: row.get(2)?,
    };
    let reference_id = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(8)?).into_owned();
    Ok(BrowsedEntry { reference_type: row.get(7)?, reference_id, entry })
}

/// Fills in the entry's values and gives their bytes.
fn values(conn: &Connection, entry: &mut Entry) -> Result<usize, CrmSqlError> {
    let mut query =
        conn.prepare_cached("SELECT key, value FROM crm_value WHERE entry_id = ?1 ORDER BY key")?;
    let mut rows = query.query([entry.id.as_bytes()])?;
    let mut total = 0;
    while let Some(row) = rows.next()? {
        let (key, bytes): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        total += key.len() + bytes.len();
        let value = rmp_serde::from_slice(&bytes).map_err(|error| {
            CrmFault::Store(StoreError::Corrupt { what: "CRM value", why: error.to_string() })
        })?;
        entry.values.push((key, value));
    }
    Ok(total)
}
