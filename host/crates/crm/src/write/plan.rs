//! From what a store found to the rows it has to change.

use sluice_kit::StoreError;

use super::place::{Spot, choose};
use super::state::LineState;
use super::{CrmWrite, CrmWritten, Destination, LineRows, Refusal, Want, WriteInto};
use crate::{CrmCaps, CrmFault, EntityMode, EntryId, FieldKey};

/// Row changes, to be carried out in the order of the fields. `line` is an index into
/// the write's [`wants`](CrmWrite::wants).
#[derive(Clone, Debug, PartialEq)]
pub struct Plan {
    /// Entries to be added; made and updated now.
    pub new_entries: Vec<NewEntry>,
    /// Values to be added or replaced; no entry has a key twice.
    pub values: Vec<NewValue>,
    /// Values to be deleted.
    pub removed_values: Vec<(EntryId, FieldKey)>,
    /// Entries to be deleted with all their values.
    pub deleted_entries: Vec<EntryId>,
    /// Entries and the stages they are put into.
    pub placed: Vec<(EntryId, i64)>,
    /// All entries and values of the first line go to the second.
    pub reassigned: Option<(usize, usize)>,
    /// Entries that were changed and are updated now; new ones left out.
    pub touched: Vec<EntryId>,
    /// Lines that may have no entry any more.
    pub emptied: Vec<usize>,
    /// What the brand's data grows by.
    pub bytes: i64,
    /// What is told of it.
    pub written: CrmWritten,
}

/// An entry to be added.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NewEntry {
    /// Whose.
    pub line: usize,
    /// Greater than any other of the line.
    pub id: EntryId,
}

/// A value to be added or replaced.
#[derive(Clone, Debug, PartialEq)]
pub struct NewValue {
    /// Whose.
    pub line: usize,
    /// In which entry.
    pub entry: EntryId,
    /// Under which key.
    pub key: FieldKey,
    /// MessagePack.
    pub value: Vec<u8>,
}

impl Plan {
    fn new(written: CrmWritten) -> Self {
        Self {
            new_entries: Vec::new(),
            values: Vec::new(),
            removed_values: Vec::new(),
            deleted_entries: Vec::new(),
            placed: Vec::new(),
            reassigned: None,
            touched: Vec::new(),
            emptied: Vec::new(),
            bytes: 0,
            written,
        }
    }

    pub(super) fn touch(&mut self, entry: EntryId) {
        let is_new = self.new_entries.iter().any(|new| new.id == entry);
        if !is_new && !self.touched.contains(&entry) {
            self.touched.push(entry);
        }
    }
}

impl CrmWrite {
    /// What to change. `rows` are what was found for [`wants`](Self::wants), in their
    /// order. Nothing of a write that is refused may be carried out.
    pub fn plan(&self, rows: &[LineRows], caps: CrmCaps, now_ms: i64) -> Result<Plan, CrmFault> {
        let wants = self.wants();
        match (self, wants.as_slice(), rows) {
            (Self::SetFields { fields, into, .. }, [want], [rows]) => {
                let mut plan = Plan::new(CrmWritten::Fields);
                let mut line = LineState::new(0, want, rows, caps, now_ms);
                let fields = fields.iter().map(|(key, value)| Ok((key.clone(), stored(value)?)));
                let fields = fields.collect::<Result<Vec<_>, StoreError>>()?;
                line.set_fields(&mut plan, fields, *into)?;
                Ok(plan)
            }
            (Self::Clear { .. }, [want], [rows]) => Ok(clear(want, rows)),
            (Self::Move { to, all_entries, .. }, _, [rows]) => Ok(move_entries(rows, to, *all_entries)?),
            (Self::MoveToEntity { .. }, [source, target], [from, to]) => {
                let source = LineState::new(0, source, from, caps, now_ms);
                let target = LineState::new(1, target, to, caps, now_ms);
                self.copy_fields((source, from), (target, to))
            }
            (Self::Reassign { .. }, [source, target], [from, to]) => {
                reassign((source, from), (target, to), caps)
            }
            _ => Err(StoreError::Failed("the store loaded other lines than were wanted".to_owned()).into()),
        }
    }

    fn copy_fields(
        &self,
        (mut source, from): (LineState, &LineRows),
        (mut target, to): (LineState, &LineRows),
    ) -> Result<Plan, CrmFault> {
        let Self::MoveToEntity { fields, place, remove_from_old, .. } = self else {
            return Err(Refusal::InvalidInput.into());
        };
        let spot = place.as_ref().map(|place| spots(place, to)).transpose()?;
        if from.entries.is_empty() {
            return Err(Refusal::NoEntry.into());
        }
        let value = |key: &FieldKey| from.held.iter().find(|held| held.key == *key);
        let copied: Vec<_> = fields.iter().filter_map(|(key, to)| Some((value(key)?, to))).collect();
        if copied.is_empty() {
            return Err(Refusal::NothingToMove.into());
        }
        let mut plan = Plan::new(CrmWritten::Fields);
        let values = copied.iter().map(|(held, to)| ((*to).clone(), held.value.clone())).collect();
        target.set_fields(&mut plan, values, WriteInto::Holder)?;
        if let (Some(spots), Some(newest)) = (spot, target.newest()) {
            let stands = to.entries.iter().find(|entry| entry.id == newest).and_then(|entry| entry.stage_id);
            let spot = choose(&spots, stands, &to.pipelines)?;
            plan.placed.push((newest, spot.stage_id));
            plan.touch(newest);
        }
        let mut removed = 0;
        if *remove_from_old {
            let mut keys: Vec<_> = copied.iter().map(|(held, _)| &held.key).collect();
            keys.sort_unstable();
            keys.dedup();
            removed = keys.len() as u64;
            keys.into_iter().for_each(|key| source.remove(&mut plan, key));
            source.delete_empty(&mut plan);
        }
        plan.written = CrmWritten::Copied { fields: copied.len() as u64, removed };
        Ok(plan)
    }
}

fn clear(want: &Want, rows: &LineRows) -> Plan {
    let deleted = rows.entries.len() as u64;
    let mut plan = Plan::new(CrmWritten::Cleared { deleted });
    plan.deleted_entries = rows.entries.iter().map(|entry| entry.id).collect();
    let each = crate::entry_bytes(&want.line.reference);
    plan.bytes = -rows.entries.iter().map(|entry| signed(each.saturating_add(entry.bytes))).sum::<i64>();
    plan.emptied.push(0);
    plan
}

/// The stages that a move may mean in the entity.
fn spots(to: &Destination, rows: &LineRows) -> Result<Vec<Spot>, Refusal> {
    match rows.mode {
        EntityMode::Crm => to.candidates(&rows.pipelines),
        EntityMode::Data => Err(Refusal::NotCrmMode),
    }
}

fn move_entries(rows: &LineRows, to: &Destination, all_entries: bool) -> Result<Plan, Refusal> {
    let candidates = spots(to, rows)?;
    let matched = if all_entries { rows.entries.len() } else { 1 };
    let mut placed = Vec::new();
    let mut first = None;
    for entry in rows.entries.iter().take(matched) {
        let spot = choose(&candidates, entry.stage_id, &rows.pipelines)?;
        first.get_or_insert(spot);
        if entry.stage_id != Some(spot.stage_id) {
            placed.push((entry.id, spot.stage_id));
        }
    }
    let Spot { pipeline_id, stage_id } = first.ok_or(Refusal::NoEntry)?;
    let (moved, matched) = (placed.len() as u64, matched as u64);
    let mut plan = Plan::new(CrmWritten::Moved { moved, matched, pipeline_id, stage_id });
    plan.touched = placed.iter().map(|(entry, _)| *entry).collect();
    plan.placed = placed;
    Ok(plan)
}

/// A reference that has nothing gives nothing: so a page may do it at every login.
fn reassign(
    (source, from): (&Want, &LineRows),
    (target, to): (&Want, &LineRows),
    caps: CrmCaps,
) -> Result<Plan, CrmFault> {
    let moved = from.count;
    let mut plan = Plan::new(CrmWritten::Reassigned { moved: u64::from(moved) });
    if moved == 0 || source.line == target.line {
        plan.written = CrmWritten::Reassigned { moved: 0 };
        return Ok(plan);
    }
    if to.count.saturating_add(moved) > caps.entries_a_reference_max {
        return Err(CrmFault::Cap(crate::CapReached::EntriesAReference));
    }
    let each = |want: &Want| signed(crate::entry_bytes(&want.line.reference));
    plan.bytes = i64::from(moved).saturating_mul(each(target) - each(source));
    plan.reassigned = Some((0, 1));
    plan.emptied.push(0);
    Ok(plan)
}

/// A value as it is stored.
fn stored(value: &serde_json::Value) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec(value).map_err(|error| StoreError::Failed(format!("a value cannot be stored: {error}")))
}

/// Databases count in 64 signed bits.
pub(super) fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
