//! Searches: the rows that they ask for.

use rusqlite::{Connection, OptionalExtension as _};

use sluice_crm::search::{
    DeclaredField, ExaminedRow, Place, Position, SearchRows, Source, UNINDEXED_ENTRIES_MAX,
};
use sluice_crm::{BrowsedEntry, CrmFault, EntryId, FieldKey, Reference, Slug};
use sluice_kit::BoxFuture;

use super::{ByteBudget, ENTRY_OF_ANY, VALUES, index, load, read_browsed, read_values, schema};
use crate::error::CrmSqlError;

/// A transaction that reads one snapshot. Each answer is there when its future is made.
pub(super) struct SqliteRows<'a> {
    pub(super) conn: &'a Connection,
    pub(super) brand: &'a str,
}

/// An answer that is there already.
fn now<'a, T: Send + 'a>(answer: Result<T, CrmSqlError>) -> BoxFuture<'a, Result<T, CrmFault>> {
    Box::pin(std::future::ready(answer.map_err(CrmFault::from)))
}

/// Before every id, and after every id.
const IDS: (&[u8], &[u8]) = (&[], &[0xff; 17]);

impl SearchRows for SqliteRows<'_> {
    fn place<'a>(
        &'a mut self,
        slug: &'a Slug,
        reference: Option<&'a Reference>,
    ) -> BoxFuture<'a, Result<Place, CrmFault>> {
        now(place(self.conn, self.brand, slug, reference))
    }

    fn scan<'a>(
        &'a mut self,
        source: &'a Source,
        after: Option<&'a Position>,
        is_descending: bool,
        rows_max: u32,
    ) -> BoxFuture<'a, Result<Vec<Position>, CrmFault>> {
        now(scan(self.conn, source, after, is_descending, rows_max))
    }

    fn count<'a>(&'a mut self, source: &'a Source, rows_max: u32) -> BoxFuture<'a, Result<u32, CrmFault>> {
        now(count(self.conn, source, rows_max))
    }

    fn examine<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        keys: &'a [FieldKey],
        bytes_max: u32,
    ) -> BoxFuture<'a, Result<Vec<ExaminedRow>, CrmFault>> {
        now(examine(self.conn, entries, keys, bytes_max))
    }

    fn load<'a>(
        &'a mut self,
        entries: &'a [EntryId],
        bytes_max: usize,
    ) -> BoxFuture<'a, Result<Vec<BrowsedEntry>, CrmFault>> {
        now(load_entries(self.conn, entries, bytes_max))
    }
}

fn place(
    conn: &Connection,
    brand: &str,
    slug: &Slug,
    reference: Option<&Reference>,
) -> Result<Place, CrmSqlError> {
    let entity = schema::entity_id(conn, brand, slug.as_str())?;
    let reference =
        reference.map(|reference| load::reference(conn, entity, reference)).transpose()?.flatten();
    let mut fields: Vec<DeclaredField> = conn
        .prepare_cached("SELECT key FROM crm_field WHERE entity_id = ?1")?
        .query_map([entity], |row| Ok(DeclaredField { key: row.get(0)?, index: None }))?
        .collect::<rusqlite::Result<_>>()?;
    for index in index::of_entity(conn, entity)? {
        if let Some(field) = fields.iter_mut().find(|field| field.key == index.key) {
            field.index = Some(index);
        }
    }
    let all = reference.map_or(Source::Entity(entity), Source::Reference);
    let entries = count(conn, &all, UNINDEXED_ENTRIES_MAX + 1)?;
    Ok(Place { entity, reference, entries, fields })
}

fn scan(
    conn: &Connection,
    source: &Source,
    after: Option<&Position>,
    is_descending: bool,
    rows_max: u32,
) -> Result<Vec<Position>, CrmSqlError> {
    let (column, number) = match source {
        Source::Index(index, range) => {
            let sql = match is_descending {
                false => {
                    "SELECT value, entry_id FROM crm_index
                     WHERE index_id = ?1 AND (value, entry_id) > (?2, ?3) AND value < ?4
                     ORDER BY value, entry_id LIMIT ?5"
                }
                true => {
                    "SELECT value, entry_id FROM crm_index
                     WHERE index_id = ?1 AND (value, entry_id) < (?2, ?3) AND value >= ?4
                     ORDER BY value DESC, entry_id DESC LIMIT ?5"
                }
            };
            let (key, id) = range.start(after, is_descending);
            let end = if is_descending { &range.from } else { &range.to };
            let rows = conn
                .prepare_cached(sql)?
                .query_map((index, key, id, end, rows_max), |row| {
                    Ok(Position { key: row.get(0)?, id: EntryId::from_bytes(row.get(1)?) })
                })?
                .collect::<rusqlite::Result<_>>()?;
            return Ok(rows);
        }
        Source::Entity(entity) => (false, entity),
        Source::Reference(reference) => (true, reference),
    };
    let sql = match (column, is_descending) {
        (false, false) => "SELECT id FROM crm_entry WHERE entity_id = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        (false, true) => {
            "SELECT id FROM crm_entry WHERE entity_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3"
        }
        (true, false) => "SELECT id FROM crm_entry WHERE reference = ?1 AND id > ?2 ORDER BY id LIMIT ?3",
        (true, true) => "SELECT id FROM crm_entry WHERE reference = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3",
    };
    let from = after.map_or(if is_descending { IDS.1 } else { IDS.0 }, |after| after.id.as_bytes());
    let rows = conn
        .prepare_cached(sql)?
        .query_map((number, from, rows_max), |row| {
            Ok(Position { key: Vec::new(), id: EntryId::from_bytes(row.get(0)?) })
        })?
        .collect::<rusqlite::Result<_>>()?;
    Ok(rows)
}

fn count(conn: &Connection, source: &Source, rows_max: u32) -> Result<u32, CrmSqlError> {
    let (sql, number, from, to): (&str, &i64, &[u8], &[u8]) = match source {
        Source::Entity(entity) => (
            "SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE entity_id = ?1 AND id > ?2 AND id < ?3 LIMIT ?4)",
            entity,
            IDS.0,
            IDS.1,
        ),
        Source::Reference(reference) => (
            "SELECT count(*) FROM (SELECT 1 FROM crm_entry WHERE reference = ?1 AND id > ?2 AND id < ?3 LIMIT ?4)",
            reference,
            IDS.0,
            IDS.1,
        ),
        Source::Index(index, range) => (
            "SELECT count(*) FROM (
                 SELECT 1 FROM crm_index WHERE index_id = ?1 AND value >= ?2 AND value < ?3 LIMIT ?4)",
            index,
            &range.from,
            &range.to,
        ),
    };
    Ok(conn.prepare_cached(sql)?.query_row((number, from, to, rows_max), |row| row.get(0))?)
}

fn examine(
    conn: &Connection,
    entries: &[EntryId],
    keys: &[FieldKey],
    bytes_max: u32,
) -> Result<Vec<ExaminedRow>, CrmSqlError> {
    let mut entry = conn.prepare_cached("SELECT reference FROM crm_entry WHERE id = ?1")?;
    let mut value =
        conn.prepare_cached("SELECT substr(value, 1, ?3) FROM crm_value WHERE entry_id = ?1 AND key = ?2")?;
    let mut found = Vec::with_capacity(entries.len());
    for id in entries {
        let mut values = Vec::new();
        for key in keys {
            let stored =
                value.query_row((id.as_bytes(), key.as_str(), bytes_max), |row| row.get(0)).optional()?;
            values.extend(stored.map(|stored| (key.as_str().to_owned(), stored)));
        }
        let reference = entry.query_row([id.as_bytes()], |row| row.get(0))?;
        found.push(ExaminedRow { id: *id, reference, values });
    }
    Ok(found)
}

fn load_entries(
    conn: &Connection,
    entries: &[EntryId],
    bytes_max: usize,
) -> Result<Vec<BrowsedEntry>, CrmSqlError> {
    let mut one = conn.prepare_cached(ENTRY_OF_ANY)?;
    let mut values = conn.prepare_cached(VALUES)?;
    let mut budget = ByteBudget::new(bytes_max);
    let mut found = Vec::with_capacity(entries.len());
    for id in entries {
        let mut browsed = one.query_row([id.as_bytes()], read_browsed)?;
        match read_values(values.query([id.as_bytes()])?, &mut budget) {
            Ok(values) => browsed.entry.values = values,
            Err(CrmSqlError(CrmFault::ResultTooLarge)) => break,
            Err(error) => return Err(error),
        }
        found.push(browsed);
    }
    Ok(found)
}
