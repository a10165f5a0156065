//! Writes values. Each function runs inside the writer's transaction: what it reads
//! does not change before it writes, and an error undoes all of it.

use rusqlite::{Connection, OptionalExtension};
use serde_json::Value;

use super::crm_read;
use crate::crm::{Address, CrmCaps, EntryId, FieldKey, entry_bytes, value_bytes};
use crate::store::{CapReached, CrmFault, SetFields, StoreError, WriteInto};

pub(super) const NEWEST_HOLDER: &str = "SELECT entry_id FROM crm_value
     WHERE reference = ?1 AND key = ?2 ORDER BY entry_id DESC LIMIT 1";

pub(super) fn set_fields(
    conn: &Connection,
    write: &SetFields,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<(), CrmFault> {
    let entity = crm_read::entity_id(conn, &write.at.brand, write.at.slug.as_str())?;
    if write.fields.is_empty() {
        return Ok(());
    }
    let reference = reference(conn, entity, &write.at)?;
    let mut writing = Writing {
        conn,
        at: &write.at,
        reference,
        caps,
        now_ms,
        newest: newest_entry(conn, reference)?,
        touched: Vec::new(),
        bytes: 0,
    };
    if write.into == WriteInto::New {
        writing.add_entry()?;
    }
    for (key, value) in &write.fields {
        let holder = match write.into {
            WriteInto::Holder => newest_with(conn, reference, key)?,
            WriteInto::Newest | WriteInto::New => None,
        };
        let entry = match holder.or(writing.newest) {
            Some(entry) => entry,
            None => writing.add_entry()?,
        };
        writing.put(entry, key, value)?;
    }
    writing.finish()
}

/// The reference's row, made if there is none.
fn reference(conn: &Connection, entity: i64, at: &Address) -> Result<i64, CrmFault> {
    if let Some(row) = crm_read::reference(conn, entity, at)? {
        return Ok(row);
    }
    let (kind, id) = (at.reference.kind(), at.reference.id().as_bytes());
    let row = conn
        .prepare_cached(
            "INSERT INTO crm_reference (entity_id, type, reference_id) VALUES (?1, ?2, ?3)
             RETURNING id",
        )?
        .query_row((entity, kind, id), |row| row.get(0))?;
    Ok(row)
}

fn newest_entry(conn: &Connection, reference: i64) -> Result<Option<EntryId>, CrmFault> {
    let id = conn
        .prepare_cached("SELECT id FROM crm_entry WHERE reference = ?1 ORDER BY id DESC LIMIT 1")?
        .query_row([reference], |row| row.get(0))
        .optional()?;
    Ok(id.map(EntryId::from_bytes))
}

fn newest_with(conn: &Connection, reference: i64, key: &FieldKey) -> Result<Option<EntryId>, CrmFault> {
    let id = conn
        .prepare_cached(NEWEST_HOLDER)?
        .query_row((reference, key.as_str()), |row| row.get(0))
        .optional()?;
    Ok(id.map(EntryId::from_bytes))
}

/// Writes to one reference, and what they add up to.
struct Writing<'a> {
    conn: &'a Connection,
    at: &'a Address,
    reference: i64,
    caps: CrmCaps,
    now_ms: i64,
    newest: Option<EntryId>,
    touched: Vec<EntryId>,
    /// What the brand's data grows by.
    bytes: i64,
}

impl Writing<'_> {
    fn add_entry(&mut self) -> Result<EntryId, CrmFault> {
        let entries: u32 = self
            .conn
            .prepare_cached("SELECT count(*) FROM crm_entry WHERE reference = ?1")?
            .query_row([self.reference], |row| row.get(0))?;
        if entries >= self.caps.entries_a_reference_max {
            return Err(CrmFault::Cap(CapReached::EntriesAReference));
        }
        let id = EntryId::after(self.now_ms, self.newest)
            .map_err(|error| StoreError::Failed(format!("no random bytes: {error}")))?;
        self.conn
            .prepare_cached(
                "INSERT INTO crm_entry (id, reference, created_at, updated_at)
                 VALUES (?1, ?2, ?3, ?3)",
            )?
            .execute((id.as_bytes(), self.reference, self.now_ms))?;
        self.newest = Some(id);
        self.bytes += signed(entry_bytes(&self.at.reference));
        Ok(id)
    }

    fn put(&mut self, entry: EntryId, key: &FieldKey, value: &Value) -> Result<(), CrmFault> {
        let blob = rmp_serde::to_vec(value)
            .map_err(|error| StoreError::Failed(format!("a value cannot be stored: {error}")))?;
        let stored: Option<u32> = self
            .conn
            .prepare_cached("SELECT length(value) FROM crm_value WHERE entry_id = ?1 AND key = ?2")?
            .query_row((entry.as_bytes(), key.as_str()), |row| row.get(0))
            .optional()?;
        match stored {
            Some(length) => self.bytes -= signed(value_bytes(key.as_str(), length as usize)),
            None => self.check_keys(entry)?,
        }
        self.bytes += signed(value_bytes(key.as_str(), blob.len()));
        self.conn
            .prepare_cached(
                "INSERT INTO crm_value (entry_id, key, reference, value)
                 VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT (entry_id, key) DO UPDATE SET value = excluded.value",
            )?
            .execute((entry.as_bytes(), key.as_str(), self.reference, blob))?;
        if !self.touched.contains(&entry) {
            self.touched.push(entry);
        }
        Ok(())
    }

    /// Whether the entry may have one key more.
    fn check_keys(&self, entry: EntryId) -> Result<(), CrmFault> {
        let keys: u32 = self
            .conn
            .prepare_cached("SELECT count(*) FROM crm_value WHERE entry_id = ?1")?
            .query_row([entry.as_bytes()], |row| row.get(0))?;
        match keys >= self.caps.keys_an_entry_max {
            true => Err(CrmFault::Cap(CapReached::KeysAnEntry)),
            false => Ok(()),
        }
    }

    fn finish(self) -> Result<(), CrmFault> {
        let mut touch = self.conn.prepare_cached("UPDATE crm_entry SET updated_at = ?2 WHERE id = ?1")?;
        for entry in &self.touched {
            touch.execute((entry.as_bytes(), self.now_ms))?;
        }
        if self.bytes == 0 {
            return Ok(());
        }
        let bytes: i64 = self
            .conn
            .prepare_cached(
                "INSERT INTO crm_usage (brand, bytes) VALUES (?1, ?2)
                 ON CONFLICT (brand) DO UPDATE SET bytes = bytes + excluded.bytes
                 RETURNING bytes",
            )?
            .query_row((&self.at.brand, self.bytes), |row| row.get(0))?;
        match self.bytes > 0 && bytes > signed(self.caps.brand_bytes_max) {
            true => Err(CrmFault::Cap(CapReached::BrandBytes)),
            false => Ok(()),
        }
    }
}

/// SQLite counts in 64 signed bits.
fn signed(bytes: u64) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}
