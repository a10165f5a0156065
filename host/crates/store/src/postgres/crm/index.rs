//! Indexes of fields: their definitions, their rows, and how they are built.

use tokio_postgres::{Client, Row};

use sluice_crm::index::{BUILD_ROWS, VIOLATIONS_SHOWN};
use sluice_crm::search::{SortKey, UniqueKey};
use sluice_crm::{EntryId, FieldIndex, IndexStep, Indexing, Plan, Slug, Violation};

use super::by_id::reference_of;
use crate::error::SqlError;
use crate::postgres::batch::{Batch, byte_arrays, bytes, flag, int, ints, optional_text, query, text};
use crate::postgres::decode::entry_id;

/// The indexes of an entity that writers maintain.
pub(in crate::postgres) const INDEXES: &str = "SELECT i.id, i.key, i.is_unique, i.is_ready
    FROM crm_field_index i JOIN crm_entity e ON e.id = i.entity_id
    WHERE e.brand = $1 AND e.slug = $2 AND NOT i.is_dropped";

/// Writers of an entity lock it together, and a build locks it alone. So each writer sees which indexes it has
/// to maintain, and a build sees no half of a write. Several entities are locked in the order of their numbers.
const LOCK_TOGETHER: &str = "SELECT pg_advisory_xact_lock_shared(entity) FROM unnest($1::bigint[]) AS entity";

const LOCK_ALONE: &str = "SELECT pg_advisory_xact_lock($1)";

/// The rows are taken in their order, and before any row is deleted. So writers wait only for those that are
/// further than themselves, and never in a circle. `DO NOTHING` does not lock the rows of other entries.
pub(in crate::postgres) const TAKE_UNIQUE: &str = "INSERT INTO crm_unique (index_id, digest, entry_id)
    SELECT taken.index_id, taken.digest, taken.entry_id
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS taken (index_id, digest, entry_id)
    ORDER BY taken.index_id, taken.digest
    ON CONFLICT (index_id, digest) DO NOTHING";

/// Returns a row for each value that its entry has now.
pub(in crate::postgres) const TAKEN: &str = "SELECT true
    FROM unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS taken (index_id, digest, entry_id)
    JOIN crm_unique u USING (index_id, digest, entry_id)";

/// An entry keeps the digest `kept`, which is empty if it keeps none.
pub(in crate::postgres) const FREE_UNIQUE: &str = "DELETE FROM crm_unique u
    USING unnest($1::bigint[], $2::bytea[], $3::bytea[]) AS freed (index_id, entry_id, kept)
    WHERE u.entry_id = freed.entry_id AND u.index_id = freed.index_id AND u.digest <> freed.kept";

pub(in crate::postgres) const PUT_ROWS: &str = "INSERT INTO crm_index (entry_id, index_id, value)
    SELECT * FROM unnest($1::bytea[], $2::bigint[], $3::bytea[])
    ON CONFLICT (entry_id, index_id) DO UPDATE SET value = excluded.value";

pub(super) fn read_index(row: &Row) -> Result<FieldIndex, SqlError> {
    Ok(FieldIndex {
        id: row.try_get(0)?,
        key: row.try_get(1)?,
        is_unique: row.try_get(2)?,
        is_ready: row.try_get(3)?,
    })
}

fn number(brand: &str, slug: &Slug) -> i64 {
    let key = slug.key(brand);
    i64::from_be_bytes(std::array::from_fn(|index| key.get(index).copied().unwrap_or_default()))
}

/// Adds a statement that keeps builds away from these entities until the end of the transaction.
pub(super) fn lock_together<'a>(batch: &mut Batch<'_>, brand: &str, slugs: impl Iterator<Item = &'a Slug>) {
    let mut numbers: Vec<i64> = slugs.map(|slug| number(brand, slug)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    batch.add(LOCK_TOGETHER, [ints(numbers)]);
}

/// Adds what a plan changes in indexes, after its entries were added. Returns the number of rows that the
/// answer to one of the statements must have, and which one it is.
pub(super) fn add_changes<'a>(batch: &mut Batch<'a>, plan: &'a Plan) -> Option<(usize, usize)> {
    let mut taken = None;
    if !plan.unique_taken.is_empty() {
        for sql in [TAKE_UNIQUE, TAKEN] {
            let indexes = plan.unique_taken.iter().map(|taken| taken.index).collect();
            let digests = plan.unique_taken.iter().map(|taken| taken.value.as_bytes()).collect();
            let entries = plan.unique_taken.iter().map(|taken| taken.entry.as_bytes().as_slice()).collect();
            batch.add(sql, [ints(indexes), byte_arrays(digests), byte_arrays(entries)]);
        }
        taken = Some((batch.queries() - 1, plan.unique_taken.len()));
    }
    if !plan.unique_freed.is_empty() {
        let indexes = plan.unique_freed.iter().map(|(index, _)| *index).collect();
        let entries = plan.unique_freed.iter().map(|(_, entry)| entry.as_bytes().as_slice()).collect();
        let kept = plan.unique_freed.iter().map(|freed| {
            let kept = plan.unique_taken.iter().find(|taken| (taken.index, taken.entry) == *freed);
            kept.map_or(&[][..], |taken| taken.value.as_bytes())
        });
        batch.add(FREE_UNIQUE, [ints(indexes), byte_arrays(entries), byte_arrays(kept.collect())]);
    }
    if !plan.index_rows.is_empty() {
        let entries = plan.index_rows.iter().map(|row| row.entry.as_bytes().as_slice()).collect();
        let indexes = plan.index_rows.iter().map(|row| row.index).collect();
        let values = plan.index_rows.iter().map(|row| row.value.as_bytes()).collect();
        batch.add(PUT_ROWS, [byte_arrays(entries), ints(indexes), byte_arrays(values)]);
    }
    taken
}

const DROP: &str = "UPDATE crm_field_index SET is_dropped = true
    WHERE entity_id = (SELECT id FROM crm_entity WHERE brand = $1 AND slug = $2) AND key = $3
    AND NOT is_dropped AND (is_unique OR $4)";

const DECLARE: &str = "INSERT INTO crm_field_index (entity_id, key, is_unique)
    SELECT id, $3, $4 FROM crm_entity WHERE brand = $1 AND slug = $2
    ON CONFLICT (entity_id, key) WHERE NOT is_dropped DO UPDATE SET
        is_unique = true, is_complete = false, is_blocked = false, built_to = '', violations = 0
    WHERE excluded.is_unique AND NOT crm_field_index.is_unique";

const TRY_AGAIN: &str = "UPDATE crm_field_index SET is_blocked = false, built_to = '', violations = 0
    WHERE is_blocked AND entity_id IN (SELECT id FROM crm_entity WHERE brand = $1)";

/// Declares the index of a field, in a transaction of its own: that waits for the writers of the entity, and
/// could wait for them in a circle if it had locked another entity.
pub(super) async fn declare(
    conn: &Client,
    brand: &str,
    entity: &str,
    key: &str,
    to: Indexing,
) -> Result<(), SqlError> {
    let mut batch = Batch::begin();
    lock_alone(&mut batch, brand, entity);
    let at = || [text(brand), text(entity), text(key)];
    if to != Indexing::Unique {
        // The values of a field that is not unique any more are deleted with the rest of its index.
        batch.add(DROP, Vec::from_iter(at().into_iter().chain([flag(to == Indexing::None)])));
    }
    if to != Indexing::None {
        batch.add(DECLARE, Vec::from_iter(at().into_iter().chain([flag(to == Indexing::Unique)])));
    }
    batch.commit().run(conn).await.map(drop)
}

fn lock_alone(batch: &mut Batch<'_>, brand: &str, entity: &str) {
    if let Some(slug) = Slug::new(entity) {
        batch.add(LOCK_ALONE, [int(number(brand, &slug))]);
    }
}

/// Lets the indexes of a brand be built again that violations have stopped.
pub(super) async fn try_again(conn: &Client, brand: &str) -> Result<(), SqlError> {
    query(conn, TRY_AGAIN, [text(brand)]).await.map(drop)
}

const PENDING: &str = "SELECT i.id, e.brand, e.slug, i.key
    FROM crm_field_index i JOIN crm_entity e ON e.id = i.entity_id
    WHERE (i.is_dropped OR NOT i.is_complete) AND NOT i.is_blocked AND ($1::text IS NULL OR e.brand = $1)
    ORDER BY i.id LIMIT 1";

const STATE: &str = "SELECT entity_id, is_unique, is_dropped, built_to, violations FROM crm_field_index
    WHERE id = $1 AND (is_dropped OR NOT is_complete) AND NOT is_blocked";

const OLDER_ENTRIES: &str = "SELECT e.id, v.value
    FROM crm_entry e LEFT JOIN crm_value v ON v.entry_id = e.id AND v.key = $2
    WHERE e.entity_id = $1 AND e.id > $3 ORDER BY e.id LIMIT $4";

const ADD_ROWS: &str = "INSERT INTO crm_index (entry_id, index_id, value)
    SELECT added.entry_id, $1, added.value FROM unnest($2::bytea[], $3::bytea[]) AS added (entry_id, value)
    ON CONFLICT DO NOTHING";

const ADD_UNIQUE: &str = "INSERT INTO crm_unique (index_id, digest, entry_id)
    SELECT $1, added.digest, added.entry_id
    FROM unnest($2::bytea[], $3::bytea[]) WITH ORDINALITY AS added (entry_id, digest, n) ORDER BY added.n
    ON CONFLICT DO NOTHING";

/// The entries of these whose value another one has.
const VIOLATED: &str = "SELECT added.entry_id, u.entry_id
    FROM unnest($2::bytea[], $3::bytea[]) AS added (entry_id, digest)
    JOIN crm_unique u ON u.index_id = $1 AND u.digest = added.digest AND u.entry_id <> added.entry_id
    ORDER BY added.entry_id";

const BUILT: &str = "UPDATE crm_field_index SET built_to = $2, violations = $3, is_ready = is_ready OR $4,
        is_complete = $4 AND NOT $5, is_blocked = $4 AND $5
    WHERE id = $1";

const DELETE_ROWS: &str = "DELETE FROM crm_index WHERE (entry_id, index_id) IN (
        SELECT entry_id, index_id FROM crm_index WHERE index_id = $1 LIMIT $2) RETURNING true";

const DELETE_UNIQUE: &str = "DELETE FROM crm_unique WHERE (index_id, digest) IN (
        SELECT index_id, digest FROM crm_unique WHERE index_id = $1 LIMIT $2) RETURNING true";

const FORGET: &str = "DELETE FROM crm_field_index WHERE id = $1";

/// Builds a part of an index. No writer of the entity changes anything meanwhile.
pub(super) async fn build(conn: &Client, brand: Option<&str>) -> Result<Option<IndexStep>, SqlError> {
    let rows = query(conn, PENDING, [optional_text(brand)]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    let id: i64 = row.try_get(0)?;
    let mut step = IndexStep {
        brand: row.try_get(1)?,
        slug: row.try_get(2)?,
        key: row.try_get(3)?,
        entries: 0,
        is_finished: false,
        violations: Vec::new(),
        violations_total: 0,
    };
    let mut begin = Batch::begin();
    lock_alone(&mut begin, &step.brand, &step.slug);
    begin.run(conn).await?;
    // Read again, because another host may have built this part meanwhile.
    let rows = query(conn, STATE, [int(id)]).await?;
    match rows.first() {
        Some(state) if state.try_get(2)? => delete(conn, id, &mut step).await?,
        Some(state) => {
            step.violations_total = state.try_get(4)?;
            add_entries(conn, id, state, &mut step).await?;
        }
        None => {}
    }
    crate::postgres::batch::execute(conn, "COMMIT").await?;
    Ok(Some(step))
}

async fn add_entries(conn: &Client, id: i64, state: &Row, step: &mut IndexStep) -> Result<(), SqlError> {
    let (entity, is_unique): (i64, bool) = (state.try_get(0)?, state.try_get(1)?);
    let built_to: &[u8] = state.try_get(3)?;
    let params = [int(entity), text(&step.key), bytes(built_to), int(BUILD_ROWS.into())];
    let older = query(conn, OLDER_ENTRIES, params).await?;
    let (mut entries, mut keys) = (Vec::new(), Vec::new());
    let (mut holders, mut digests) = (Vec::new(), Vec::new());
    for row in &older {
        let (entry, value): (&[u8], Option<&[u8]>) = (row.try_get(0)?, row.try_get(1)?);
        entries.push(entry);
        keys.push(value.map_or_else(SortKey::missing, SortKey::of_stored));
        if let Some(value) = value.filter(|_| is_unique) {
            holders.push(entry);
            digests.push(UniqueKey::of_stored(value));
        }
    }
    let last = entries.last().copied().unwrap_or(built_to);
    let keys = keys.iter().map(SortKey::as_bytes).collect();
    let digests = || digests.iter().map(UniqueKey::as_bytes).collect();
    let mut batch = Batch::new();
    batch.add(ADD_ROWS, [int(id), byte_arrays(entries.clone()), byte_arrays(keys)]);
    batch.add(ADD_UNIQUE, [int(id), byte_arrays(holders.clone()), byte_arrays(digests())]);
    batch.add(VIOLATED, [int(id), byte_arrays(holders.clone()), byte_arrays(digests())]);
    let [_, _, violated] = batch.run_for(conn).await?;
    step.violations_total += i64::try_from(violated.len()).unwrap_or(i64::MAX);
    for row in violated.iter().take(VIOLATIONS_SHOWN) {
        let (entry, other): (EntryId, EntryId) = (entry_id(row.try_get(0)?)?, entry_id(row.try_get(1)?)?);
        let reference = reference_of(conn, &step.brand, &step.slug, entry).await.map_err(SqlError::from)?;
        step.violations.extend(reference.map(|reference| Violation { entry, reference, other }));
    }
    step.entries = u32::try_from(older.len()).unwrap_or(u32::MAX);
    step.is_finished = step.entries < BUILD_ROWS;
    let (finished, violated) = (step.is_finished, step.violations_total > 0);
    let params = [int(id), bytes(last), int(step.violations_total), flag(finished), flag(violated)];
    query(conn, BUILT, params).await.map(drop)
}

/// Deletes a part of an index that was removed.
async fn delete(conn: &Client, id: i64, step: &mut IndexStep) -> Result<(), SqlError> {
    let rows_max = || [int(id), int(BUILD_ROWS.into())];
    let deleting = Batch::new().query(DELETE_ROWS, rows_max()).query(DELETE_UNIQUE, rows_max());
    let [rows, unique] = deleting.run_for(conn).await?;
    step.entries = u32::try_from(rows.len() + unique.len()).unwrap_or(u32::MAX);
    step.is_finished = step.entries == 0;
    if step.is_finished {
        query(conn, FORGET, [int(id)]).await?;
    }
    Ok(())
}

/// The keys of the fields and their indexes, for a search.
pub(in crate::postgres) const FIELDS_AND_INDEXES: &str = "SELECT f.key, i.id, i.is_unique, i.is_ready
    FROM crm_entity e JOIN crm_field f ON f.entity_id = e.id
    LEFT JOIN crm_field_index i ON i.entity_id = e.id AND i.key = f.key AND NOT i.is_dropped
    WHERE e.brand = $1 AND e.slug = $2";
