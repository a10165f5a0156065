//! CRM data. This module has the reads. The submodules contain the code for writes and
//! declarations.

pub(super) mod by_id;
pub(super) mod history;
mod index;
mod load;
pub(super) mod schema;
mod search;
pub(super) mod write;

use futures_util::FutureExt as _;
use rusqlite::{Connection, OptionalExtension as _, Row, Rows};
use serde_json::Value;

use sluice_crm::{
    Address, BrowsedEntry, CrmCaps, CrmFault, CrmSchema, CrmStore, CrmWrite, CrmWritten, Ensured, Entity,
    EntitySpec, Entry, EntryId, FieldKey, Found, IndexStep, Line, Missing, Placement, Reference,
    ResultMemory, SchemaWrite, Search, Slug, plan,
};
use sluice_kit::{BoxFuture, Cause, StoreError, StoreFault};

#[cfg(test)]
pub(super) use self::load::{ENTRIES, NEWEST_HOLDER, VALUE_SIZES};

use self::search::SqliteRows;
use super::SqliteStore;
use super::job_queue;
use crate::error::{CrmSqlError, SqlError};

/// One statement for any number of keys, whose text is always the same.
pub(super) const NEWEST_VALUES: &str = "SELECT asked.key, (
         SELECT value FROM crm_value
         WHERE reference = ?1 AND key = asked.value
         ORDER BY entry_id DESC LIMIT 1)
     FROM json_each(?2) AS asked";

/// With more keys, reading their values can take as long as a short run.
const DIRECT_KEYS_MAX: usize = 8;

const FIRST_SLUGS: &str =
    "SELECT slug FROM crm_entity WHERE brand = ?1 ORDER BY slug = ?2 DESC, slug LIMIT ?3";

pub(super) const VALUES_OF_KEY: &str = "SELECT value FROM crm_value
     WHERE reference = ?1 AND key = ?2 ORDER BY entry_id DESC LIMIT ?3";

pub(super) const NEWEST_ENTRIES: &str = "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug
     FROM crm_entry e
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE e.reference = ?1 ORDER BY e.id DESC LIMIT ?2";

const ENTRY: &str =
    "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, r.type, r.reference_id
     FROM crm_entry e
     JOIN crm_reference r ON r.id = e.reference
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE e.id = ?1 AND r.entity_id = ?2";

/// An entry of any entity, which a search has found in its own.
const ENTRY_OF_ANY: &str =
    "SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, r.type, r.reference_id
     FROM crm_entry e
     JOIN crm_reference r ON r.id = e.reference
     LEFT JOIN crm_stage s ON s.id = e.stage_id
     LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
     WHERE e.id = ?1";

pub(super) const VALUES: &str = "SELECT key, value FROM crm_value WHERE entry_id = ?1 ORDER BY key";

/// A read consists of several statements. Each runs in a transaction, so that all of its
/// statements see the same data.
impl CrmStore for SqliteStore {
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let brand = brand.to_owned();
        // Two hosts that start at the same time do not both add an entity, because this runs
        // in the writer's transaction.
        self.writer.write(move |conn| {
            let mut sentences = Vec::new();
            for declared in &schema.entities {
                let stored = schema::load(conn, &brand, &declared.slug)?;
                for step in plan(stored.as_ref(), declared) {
                    match &step.write {
                        SchemaWrite::Index { entity, key, to } => {
                            let entity = schema::entity_id(conn, &brand, entity).map_err(SqlError::from)?;
                            index::declare(conn, entity, key, *to)?;
                        }
                        write => schema::write(conn, &brand, write)?,
                    }
                    sentences.push(step.sentence);
                }
            }
            index::try_again(conn, &brand)?;
            Ok(sentences)
        })
    }

    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| {
            let stored = schema::load(conn, &brand, &entity.slug)?;
            let entities: u32 = conn
                .prepare_cached("SELECT count(*) FROM crm_entity WHERE brand = ?1")?
                .query_row([&brand], |row| row.get(0))?;
            let missing = Missing::of(stored.as_ref(), &entity, entities, caps)?;
            for step in &missing.writes {
                schema::write(conn, &brand, step)?;
            }
            Ok(missing.ensured(schema::entity_id(conn, &brand, &entity.slug)?))
        })
    }

    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let slugs = schema::slugs(&conn, &brand)?;
            slugs.iter().filter_map(|slug| schema::load(&conn, &brand, slug).transpose()).collect()
        })
    }

    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| schema::load(&*conn.transaction()?, &brand, slug.as_str()))
    }

    fn entity_slugs(
        &self,
        brand: &str,
        first: Option<Slug>,
        slugs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| {
            let first = first.as_ref().map_or("", Slug::as_str);
            let mut query = conn.prepare_cached(FIRST_SLUGS)?;
            let slugs = query.query_map((brand, first, slugs_max), |row| row.get(0))?;
            Ok::<_, SqlError>(slugs.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        match keys.len() {
            ..=DIRECT_KEYS_MAX => self.readers.read_by_key(move |conn| newest(conn, &at, &keys, bytes_max)),
            _ => self.readers.read(move |conn| newest(conn, &at, &keys, bytes_max)),
        }
    }

    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>> {
        let (at, key) = (at.clone(), key.clone());
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let Some(reference) = reference_at(&conn, &at)? else {
                return Ok(Vec::new());
            };
            let mut budget = ByteBudget::new(bytes_max);
            let mut values = Vec::new();
            let mut query = conn.prepare_cached(VALUES_OF_KEY)?;
            let mut rows = query.query((reference, key.as_str(), limit))?;
            while let Some(row) = rows.next()? {
                let bytes = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
                values.push(budget.decode(bytes)?);
            }
            Ok(values)
        })
    }

    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>> {
        let at = at.clone();
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let Some(reference) = reference_at(&conn, &at)? else {
                return Ok(Vec::new());
            };
            let mut query = conn.prepare_cached(NEWEST_ENTRIES)?;
            let mut entries =
                query.query_map((reference, limit), read_entry)?.collect::<rusqlite::Result<Vec<Entry>>>()?;
            let mut budget = ByteBudget::new(bytes_max);
            let mut query = conn.prepare_cached(VALUES)?;
            for entry in &mut entries {
                entry.values = read_values(query.query([entry.id.as_bytes()])?, &mut budget)?;
            }
            Ok(entries)
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
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let entity = schema::entity_id(&conn, &brand, slug.as_str())?;
            let row =
                conn.prepare_cached(ENTRY)?.query_row((id.as_bytes(), entity), read_browsed).optional()?;
            let Some(mut found) = row else { return Ok(None) };
            let mut query = conn.prepare_cached(VALUES)?;
            found.entry.values = read_values(query.query([id.as_bytes()])?, &mut ByteBudget::new(bytes_max))?;
            Ok(Some(found))
        })
    }

    fn entry_reference(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<Reference>, CrmFault>> {
        let brand = brand.to_owned();
        self.readers.read_by_key(move |conn| by_id::reference_of(conn, &brand, slug.as_str(), id))
    }

    fn search_entries(&self, brand: &str, search: Search) -> BoxFuture<'_, Result<Found, CrmFault>> {
        let brand = brand.to_owned();
        self.readers.read(move |conn| {
            let conn = conn.transaction()?;
            let mut rows = SqliteRows { conn: &conn, brand: &brand };
            let found = sluice_crm::search::search(&mut rows, &search).now_or_never();
            Ok(found.ok_or(StoreError::Failed(StoreFault::Unfinished))??)
        })
    }

    fn build_index(&self, brand: Option<&str>) -> BoxFuture<'_, Result<Option<IndexStep>, StoreError>> {
        let brand = brand.map(str::to_owned);
        self.writer.write(move |conn| index::build(conn, brand.as_deref()))
    }

    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| write::write_crm(conn, &brand, &write, caps, now_ms))
    }

    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        self.writer.write(move |conn| {
            let slugs = schema::slugs(conn, &brand)?;
            let mut moved = 0;
            for slug in slugs.iter().filter_map(|slug| Slug::new(slug)) {
                moved += adopt_in_entity(conn, &brand, &slug, (&from, &to), now_ms)?;
            }
            Ok(moved)
        })
    }
}

/// The newest value of each key.
fn newest(
    conn: &mut Connection,
    at: &Address,
    keys: &[FieldKey],
    bytes_max: usize,
) -> Result<Vec<Option<Value>>, CrmSqlError> {
    let conn = conn.transaction()?;
    let mut values = vec![None; keys.len()];
    let Some(reference) = reference_at(&conn, at)? else {
        return Ok(values);
    };
    let asked: Value = keys.iter().map(FieldKey::as_str).collect();
    let mut budget = ByteBudget::new(bytes_max);
    let mut query = conn.prepare_cached(NEWEST_VALUES)?;
    let mut rows = query.query((reference, asked.to_string()))?;
    while let Some(row) = rows.next()? {
        let index: u32 = row.get(0)?;
        let bytes = row.get_ref(1)?;
        let bytes = bytes.as_blob_or_null().map_err(rusqlite::Error::from)?;
        if let (Some(slot), Some(bytes)) = (values.get_mut(index as usize), bytes) {
            *slot = Some(budget.decode(bytes)?);
        }
    }
    Ok(values)
}

/// Moves the entries of one entity from one reference to the other. Returns their number.
fn adopt_in_entity(
    conn: &Connection,
    brand: &str,
    slug: &Slug,
    (from, to): (&Reference, &Reference),
    now_ms: i64,
) -> Result<u64, CrmSqlError> {
    let reassign = CrmWrite::Reassign { slug: slug.clone(), from: from.clone(), to: to.clone() };
    let line = Line { slug: slug.clone(), reference: from.clone() };
    // A quota must not keep a customer from logging in.
    let caps = CrmCaps { entries_a_reference_max: u32::MAX, brand_bytes_max: u64::MAX, ..CrmCaps::default() };
    if job_queue::is_waited_for(conn, brand, &[line])? {
        job_queue::insert(conn, brand, &reassign, caps, now_ms)?;
    }
    let entity = schema::entity_id(conn, brand, slug.as_str())?;
    if load::reference(conn, entity, from)?.is_none() {
        return Ok(0);
    }
    match write::write_crm(conn, brand, &reassign, caps, now_ms)? {
        CrmWritten::Reassigned { moved } => Ok(moved),
        _ => Ok(0),
    }
}

/// The row of the address's reference, or `None` if the reference has never had an entry.
fn reference_at(conn: &Connection, at: &Address) -> Result<Option<i64>, CrmSqlError> {
    let entity = schema::entity_id(conn, &at.brand, at.slug.as_str())?;
    Ok(load::reference(conn, entity, &at.reference)?)
}

fn read_values(mut rows: Rows<'_>, budget: &mut ByteBudget) -> Result<Vec<(String, Value)>, CrmSqlError> {
    let mut values = Vec::new();
    while let Some(row) = rows.next()? {
        let key: String = row.get(0)?;
        budget.take(key.len())?;
        let bytes = row.get_ref(1)?;
        let bytes = bytes.as_blob().map_err(rusqlite::Error::from)?;
        values.push((key, budget.decode(bytes)?));
    }
    Ok(values)
}

/// An entry without its values. The columns are those of [`NEWEST_ENTRIES`].
pub(super) fn read_entry(row: &Row<'_>) -> rusqlite::Result<Entry> {
    let placement = match row.get::<_, Option<i64>>(5)? {
        None => None,
        Some(stage_id) => Some(Placement {
            pipeline_id: row.get(3)?,
            pipeline_slug: row.get(4)?,
            stage_id,
            stage_slug: row.get(6)?,
        }),
    };
    Ok(Entry {
        id: EntryId::from_bytes(row.get(0)?),
        placement,
        values: Vec::new(),
        created_at: row.get(1)?,
        updated_at: row.get(2)?,
    })
}

/// An entry with its reference, without its values. The columns are those of [`ENTRY`].
pub(super) fn read_browsed(row: &Row<'_>) -> rusqlite::Result<BrowsedEntry> {
    let reference_id = String::from_utf8_lossy(&row.get::<_, Vec<u8>>(8)?).into_owned();
    Ok(BrowsedEntry { reference_type: row.get(7)?, reference_id, entry: read_entry(row)? })
}

pub(super) fn decode(bytes: &[u8]) -> Result<Value, SqlError> {
    rmp_serde::from_slice(bytes)
        .map_err(|error| StoreError::Corrupt { what: "CRM value", why: Cause::of(error).into() }.into())
}

/// The bytes that a result may still take. They are subtracted before a value is decoded.
struct ByteBudget {
    bytes: usize,
    memory: ResultMemory,
}

impl ByteBudget {
    fn new(bytes_max: usize) -> Self {
        Self { bytes: bytes_max, memory: ResultMemory::new(bytes_max) }
    }

    fn take(&mut self, bytes: usize) -> Result<(), CrmSqlError> {
        self.bytes = self.bytes.checked_sub(bytes).ok_or(CrmFault::ResultTooLarge)?;
        Ok(())
    }

    fn decode(&mut self, bytes: &[u8]) -> Result<Value, CrmSqlError> {
        self.take(bytes.len())?;
        Ok(self.memory.charge(decode(bytes)?)?)
    }
}
