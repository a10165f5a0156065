//! Moves entries to stages, and keeps the history of their stages.

use tokio_postgres::{Client, Row};

use sluice_crm::{CrmFault, EntryId, Placement, STAGE_MOVES_MAX, Slug, StageHistory, StageMove};

use crate::error::{CrmSqlError, SqlError};
use crate::postgres::batch::{Batch, byte_arrays, bytes, int, ints, query, text};

/// Adds a line to the history of each entry, before it is moved.
pub(in crate::postgres) const RECORD: &str =
    "INSERT INTO crm_stage_move (entry_id, number, from_stage, to_stage, moved_at)
    SELECT e.id, e.stage_moves + 1, e.stage_id, placed.stage_id, $3
    FROM unnest($1::bytea[], $2::bigint[]) AS placed (id, stage_id)
    JOIN crm_entry e ON e.id = placed.id";

pub(in crate::postgres) const PLACE: &str =
    "UPDATE crm_entry e SET stage_id = placed.stage_id, stage_moves = stage_moves + 1
    FROM unnest($1::bytea[], $2::bigint[]) AS placed (id, stage_id) WHERE e.id = placed.id";

/// Deletes lines of which there are `$2` newer ones.
pub(in crate::postgres) const FORGET: &str = "DELETE FROM crm_stage_move m USING crm_entry e
    WHERE e.id = ANY ($1) AND m.entry_id = e.id AND m.number <= e.stage_moves - $2";

/// The history of the entry `$3`, newest first. Returns no row if the entity does not exist, and one row of
/// NULLs if the entity does not have the entry. An entry that was never moved has one row.
pub(in crate::postgres) const HISTORY: &str = "SELECT e.stage_moves, m.moved_at,
        fp.id, fp.slug, f.id, f.slug, tp.id, tp.slug, t.id, t.slug
    FROM crm_entity c
    LEFT JOIN (crm_entry e JOIN crm_reference r ON r.id = e.reference) ON e.id = $3 AND r.entity_id = c.id
    LEFT JOIN crm_stage_move m ON m.entry_id = e.id
    LEFT JOIN crm_stage f ON f.id = m.from_stage
    LEFT JOIN crm_pipeline fp ON fp.id = f.pipeline_id
    LEFT JOIN crm_stage t ON t.id = m.to_stage
    LEFT JOIN crm_pipeline tp ON tp.id = t.pipeline_id
    WHERE c.brand = $1 AND c.slug = $2 ORDER BY m.number DESC";

/// Adds the statements that move entries, and add a line to the history of each.
pub(super) fn place<'a>(batch: &mut Batch<'a>, entries: Vec<&'a [u8]>, stages: Vec<i64>, now_ms: i64) {
    batch.add(RECORD, [byte_arrays(entries.clone()), ints(stages.clone()), int(now_ms)]);
    batch.add(PLACE, [byte_arrays(entries.clone()), ints(stages)]);
    batch.add(FORGET, [byte_arrays(entries), int(STAGE_MOVES_MAX.into())]);
}

/// The history of an entry of an entity, in one round trip.
pub(in crate::postgres) async fn of_entry(
    conn: &Client,
    brand: &str,
    slug: &Slug,
    id: EntryId,
) -> Result<Option<StageHistory>, CrmSqlError> {
    let rows = query(conn, HISTORY, [text(brand), text(slug.as_str()), bytes(id.as_bytes())]).await?;
    let first = rows.first().ok_or_else(|| CrmFault::UnknownSlug(slug.as_str().to_owned()))?;
    let Some(total) = first.try_get::<_, Option<i64>>(0)? else { return Ok(None) };
    let mut newest = Vec::new();
    for row in &rows {
        if let (Some(moved_at), Some(to)) = (row.try_get(1)?, placement(row, 6)?) {
            newest.push(StageMove { from: placement(row, 2)?, to, moved_at });
        }
    }
    Ok(Some(StageHistory { total: total.unsigned_abs(), newest }))
}

/// The stage in four columns from `first` on.
fn placement(row: &Row, first: usize) -> Result<Option<Placement>, SqlError> {
    let Some(pipeline_id) = row.try_get(first)? else { return Ok(None) };
    Ok(Some(Placement {
        pipeline_id,
        pipeline_slug: row.try_get(first + 1)?,
        stage_id: row.try_get(first + 2)?,
        stage_slug: row.try_get(first + 3)?,
    }))
}
