//! CRM data. This module has the reads. Each read of fields or entries is one statement, so it
//! takes one round trip and sees one snapshot. The server leaves out values that would make the
//! result too large. The submodules contain the code for writes and declarations.

pub(super) mod by_id;
pub(super) mod history;
pub(super) mod index;
pub(super) mod load;
mod schema;
pub(super) mod search;
pub(super) mod write;

use serde_json::Value;
use tokio_postgres::{Client, Row};

use sluice_crm::{
    Address, BrowsedEntry, CrmCaps, CrmFault, CrmSchema, CrmStore, CrmWrite, CrmWritten, Ensured, Entity,
    EntitySpec, Entry, EntryId, FieldKey, Found, IndexStep, Line, Missing, Placement, Reference,
    ResultMemory, SchemaWrite, Search, Slug, plan,
};
use sluice_kit::{BoxFuture, StoreError};

#[cfg(test)]
pub(super) use self::load::{ENTRIES, HELD, LINE};

use self::search::PostgresRows;
use super::PostgresStore;
use super::batch::{Batch, Param, bytes, execute, int, query, text, texts};
use super::database::Database;
use super::usage::{UsageSlot, WriteContext};
use super::{decode, job_queue, migrate};
use crate::error::{CrmSqlError, SqlError};

/// Returns no row if the entity does not exist. The columns are the key's number (`NULL` if the
/// caller asked for no key), the value, and whether the value was left out because of its size.
pub(super) const NEWEST_VALUES: &str = "WITH line AS (
        SELECT r.id AS reference FROM crm_entity e
        LEFT JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
        WHERE e.brand = $1 AND e.slug = $2),
    newest AS (
        SELECT asked.n, v.value,
            sum(octet_length(v.value)) OVER (ORDER BY asked.n) > $6 AS too_large
        FROM line LEFT JOIN unnest($5::text[]) WITH ORDINALITY AS asked (key, n) ON true
        LEFT JOIN LATERAL (
            SELECT value FROM crm_value
            WHERE reference = line.reference AND key = asked.key
            ORDER BY entry_id DESC LIMIT 1) v ON true)
    SELECT n, CASE WHEN too_large THEN NULL ELSE value END, too_large FROM newest";

/// Returns no row if the entity does not exist. A `NULL` value means that there is none or that
/// it was left out because of its size.
pub(super) const VALUES_OF_KEY: &str = "WITH line AS (
        SELECT r.id AS reference FROM crm_entity e
        LEFT JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
        WHERE e.brand = $1 AND e.slug = $2),
    newest AS (
        SELECT v.entry_id, v.value,
            sum(octet_length(v.value)) OVER (ORDER BY v.entry_id DESC) > $7 AS too_large
        FROM line LEFT JOIN LATERAL (
            SELECT entry_id, value FROM crm_value
            WHERE reference = line.reference AND key = $5
            ORDER BY entry_id DESC LIMIT $6) v ON true)
    SELECT CASE WHEN too_large THEN NULL ELSE value END, too_large FROM newest ORDER BY entry_id DESC";

/// Returns no row if the entity does not exist, and one row with a `NULL` id if the reference has
/// no entry. Otherwise returns a row for each value of each entry, and one row for an entry
/// without values.
pub(super) const NEWEST_ENTRIES: &str = "WITH line AS (
        SELECT r.id AS reference FROM crm_entity e
        LEFT JOIN crm_reference r ON r.entity_id = e.id AND r.type = $3 AND r.reference_id = $4
        WHERE e.brand = $1 AND e.slug = $2),
    found AS (
        SELECT e.id, e.created_at, e.updated_at, p.id AS pipeline, p.slug AS pipeline_slug,
            s.id AS stage, s.slug AS stage_slug, v.key, v.value,
            sum(octet_length(v.key) + octet_length(v.value))
                OVER (ORDER BY e.id DESC, v.key) > $6 AS too_large
        FROM line LEFT JOIN LATERAL (
            SELECT id, stage_id, created_at, updated_at FROM crm_entry
            WHERE reference = line.reference ORDER BY id DESC LIMIT $5) e ON true
        LEFT JOIN crm_stage s ON s.id = e.stage_id
        LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
        LEFT JOIN LATERAL (SELECT key, value FROM crm_value WHERE entry_id = e.id) v ON true)
    SELECT id, created_at, updated_at, pipeline, pipeline_slug, stage, stage_slug, key,
        CASE WHEN too_large THEN NULL ELSE value END, too_large
    FROM found ORDER BY id DESC, key";

impl CrmStore for PostgresStore {
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        match self.declared.keep(brand, schema) {
            Some(schema) => {
                let brand = brand.to_owned();
                self.database.run_within(migrate::WAIT, move |conn| {
                    Box::pin(async move { apply_declared(conn, &brand, &schema).await })
                })
            }
            // The host has not reached the server yet.
            None => Box::pin(async { Ok(Vec::new()) }),
        }
    }

    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let begin = Batch::begin().plain(schema::LOCK);
                let stored = schema::load(conn, begin, &brand, &entity.slug).await?;
                let count = "SELECT count(*) FROM crm_entity WHERE brand = $1";
                let rows = query(conn, count, [text(&brand)]).await?;
                let entities: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
                let entities = u32::try_from(entities).unwrap_or(u32::MAX);
                let missing = Missing::of(stored.as_ref(), &entity, entities, caps)?;
                schema::write(conn, &brand, missing.writes.iter()).await?;
                let params = [text(&brand), text(&entity.slug)];
                let [rows] = Batch::new().query(schema::ENTITY, params).commit().run_for(conn).await?;
                let row = rows.first().ok_or_else(|| CrmFault::UnknownSlug(entity.slug.clone()))?;
                Ok(missing.ensured(row.try_get(0)?))
            })
        })
    }

    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let begin = Batch::begin_snapshot();
                let [rows] = begin.query(schema::SLUGS, [text(&brand)]).run_for(conn).await?;
                let mut entities = Vec::new();
                for row in &rows {
                    entities.extend(schema::load(conn, Batch::new(), &brand, row.try_get(0)?).await?);
                }
                execute(conn, "COMMIT").await?;
                Ok(entities)
            })
        })
    }

    /// One round trip, and one to end the transaction.
    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let entity = schema::load(conn, Batch::begin_snapshot(), &brand, slug.as_str()).await?;
                execute(conn, "COMMIT").await?;
                Ok(entity)
            })
        })
    }

    /// One round trip, without a transaction.
    fn entity_slugs(
        &self,
        brand: &str,
        first: Option<Slug>,
        slugs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let first = first.as_ref().map_or("", Slug::as_str);
                let params = [text(&brand), text(first), int(slugs_max.into())];
                let rows = query(conn, schema::FIRST_SLUGS, params).await?;
                rows.iter().map(|row| Ok(row.try_get(0)?)).collect::<Result<_, SqlError>>()
            })
        })
    }

    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        self.database.run(move |conn| {
            Box::pin(async move {
                let asked = texts(keys.iter().map(FieldKey::as_str).collect());
                let rows = read(conn, NEWEST_VALUES, &at, [asked, int(decode::signed(bytes_max))]).await?;
                let mut memory = ResultMemory::new(bytes_max);
                let mut values = vec![None; keys.len()];
                for row in &rows {
                    reject_too_large(row, 2)?;
                    let number: Option<i64> = row.try_get(0)?;
                    let index = number.and_then(|number| usize::try_from(number - 1).ok());
                    let slot = index.and_then(|index| values.get_mut(index));
                    if let (Some(slot), Some(bytes)) = (slot, row.try_get(1)?) {
                        *slot = Some(memory.charge(decode::value(bytes)?)?);
                    }
                }
                Ok(values)
            })
        })
    }

    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>> {
        let (at, key) = (at.clone(), key.clone());
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [text(key.as_str()), int(limit.into()), int(decode::signed(bytes_max))];
                let rows = read(conn, VALUES_OF_KEY, &at, params).await?;
                let mut memory = ResultMemory::new(bytes_max);
                let mut values = Vec::new();
                for row in &rows {
                    reject_too_large(row, 1)?;
                    if let Some(bytes) = row.try_get(0)? {
                        values.push(memory.charge(decode::value(bytes)?)?);
                    }
                }
                Ok(values)
            })
        })
    }

    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>> {
        let at = at.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [int(limit.into()), int(decode::signed(bytes_max))];
                let rows = read(conn, NEWEST_ENTRIES, &at, params).await?;
                let mut memory = ResultMemory::new(bytes_max);
                let mut entries: Vec<Entry> = Vec::new();
                for row in &rows {
                    reject_too_large(row, 9)?;
                    let Some(id) = row.try_get::<_, Option<&[u8]>>(0)? else { break };
                    let id = decode::entry_id(id)?;
                    if entries.last().is_none_or(|last| last.id != id) {
                        entries.push(read_entry(row, id)?);
                    }
                    if let (Some(entry), Some(key)) = (entries.last_mut(), row.try_get(7)?) {
                        entry.values.push((key, memory.charge(decode::value(row.try_get(8)?)?)?));
                    }
                }
                Ok(entries)
            })
        })
    }

    fn get_entry(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Option<BrowsedEntry>, CrmFault>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move { by_id::one_entry(conn, &brand, &slug, id, bytes_max).await })
        })
    }

    fn entry_reference(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<Reference>, CrmFault>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move { by_id::reference_of(conn, &brand, slug.as_str(), id).await })
        })
    }

    fn search_entries(&self, brand: &str, search: Search) -> BoxFuture<'_, Result<Found, CrmFault>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let mut rows = PostgresRows { conn, brand: &brand };
                let found = sluice_crm::search::search(&mut rows, &search).await?;
                execute(conn, "COMMIT").await?;
                Ok(found)
            })
        })
    }

    fn build_index(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Option<IndexStep>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.database.run(move |conn| Box::pin(async move { index::build(conn, brand.as_deref()).await }))
    }

    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let slot = UsageSlot::of_write(&brand, &write);
                let context = WriteContext { brand: &brand, slot, caps, now_ms };
                let written = write::write_after(conn, Batch::begin(), &write, context).await?;
                execute(conn, "COMMIT").await?;
                Ok(written)
            })
        })
    }

    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let slugs = query(conn, schema::SLUGS, [text(&brand)]).await?;
                let slugs = slugs.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
                let slugs: Vec<Slug> = slugs.into_iter().filter_map(Slug::new).collect();
                let line = |slug: &Slug, reference: &Reference| Line {
                    slug: slug.clone(),
                    reference: reference.clone(),
                };
                let lines: Vec<Line> =
                    slugs.iter().flat_map(|slug| [line(slug, &from), line(slug, &to)]).collect();
                let mut begin = Batch::begin();
                load::lock_lines(&mut begin, &brand, &lines);
                begin.run(conn).await?;
                let slot = UsageSlot::of_line(lines.first().map(|line| line.key(&brand)).as_ref());
                // A quota must not keep a customer from logging in.
                let caps = CrmCaps {
                    entries_a_reference_max: u32::MAX,
                    brand_bytes_max: u64::MAX,
                    ..CrmCaps::default()
                };
                let context = WriteContext { brand: &brand, slot, caps, now_ms };
                let mut moved = 0;
                for slug in slugs {
                    moved += adopt_in_entity(conn, slug, (&from, &to), context).await?;
                }
                execute(conn, "COMMIT").await?;
                Ok(moved)
            })
        })
    }
}

/// Applies a schema before other calls may use the database.
pub(super) async fn apply_schema(
    database: &Database,
    brand: &str,
    schema: CrmSchema,
) -> Result<(), StoreError> {
    let owned = brand.to_owned();
    let applying: BoxFuture<'_, Result<Vec<String>, StoreError>> = database
        .run_first(migrate::WAIT, move |conn| {
            Box::pin(async move { apply_declared(conn, &owned, &schema).await })
        });
    for change in applying.await? {
        tracing::info!(brand, "crm: {change}");
    }
    Ok(())
}

/// Applies a schema in one transaction. Returns a sentence for each change.
async fn apply_declared(conn: &Client, brand: &str, schema: &CrmSchema) -> Result<Vec<String>, SqlError> {
    Batch::begin().plain(schema::LOCK).run(conn).await?;
    let mut all = Vec::new();
    for declared in &schema.entities {
        let stored = schema::load(conn, Batch::new(), brand, &declared.slug).await?;
        let steps = plan(stored.as_ref(), declared);
        schema::write(conn, brand, steps.iter().map(|step| &step.write)).await?;
        all.extend(steps);
    }
    execute(conn, "COMMIT").await?;
    for step in &all {
        if let SchemaWrite::Index { entity, key, to } = &step.write {
            index::declare(conn, brand, entity, key, *to).await?;
        }
    }
    index::try_again(conn, brand).await?;
    Ok(all.into_iter().map(|step| step.sentence).collect())
}

/// Moves the entries of one entity from one reference to the other. Returns their number.
async fn adopt_in_entity(
    conn: &Client,
    slug: Slug,
    (from, to): (&Reference, &Reference),
    context: WriteContext<'_>,
) -> Result<u64, CrmSqlError> {
    let line = Line { slug: slug.clone(), reference: from.clone() };
    let reassign = CrmWrite::Reassign { slug, from: from.clone(), to: to.clone() };
    if job_queue::is_waited_for(conn, &[line.key(context.brand)]).await? {
        job_queue::insert(conn, &reassign, context).await?;
    }
    match write::write_after(conn, Batch::new(), &reassign, context).await? {
        CrmWritten::Reassigned { moved } => Ok(moved),
        _ => Ok(0),
    }
}

/// Runs a query whose first four parameters are the address, and which returns no row if the
/// entity does not exist.
async fn read<'a>(
    conn: &Client,
    sql: &'a str,
    at: &'a Address,
    rest: impl IntoIterator<Item = Param<'a>>,
) -> Result<Vec<Row>, CrmSqlError> {
    let (kind, id) = (at.reference.kind(), at.reference.id().as_bytes());
    let mut params = Vec::from([text(&at.brand), text(at.slug.as_str()), text(kind), bytes(id)]);
    params.extend(rest);
    let rows = query(conn, sql, params).await?;
    if rows.is_empty() {
        return Err(CrmFault::UnknownSlug(at.slug.as_str().to_owned()).into());
    }
    Ok(rows)
}

/// An entry without its values. The columns are those of [`NEWEST_ENTRIES`].
pub(super) fn read_entry(row: &Row, id: EntryId) -> Result<Entry, SqlError> {
    let placement = match row.try_get(5)? {
        None => None,
        Some(stage_id) => Some(Placement {
            pipeline_id: row.try_get(3)?,
            pipeline_slug: row.try_get(4)?,
            stage_id,
            stage_slug: row.try_get(6)?,
        }),
    };
    Ok(Entry { id, placement, values: Vec::new(), created_at: row.try_get(1)?, updated_at: row.try_get(2)? })
}

/// Fails if the column says that a value was left out because of its size. The column is `NULL`
/// if there are no values.
fn reject_too_large(row: &Row, column: usize) -> Result<(), CrmSqlError> {
    let too_large: Option<bool> = row.try_get(column)?;
    if too_large == Some(true) { Err(CrmFault::ResultTooLarge.into()) } else { Ok(()) }
}
