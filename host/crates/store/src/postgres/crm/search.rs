//! Searches: the rows that they ask for. All statements are in one transaction, which sees one snapshot.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use sluice_crm::search::{
    DeclaredField, ExaminedRow, Place, Position, SearchRows, Source, UNINDEXED_ENTRIES_MAX,
};
use sluice_crm::{BrowsedEntry, CrmFault, EntryId, FieldIndex, FieldKey, Reference, ResultMemory, Slug};
use sluice_kit::BoxFuture;

use super::by_id::read_browsed;
use super::index::FIELDS_AND_INDEXES;
use crate::error::CrmSqlError;
use crate::postgres::batch::{Batch, byte_arrays, bytes, int, query, text, texts};
use crate::postgres::decode;

/// The entity, the reference, and how many entries there are to look through, up to `$5`.
pub(in crate::postgres) const PLACE: &str = "SELECT e.id, r.id,
        CASE WHEN r.id IS NULL
        THEN (SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE entity_id = e.id ORDER BY id LIMIT $5) c)
        ELSE (SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE reference = r.id ORDER BY id LIMIT $5) c) END
    FROM crm_entity e
    LEFT JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
    WHERE e.brand = $1 AND e.slug = $2";

pub(in crate::postgres) const UP_ENTITY: &str =
    "SELECT id FROM crm_entry WHERE entity_id = $1 AND id > $2 ORDER BY id LIMIT $3";
pub(in crate::postgres) const DOWN_ENTITY: &str =
    "SELECT id FROM crm_entry WHERE entity_id = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(in crate::postgres) const UP_REFERENCE: &str =
    "SELECT id FROM crm_entry WHERE reference = $1 AND id > $2 ORDER BY id LIMIT $3";
pub(in crate::postgres) const DOWN_REFERENCE: &str =
    "SELECT id FROM crm_entry WHERE reference = $1 AND id < $2 ORDER BY id DESC LIMIT $3";
pub(in crate::postgres) const UP_INDEX: &str = "SELECT entry_id, value FROM crm_index
    WHERE index_id = $1 AND (value, entry_id) > ($2, $3) AND value < $4
    ORDER BY value, entry_id LIMIT $5";
pub(in crate::postgres) const DOWN_INDEX: &str = "SELECT entry_id, value FROM crm_index
    WHERE index_id = $1 AND (value, entry_id) < ($2, $3) AND value >= $4
    ORDER BY value DESC, entry_id DESC LIMIT $5";

pub(in crate::postgres) const COUNT_ENTITY: &str =
    "SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE entity_id = $1 ORDER BY id LIMIT $2) c";
pub(in crate::postgres) const COUNT_REFERENCE: &str =
    "SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE reference = $1 ORDER BY id LIMIT $2) c";
pub(in crate::postgres) const COUNT_INDEX: &str = "SELECT count(*) FROM (
        SELECT 1 FROM crm_index WHERE index_id = $1 AND value >= $2 AND value < $3
        ORDER BY value, entry_id LIMIT $4) c";

pub(in crate::postgres) const EXAMINE: &str = "SELECT e.id, e.reference, v.key, v.value
    FROM unnest($1::bytea[]) AS asked (id) JOIN crm_entry e ON e.id = asked.id
    LEFT JOIN LATERAL (
        SELECT key, substring(value FROM 1 FOR $3::bigint::integer) AS value FROM crm_value
        WHERE entry_id = e.id AND key = ANY ($2)) v ON true";

/// The entries in their order, as long as the sum of their bytes is within the limit.
pub(in crate::postgres) const LOAD: &str = "WITH sized AS (
        SELECT asked.id, asked.n, sum(size.bytes) OVER (ORDER BY asked.n) AS bytes
        FROM unnest($1::bytea[]) WITH ORDINALITY AS asked (id, n)
        CROSS JOIN LATERAL (
            SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) AS bytes
            FROM crm_value WHERE entry_id = asked.id) size)
    SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, r.type, r.reference_id, v.key, v.value
    FROM sized JOIN crm_entry e ON e.id = sized.id
    JOIN crm_reference r ON r.id = e.reference
    LEFT JOIN crm_stage s ON s.id = e.stage_id
    LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
    LEFT JOIN crm_value v ON v.entry_id = e.id
    WHERE sized.bytes <= $2
    ORDER BY sized.n, v.key";

/// A transaction that reads one snapshot. It begins with the first question.
pub(super) struct PostgresRows<'a> {
    pub(super) conn: &'a Client,
    pub(super) brand: &'a str,
}

impl SearchRows for PostgresRows<'_> {
    fn place<'a>(
        &'a mut self,
        slug: &'a Slug,
        reference: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Place, CrmFault>> {
        Box::pin(async move { Ok(self.look_up(slug, reference).await?) })
    }

    fn scan<'a>(
        &'a mut self,
        source: &'a Source,
        after: Option<&'a Position>,
        is_descending: bool,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<Position>, CrmFault>> {
        Box::pin(async move { Ok(scan(self.conn, source, after, is_descending, rows_max).await?) })
    }

    fn count<'a>(&'a mut self, source: &'a Source, rows_max: u32) -> BoxFuture<'a, Result<u32, CrmFault>> {
        Box::pin(async move { Ok(count(self.conn, source, rows_max).await?) })
    }

    fn examine<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        keys: &'a [FieldKey],
        bytes_max: u32,
    ) -> BoxFuture<'a, Result<Vec<ExaminedRow>, CrmFault>> {
        Box::pin(async move { Ok(examine(self.conn, entries, keys, bytes_max).await?) })
    }

    fn load<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Vec<BrowsedEntry>, CrmFault>> {
        Box::pin(async move { Ok(load(self.conn, entries, bytes_max).await?) })
    }
}

impl PostgresRows<'_> {
    async fn look_up(&self, slug: &Slug, reference: Option<&Reference>) -> Result<Place, CrmSqlError> {
        // No stored reference has an empty type.
        let (kind, id) = reference.map_or(("", ""), |reference| (reference.kind(), reference.id()));
        let at = || [text(self.brand), text(slug.as_str())];
        let rest = [text(kind), bytes(id.as_bytes()), int((UNINDEXED_ENTRIES_MAX + 1).into())];
        let batch = Batch::begin_snapshot()
            .query(PLACE, Vec::from_iter(at().into_iter().chain(rest)))
            .query(FIELDS_AND_INDEXES, at());
        let [place, fields] = batch.run_for(self.conn).await?;
        let place = place.first().ok_or_else(|| CrmFault::UnknownSlug(slug.as_str().to_owned()))?;
        let entries: i64 = place.try_get(2)?;
        Ok(Place {
            entity: place.try_get(0)?,
            reference: place.try_get(1)?,
            entries: u32::try_from(entries).unwrap_or(u32::MAX),
            fields: fields.iter().map(read_field).collect::<Result<_, _>>()?,
        })
    }
}

fn read_field(row: &Row) -> Result<DeclaredField, CrmSqlError> {
    let key: String = row.try_get(0)?;
    let index = match row.try_get::<_, Option<i64>>(1)? {
        Some(id) => {
            Some(FieldIndex { id, key: key.clone(), is_unique: row.try_get(2)?, is_ready: row.try_get(3)? })
        }
        None => None,
    };
    Ok(DeclaredField { key, index })
}

async fn scan(
    conn: &Client,
    source: &Source,
    after: Option<&Position>,
    is_descending: bool,
    rows_max: u32,
) -> Result<Vec<Position>, CrmSqlError> {
    let (number, sql) = match (source, is_descending) {
        (Source::Index(index, range), _) => {
            let (key, id) = range.start(after, is_descending);
            let (sql, end) = match is_descending {
                false => (UP_INDEX, &range.to),
                true => (DOWN_INDEX, &range.from),
            };
            let params = [int(*index), bytes(&key), bytes(&id), bytes(end), int(rows_max.into())];
            let rows = query(conn, sql, params).await?;
            let read =
                |row: &Row| Ok(Position { id: decode::entry_id(row.try_get(0)?)?, key: row.try_get(1)? });
            return rows.iter().map(read).collect();
        }
        (Source::Entity(entity), false) => (entity, UP_ENTITY),
        (Source::Entity(entity), true) => (entity, DOWN_ENTITY),
        (Source::Reference(reference), false) => (reference, UP_REFERENCE),
        (Source::Reference(reference), true) => (reference, DOWN_REFERENCE),
    };
    // Before every id, or after every id.
    let start = if is_descending { &[0xff; 17][..] } else { &[] };
    let start = after.map_or(start, |after| after.id.as_bytes());
    let rows = query(conn, sql, [int(*number), bytes(start), int(rows_max.into())]).await?;
    let read = |row: &Row| Ok(Position { id: decode::entry_id(row.try_get(0)?)?, key: Vec::new() });
    rows.iter().map(read).collect()
}

async fn count(conn: &Client, source: &Source, rows_max: u32) -> Result<u32, CrmSqlError> {
    let rows_max = int(rows_max.into());
    let rows = match source {
        Source::Entity(entity) => query(conn, COUNT_ENTITY, [int(*entity), rows_max]).await?,
        Source::Reference(reference) => query(conn, COUNT_REFERENCE, [int(*reference), rows_max]).await?,
        Source::Index(index, range) => {
            query(conn, COUNT_INDEX, [int(*index), bytes(&range.from), bytes(&range.to), rows_max]).await?
        }
    };
    let count: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    Ok(u32::try_from(count).unwrap_or(u32::MAX))
}

async fn examine(
    conn: &Client,
    entries: &[EntryId],
    keys: &[FieldKey],
    bytes_max: u32,
) -> Result<Vec<ExaminedRow>, CrmSqlError> {
    let ids = entries.iter().map(|id| id.as_bytes().as_slice()).collect();
    let keys = keys.iter().map(FieldKey::as_str).collect();
    let rows = query(conn, EXAMINE, [byte_arrays(ids), texts(keys), int(bytes_max.into())]).await?;
    let mut found: HashMap<EntryId, ExaminedRow> = HashMap::with_capacity(entries.len());
    for row in &rows {
        let (id, reference) = (decode::entry_id(row.try_get(0)?)?, row.try_get(1)?);
        let examined = found.entry(id).or_insert_with(|| ExaminedRow { id, reference, values: Vec::new() });
        if let Some(key) = row.try_get(2)? {
            examined.values.push((key, row.try_get(3)?));
        }
    }
    Ok(found.into_values().collect())
}

async fn load(
    conn: &Client,
    entries: &[EntryId],
    bytes_max: usize,
) -> Result<Vec<BrowsedEntry>, CrmSqlError> {
    let ids = entries.iter().map(|id| id.as_bytes().as_slice()).collect();
    let rows = query(conn, LOAD, [byte_arrays(ids), int(decode::signed(bytes_max))]).await?;
    let mut memory = ResultMemory::new(bytes_max);
    let mut found: Vec<BrowsedEntry> = Vec::new();
    for row in &rows {
        let id = decode::entry_id(row.try_get(0)?)?;
        if found.last().is_none_or(|last| last.entry.id != id) {
            found.push(read_browsed(row, id)?);
        }
        let key: Option<String> = row.try_get(9)?;
        if let (Some(browsed), Some(key)) = (found.last_mut(), key) {
            match memory.charge(decode::value(row.try_get(10)?)?) {
                Ok(value) => browsed.entry.values.push((key, value)),
                Err(_) => {
                    found.pop();
                    break;
                }
            }
        }
    }
    Ok(found)
}
