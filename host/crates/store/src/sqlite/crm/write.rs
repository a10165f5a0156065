//! Carries out writes. Each function runs in the writer's transaction, so the data do not
//! change between reading and writing, and an error undoes the whole write.

use rusqlite::Connection;

use sluice_crm::{CrmCaps, CrmWrite, CrmWritten, Line, LineRows, Plan, Want};
use sluice_kit::{StoreError, StoreFault};

use super::history;
use super::index;
use super::load::{self, LineIds};
use crate::error::CrmSqlError;
use crate::sqlite::usage::add_usage;

/// Loads what the write depends on, plans it and applies the plan.
pub(in crate::sqlite) fn write_crm(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmSqlError> {
    let wants = write.wants();
    let (mut ids, rows) = load_lines(conn, brand, &wants)?;
    let plan = write.plan(&rows, caps, now_ms)?;
    apply(conn, &wants, &mut ids, &plan, now_ms)?;
    add_usage(conn, brand, plan.bytes, caps)?;
    Ok(plan.written)
}

/// Fails as [`write_crm`] would fail now, except for the brand's quota of bytes. Writes nothing.
pub(in crate::sqlite) fn check(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    let (_, rows) = load_lines(conn, brand, &write.wants())?;
    Ok(write.plan(&rows, caps, now_ms).map(drop)?)
}

fn load_lines(
    conn: &Connection,
    brand: &str,
    wants: &[Want],
) -> Result<(Vec<LineIds>, Vec<LineRows>), CrmSqlError> {
    let lines = wants.iter().map(|want| load::line(conn, brand, want));
    Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

fn apply(
    conn: &Connection,
    wants: &[Want],
    ids: &mut [LineIds],
    plan: &Plan,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    for new in &plan.new_entries {
        let reference = reference(conn, wants, ids, new.line)?;
        conn.prepare_cached(
            "INSERT INTO crm_entry (id, reference, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute((new.id.as_bytes(), reference, now_ms))?;
    }
    index::apply(conn, plan)?;
    for new in &plan.values {
        let reference = reference(conn, wants, ids, new.line)?;
        conn.prepare_cached(
            "INSERT INTO crm_value (entry_id, key, reference, value) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (entry_id, key) DO UPDATE SET value = excluded.value",
        )?
        .execute((new.entry.as_bytes(), new.key.as_str(), reference, &new.value))?;
    }
    for (entry, key) in &plan.removed_values {
        conn.prepare_cached("DELETE FROM crm_value WHERE entry_id = ?1 AND key = ?2")?
            .execute((entry.as_bytes(), key.as_str()))?;
    }
    for entry in &plan.deleted_entries {
        conn.prepare_cached("DELETE FROM crm_entry WHERE id = ?1")?.execute([entry.as_bytes()])?;
    }
    for (entry, stage) in &plan.placed {
        history::place(conn, *entry, *stage, now_ms)?;
    }
    if let Some((from, to)) = plan.reassigned {
        let (from, to) = (reference(conn, wants, ids, from)?, reference(conn, wants, ids, to)?);
        for sql in [
            "UPDATE crm_entry SET reference = ?2 WHERE reference = ?1",
            "UPDATE crm_value SET reference = ?2 WHERE reference = ?1",
        ] {
            conn.prepare_cached(sql)?.execute((from, to))?;
        }
    }
    for entry in &plan.touched {
        conn.prepare_cached("UPDATE crm_entry SET updated_at = max(?2, updated_at + 1) WHERE id = ?1")?
            .execute((entry.as_bytes(), now_ms))?;
    }
    for line in plan.emptied.iter().filter_map(|line| ids.get(*line)?.reference) {
        conn.prepare_cached(
            "DELETE FROM crm_reference WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM crm_entry WHERE reference = ?1)",
        )?
        .execute([line])?;
    }
    Ok(())
}

/// The row of a line's reference, which is inserted if it does not exist.
fn reference(
    conn: &Connection,
    wants: &[Want],
    ids: &mut [LineIds],
    line: usize,
) -> Result<i64, CrmSqlError> {
    let (Some(ids), Some(want)) = (ids.get_mut(line), wants.get(line)) else {
        return Err(StoreError::Failed(StoreFault::NoSuchLine).into());
    };
    if let Some(reference) = ids.reference {
        return Ok(reference);
    }
    let Line { reference, .. } = &want.line;
    let row = conn
        .prepare_cached(
            "INSERT INTO crm_reference (entity_id, type, reference_id) VALUES (?1, ?2, ?3)
             RETURNING id",
        )?
        .query_row((ids.entity, reference.kind(), reference.id().as_bytes()), |row| row.get(0))?;
    ids.reference = Some(row);
    Ok(row)
}
