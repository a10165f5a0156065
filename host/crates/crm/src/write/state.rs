//! The state of one line while a write is planned: the loaded rows with the changes that are
//! planned so far.

use std::collections::BTreeMap;

use serde_json::Value;

use sluice_kit::{Cause, StoreError, StoreFault};

use super::changes::signed;
use super::{CrmWritten, LineRows, NewEntry, NewValue, Plan, Want, WriteInto};
use crate::{
    CapReached, CrmCaps, CrmFault, EntryId, FieldKey, entry_bytes, stage_history_bytes, value_bytes,
};

pub(super) struct LineState {
    /// Index of the line.
    line: usize,
    caps: CrmCaps,
    now_ms: i64,
    /// How many bytes of the brand's quota a new entry uses.
    entry_bytes: u64,
    newest: Option<EntryId>,
    count: u32,
    /// The number of keys in each known entry.
    keys: BTreeMap<EntryId, u32>,
    /// How often each loaded entry was moved.
    stage_moves: BTreeMap<EntryId, u64>,
    /// For each known key, the newest entry that has it and the length of its value.
    held: BTreeMap<FieldKey, (EntryId, usize)>,
}

impl LineState {
    pub(super) fn new(line: usize, want: &Want, rows: &LineRows, caps: CrmCaps, now_ms: i64) -> Self {
        let held = rows.held.iter().map(|held| (held.key.clone(), (held.entry, held.stored_bytes)));
        Self {
            line,
            caps,
            now_ms,
            entry_bytes: entry_bytes(&want.line.reference),
            newest: rows.entries.first().map(|entry| entry.id),
            count: rows.count,
            keys: rows.entries.iter().map(|entry| (entry.id, entry.keys)).collect(),
            stage_moves: rows.entries.iter().map(|entry| (entry.id, entry.stage_moves)).collect(),
            held: held.collect(),
        }
    }

    pub(super) fn newest(&self) -> Option<EntryId> {
        self.newest
    }

    /// Plans to write `fields`, which are keys and stored values, in order.
    pub(super) fn set_fields(
        &mut self,
        plan: &mut Plan,
        fields: Vec<(FieldKey, Vec<u8>)>,
        into: WriteInto,
    ) -> Result<(), CrmFault> {
        if into == WriteInto::New && !fields.is_empty() {
            self.add_entry(plan)?;
        }
        for (key, value) in fields {
            let holder = match into {
                WriteInto::Holder => self.held.get(&key).map(|(entry, _)| *entry),
                WriteInto::Newest | WriteInto::New => None,
            };
            let entry = match holder.or(self.newest) {
                Some(entry) => entry,
                None => self.add_entry(plan)?,
            };
            self.put(plan, entry, key, value)?;
        }
        Ok(())
    }

    /// Plans to add an entry with `fields`.
    pub(super) fn create(&mut self, plan: &mut Plan, fields: &[(FieldKey, Value)]) -> Result<(), CrmFault> {
        let id = self.add_entry(plan)?;
        plan.written = CrmWritten::Created { id };
        fields.iter().try_for_each(|(key, value)| self.put(plan, id, key.clone(), stored(value)?))
    }

    /// Plans to change fields of `entry`. What it has is known for each of the keys.
    pub(super) fn update(
        &mut self,
        plan: &mut Plan,
        entry: EntryId,
        fields: &[(FieldKey, Option<Value>)],
    ) -> Result<(), CrmFault> {
        plan.touch(entry);
        // Keys that are removed make room for others.
        fields.iter().filter(|(_, value)| value.is_none()).for_each(|(key, _)| self.remove(plan, key));
        let mut kept = fields.iter().filter_map(|(key, value)| Some((key, value.as_ref()?)));
        kept.try_for_each(|(key, value)| self.put(plan, entry, key.clone(), stored(value)?))
    }

    fn add_entry(&mut self, plan: &mut Plan) -> Result<EntryId, CrmFault> {
        if self.count >= self.caps.entries_a_reference_max {
            return Err(CrmFault::Cap(CapReached::EntriesAReference));
        }
        let id = EntryId::after(self.now_ms, self.newest)
            .map_err(|error| StoreError::Failed(StoreFault::NoRandom(Cause::of(error))))?;
        plan.new_entries.push(NewEntry { line: self.line, id });
        plan.bytes += signed(self.entry_bytes);
        self.newest = Some(id);
        self.count += 1;
        self.keys.insert(id, 0);
        Ok(id)
    }

    fn put(
        &mut self,
        plan: &mut Plan,
        entry: EntryId,
        key: FieldKey,
        value: Vec<u8>,
    ) -> Result<(), CrmFault> {
        match self.held.get(&key).filter(|(holder, _)| *holder == entry) {
            Some((_, stored_bytes)) => plan.bytes -= signed(value_bytes(key.as_str(), *stored_bytes)),
            None => self.add_key(entry)?,
        }
        plan.bytes += signed(value_bytes(key.as_str(), value.len()));
        // The entry is the newest or the newest with the key, so no newer entry has the key.
        self.held.insert(key.clone(), (entry, value.len()));
        plan.values.retain(|earlier| earlier.entry != entry || earlier.key != key);
        plan.values.push(NewValue { line: self.line, entry, key, value });
        plan.touch(entry);
        Ok(())
    }

    fn add_key(&mut self, entry: EntryId) -> Result<(), CrmFault> {
        let keys = self.keys.entry(entry).or_insert(0);
        if *keys >= self.caps.keys_an_entry_max {
            return Err(CrmFault::Cap(CapReached::KeysAnEntry));
        }
        *keys += 1;
        Ok(())
    }

    /// Plans to remove a key from the newest entry that has it.
    pub(super) fn remove(&mut self, plan: &mut Plan, key: &FieldKey) {
        let Some((entry, stored_bytes)) = self.held.remove(key) else { return };
        plan.bytes -= signed(value_bytes(key.as_str(), stored_bytes));
        if let Some(keys) = self.keys.get_mut(&entry) {
            *keys = keys.saturating_sub(1);
        }
        plan.removed_values.push((entry, key.clone()));
    }

    /// Plans to delete the entries that have no key left after keys were removed.
    pub(super) fn delete_empty(&self, plan: &mut Plan) {
        let mut entries: Vec<EntryId> = plan.removed_values.iter().map(|(entry, _)| *entry).collect();
        entries.sort_unstable();
        entries.dedup();
        for entry in entries {
            if self.keys.get(&entry) == Some(&0) {
                plan.deleted_entries.push(entry);
                let moves = self.stage_moves.get(&entry).copied().unwrap_or(0);
                plan.bytes -= signed(self.entry_bytes + stage_history_bytes(moves));
            } else {
                plan.touch(entry);
            }
        }
        if !plan.deleted_entries.is_empty() {
            plan.emptied.push(self.line);
        }
    }
}

/// Encodes a value for storage.
pub(super) fn stored(value: &Value) -> Result<Vec<u8>, StoreError> {
    rmp_serde::to_vec(value).map_err(|error| StoreError::Failed(StoreFault::Value(Cause::of(error))))
}
