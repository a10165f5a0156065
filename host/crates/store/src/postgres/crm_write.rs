//! Carries out writes: one round trip to lock and load, one to change, one to commit.

use tokio_postgres::Client;

use sluice_crm::{
    CapReached, CrmCaps, CrmFault, CrmWrite, CrmWritten, EntryId, Line, LineKey, Plan, Reference, Slug, Want,
};

use super::batch::{Batch, Param, byte_arrays, bytes, execute, int, ints, query, small, text, texts};
use super::error::corrupt;
use super::{crm_load, jobs};
use crate::error::CrmSqlError;

/// Rows of `crm_usage` that a brand's writers spread over.
const USAGE_SLOTS: u8 = 16;

const ADD_REFERENCE: &str = "INSERT INTO crm_reference (entity_id, type, reference_id)
    VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

pub(super) const ADD_ENTRIES: &str = "INSERT INTO crm_entry (id, reference, created_at, updated_at)
    SELECT new.id, r.id, $5, $5 FROM crm_reference r CROSS JOIN unnest($4::bytea[]) AS new (id)
    WHERE r.entity_id = $1 AND r.type = $2 AND r.reference_id = $3";

pub(super) const PUT_VALUES: &str = "INSERT INTO crm_value (entry_id, key, reference, value)
    SELECT new.entry_id, new.key, r.id, new.value
    FROM crm_reference r
    CROSS JOIN unnest($4::bytea[], $5::text[], $6::bytea[]) AS new (entry_id, key, value)
    WHERE r.entity_id = $1 AND r.type = $2 AND r.reference_id = $3
    ON CONFLICT (entry_id, key) DO UPDATE SET value = excluded.value";

pub(super) const REMOVE_VALUES: &str = "DELETE FROM crm_value v
    USING unnest($1::bytea[], $2::text[]) AS gone (entry_id, key)
    WHERE v.entry_id = gone.entry_id AND v.key = gone.key";

pub(super) const DELETE_ENTRIES: &str = "DELETE FROM crm_entry WHERE id = ANY ($1)";

pub(super) const PLACE: &str = "UPDATE crm_entry e SET stage_id = placed.stage_id
    FROM unnest($1::bytea[], $2::bigint[]) AS placed (id, stage_id) WHERE e.id = placed.id";

pub(super) const TOUCH: &str = "UPDATE crm_entry SET updated_at = $2 WHERE id = ANY ($1)";

pub(super) const REASSIGN_ENTRIES: &str = "UPDATE crm_entry SET reference = there.id
    FROM crm_reference here, crm_reference there
    WHERE here.entity_id = $1 AND here.type = $2 AND here.reference_id = $3
    AND there.entity_id = $4 AND there.type = $5 AND there.reference_id = $6
    AND reference = here.id";

pub(super) const REASSIGN_VALUES: &str = "UPDATE crm_value SET reference = there.id
    FROM crm_reference here, crm_reference there
    WHERE here.entity_id = $1 AND here.type = $2 AND here.reference_id = $3
    AND there.entity_id = $4 AND there.type = $5 AND there.reference_id = $6
    AND reference = here.id";

pub(super) const FORGET_REFERENCE: &str = "DELETE FROM crm_reference r
    WHERE entity_id = $1 AND type = $2 AND reference_id = $3
    AND NOT EXISTS (SELECT 1 FROM crm_entry WHERE reference = r.id)";

/// The statement's snapshot does not see its own change, nor what it waited for: the
/// slot's new count comes from the change, the others' from the table.
pub(super) const ADD_USAGE: &str = "WITH mine AS (
        INSERT INTO crm_usage (brand, slot, bytes) VALUES ($1, $2, $3)
        ON CONFLICT (brand, slot) DO UPDATE SET bytes = crm_usage.bytes + excluded.bytes
        RETURNING bytes)
    SELECT ((SELECT bytes FROM mine)
        + coalesce((SELECT sum(bytes) FROM crm_usage WHERE brand = $1 AND slot <> $2), 0))::bigint";

/// Which row of `crm_usage` a transaction adds to. Only one, so that no two wait for each
/// other's.
#[derive(Clone, Copy)]
pub(super) struct UsageSlot(i16);

impl UsageSlot {
    /// Spreads writers by the line that they write to, or the first of several.
    pub(super) fn of(line: Option<&LineKey>) -> Self {
        let byte = line.and_then(|key| key.last()).copied().unwrap_or_default();
        Self(i16::from(byte % USAGE_SLOTS))
    }
}

/// Runs in a transaction of its own.
pub(super) async fn write(
    conn: &Client,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmSqlError> {
    let slot = UsageSlot::of(jobs::line_keys(brand, write).first());
    let context = Context { brand, slot, caps, now_ms };
    let written = write_after(conn, Batch::begin(), write, context).await?;
    execute(conn, "COMMIT").await?;
    Ok(written)
}

/// What all writes of one transaction have in common.
#[derive(Clone, Copy)]
pub(super) struct Context<'a> {
    pub(super) brand: &'a str,
    pub(super) slot: UsageSlot,
    pub(super) caps: CrmCaps,
    pub(super) now_ms: i64,
}

/// Two round trips of a transaction that `batch` begins or is in.
pub(super) async fn write_after(
    conn: &Client,
    mut batch: Batch<'_>,
    write: &CrmWrite,
    Context { brand, slot, caps, now_ms }: Context<'_>,
) -> Result<CrmWritten, CrmSqlError> {
    let wants = write.wants();
    crm_load::lock(&mut batch, brand, write);
    let (entities, rows) = crm_load::lines(conn, batch, brand, &wants).await?;
    let plan = write.plan(&rows, caps, now_ms)?;
    let places: Vec<Place<'_>> =
        entities.iter().zip(&wants).map(|(entity, want)| Place::of(*entity, want)).collect();
    let mut changes = Batch::new();
    add_changes(&mut changes, &places, &plan, now_ms);
    let has_usage = add_usage(&mut changes, brand, slot, plan.bytes);
    let answers = changes.run(conn).await?;
    if has_usage {
        check_usage(answers.last().and_then(|rows| rows.first()), plan.bytes, caps)?;
    }
    Ok(plan.written)
}

/// Whether the write would be refused now. Writes nothing and locks nothing.
pub(super) async fn check(
    conn: &Client,
    batch: Batch<'_>,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    let (_, rows) = crm_load::lines(conn, batch, brand, &write.wants()).await?;
    Ok(write.plan(&rows, caps, now_ms).map(drop)?)
}

/// Where a line's row of `crm_reference` is, or is to be.
struct Place<'a> {
    entity: i64,
    reference: &'a Reference,
}

impl<'a> Place<'a> {
    fn of(entity: i64, want: &'a Want) -> Self {
        Self { entity, reference: &want.line.reference }
    }

    fn params(&self) -> [Param<'a>; 3] {
        let Self { entity, reference } = self;
        [int(*entity), text(reference.kind()), bytes(reference.id().as_bytes())]
    }

    fn with(&self, rest: impl IntoIterator<Item = Param<'a>>) -> Vec<Param<'a>> {
        self.params().into_iter().chain(rest).collect()
    }
}

fn add_changes<'a>(batch: &mut Batch<'a>, places: &[Place<'a>], plan: &'a Plan, now_ms: i64) {
    for (line, place) in places.iter().enumerate() {
        add_to_line(batch, (line, place), plan, now_ms);
    }
    if !plan.removed_values.is_empty() {
        let (entries, keys) =
            plan.removed_values.iter().map(|(entry, key)| (slice(entry), key.as_str())).unzip();
        batch.add(REMOVE_VALUES, [byte_arrays(entries), texts(keys)]);
    }
    if !plan.deleted_entries.is_empty() {
        batch.add(DELETE_ENTRIES, [byte_arrays(plan.deleted_entries.iter().map(slice).collect())]);
    }
    if !plan.placed.is_empty() {
        let (entries, stages) = plan.placed.iter().map(|(entry, stage)| (slice(entry), *stage)).unzip();
        batch.add(PLACE, [byte_arrays(entries), ints(stages)]);
    }
    let ends = plan.reassigned.and_then(|(from, to)| Some((places.get(from)?, places.get(to)?)));
    if let Some((from, to)) = ends {
        batch.add(ADD_REFERENCE, to.params());
        batch.add(REASSIGN_ENTRIES, from.with(to.params()));
        batch.add(REASSIGN_VALUES, from.with(to.params()));
    }
    if !plan.touched.is_empty() {
        batch.add(TOUCH, [byte_arrays(plan.touched.iter().map(slice).collect()), int(now_ms)]);
    }
    for place in plan.emptied.iter().filter_map(|line| places.get(*line)) {
        batch.add(FORGET_REFERENCE, place.params());
    }
}

fn add_to_line<'a>(batch: &mut Batch<'a>, (line, place): (usize, &Place<'a>), plan: &'a Plan, now_ms: i64) {
    let entries: Vec<&[u8]> =
        plan.new_entries.iter().filter(|new| new.line == line).map(|new| slice(&new.id)).collect();
    if !entries.is_empty() {
        batch.add(ADD_REFERENCE, place.params());
        batch.add(ADD_ENTRIES, place.with([byte_arrays(entries), int(now_ms)]));
    }
    let values = || plan.values.iter().filter(|new| new.line == line);
    if values().next().is_some() {
        let entries = values().map(|new| slice(&new.entry)).collect();
        let keys = values().map(|new| new.key.as_str()).collect();
        let stored = values().map(|new| new.value.as_slice()).collect();
        batch.add(PUT_VALUES, place.with([byte_arrays(entries), texts(keys), byte_arrays(stored)]));
    }
}

fn slice(id: &EntryId) -> &[u8] {
    id.as_bytes()
}

/// Adds to what the brand's data counts; false where there is nothing to add.
pub(super) fn add_usage<'a>(batch: &mut Batch<'a>, brand: &'a str, slot: UsageSlot, added: i64) -> bool {
    if added != 0 {
        batch.add(ADD_USAGE, [text(brand), small(slot.0), int(added)]);
    }
    added != 0
}

/// Making the data smaller is never refused. Writers of other slots who commit at the
/// same moment are not seen: together they may pass the quota by what each one writes.
pub(super) fn check_usage(
    total: Option<&tokio_postgres::Row>,
    added: i64,
    caps: CrmCaps,
) -> Result<(), CrmSqlError> {
    let total: i64 = total.ok_or_else(|| corrupt("CRM usage", "it is not there"))?.try_get(0)?;
    match added > 0 && u64::try_from(total).is_ok_and(|total| total > caps.brand_bytes_max) {
        true => Err(CrmFault::Cap(CapReached::BrandBytes).into()),
        false => Ok(()),
    }
}

/// Gives all that `from` has to `to`, entity by entity, in one transaction.
pub(super) async fn adopt(
    conn: &Client,
    brand: &str,
    (from, to): (&Reference, &Reference),
    now_ms: i64,
) -> Result<u64, CrmSqlError> {
    // Nobody could log in where a quota stood in the way.
    let caps = CrmCaps { entries_a_reference_max: u32::MAX, brand_bytes_max: u64::MAX, ..CrmCaps::default() };
    let slugs = "SELECT slug FROM crm_entity WHERE brand = $1 ORDER BY slug";
    let rows = query(conn, slugs, [text(brand)]).await?;
    let slugs = rows.iter().map(|row| row.try_get(0)).collect::<Result<Vec<&str>, _>>()?;
    let slugs: Vec<Slug> = slugs.into_iter().filter_map(Slug::new).collect();
    let line = |slug: &Slug, reference: &Reference| Line { slug: slug.clone(), reference: reference.clone() };
    let lines: Vec<Line> = slugs.iter().flat_map(|slug| [line(slug, from), line(slug, to)]).collect();
    let mut begin = Batch::begin();
    crm_load::lock_lines(&mut begin, brand, &lines);
    begin.run(conn).await?;
    let slot = UsageSlot::of(lines.first().map(|line| line.key(brand)).as_ref());
    let context = Context { brand, slot, caps, now_ms };
    let mut moved = 0;
    for slug in slugs {
        let reassign = CrmWrite::Reassign { slug: slug.clone(), from: from.clone(), to: to.clone() };
        if jobs::is_waited_for(conn, &[line(&slug, from).key(brand)]).await? {
            jobs::insert(conn, &reassign, context).await?;
        }
        if let CrmWritten::Reassigned { moved: count } =
            write_after(conn, Batch::new(), &reassign, context).await?
        {
            moved += count;
        }
    }
    execute(conn, "COMMIT").await?;
    Ok(moved)
}
