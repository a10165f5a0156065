//! Entries that an operator creates, changes and deletes. Each change is one transaction, with the checks and quotas of
//! scripts, and goes on if the operator leaves.

use std::sync::Arc;

use serde::Deserialize;
use serde_json::{Map, Value};

use sluice_crm::edit::{self, Edit, FIELDS_MAX};
use sluice_crm::search::{Filter, Operand, Order, Search, Test};
use sluice_crm::{
    CrmCaps, CrmFault, CrmWritten, Destination, Entity, EntryId, FieldKey, Named, Reference, Refusal, Slug,
};
use sluice_kit::clock::now_ms;
use sluice_store::Store;

use super::crm::{ENTRIES, MoveView, find, move_view, no_entity, parse_id};
use super::find_brand;
use crate::admin::AdminState;
use crate::admin::changes::note;
use crate::admin::error::AdminError;

/// An entry to create.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct New {
    pub(crate) reference_type: String,
    pub(crate) reference_id: String,
    /// Values by key. `null` is left out.
    #[serde(default)]
    pub(crate) values: Map<String, Value>,
    /// `sales/won`
    pub(crate) stage: Option<String>,
}

/// What is to change in an entry. The rest stays as it is.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Change {
    /// Values by key. `null` removes the field.
    pub(crate) values: Map<String, Value>,
    /// `sales/won`
    pub(crate) stage: Option<String>,
    /// The entry is changed only if this is its `updated_at`.
    pub(crate) if_updated_at: Option<String>,
}

/// How many entries were deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Deleted {
    pub(crate) deleted: usize,
    /// Entries that were not there any more.
    pub(crate) missing: usize,
}

/// The entity whose entries are changed.
struct Target {
    brand: String,
    slug: Slug,
    entity: Entity,
    caps: CrmCaps,
}

impl Target {
    async fn find(state: &AdminState, brand: &str, slug: &str) -> Result<Self, AdminError> {
        let brand = find_brand(state, brand)?;
        let missing = || no_entity(&brand.id, slug);
        let entity = find(state, &brand.id, slug).await?.ok_or_else(missing)?;
        let slug = Slug::new(slug).ok_or_else(missing)?;
        Ok(Self { brand: brand.id.clone(), slug, entity, caps: CrmCaps::from(&brand.limits) })
    }

    /// The stage `sales/won`.
    fn place(&self, stage: &str) -> Result<Destination, AdminError> {
        let no_stage = || AdminError::NoStage { entity: self.entity.slug.clone(), stage: stage.to_owned() };
        let (pipeline, stage) = stage.split_once('/').ok_or_else(no_stage)?;
        let known = self.entity.pipelines.iter().find(|known| known.slug == pipeline).ok_or_else(no_stage)?;
        known.stages.iter().find(|known| known.spec.slug == stage).ok_or_else(no_stage)?;
        let named = |slug: &str| Slug::new(slug).map(|slug| Named { id: None, slug: Some(slug) });
        Ok(Destination { pipeline: named(pipeline), stage: named(stage) })
    }

    /// Notes from which stage to which other one an edit has moved an entry, if it has. The edit is made, so an error
    /// here is none of it.
    async fn note_move(&self, state: &AdminState, id: EntryId, began_ms: i64) {
        let history = state.app.store.stage_history(&self.brand, self.slug.clone(), id).await;
        let Some(newest) = history.ok().flatten().and_then(|history| history.newest.into_iter().next())
        else {
            return;
        };
        if newest.moved_at >= began_ms {
            let MoveView { from, to, .. } = move_view(&newest);
            note(|note| {
                note.was = from.unwrap_or_default();
                note.becomes = to;
            });
        }
    }

    /// Makes an edit, and logs it without its values.
    async fn make(&self, state: &AdminState, edit: Edit) -> Result<CrmWritten, AdminError> {
        let (own, fields): (Option<EntryId>, Vec<(FieldKey, Value)>) = match &edit {
            Edit::Create { fields, .. } => {
                (None, fields.iter().map(|(key, value)| (key.clone(), value.clone())).collect())
            }
            Edit::Update { id, fields, .. } => {
                let kept = fields.iter().filter_map(|(key, value)| Some((key.clone(), value.clone()?)));
                (Some(*id), kept.collect())
            }
            Edit::Delete { id } => (Some(*id), Vec::new()),
        };
        let store = Arc::clone(&state.app.store);
        let (brand, slug, caps) = (self.brand.clone(), self.slug.clone(), self.caps);
        // It goes on if the operator leaves, so it logs what was done.
        let task = async move {
            let done = edit::edit(&*store, &brand, &slug, edit, caps, now_ms()).await;
            let (brand, entity) = (brand.as_str(), slug.as_str());
            let own = own.map(|id| id.to_string());
            match &done {
                Ok(CrmWritten::Created { id }) => {
                    tracing::info!(brand, entity, entry = %id, "an operator created a CRM entry");
                }
                Ok(CrmWritten::Deleted) => {
                    tracing::info!(brand, entity, entry = own, "an operator deleted a CRM entry");
                }
                Ok(_) => tracing::info!(brand, entity, entry = own, "an operator changed a CRM entry"),
                Err(_) => {}
            }
            done
        };
        match state.app.runtime.spawn(task).await.map_err(AdminError::Edit)? {
            Ok(written) => Ok(written),
            Err(fault) => Err(self.explain(&*state.app.store, fault, own, &fields).await),
        }
    }

    /// Why an edit was refused. `fields` are the values that it would have written.
    async fn explain(
        &self,
        store: &dyn Store,
        fault: CrmFault,
        own: Option<EntryId>,
        fields: &[(FieldKey, Value)],
    ) -> AdminError {
        match fault {
            CrmFault::Refused(Refusal::NoEntry) => {
                AdminError::NoEntry(own.map(|id| id.to_string()).unwrap_or_default())
            }
            CrmFault::Refused(Refusal::Conflict) => AdminError::EntryChanged,
            CrmFault::Cap(reached) => {
                let (why, limit) = edit::over_quota(reached, self.caps);
                AdminError::OverQuota { why: why.to_string(), limit }
            }
            CrmFault::Refused(Refusal::Duplicate) => match self.duplicate(store, own, fields).await {
                Some((key, other)) => AdminError::NotUnique { key, other },
                None => fault.into(),
            },
            other => other.into(),
        }
    }

    /// The unique field whose value another entry has, and that entry.
    async fn duplicate(
        &self,
        store: &dyn Store,
        own: Option<EntryId>,
        fields: &[(FieldKey, Value)],
    ) -> Option<(String, EntryId)> {
        let is_unique = |key: &FieldKey| {
            let fields = &self.entity.fields;
            fields.iter().any(|(_, field)| field.key == key.as_str() && field.unique == Some(true))
        };
        for (key, value) in fields.iter().filter(|(key, _)| is_unique(key)) {
            // Whatever keeps this search from an answer, the edit was refused.
            let holder = self.holder(store, key, value).await.ok().flatten();
            if let Some(other) = holder.filter(|holder| Some(*holder) != own) {
                return Some((key.as_str().to_owned(), other));
            }
        }
        None
    }

    /// The newest entry that has this value. `None` for values that a search does not compare, such as lists.
    async fn holder(
        &self,
        store: &dyn Store,
        key: &FieldKey,
        value: &Value,
    ) -> Result<Option<EntryId>, CrmFault> {
        let operand = match value {
            Value::Bool(flag) => Some(Operand::Flag(*flag)),
            Value::String(text) => Some(Operand::Text(text.clone())),
            Value::Number(number) => number.as_f64().map(Operand::Number),
            Value::Null | Value::Array(_) | Value::Object(_) => None,
        };
        let Some(operand) = operand else { return Ok(None) };
        let search = Search {
            slug: self.slug.clone(),
            reference: None,
            filter: Filter::Field(key.clone(), Test::Eq(operand)),
            order: Order { field: None, is_descending: true },
            after: None,
            limit: Some(1),
            bytes_max: usize::MAX,
        };
        let found = store.search_entries(&self.brand, search).await?;
        Ok(found.entries.first().map(|found| found.entry.id))
    }
}

/// Checks values, as those of a script are checked.
fn checked(values: &Map<String, Value>) -> Result<Vec<(FieldKey, Option<Value>)>, AdminError> {
    if values.len() > FIELDS_MAX {
        let said = format!("`values` has {} keys; at most {FIELDS_MAX} can be given", values.len());
        return Err(AdminError::InvalidRequest(said));
    }
    let field = |(key, value): (&String, &Value)| {
        edit::field(key, value).map_err(|why| AdminError::Field { key: key.clone(), why: why.to_string() })
    };
    values.iter().map(field).collect()
}

/// Notes which fields are written, without their values.
fn note_keys(values: &Map<String, Value>) {
    let keys: Vec<&str> = values.keys().take(FIELDS_MAX).map(String::as_str).collect();
    note(|note| note.item = keys.join(", "));
}

/// Creates an entry and returns its id.
///
/// # Errors
/// There is no such brand, entity or stage, a part is invalid, the entry is refused, or the database does not answer.
pub(crate) async fn create(
    state: &AdminState,
    brand: &str,
    slug: &str,
    new: &New,
) -> Result<EntryId, AdminError> {
    let target = Target::find(state, brand, slug).await?;
    let reference = Reference::new(&new.reference_type, &new.reference_id)?;
    note_keys(&new.values);
    let fields = checked(&new.values)?.into_iter().filter_map(|(key, value)| Some((key, value?))).collect();
    let place = new.stage.as_deref().map(|stage| target.place(stage)).transpose()?;
    match target.make(state, Edit::Create { reference, fields, place }).await? {
        CrmWritten::Created { id } => {
            note(|note| {
                note.target = Some(format!("{slug}/{id}"));
                note.becomes = new.stage.clone().unwrap_or_default();
            });
            Ok(id)
        }
        _ => Err(AdminError::NoEntry(String::new())),
    }
}

/// Changes an entry.
///
/// # Errors
/// There is no such brand, entity, entry or stage, a value is invalid, the change is refused
/// ([`AdminError::EntryChanged`] if another one came first), or the database does not answer.
pub(crate) async fn change(
    state: &AdminState,
    brand: &str,
    slug: &str,
    id: &str,
    change: &Change,
) -> Result<(), AdminError> {
    let target = Target::find(state, brand, slug).await?;
    let id = parse_id(id)?;
    note_keys(&change.values);
    let fields = checked(&change.values)?;
    let place = change.stage.as_deref().map(|stage| target.place(stage)).transpose()?;
    if fields.is_empty() && place.is_none() {
        return Err(AdminError::InvalidRequest("give `values` or a `stage` to change".to_owned()));
    }
    let if_updated_at = change.if_updated_at.clone();
    let (is_move, began_ms) = (place.is_some(), now_ms());
    target.make(state, Edit::Update { id, fields, if_updated_at, place }).await?;
    if is_move {
        target.note_move(state, id, began_ms).await;
    }
    Ok(())
}

/// Deletes an entry with its values and its history.
///
/// # Errors
/// There is no such brand, entity or entry, or the database does not answer.
pub(crate) async fn delete(
    state: &AdminState,
    brand: &str,
    slug: &str,
    id: &str,
) -> Result<EntryId, AdminError> {
    let target = Target::find(state, brand, slug).await?;
    let id = parse_id(id)?;
    target.make(state, Edit::Delete { id }).await?;
    Ok(id)
}

/// The chosen entries, each once: at most as many as a list shows.
///
/// # Errors
/// An id is invalid, or none or too many are chosen.
pub(crate) fn chosen<'a>(ids: impl IntoIterator<Item = &'a str>) -> Result<Vec<EntryId>, AdminError> {
    let mut chosen: Vec<EntryId> = Vec::new();
    for id in ids.into_iter().map(parse_id) {
        let id = id?;
        if !chosen.contains(&id) {
            chosen.push(id);
        }
        if chosen.len() > ENTRIES as usize {
            let said = format!("at most {ENTRIES} entries can be chosen at once");
            return Err(AdminError::InvalidRequest(said));
        }
    }
    match chosen.is_empty() {
        true => Err(AdminError::InvalidRequest("no entry is chosen: tick those in the table".to_owned())),
        false => Ok(chosen),
    }
}

/// Deletes chosen entries, each in a transaction of its own.
///
/// # Errors
/// There is no such brand or entity, or the database does not answer.
pub(crate) async fn delete_chosen(
    state: &AdminState,
    brand: &str,
    slug: &str,
    ids: Vec<EntryId>,
) -> Result<Deleted, AdminError> {
    let Target { brand, slug, caps, .. } = Target::find(state, brand, slug).await?;
    note(|note| {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        note.item = format!("{} chosen: {}", ids.len(), ids.join(" "));
    });
    let store = Arc::clone(&state.app.store);
    let task = async move {
        let (mut deleted, mut missing) = (Vec::new(), 0);
        let mut end = None;
        for id in &ids {
            match edit::edit(&*store, &brand, &slug, Edit::Delete { id: *id }, caps, now_ms()).await {
                Ok(_) => deleted.push(id.to_string()),
                Err(CrmFault::Refused(Refusal::NoEntry)) => missing += 1,
                Err(fault) => {
                    end = Some(fault);
                    break;
                }
            }
        }
        let (count, entries) = (deleted.len(), deleted.join(" "));
        if count > 0 {
            tracing::info!(brand, entity = slug.as_str(), count, entries, "an operator deleted CRM entries");
        }
        match end {
            None => Ok(Deleted { deleted: count, missing }),
            Some(error) => Err(AdminError::DeletedPartly { deleted: count, all: ids.len(), error }),
        }
    };
    state.app.runtime.spawn(task).await.map_err(AdminError::Edit)?
}
