//! Entries of all references of an entity.

use rusqlite::{Connection, params};

use sluice_crm::{
    Browse, BrowseStore, BrowsedEntry, CrmFault, Entry, EntryId, Slug, StageChoice, StageHistory,
};
use sluice_kit::BoxFuture;

use super::SqliteStore;
use super::crm::schema::entity_id;
use super::crm::{VALUES, decode, history, read_browsed};
use crate::error::CrmSqlError;

/// Newest first, of any reference. CROSS JOIN makes SQLite read in this order, so that it
/// stops as soon as it has enough entries.
const ENTRIES: &str =
    "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, r.type, r.reference_id
     FROM crm_entry e
     CROSS JOIN crm_reference r ON r.id = e.reference
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE r.entity_id = ?1 AND (?2 IS NULL OR e.id < ?2)
       AND (?3 = 0 OR e.stage_id IS ?4)
     ORDER BY e.id DESC LIMIT ?5";

impl BrowseStore for SqliteStore {
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>> {
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let entity = entity_id(&conn, &browse.brand, browse.slug.as_str())?;
            let before = browse.before.as_ref().map(|id| id.as_bytes().to_vec());
            let (has_stage, stage) = match browse.stage {
                StageChoice::Any => (false, None),
                StageChoice::None => (true, None),
                StageChoice::In(id) => (true, Some(id)),
            };
            let mut query = conn.prepare_cached(ENTRIES)?;
            let rows = query
                .query_map(params![entity, before, has_stage, stage, browse.entries_max], read_browsed)?
                .collect::<rusqlite::Result<Vec<_>>>()?;
            let mut bytes_left = browse.bytes_max;
            let mut entries: Vec<BrowsedEntry> = Vec::new();
            for mut browsed in rows {
                let bytes = read_values(&conn, &mut browsed.entry)?;
                match bytes_left.checked_sub(bytes) {
                    None if !entries.is_empty() => break,
                    left => bytes_left = left.unwrap_or(0),
                }
                entries.push(browsed);
            }
            Ok(entries)
        })
    }

    fn stage_history(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<StageHistory>, CrmFault>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| history::of_entry(&*conn.transaction()?, &brand, slug.as_str(), id))
    }
}

/// Adds the stored values to the entry. Returns the bytes of its keys and stored values.
fn read_values(conn: &Connection, entry: &mut Entry) -> Result<usize, CrmSqlError> {
    let mut query = conn.prepare_cached(VALUES)?;
    let mut rows = query.query([entry.id.as_bytes()])?;
    let mut total = 0;
    while let Some(row) = rows.next()? {
        let (key, bytes): (String, Vec<u8>) = (row.get(0)?, row.get(1)?);
        total += key.len() + bytes.len();
        entry.values.push((key, decode(&bytes)?));
    }
    Ok(total)
}
