//! Locks the lines of a write and loads the rows that its plan depends on. The lock keeps the
//! rows from changing before the plan is carried out.

use tokio_postgres::{Client, Row};

use sluice_crm::{
    CrmFault, CrmWrite, EntityMode, EntryRow, FieldKey, Held, Line, LineRows, Want, values_bytes,
};
use sluice_kit::Cause;

use super::index::{INDEXES, lock_together, read_index};
use super::schema::{PIPELINES, STAGES, read_pipelines, unknown};
use crate::error::{CrmSqlError, SqlError};
use crate::postgres::batch::{Batch, Param, bytes, flag, ints, optional_int, text, texts};
use crate::postgres::decode::entry_id;
use crate::postgres::error::corrupt;

/// Takes locks that last until the end of the transaction. Each line is locked by a number that
/// stands for it. Every transaction locks its lines in the order of their numbers, so that there
/// are no deadlocks.
const LOCK: &str = "SELECT pg_advisory_xact_lock(line) FROM unnest($1::bigint[]) AS line";

pub(in crate::postgres) const LINE: &str = "SELECT e.id, e.mode,
        CASE WHEN $5 THEN (SELECT count(*) FROM crm_entry WHERE reference = r.id) ELSE 0 END
    FROM crm_entity e
    LEFT JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
    WHERE e.brand = $1 AND e.slug = $2";

pub(in crate::postgres) const HELD: &str = "SELECT asked.key, v.entry_id, octet_length(v.value),
        CASE WHEN $6 THEN v.value ELSE '' END
    FROM crm_entity e
    JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
    CROSS JOIN unnest($5::text[]) AS asked (key)
    CROSS JOIN LATERAL (
        SELECT entry_id, value FROM crm_value
        WHERE reference = r.id AND key = asked.key
        ORDER BY entry_id DESC LIMIT 1) v
    WHERE e.brand = $1 AND e.slug = $2";

/// The newest `$6` entries (all if `NULL`), and for each key of `$5` the newest entry that has it.
pub(in crate::postgres) const ENTRIES: &str = "WITH line AS (
        SELECT r.id FROM crm_entity e
        JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
        WHERE e.brand = $1 AND e.slug = $2),
    chosen AS (
        SELECT n.id, n.stage_id, n.updated_at, n.stage_moves FROM line CROSS JOIN LATERAL (
            SELECT id, stage_id, updated_at, stage_moves FROM crm_entry
            WHERE reference = line.id ORDER BY id DESC LIMIT $6) n
        UNION
        SELECT h.id, h.stage_id, h.updated_at, h.stage_moves FROM line
        CROSS JOIN unnest($5::text[]) AS asked (key)
        CROSS JOIN LATERAL (
            SELECT entry_id FROM crm_value
            WHERE reference = line.id AND key = asked.key
            ORDER BY entry_id DESC LIMIT 1) v
        JOIN crm_entry h ON h.id = v.entry_id)
    SELECT c.id, c.stage_id, s.keys, s.key_bytes, s.value_bytes, c.updated_at, c.stage_moves
    FROM chosen c CROSS JOIN LATERAL (
        SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS key_bytes,
            coalesce(sum(octet_length(value)), 0) AS value_bytes
        FROM crm_value WHERE entry_id = c.id) s
    ORDER BY c.id DESC";

/// The entry `$5`, if the reference has it.
pub(in crate::postgres) const OWN_ENTRY: &str = "SELECT c.id, c.stage_id, s.keys, s.key_bytes, s.value_bytes,
        c.updated_at, c.stage_moves
    FROM crm_entity e
    JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
    JOIN crm_entry c ON c.reference = r.id AND c.id = $5
    CROSS JOIN LATERAL (
        SELECT count(*) AS keys, coalesce(sum(octet_length(key)), 0) AS key_bytes,
            coalesce(sum(octet_length(value)), 0) AS value_bytes
        FROM crm_value WHERE entry_id = c.id) s
    WHERE e.brand = $1 AND e.slug = $2";

/// What the entry `$1` has for the keys `$2`. It belongs to the line if [`OWN_ENTRY`] finds it.
pub(in crate::postgres) const OWN_VALUES: &str = "SELECT key, entry_id, octet_length(value),
        CASE WHEN $3 THEN value ELSE '' END
    FROM crm_value WHERE entry_id = $1 AND key = ANY ($2)";

/// Loads each wanted line in one round trip: the ids of the entities, and the rows. The
/// statements of `batch`, such as the start of the transaction, are sent first; rows that they
/// return are ignored.
pub(super) async fn lines(
    conn: &Client,
    mut batch: Batch<'_>,
    brand: &str,
    wants: &[Want],
) -> Result<(Vec<i64>, Vec<LineRows>), CrmSqlError> {
    let before = batch.queries();
    for want in wants {
        add(&mut batch, brand, want);
    }
    let mut answers = batch.run(conn).await?.into_iter().skip(before);
    let mut answer = || answers.next().unwrap_or_default();
    let (mut entities, mut lines) = (Vec::new(), Vec::new());
    for want in wants {
        let (line, indexes, entries, held) = (answer(), answer(), answer(), answer());
        let (pipelines, stages) = if want.pipelines { (answer(), answer()) } else { Default::default() };
        let Some(line) = line.first() else {
            return Err(CrmFault::UnknownSlug(want.line.slug.as_str().to_owned()).into());
        };
        entities.push(line.try_get(0)?);
        lines.push(LineRows {
            mode: EntityMode::from_name(line.try_get(1)?).ok_or_else(|| unknown("entity", "mode"))?,
            indexes: indexes.iter().map(read_index).collect::<Result<_, _>>()?,
            pipelines: read_pipelines(&pipelines, &stages)?,
            count: u32::try_from(line.try_get::<_, i64>(2)?).unwrap_or(u32::MAX),
            entries: entries.iter().map(read_entry).collect::<Result<_, _>>()?,
            held: held.iter().map(read_held).collect::<Result<_, _>>()?,
        });
    }
    Ok((entities, lines))
}

/// Adds a statement that locks all lines of `write`.
pub(super) fn lock(batch: &mut Batch<'_>, brand: &str, write: &CrmWrite) {
    lock_lines(batch, brand, &write.lines());
}

/// Adds a statement that locks `lines`.
pub(super) fn lock_lines(batch: &mut Batch<'_>, brand: &str, lines: &[Line]) {
    let mut numbers: Vec<i64> = lines.iter().map(|line| number(line, brand)).collect();
    numbers.sort_unstable();
    numbers.dedup();
    lock_together(batch, brand, lines.iter().map(|line| &line.slug));
    batch.add(LOCK, [ints(numbers)]);
}

/// The number that stands for a line. If two lines have the same number, their writers only wait
/// for each other without need.
fn number(line: &Line, brand: &str) -> i64 {
    let key = line.key(brand);
    i64::from_be_bytes(std::array::from_fn(|index| key.get(index).copied().unwrap_or_default()))
}

fn add<'a>(batch: &mut Batch<'a>, brand: &'a str, want: &'a Want) {
    let reference = &want.line.reference;
    let at = |rest: &mut Vec<Param<'a>>| {
        let mut params = Vec::from([
            text(brand),
            text(want.line.slug.as_str()),
            text(reference.kind()),
            bytes(reference.id().as_bytes()),
        ]);
        params.append(rest);
        params
    };
    let keys = || texts(want.keys.iter().map(FieldKey::as_str).collect());
    let newest = if want.all { None } else { Some(1) };
    batch.add(LINE, at(&mut vec![flag(want.count)]));
    batch.add(INDEXES, [text(brand), text(want.line.slug.as_str())]);
    match &want.entry {
        Some(id) => {
            batch.add(OWN_ENTRY, at(&mut vec![bytes(id.as_bytes())]));
            batch.add(OWN_VALUES, [bytes(id.as_bytes()), keys(), flag(want.values)]);
        }
        None => {
            batch.add(ENTRIES, at(&mut vec![keys(), optional_int(newest)]));
            batch.add(HELD, at(&mut vec![keys(), flag(want.values)]));
        }
    }
    if want.pipelines {
        for sql in [PIPELINES, STAGES] {
            batch.add(sql, [text(brand), text(want.line.slug.as_str())]);
        }
    }
}

fn read_entry(row: &Row) -> Result<EntryRow, SqlError> {
    let (keys, key_bytes, value_bytes): (i64, i64, i64) = (row.try_get(2)?, row.try_get(3)?, row.try_get(4)?);
    let keys = u32::try_from(keys).unwrap_or(u32::MAX);
    Ok(EntryRow {
        id: entry_id(row.try_get(0)?)?,
        stage_id: row.try_get(1)?,
        stage_moves: row.try_get::<_, i64>(6)?.unsigned_abs(),
        updated_at: row.try_get(5)?,
        keys,
        bytes: values_bytes(keys, key_bytes.unsigned_abs(), value_bytes.unsigned_abs()),
    })
}

fn read_held(row: &Row) -> Result<Held, SqlError> {
    let stored_bytes: i32 = row.try_get(2)?;
    Ok(Held {
        key: FieldKey::new(row.try_get(0)?).map_err(|why| corrupt("CRM value", Cause::of(why)))?,
        entry: entry_id(row.try_get(1)?)?,
        stored_bytes: stored_bytes.unsigned_abs() as usize,
        value: row.try_get(3)?,
    })
}
