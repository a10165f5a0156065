//! Plans a write: decides from the rows that a store loaded which rows it has to change.

use sluice_kit::clock::iso_utc;
use sluice_kit::{StoreError, StoreFault};

use super::changes::signed;
use super::place::{Spot, choose};
use super::state::{LineState, stored};
use super::{CrmWrite, CrmWritten, Destination, EntryRow, LineRows, Plan, Want, WriteInto};
use crate::{CrmCaps, CrmFault, EntityMode, FieldKey, Refusal};

impl CrmWrite {
    /// Returns the row changes. `rows` are the rows for [`wants`](Self::wants), in their order.
    ///
    /// # Errors
    /// The write was refused or would exceed a quota. Nothing may be written then.
    pub fn plan(&self, rows: &[LineRows], caps: CrmCaps, now_ms: i64) -> Result<Plan, CrmFault> {
        let mut plan = self.planned(rows, caps, now_ms)?;
        plan.add_index_changes(rows);
        Ok(plan)
    }

    fn planned(&self, rows: &[LineRows], caps: CrmCaps, now_ms: i64) -> Result<Plan, CrmFault> {
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
            (Self::CreateEntry { fields, place, .. }, [want], [rows]) => {
                let mut plan = Plan::new(CrmWritten::Fields);
                LineState::new(0, want, rows, caps, now_ms).create(&mut plan, fields)?;
                if let (Some(place), CrmWritten::Created { id }) = (place, plan.written) {
                    let spot = choose(&spots(place, rows)?, None, &rows.pipelines)?;
                    plan.place(id, 0, spot.stage_id);
                }
                Ok(plan)
            }
            (Self::UpdateEntry { id, fields, if_updated_at, place, .. }, [want], [rows]) => {
                let entry = rows.entries.iter().find(|entry| entry.id == *id).ok_or(Refusal::NoEntry)?;
                if if_updated_at.as_ref().is_some_and(|time| *time != iso_utc(entry.updated_at)) {
                    return Err(Refusal::Conflict.into());
                }
                let updated_at = now_ms.max(entry.updated_at.saturating_add(1));
                let mut plan = Plan::new(CrmWritten::Updated { updated_at });
                LineState::new(0, want, rows, caps, now_ms).update(&mut plan, *id, fields)?;
                if let Some(place) = place {
                    let spot = choose(&spots(place, rows)?, entry.stage_id, &rows.pipelines)?;
                    if entry.stage_id != Some(spot.stage_id) {
                        plan.place(*id, entry.stage_moves, spot.stage_id);
                    }
                }
                Ok(plan)
            }
            (Self::DeleteEntry { id, .. }, [want], [rows]) => {
                let entry = rows.entries.iter().find(|entry| entry.id == *id).ok_or(Refusal::NoEntry)?;
                let mut plan = Plan::new(CrmWritten::Deleted);
                plan.delete(want, entry);
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
            _ => Err(StoreError::Failed(StoreFault::OtherLines).into()),
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
            let before = to.entries.iter().find(|entry| entry.id == newest);
            let stands = before.and_then(|entry| entry.stage_id);
            let spot = choose(&spots, stands, &to.pipelines)?;
            if stands != Some(spot.stage_id) {
                plan.place(newest, before.map_or(0, |entry| entry.stage_moves), spot.stage_id);
            }
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

impl Plan {
    /// Deletes an entry of the only line.
    fn delete(&mut self, want: &Want, entry: &EntryRow) {
        let history = crate::stage_history_bytes(entry.stage_moves);
        let bytes =
            crate::entry_bytes(&want.line.reference).saturating_add(entry.bytes).saturating_add(history);
        self.bytes = self.bytes.saturating_sub(signed(bytes));
        self.deleted_entries.push(entry.id);
        self.emptied = vec![0];
    }
}

fn clear(want: &Want, rows: &LineRows) -> Plan {
    let deleted = rows.entries.len() as u64;
    let mut plan = Plan::new(CrmWritten::Cleared { deleted });
    rows.entries.iter().for_each(|entry| plan.delete(want, entry));
    plan.emptied.push(0);
    plan
}

/// The stages of the entity that fit `to`.
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
            placed.push((entry, spot.stage_id));
        }
    }
    let Spot { pipeline_id, stage_id } = first.ok_or(Refusal::NoEntry)?;
    // An entry that is in the stage already counts as moved, but is not changed.
    let matched = matched as u64;
    let mut plan = Plan::new(CrmWritten::Moved { moved: matched, matched, pipeline_id, stage_id });
    plan.touched = placed.iter().map(|(entry, _)| entry.id).collect();
    placed.into_iter().for_each(|(entry, stage)| plan.place(entry.id, entry.stage_moves, stage));
    Ok(plan)
}

/// Plans a reassignment. It succeeds if the reference has no entries, so that a page can do it
/// at every login.
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
