//! Loads the rows that a write's plan depends on. This runs in the writer's transaction, so
//! the rows do not change before the plan is carried out.

use rusqlite::{Connection, OptionalExtension, ToSql};

use sluice_crm::{EntryId, EntryRow, FieldKey, Held, LineRows, Reference, Want, values_bytes};

use super::{index, schema};
use crate::error::{CrmSqlError, SqlError};

pub(in crate::sqlite) const NEWEST_HOLDER: &str =
    "SELECT entry_id, length(value), iif(?3, value, x'') FROM crm_value
     WHERE reference = ?1 AND key = ?2 ORDER BY entry_id DESC LIMIT 1";
pub(in crate::sqlite) const ENTRIES: &str = "SELECT id, stage_id, stage_moves, updated_at FROM crm_entry WHERE reference = ?1 ORDER BY id DESC LIMIT ?2";
const OWN_VALUE: &str =
    "SELECT entry_id, length(value), iif(?3, value, x'') FROM crm_value WHERE entry_id = ?1 AND key = ?2";
pub(in crate::sqlite) const VALUE_SIZES: &str =
    "SELECT count(*), coalesce(sum(length(key)), 0), coalesce(sum(length(value)), 0)
     FROM crm_value WHERE entry_id = ?1";

/// The ids of the rows that a line belongs to.
pub(super) struct LineIds {
    pub(super) entity: i64,
    /// `None` until the reference has its first entry.
    pub(super) reference: Option<i64>,
}

/// Loads one line of a write.
pub(super) fn line(conn: &Connection, brand: &str, want: &Want) -> Result<(LineIds, LineRows), CrmSqlError> {
    let (entity, mode) = schema::entity(conn, brand, want.line.slug.as_str())?;
    let reference = reference(conn, entity, &want.line.reference)?;
    let mut rows = LineRows {
        mode,
        indexes: index::of_entity(conn, entity)?,
        pipelines: if want.pipelines { schema::pipelines(conn, entity)? } else { Vec::new() },
        count: 0,
        entries: Vec::new(),
        held: Vec::new(),
    };
    if let Some(reference) = reference {
        match want.entry {
            Some(id) => {
                rows.entries = one_entry(conn, reference, id)?;
                if !rows.entries.is_empty() {
                    rows.held = held(conn, OWN_VALUE, id.as_bytes(), want)?;
                }
            }
            None => {
                rows.entries = entries(conn, reference, want.all)?;
                rows.held = held(conn, NEWEST_HOLDER, reference, want)?;
                add_holders(conn, &mut rows)?;
            }
        }
        if want.count {
            rows.count = conn
                .prepare_cached("SELECT count(*) FROM crm_entry WHERE reference = ?1")?
                .query_row([reference], |row| row.get(0))?;
        }
    }
    Ok((LineIds { entity, reference }, rows))
}

/// The row of a reference, or `None` if it has never had an entry in this entity.
pub(super) fn reference(
    conn: &Connection,
    entity_id: i64,
    reference: &Reference,
) -> Result<Option<i64>, SqlError> {
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

fn entries(conn: &Connection, reference: i64, all: bool) -> Result<Vec<EntryRow>, CrmSqlError> {
    let rows = conn
        .prepare_cached(ENTRIES)?
        .query_map((reference, if all { -1 } else { 1 }), |row| {
            Ok((EntryId::from_bytes(row.get(0)?), (row.get(1)?, row.get(2)?, row.get(3)?)))
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    rows.into_iter().map(|(id, stored)| entry(conn, id, stored)).collect()
}

/// The entry, if the reference has it.
fn one_entry(conn: &Connection, reference: i64, id: EntryId) -> Result<Vec<EntryRow>, CrmSqlError> {
    let row: Option<Stored> = conn
        .prepare_cached(
            "SELECT stage_id, stage_moves, updated_at FROM crm_entry WHERE id = ?1 AND reference = ?2",
        )?
        .query_row((id.as_bytes(), reference), |row| row.try_into())
        .optional()?;
    row.into_iter().map(|stored| entry(conn, id, stored)).collect()
}

/// The stage of an entry, how often it was moved, and when it was last updated.
type Stored = (Option<i64>, i64, i64);

fn entry(
    conn: &Connection,
    id: EntryId,
    (stage_id, stage_moves, updated_at): Stored,
) -> Result<EntryRow, CrmSqlError> {
    let (keys, key_bytes, stored_bytes): (u32, i64, i64) =
        conn.prepare_cached(VALUE_SIZES)?.query_row([id.as_bytes()], |row| row.try_into())?;
    let bytes = values_bytes(keys, key_bytes.unsigned_abs(), stored_bytes.unsigned_abs());
    Ok(EntryRow { id, stage_id, stage_moves: stage_moves.unsigned_abs(), updated_at, keys, bytes })
}

fn held(
    conn: &Connection,
    sql: &str,
    within: impl ToSql + Copy,
    want: &Want,
) -> Result<Vec<Held>, CrmSqlError> {
    let mut query = conn.prepare_cached(sql)?;
    let mut held = Vec::new();
    for key in &want.keys {
        let mut rows = query.query((within, key.as_str(), want.values))?;
        if let Some(row) = rows.next()? {
            held.push(Held {
                key: FieldKey::clone(key),
                entry: EntryId::from_bytes(row.get(0)?),
                stored_bytes: row.get::<_, u32>(1)? as usize,
                value: row.get(2)?,
            });
        }
    }
    Ok(held)
}

/// Adds the entries that hold a wanted key and are not loaded yet.
fn add_holders(conn: &Connection, rows: &mut LineRows) -> Result<(), CrmSqlError> {
    for held in &rows.held {
        if rows.entries.iter().all(|entry| entry.id != held.entry) {
            let stored = conn
                .prepare_cached("SELECT stage_id, stage_moves, updated_at FROM crm_entry WHERE id = ?1")?
                .query_row([held.entry.as_bytes()], |row| row.try_into())?;
            rows.entries.push(entry(conn, held.entry, stored)?);
        }
    }
    rows.entries.sort_unstable_by_key(|entry| std::cmp::Reverse(entry.id));
    Ok(())
}
