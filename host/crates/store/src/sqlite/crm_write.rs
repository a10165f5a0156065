//! Carries out writes. Each function runs inside the writer's transaction: what it reads
//! does not change before it writes, and an error undoes all of it.

use rusqlite::{Connection, OptionalExtension};

use sluice_crm::{
    CapReached, CrmCaps, CrmFault, CrmWrite, CrmWritten, Line, LineRows, Plan, Reference, Slug, Want,
};
use sluice_kit::StoreError;

use super::crm_load::{self, Found};
use super::{crm_read, jobs};
use crate::error::{CrmSqlError, SqlError};

pub(super) fn write(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmSqlError> {
    let wants = write.wants();
    let (mut found, rows) = load(conn, brand, &wants)?;
    let plan = write.plan(&rows, caps, now_ms)?;
    apply(conn, &wants, &mut found, &plan, now_ms)?;
    add_usage(conn, brand, plan.bytes, caps)?;
    Ok(plan.written)
}

/// Whether the write would be refused now. Writes nothing.
pub(super) fn check(
    conn: &Connection,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    let (_, rows) = load(conn, brand, &write.wants())?;
    Ok(write.plan(&rows, caps, now_ms).map(drop)?)
}

fn load(conn: &Connection, brand: &str, wants: &[Want]) -> Result<(Vec<Found>, Vec<LineRows>), CrmSqlError> {
    let lines = wants.iter().map(|want| crm_load::line(conn, brand, want));
    Ok(lines.collect::<Result<Vec<_>, _>>()?.into_iter().unzip())
}

fn apply(
    conn: &Connection,
    wants: &[Want],
    found: &mut [Found],
    plan: &Plan,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    for new in &plan.new_entries {
        let reference = reference(conn, wants, found, new.line)?;
        conn.prepare_cached(
            "INSERT INTO crm_entry (id, reference, created_at, updated_at) VALUES (?1, ?2, ?3, ?3)",
        )?
        .execute((new.id.as_bytes(), reference, now_ms))?;
    }
    for new in &plan.values {
        let reference = reference(conn, wants, found, new.line)?;
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
        conn.prepare_cached("UPDATE crm_entry SET stage_id = ?2 WHERE id = ?1")?
            .execute((entry.as_bytes(), stage))?;
    }
    if let Some((from, to)) = plan.reassigned {
        let (from, to) = (reference(conn, wants, found, from)?, reference(conn, wants, found, to)?);
        for sql in [
            "UPDATE crm_entry SET reference = ?2 WHERE reference = ?1",
            "UPDATE crm_value SET reference = ?2 WHERE reference = ?1",
        ] {
            conn.prepare_cached(sql)?.execute((from, to))?;
        }
    }
    for entry in &plan.touched {
        conn.prepare_cached("UPDATE crm_entry SET updated_at = ?2 WHERE id = ?1")?
            .execute((entry.as_bytes(), now_ms))?;
    }
    for line in plan.emptied.iter().filter_map(|line| found.get(*line)?.reference) {
        conn.prepare_cached(
            "DELETE FROM crm_reference WHERE id = ?1
             AND NOT EXISTS (SELECT 1 FROM crm_entry WHERE reference = ?1)",
        )?
        .execute([line])?;
    }
    Ok(())
}

/// The row of a line's reference, made if there is none.
fn reference(
    conn: &Connection,
    wants: &[Want],
    found: &mut [Found],
    line: usize,
) -> Result<i64, CrmSqlError> {
    let (Some(found), Some(want)) = (found.get_mut(line), wants.get(line)) else {
        return Err(StoreError::Failed("a plan names a line that it does not have".to_owned()).into());
    };
    if let Some(reference) = found.reference {
        return Ok(reference);
    }
    let Line { reference, .. } = &want.line;
    let row = conn
        .prepare_cached(
            "INSERT INTO crm_reference (entity_id, type, reference_id) VALUES (?1, ?2, ?3)
             RETURNING id",
        )?
        .query_row((found.entity, reference.kind(), reference.id().as_bytes()), |row| row.get(0))?;
    found.reference = Some(row);
    Ok(row)
}

/// Adds to what the brand's data counts. Making it smaller is never refused.
pub(super) fn add_usage(
    conn: &Connection,
    brand: &str,
    bytes: i64,
    caps: CrmCaps,
) -> Result<(), CrmSqlError> {
    if bytes == 0 {
        return Ok(());
    }
    let total: i64 = conn
        .prepare_cached(
            "INSERT INTO crm_usage (brand, bytes) VALUES (?1, ?2)
             ON CONFLICT (brand) DO UPDATE SET bytes = bytes + excluded.bytes
             RETURNING bytes",
        )?
        .query_row((brand, bytes), |row| row.get(0))?;
    match bytes > 0 && u64::try_from(total).is_ok_and(|total| total > caps.brand_bytes_max) {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}

pub(super) fn adopt(
    conn: &Connection,
    brand: &str,
    from: &Reference,
    to: &Reference,
    now_ms: i64,
) -> Result<u64, SqlError> {
    let slugs = conn
        .prepare_cached("SELECT slug FROM crm_entity WHERE brand = ?1 ORDER BY slug")?
        .query_map([brand], |row| row.get(0))?
        .collect::<rusqlite::Result<Vec<String>>>()?;
    let mut moved = 0;
    for slug in slugs.iter().filter_map(|slug| Slug::new(slug)) {
        moved += adopt_entity(conn, brand, &slug, (from, to), now_ms)?;
    }
    Ok(moved)
}

fn adopt_entity(
    conn: &Connection,
    brand: &str,
    slug: &Slug,
    (from, to): (&Reference, &Reference),
    now_ms: i64,
) -> Result<u64, CrmSqlError> {
    let reassign = CrmWrite::Reassign { slug: slug.clone(), from: from.clone(), to: to.clone() };
    let line = Line { slug: slug.clone(), reference: from.clone() };
    // Nobody could log in where a quota stood in the way.
    let caps = CrmCaps { entries_a_reference_max: u32::MAX, brand_bytes_max: u64::MAX, ..CrmCaps::default() };
    if jobs::is_waited_for(conn, &line.key(brand))? {
        jobs::insert(conn, brand, &reassign, caps, now_ms)?;
    }
    let entity = crm_read::entity_id(conn, brand, slug.as_str())?;
    if crm_read::reference(conn, entity, from)?.is_none() {
        return Ok(0);
    }
    match write(conn, brand, &reassign, caps, now_ms)? {
        CrmWritten::Reassigned { moved } => Ok(moved),
        _ => Ok(0),
    }
}

/// The first row, if there is one.
pub(super) fn first<T: rusqlite::types::FromSql>(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> rusqlite::Result<Option<T>> {
    conn.prepare_cached(sql)?.query_row(params, |row| row.get(0)).optional()
}
