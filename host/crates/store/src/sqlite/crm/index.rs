//! Indexes of fields: their definitions, their rows, and how they are built.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use sluice_crm::index::{BUILD_ROWS, VIOLATIONS_SHOWN};
use sluice_crm::search::{SortKey, UniqueKey};
use sluice_crm::{EntryId, FieldIndex, IndexStep, Indexing, Plan, Refusal, Violation};

use super::by_id::reference_of;
use crate::error::{CrmSqlError, SqlError};

/// The indexes of an entity that writers maintain.
pub(super) fn of_entity(conn: &Connection, entity: i64) -> rusqlite::Result<Vec<FieldIndex>> {
    conn.prepare_cached(
        "SELECT id, key, is_unique, is_ready FROM crm_field_index WHERE entity_id = ?1 AND NOT is_dropped",
    )?
    .query_map([entity], read_index)?
    .collect()
}

fn read_index(row: &Row<'_>) -> rusqlite::Result<FieldIndex> {
    Ok(FieldIndex { id: row.get(0)?, key: row.get(1)?, is_unique: row.get(2)?, is_ready: row.get(3)? })
}

/// Carries out what a plan changes in indexes, after its entries were added.
pub(super) fn apply(conn: &Connection, plan: &Plan) -> Result<(), CrmSqlError> {
    for taken in &plan.unique_taken {
        let changed = conn
            .prepare_cached(
                "INSERT INTO crm_unique (index_id, digest, entry_id) VALUES (?1, ?2, ?3)
                 ON CONFLICT (index_id, digest) DO UPDATE SET entry_id = excluded.entry_id
                 WHERE crm_unique.entry_id = excluded.entry_id",
            )?
            .execute((taken.index, taken.value.as_bytes(), taken.entry.as_bytes()))?;
        if changed == 0 {
            return Err(Refusal::Duplicate.into());
        }
    }
    for (index, entry) in &plan.unique_freed {
        let kept = plan.unique_taken.iter().find(|taken| (taken.index, taken.entry) == (*index, *entry));
        conn.prepare_cached(
            "DELETE FROM crm_unique WHERE entry_id = ?1 AND index_id = ?2 AND digest IS NOT ?3",
        )?
        .execute((entry.as_bytes(), index, kept.map(|taken| taken.value.as_bytes())))?;
    }
    for row in &plan.index_rows {
        conn.prepare_cached(
            "INSERT INTO crm_index (entry_id, index_id, value) VALUES (?1, ?2, ?3)
             ON CONFLICT (entry_id, index_id) DO UPDATE SET value = excluded.value",
        )?
        .execute((row.entry.as_bytes(), row.index, row.value.as_bytes()))?;
    }
    Ok(())
}

/// Declares the index of a field.
pub(super) fn declare(conn: &Connection, entity: i64, key: &str, to: Indexing) -> Result<(), SqlError> {
    if to != Indexing::Unique {
        // The values of a field that is not unique any more are deleted with the rest of its index.
        conn.prepare_cached(
            "UPDATE crm_field_index SET is_dropped = 1
             WHERE entity_id = ?1 AND key = ?2 AND NOT is_dropped AND (is_unique OR ?3)",
        )?
        .execute((entity, key, to == Indexing::None))?;
    }
    if to != Indexing::None {
        conn.prepare_cached(
            "INSERT INTO crm_field_index (entity_id, key, is_unique) VALUES (?1, ?2, ?3)
             ON CONFLICT (entity_id, key) WHERE NOT is_dropped DO UPDATE SET
                 is_unique = 1, is_complete = 0, is_blocked = 0, built_to = x'', violations = 0
             WHERE excluded.is_unique AND NOT crm_field_index.is_unique",
        )?
        .execute((entity, key, to == Indexing::Unique))?;
    }
    Ok(())
}

/// Lets the indexes of a brand be built again that violations have stopped.
pub(super) fn try_again(conn: &Connection, brand: &str) -> Result<(), SqlError> {
    conn.prepare_cached(
        "UPDATE crm_field_index SET is_blocked = 0, built_to = x'', violations = 0
         WHERE is_blocked AND entity_id IN (SELECT id FROM crm_entity WHERE brand = ?1)",
    )?
    .execute([brand])?;
    Ok(())
}

/// An index that is not complete.
struct Pending {
    id: i64,
    entity: i64,
    is_unique: bool,
    is_dropped: bool,
    built_to: Vec<u8>,
    step: IndexStep,
}

fn pending(conn: &Connection, brand: Option<&str>) -> rusqlite::Result<Option<Pending>> {
    conn.prepare_cached(
        "SELECT crm_field_index.id, entity_id, is_unique, is_dropped, built_to, violations, e.brand, e.slug, key
         FROM crm_field_index JOIN crm_entity e ON e.id = entity_id
         WHERE (is_dropped OR NOT is_complete) AND NOT is_blocked AND (?1 IS NULL OR e.brand = ?1)
         ORDER BY crm_field_index.id LIMIT 1",
    )?
    .query_row([brand], |row| {
        Ok(Pending {
            id: row.get(0)?,
            entity: row.get(1)?,
            is_unique: row.get(2)?,
            is_dropped: row.get(3)?,
            built_to: row.get(4)?,
            step: IndexStep {
                brand: row.get(6)?,
                slug: row.get(7)?,
                key: row.get(8)?,
                entries: 0,
                is_finished: false,
                violations: Vec::new(),
                violations_total: row.get(5)?,
            },
        })
    })
    .optional()
}

/// Builds a part of an index. This runs in the writer's transaction, so no entry changes meanwhile.
pub(super) fn build(conn: &Connection, brand: Option<&str>) -> Result<Option<IndexStep>, SqlError> {
    let Some(pending) = pending(conn, brand)? else { return Ok(None) };
    if pending.is_dropped {
        return Ok(Some(delete(conn, pending)?));
    }
    let Pending { id, entity, is_unique, mut built_to, mut step, .. } = pending;
    let rows = conn
        .prepare_cached(
            "SELECT e.id, v.value FROM crm_entry e LEFT JOIN crm_value v ON v.entry_id = e.id AND v.key = ?2
             WHERE e.entity_id = ?1 AND e.id > ?3 ORDER BY e.id LIMIT ?4",
        )?
        .query_map(params![entity, step.key, built_to, BUILD_ROWS], |row| row.try_into())?
        .collect::<rusqlite::Result<Vec<([u8; 16], Option<Vec<u8>>)>>>()?;
    for (entry, value) in &rows {
        let key = value.as_deref().map_or_else(SortKey::missing, SortKey::of_stored);
        conn.prepare_cached(
            "INSERT INTO crm_index (entry_id, index_id, value) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        )?
        .execute((entry, id, key.as_bytes()))?;
        if let Some(value) = value.as_ref().filter(|_| is_unique)
            && let Some(other) = take_unique(conn, id, *entry, &UniqueKey::of_stored(value))?
        {
            step.violations_total += 1;
            let entry = EntryId::from_bytes(*entry);
            let slug = step.slug.as_str();
            let reference = reference_of(conn, &step.brand, slug, entry).map_err(SqlError::from)?;
            if let Some(reference) = reference.filter(|_| step.violations.len() < VIOLATIONS_SHOWN) {
                step.violations.push(Violation { entry, reference, other });
            }
        }
        built_to = entry.to_vec();
    }
    step.entries = u32::try_from(rows.len()).unwrap_or(u32::MAX);
    step.is_finished = step.entries < BUILD_ROWS;
    let (finished, violated) = (step.is_finished, step.violations_total > 0);
    conn.prepare_cached(
        "UPDATE crm_field_index SET built_to = ?2, violations = ?3, is_ready = is_ready OR ?4,
             is_complete = ?4 AND NOT ?5, is_blocked = ?4 AND ?5
         WHERE id = ?1",
    )?
    .execute((id, built_to, step.violations_total, finished, violated))?;
    Ok(Some(step))
}

/// Takes a value for an entry that had it before. Returns the entry that has it already, if that is another.
fn take_unique(
    conn: &Connection,
    index: i64,
    entry: [u8; 16],
    value: &UniqueKey,
) -> rusqlite::Result<Option<EntryId>> {
    conn.prepare_cached(
        "INSERT INTO crm_unique (index_id, digest, entry_id) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
    )?
    .execute((index, value.as_bytes(), entry))?;
    let holder: [u8; 16] = conn
        .prepare_cached("SELECT entry_id FROM crm_unique WHERE index_id = ?1 AND digest = ?2")?
        .query_row((index, value.as_bytes()), |row| row.get(0))?;
    Ok((holder != entry).then(|| EntryId::from_bytes(holder)))
}

/// Deletes a part of an index that was removed.
fn delete(conn: &Connection, pending: Pending) -> Result<IndexStep, SqlError> {
    let Pending { id, mut step, .. } = pending;
    for sql in [
        "DELETE FROM crm_index WHERE (entry_id, index_id) IN (
             SELECT entry_id, index_id FROM crm_index WHERE index_id = ?1 LIMIT ?2)",
        "DELETE FROM crm_unique WHERE (index_id, digest) IN (
             SELECT index_id, digest FROM crm_unique WHERE index_id = ?1 LIMIT ?2)",
    ] {
        let deleted = conn.prepare_cached(sql)?.execute((id, BUILD_ROWS))?;
        step.entries = step.entries.saturating_add(u32::try_from(deleted).unwrap_or(u32::MAX));
    }
    step.is_finished = step.entries == 0;
    if step.is_finished {
        conn.prepare_cached("DELETE FROM crm_field_index WHERE id = ?1")?.execute([id])?;
    }
    Ok(step)
}
