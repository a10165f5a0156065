//! Reads entries and their values, each call in one statement: one round trip, and all
//! of one moment. The server stops giving values where the result would be too large.

use serde_json::Value;
use tokio_postgres::{Client, Row};

use sluice_crm::{Address, CrmFault, Entry, EntryId, FieldKey, Placement};

use super::batch::{Param, bytes, int, query, text, texts};
use super::error::corrupt;
use crate::error::{CrmSqlError, SqlError};

/// No row: the entity is not there. Rows: n (`NULL`: no key was asked for), value, and
/// whether there was one that is left out because of the size.
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

/// No row: the entity is not there. `NULL` as value: there is none, or it is left out
/// because of the size.
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

/// No row: the entity is not there. A row for each value of each entry, and one for an
/// entry that has none; `NULL` as id: there is no entry.
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

pub(super) async fn fields(
    conn: &Client,
    at: &Address,
    keys: &[FieldKey],
    bytes_max: usize,
) -> Result<Vec<Option<Value>>, CrmSqlError> {
    let asked = texts(keys.iter().map(FieldKey::as_str).collect());
    let rows = ask(conn, NEWEST_VALUES, at, [asked, int(signed(bytes_max))]).await?;
    let mut found = vec![None; keys.len()];
    for row in &rows {
        refuse_large(row, 2)?;
        let place: Option<i64> = row.try_get(0)?;
        let slot = place.and_then(|n| usize::try_from(n - 1).ok()).and_then(|index| found.get_mut(index));
        if let (Some(slot), Some(bytes)) = (slot, row.try_get(1)?) {
            *slot = Some(decode(bytes)?);
        }
    }
    Ok(found)
}

pub(super) async fn entries(
    conn: &Client,
    at: &Address,
    limit: u32,
    bytes_max: usize,
) -> Result<Vec<Entry>, CrmSqlError> {
    let rows = ask(conn, NEWEST_ENTRIES, at, [int(limit.into()), int(signed(bytes_max))]).await?;
    let mut entries: Vec<Entry> = Vec::new();
    for row in &rows {
        refuse_large(row, 9)?;
        let Some(id) = row.try_get::<_, Option<&[u8]>>(0)? else { break };
        let id = entry_id(id)?;
        if entries.last().is_none_or(|last| last.id != id) {
            entries.push(read_entry(row, id)?);
        }
        if let (Some(entry), Some(key)) = (entries.last_mut(), row.try_get(7)?) {
            entry.values.push((key, decode(row.try_get(8)?)?));
        }
    }
    Ok(entries)
}

/// At most `limit` values of a key, newest first.
pub(super) async fn values_of_key(
    conn: &Client,
    at: &Address,
    key: &FieldKey,
    limit: u32,
    bytes_max: usize,
) -> Result<Vec<Value>, CrmSqlError> {
    let params = [text(key.as_str()), int(limit.into()), int(signed(bytes_max))];
    let rows = ask(conn, VALUES_OF_KEY, at, params).await?;
    let mut values = Vec::new();
    for row in &rows {
        refuse_large(row, 1)?;
        if let Some(bytes) = row.try_get(0)? {
            values.push(decode(bytes)?);
        }
    }
    Ok(values)
}

/// Runs a query whose first four parameters are the address, and that gives no row where
/// there is no such entity.
async fn ask<'a>(
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

fn read_entry(row: &Row, id: EntryId) -> Result<Entry, SqlError> {
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

pub(super) fn entry_id(bytes: &[u8]) -> Result<EntryId, SqlError> {
    let bytes = bytes.try_into().map_err(|_| corrupt("CRM entry", "its id is not 16 bytes"))?;
    Ok(EntryId::from_bytes(bytes))
}

/// `NULL`, as a sum over no values gives: no.
fn refuse_large(row: &Row, column: usize) -> Result<(), CrmSqlError> {
    let too_large: Option<bool> = row.try_get(column)?;
    if too_large == Some(true) { Err(CrmFault::ResultTooLarge.into()) } else { Ok(()) }
}

pub(super) fn decode(bytes: &[u8]) -> Result<Value, SqlError> {
    rmp_serde::from_slice(bytes).map_err(|error| corrupt("CRM value", &error.to_string()).into())
}

pub(super) fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
