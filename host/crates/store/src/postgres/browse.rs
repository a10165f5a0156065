//! Entries of all references of an entity, in one statement.

use sluice_crm::{Browse, BrowseStore, BrowsedEntry, CrmFault, EntryId, Slug, StageChoice, StageHistory};
use sluice_kit::BoxFuture;

use super::PostgresStore;
use super::batch::{flag, int, optional_bytes, optional_int, query, text};
use super::crm::by_id::read_browsed;
use super::crm::history;
use super::decode;

/// Returns no row if the entity does not exist, and one row with a `NULL` id if it has no entry.
/// Otherwise returns a row for each value of each entry, and one row for an entry without values.
/// The first entry is returned whatever its size; the others are returned as long as the result
/// stays within the limit.
pub(super) const ENTRIES: &str = "WITH entity AS (
        SELECT id FROM crm_entity WHERE brand = $1 AND slug = $2),
    found AS (
        SELECT e.id, e.created_at, e.updated_at, e.stage_id, r.type, r.reference_id
        FROM entity JOIN crm_reference r ON r.entity_id = entity.id
        JOIN crm_entry e ON e.reference = r.id
        WHERE ($3::bytea IS NULL OR e.id < $3) AND (NOT $4 OR e.stage_id IS NOT DISTINCT FROM $5)
        ORDER BY e.id DESC LIMIT $6),
    sized AS (
        SELECT found.*, row_number() OVER newest AS n, sum(size.bytes) OVER newest AS bytes
        FROM found CROSS JOIN LATERAL (
            SELECT coalesce(sum(octet_length(key) + octet_length(value)), 0) AS bytes
            FROM crm_value WHERE entry_id = found.id) size
        WINDOW newest AS (ORDER BY found.id DESC))
    SELECT e.id, e.created_at, e.updated_at, p.id, p.slug, s.id, s.slug, e.type, e.reference_id, v.key, v.value
    FROM entity LEFT JOIN sized e ON e.n = 1 OR e.bytes <= $7
    LEFT JOIN crm_stage s ON s.id = e.stage_id
    LEFT JOIN crm_pipeline p ON p.id = s.pipeline_id
    LEFT JOIN crm_value v ON v.entry_id = e.id
    ORDER BY e.id DESC, v.key";

impl BrowseStore for PostgresStore {
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let (has_stage, stage) = match browse.stage {
                    StageChoice::Any => (false, None),
                    StageChoice::None => (true, None),
                    StageChoice::In(id) => (true, Some(id)),
                };
                let before = browse.before.as_ref().map(|id| id.as_bytes().as_slice());
                let params = [
                    text(&browse.brand),
                    text(browse.slug.as_str()),
                    optional_bytes(before),
                    flag(has_stage),
                    optional_int(stage),
                    int(browse.entries_max.into()),
                    int(decode::signed(browse.bytes_max)),
                ];
                let rows = query(conn, ENTRIES, params).await?;
                if rows.is_empty() {
                    return Err(CrmFault::UnknownSlug(browse.slug.as_str().to_owned()).into());
                }
                let mut entries: Vec<BrowsedEntry> = Vec::new();
                for row in &rows {
                    let Some(id) = row.try_get::<_, Option<&[u8]>>(0)? else { break };
                    let id = decode::entry_id(id)?;
                    if entries.last().is_none_or(|last| last.entry.id != id) {
                        entries.push(read_browsed(row, id)?);
                    }
                    let key: Option<String> = row.try_get(9)?;
                    if let (Some(browsed), Some(key)) = (entries.last_mut(), key) {
                        browsed.entry.values.push((key, decode::value(row.try_get(10)?)?));
                    }
                }
                Ok(entries)
            })
        })
    }

    fn stage_history(
        &self,
        brand: &str,
        slug: Slug,
        id: EntryId,
    ) -> BoxFuture<'_, Result<Option<StageHistory>, CrmFault>> {
        let brand = brand.to_owned();
        self.database
            .run(move |conn| Box::pin(async move { history::of_entry(conn, &brand, &slug, id).await }))
    }
}
