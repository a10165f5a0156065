//! Carries out writes: one round trip locks and loads, one changes rows, one commits.

use tokio_postgres::Client;

use sluice_crm::{CrmCaps, CrmWrite, CrmWritten, EntryId, Plan, Reference, Refusal, Want};

use super::{history, index, load};
use crate::error::CrmSqlError;
use crate::postgres::batch::{Batch, Param, byte_arrays, bytes, int, text, texts};
use crate::postgres::usage::{WriteContext, add_usage, check_usage};

const ADD_REFERENCE: &str = "INSERT INTO crm_reference (entity_id, type, reference_id)
    VALUES ($1, $2, $3) ON CONFLICT DO NOTHING";

pub(in crate::postgres) const ADD_ENTRIES: &str =
    "INSERT INTO crm_entry (id, reference, created_at, updated_at)
    SELECT new.id, r.id, $5, $5 FROM crm_reference r CROSS JOIN unnest($4::bytea[]) AS new (id)
    WHERE r.entity_id = $1 AND r.type = $2 AND r.reference_id = $3";

pub(in crate::postgres) const PUT_VALUES: &str = "INSERT INTO crm_value (entry_id, key, reference, value)
    SELECT new.entry_id, new.key, r.id, new.value
    FROM crm_reference r
    CROSS JOIN unnest($4::bytea[], $5::text[], $6::bytea[]) AS new (entry_id, key, value)
    WHERE r.entity_id = $1 AND r.type = $2 AND r.reference_id = $3
    ON CONFLICT (entry_id, key) DO UPDATE SET value = excluded.value";

pub(in crate::postgres) const REMOVE_VALUES: &str = "DELETE FROM crm_value v
    USING unnest($1::bytea[], $2::text[]) AS gone (entry_id, key)
    WHERE v.entry_id = gone.entry_id AND v.key = gone.key";

pub(in crate::postgres) const DELETE_ENTRIES: &str = "DELETE FROM crm_entry WHERE id = ANY ($1)";

pub(in crate::postgres) const TOUCH: &str = "UPDATE crm_entry
    SET updated_at = greatest($2, updated_at + 1) WHERE id = ANY ($1)";

pub(in crate::postgres) const REASSIGN_ENTRIES: &str = "UPDATE crm_entry SET reference = there.id
    FROM crm_reference here, crm_reference there
    WHERE here.entity_id = $1 AND here.type = $2 AND here.reference_id = $3
    AND there.entity_id = $4 AND there.type = $5 AND there.reference_id = $6
    AND reference = here.id";

pub(in crate::postgres) const REASSIGN_VALUES: &str = "UPDATE crm_value SET reference = there.id
    FROM crm_reference here, crm_reference there
    WHERE here.entity_id = $1 AND here.type = $2 AND here.reference_id = $3
    AND there.entity_id = $4 AND there.type = $5 AND there.reference_id = $6
    AND reference = here.id";

pub(in crate::postgres) const FORGET_REFERENCE: &str = "DELETE FROM crm_reference r
    WHERE entity_id = $1 AND type = $2 AND reference_id = $3
    AND NOT EXISTS (SELECT 1 FROM crm_entry WHERE reference = r.id)";

/// Carries out a write in two round trips. The statements of `batch` are sent first; they begin
/// the transaction unless it has begun already.
pub(in crate::postgres) async fn write_after(
    conn: &Client,
    mut batch: Batch<'_>,
    write: &CrmWrite,
    WriteContext { brand, slot, caps, now_ms }: WriteContext<'_>,
) -> Result<CrmWritten, CrmSqlError> {
    let wants = write.wants();
    load::lock(&mut batch, brand, write);
    let (entities, rows) = load::lines(conn, batch, brand, &wants).await?;
    let plan = write.plan(&rows, caps, now_ms)?;
    let keys: Vec<ReferenceKey<'_>> =
        entities.iter().zip(&wants).map(|(entity, want)| ReferenceKey::of(*entity, want)).collect();
    let mut changes = Batch::new();
    let taken = add_changes(&mut changes, &keys, &plan, now_ms);
    let has_usage = add_usage(&mut changes, brand, slot, plan.bytes);
    let answers = changes.run(conn).await?;
    if let Some((answer, wanted)) = taken
        && answers.get(answer).map_or(0, Vec::len) < wanted
    {
        return Err(Refusal::Duplicate.into());
    }
    if has_usage {
        check_usage(answers.last().and_then(|rows| rows.first()), plan.bytes, caps)?;
    }
    Ok(plan.written)
}

/// Fails as [`write_after`] would fail now, except for the brand's quota of bytes. Writes nothing
/// and locks nothing.
pub(in crate::postgres) async fn check(
    conn: &Client,
    batch: Batch<'_>,
    brand: &str,
    write: &CrmWrite,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmSqlError> {
    let (_, rows) = load::lines(conn, batch, brand, &write.wants()).await?;
    Ok(write.plan(&rows, caps, now_ms).map(drop)?)
}

/// The key of a line's row in `crm_reference`. The row may not exist yet.
struct ReferenceKey<'a> {
    entity: i64,
    reference: &'a Reference,
}

impl<'a> ReferenceKey<'a> {
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

/// Adds the changes of a plan. What it returns is that of [`index::add_changes`].
fn add_changes<'a>(
    batch: &mut Batch<'a>,
    keys: &[ReferenceKey<'a>],
    plan: &'a Plan,
    now_ms: i64,
) -> Option<(usize, usize)> {
    for (line, key) in keys.iter().enumerate() {
        add_to_line(batch, (line, key), plan, now_ms);
    }
    let taken = index::add_changes(batch, plan);
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
        history::place(batch, entries, stages, now_ms);
    }
    let ends = plan.reassigned.and_then(|(from, to)| Some((keys.get(from)?, keys.get(to)?)));
    if let Some((from, to)) = ends {
        batch.add(ADD_REFERENCE, to.params());
        batch.add(REASSIGN_ENTRIES, from.with(to.params()));
        batch.add(REASSIGN_VALUES, from.with(to.params()));
    }
    if !plan.touched.is_empty() {
        batch.add(TOUCH, [byte_arrays(plan.touched.iter().map(slice).collect()), int(now_ms)]);
    }
    for key in plan.emptied.iter().filter_map(|line| keys.get(*line)) {
        batch.add(FORGET_REFERENCE, key.params());
    }
    taken
}

fn add_to_line<'a>(
    batch: &mut Batch<'a>,
    (line, key): (usize, &ReferenceKey<'a>),
    plan: &'a Plan,
    now_ms: i64,
) {
    let entries: Vec<&[u8]> =
        plan.new_entries.iter().filter(|new| new.line == line).map(|new| slice(&new.id)).collect();
    if !entries.is_empty() {
        batch.add(ADD_REFERENCE, key.params());
        batch.add(ADD_ENTRIES, key.with([byte_arrays(entries), int(now_ms)]));
    }
    let values = || plan.values.iter().filter(|new| new.line == line);
    if values().next().is_some() {
        let entries = values().map(|new| slice(&new.entry)).collect();
        let keys = values().map(|new| new.key.as_str()).collect();
        let stored = values().map(|new| new.value.as_slice()).collect();
        batch.add(PUT_VALUES, key.with([byte_arrays(entries), texts(keys), byte_arrays(stored)]));
    }
}

fn slice(id: &EntryId) -> &[u8] {
    id.as_bytes()
}
