//! Reads entries and their values.

use rusqlite::{Connection, OptionalExtension, Row, Rows};
use serde_json::Value;

use sluice_crm::{Address, CrmFault, Entry, EntryId, FieldKey, Placement, Reference};
use sluice_kit::StoreError;

use crate::error::CrmSqlError;

/// One statement for any number of keys, whose text is always the same.
pub(super) const NEWEST_VALUES: &str = "SELECT asked.key, (
         SELECT value FROM crm_value
         WHERE reference = ?1 AND key = asked.value
         ORDER BY entry_id DESC LIMIT 1)
     FROM json_each(?2) AS asked";

pub(super) const VALUES_OF_KEY: &str = "SELECT value FROM crm_value
     WHERE reference = ?1 AND key = ?2 ORDER BY entry_id DESC LIMIT ?3";

pub(super) const NEWEST_ENTRIES: &str = "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug
     FROM crm_entry e
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE e.reference = ?1 ORDER BY e.id DESC LIMIT ?2";

/// The entity's id.
pub(super) fn entity_id(conn: &Connection, brand: &str, slug: &str) -> Result<i64, CrmSqlError> {
    conn.prepare_cached("SELECT id FROM crm_entity WHERE brand = ?1 AND slug = ?2")?
        .query_row((brand, slug), |row| row.get(0))
        .optional()?
        .ok_or_else(|| CrmFault::UnknownSlug(slug.to_owned()).into())
}

/// The reference's row; `None`: it never had an entry in this entity.
pub(super) fn reference(
    conn: &Connection,
    entity_id: i64,
    reference: &Reference,
) -> Result<Option<i64>, CrmSqlError> {
    let (kind, id) = (reference.kind(), reference.id().as_bytes());
    let row = conn
        .prepare_cached(
            "SELECT id FROM crm_reference
             WHERE entity_id = ?1 AND type = ?2 AND reference_id = ?3",
        )?
        .query_row((entity_id, kind, id), |row| row.get(0))
        .optional()?;
    Ok(row)
}

pub(super) fn fields(
    conn: &mut Connection,
    at: &Address,
    keys: &[FieldKey],
    bytes_max: usize,
) -> Result<Vec<Option<Value>>, CrmSqlError> {
    let conn = conn.transaction()?;
    let entity = entity_id(&conn, &at.brand, at.slug.as_str())?;
    let mut found = vec![None; keys.len()];
    let Some(reference) = reference(&conn, entity, &at.reference)? else {
        return Ok(found);
    };
    let asked: Value = keys.iter().map(FieldKey::as_str).collect();
    let mut room = Room(bytes_max);
    let mut query = conn.prepare_cached(NEWEST_VALUES)?;
    let mut rows = query.query((reference, asked.to_string()))?;
    while let Some(row) = rows.next()? {
        let index: u32 = row.get(0)?;
        let bytes = row.get_ref(1)?;
        let bytes = bytes.as_blob_or_null().map_err(rusqlite::Error::from)?;
        if let (Some(slot), Some(bytes)) = (found.get_mut(index as usize), bytes) {
            *slot = Some(room.decode(bytes)?);
        }
    }
    Ok(found)
}

pub(super) fn values_of_key(
    conn: &mut Connection,
    at: &Address,
    key: &FieldKey,
    limit: u32,
    bytes_max: usize,
) -> Result<Vec<Value>, CrmSqlError> {
    let conn = conn.transaction()?;
    let entity = entity_id(&conn, &at.brand, at.slug.as_str())?;
    let Some(reference) = reference(&conn, entity, &at.reference)? else {
        return Ok(Vec::new());
    };
    let mut room = Room(bytes_max);
    let mut found = Vec::new();
    let mut query = conn.prepare_cached(VALUES_OF_KEY)?;
    let mut rows = query.query((reference, key.as_str(), limit))?;
    while let Some(row) = rows.next()? {
        let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        found.push(room.decode(bytes)?);
    }
    Ok(found)
}

pub(super) fn entries(
    conn: &mut Connection,
    at: &Address,
    limit: u32,
    bytes_max: usize,
) -> Result<Vec<Entry>, CrmSqlError> {
    let conn = conn.transaction()?;
    let entity = entity_id(&conn, &at.brand, at.slug.as_str())?;
    let Some(reference) = reference(&conn, entity, &at.reference)? else {
        return Ok(Vec::new());
    };
    let mut query = conn.prepare_cached(NEWEST_ENTRIES)?;
    let mut entries =
        query.query_map((reference, limit), read_entry)?.collect::<rusqlite::Result<Vec<Entry>>>()?;
    let mut room = Room(bytes_max);
    let mut query =
        conn.prepare_cached("SELECT key, value FROM crm_value WHERE entry_id = ?1 ORDER BY key")?;
    for entry in &mut entries {
        let rows = query.query([entry.id.as_bytes()])?;
        entry.values = values(rows, &mut room)?;
    }
    Ok(entries)
}

fn values(mut rows: Rows<'_>, room: &mut Room) -> Result<Vec<(String, Value)>, CrmSqlError> {
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        room.take(key.len())?;
        let bytes = row.get_ref(1)?;
        let bytes = bytes.as_blob().map_err(rusqlite::Error::from)?;
        values.push((key, room.decode(bytes)?));
    }
    Ok(values)
}

fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let placement = match row.get::<_, Option<i64>>(5)? {
        None => None,
        Some(stage_id) => Some(Placement {
            pipeline_id: row.get(3)?,
            pipeline_slug: row.get(4)?,
            stage_id,
            stage_slug: row.get(6)?,
        }),
    };
    Ok(Entry {
        id: EntryId::from_bytes(row.get(0)?),
        placement,
        values: Vec::new(),
        created_at: row.get(1)?,
        updated_at: row.get(2)?,
    })
}

/// Bytes that a result may still take. Looked at before a value is decoded.
struct Room(usize);

impl Room {
    fn take(&mut self, bytes: usize) -> Result<(), CrmSqlError> {
        self.0 = (self.0.checked_sub(bytes)).ok_or(CrmFault::ResultTooLarge)?;
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<Value, CrmSqlError> {
        self.take(bytes.len())?;
        rmp_serde::from_slice(bytes).map_err(|error| {
            let what = "CRM value";
            let why = error.to_string();
            StoreError::Corrupt { what, why }.into()
        })
    }
}
