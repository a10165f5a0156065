//! Moves entries to stages, and keeps the history of their stages.

use rusqlite::{Connection, Row};

use sluice_crm::{EntryId, Placement, STAGE_MOVES_MAX, StageHistory, StageMove};

use super::schema;
use crate::error::{CrmSqlError, SqlError};

/// Moves an entry, and adds a line to its history.
pub(super) fn place(conn: &Connection, entry: EntryId, stage: i64, now_ms: i64) -> Result<(), SqlError> {
    conn.prepare_cached(
        "INSERT INTO crm_stage_move (entry_id, number, from_stage, to_stage, moved_at)
         SELECT id, stage_moves + 1, stage_id, ?2, ?3 FROM crm_entry WHERE id = ?1",
    )?
    .execute((entry.as_bytes(), stage, now_ms))?;
    conn.prepare_cached("UPDATE crm_entry SET stage_id = ?2, stage_moves = stage_moves + 1 WHERE id = ?1")?
        .execute((entry.as_bytes(), stage))?;
    conn.prepare_cached(
        "DELETE FROM crm_stage_move WHERE entry_id = ?1
         AND number <= (SELECT stage_moves FROM crm_entry WHERE id = ?1) - ?2",
    )?
    .execute((entry.as_bytes(), STAGE_MOVES_MAX))?;
    Ok(())
}

/// The history of an entry of an entity.
pub(in crate::sqlite) fn of_entry(
    conn: &Connection,
    brand: &str,
    slug: &str,
    id: EntryId,
) -> Result<Option<StageHistory>, CrmSqlError> {
    let entity = schema::entity_id(conn, brand, slug)?;
    let mut query = conn.prepare_cached(
        "SELECT e.stage_moves, m.moved_at, fp.id, fp.slug, f.id, f.slug, tp.id, tp.slug, t.id, t.slug
         FROM crm_entry e
         JOIN crm_reference r ON r.id = e.reference
         LEFT JOIN crm_stage_move m ON m.entry_id = e.id
         LEFT JOIN crm_stage f ON f.id = m.from_stage
         LEFT JOIN crm_pipeline fp ON fp.id = f.pipeline_id
         LEFT JOIN crm_stage t ON t.id = m.to_stage
         LEFT JOIN crm_pipeline tp ON tp.id = t.pipeline_id
         WHERE e.id = ?1 AND r.entity_id = ?2 ORDER BY m.number DESC",
    )?;
    let mut rows = query.query((id.as_bytes(), entity))?;
    let mut history = None;
    while let Some(row) = rows.next()? {
        let total = row.get::<_, i64>(0)?.unsigned_abs();
        let history = history.get_or_insert(StageHistory { total, newest: Vec::new() });
        if let (Some(moved_at), Some(to)) = (row.get(1)?, placement(row, 6)?) {
            history.newest.push(StageMove { from: placement(row, 2)?, to, moved_at });
        }
    }
    Ok(history)
}

/// The stage in four columns from `first` on.
fn placement(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Placement>> {
    let Some(pipeline_id) = row.get(first)? else { return Ok(None) };
    Ok(Some(Placement {
        pipeline_id,
        pipeline_slug: row.get(first + 1)?,
        stage_id: row.get(first + 2)?,
        stage_slug: row.get(first + 3)?,
    }))
}
