//! Edits of single entries by an operator. They are the writes of `createCrmEntry`, `updateCrmEntry` and
//! `deleteCrmEntry`, with the same checks and quotas. An operator can also choose the stage, in the same transaction.

use serde_json::Value;

use crate::{
    Call, CapReached, CrmCaps, CrmError, CrmFault, CrmStore, CrmWrite, CrmWritten, Destination, EntryId,
    FieldKey, KEYS_A_CALL_MAX, Line, OptionMistake, OptionName, Reference, Refusal, RefusalReason, Slug,
    check, write_entry,
};

/// Most fields that one edit can have.
pub const FIELDS_MAX: usize = KEYS_A_CALL_MAX;

/// An edit. Its parts are checked.
#[derive(Clone, Debug, PartialEq)]
pub enum Edit {
    /// Adds an entry.
    Create {
        /// The reference that gets it.
        reference: Reference,
        /// Each key once.
        fields: Vec<(FieldKey, Value)>,
        /// The stage in which it begins.
        place: Option<Destination>,
    },
    /// Changes an entry.
    Update {
        /// The entry.
        id: EntryId,
        /// Each key once. `None` removes the field.
        fields: Vec<(FieldKey, Option<Value>)>,
        /// The entry is changed only if it was last updated at this time.
        if_updated_at: Option<String>,
        /// The stage to which it is moved.
        place: Option<Destination>,
    },
    /// Deletes an entry.
    Delete {
        /// The entry.
        id: EntryId,
    },
}

/// Makes an edit.
///
/// # Errors
/// The entry or the stage does not exist, the edit is refused, would exceed a quota, or the database fails.
pub async fn edit<S: CrmStore + ?Sized>(
    store: &S,
    brand: &str,
    slug: &Slug,
    edit: Edit,
    caps: CrmCaps,
    now_ms: i64,
) -> Result<CrmWritten, CrmFault> {
    let line = |reference| Line { slug: slug.clone(), reference };
    // The entry's own reference takes its place.
    let unknown = |id: EntryId| Reference::new("entry", &id.to_string()).map_err(|_| Refusal::NoEntry);
    let write = match edit {
        Edit::Create { reference, fields, place } => {
            let write = CrmWrite::CreateEntry { at: line(reference), fields, place };
            return store.write_crm(brand, write, caps, now_ms).await;
        }
        Edit::Update { id, fields, if_updated_at, place } => {
            CrmWrite::UpdateEntry { at: line(unknown(id)?), id, fields, if_updated_at, place }
        }
        Edit::Delete { id } => CrmWrite::DeleteEntry { at: line(unknown(id)?), id },
    };
    write_entry(store, brand, write, caps, now_ms).await
}

/// Checks the key and the value of a field. The value of a field that is to be removed is `None`.
///
/// # Errors
/// One of them cannot be stored.
pub fn field(key: &str, value: &Value) -> Result<(FieldKey, Option<Value>), OptionMistake> {
    let key_mistake = |why| OptionMistake::FieldKey { option: OptionName::Plain("the key"), why };
    let key = FieldKey::new(key).map_err(key_mistake)?;
    check::storable(&OptionName::Plain("the value"), value)?;
    Ok((key, Some(value.clone()).filter(|value| !value.is_null())))
}

/// Why an edit was refused that would exceed a quota, and the name of the quota.
pub fn over_quota(reached: CapReached, caps: CrmCaps) -> (RefusalReason, &'static str) {
    let reason = RefusalReason::Cap { reached, caps };
    let error = CrmError::Refused { call: Call::UpdateEntry, reason: reason.clone() };
    (reason, error.limit().unwrap_or_default())
}
