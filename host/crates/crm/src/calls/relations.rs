//! The calls that connect entries: `setCrmRelation` and `removeCrmRelation` change a field of the type
//! `reference` or `multi_reference`. Its value is the id of an entry, or an array of ids.
//!
//! They read the entry and change it only if nothing else has changed it since, so that of several calls at
//! the same moment none is lost.

use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;

use super::super::options::Options;
use super::super::{Call, Caller, CrmError, EntryId, FieldKey, Line, Refusal, RefusalReason, Slug};
use crate::{CrmDatabase, CrmFault, CrmWrite, FieldType, Reference};

/// How many times a call reads an entry that another write has changed meanwhile.
const TRIES_MAX: u32 = 20;

/// A relation that a script asked for.
struct Asked {
    slug: Slug,
    id: EntryId,
    key: FieldKey,
    target: Option<EntryId>,
    target_slug: Option<Slug>,
}

/// `setCrmRelation({slug, id, fieldKey, targetId, targetSlug?})` and `removeCrmRelation({slug, id, fieldKey,
/// targetId?})`: `{ok, changed}`.
pub(super) async fn change(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
) -> Result<Value, CrmError> {
    let call = options.call;
    let asked = Asked::of(options)?;
    let field = field(store, caller, options, &asked).await?;
    if call == Call::SetRelation {
        check_target(store, caller, options, (&asked, &field)).await?;
    }
    let is_many = field.is_many;
    let none = || call.refused(RefusalReason::NoSuchEntry);
    for _ in 0..TRIES_MAX {
        let (slug, id) = (asked.slug.clone(), asked.id);
        let found = store.get_entry(caller.brand, slug, id, caller.caps.result_bytes_max).await;
        let found = found.map_err(|fault| fault.explain(call, caller))?.ok_or_else(none)?;
        let values = &found.entry.values;
        let before = values.iter().find(|(known, _)| known == asked.key.as_str()).map(|(_, value)| value);
        let after = match call {
            Call::SetRelation => Some(asked.added_to(before, is_many)),
            _ => asked.removed_from(before),
        };
        if before == after.as_ref() {
            return Ok(json!({ "ok": true, "changed": false }));
        }
        let reference = Reference::new(&found.reference_type, &found.reference_id);
        let write = CrmWrite::UpdateEntry {
            at: Line { slug: asked.slug.clone(), reference: reference.map_err(|_| none())? },
            id,
            fields: vec![(asked.key.clone(), checked(options, after)?)],
            if_updated_at: Some(iso_utc(found.entry.updated_at)),
            place: None,
        };
        match store.write_crm(caller.brand, write, caller.caps, caller.now_ms).await {
            Ok(_) => return Ok(json!({ "ok": true, "changed": true })),
            // Another write came first, or gave the entry to another reference.
            Err(CrmFault::Refused(Refusal::Conflict | Refusal::NoEntry)) => {}
            Err(fault) => return Err(fault.explain(call, caller)),
        }
    }
    Err(call.refused(RefusalReason::Rule(Refusal::Conflict)))
}

impl Asked {
    fn of(options: &Options<'_>) -> Result<Self, CrmError> {
        let (slug, id, key) = (options.slug()?, options.required_id()?, options.required_field_key()?);
        let target = options.target_id()?;
        let key = super::super::options::field_key(options.call, crate::OptionName::Plain("fieldKey"), key)?;
        Ok(Self {
            slug,
            id: options.entry_id(id)?,
            key,
            target: target.map(|target| options.target(target)).transpose()?,
            target_slug: options.target_slug()?,
        })
    }

    /// The value with the target.
    fn added_to(&self, before: Option<&Value>, is_many: bool) -> Value {
        let target = self.target.map(|target| Value::from(target.to_string())).unwrap_or_default();
        match before {
            _ if !is_many => target,
            Some(Value::Array(targets)) if targets.contains(&target) => Value::Array(targets.clone()),
            Some(Value::Array(targets)) => targets.iter().cloned().chain([target]).collect(),
            _ => Value::Array(vec![target]),
        }
    }

    /// The value without the target, or without any target if none is given. `None` if nothing is left.
    fn removed_from(&self, before: Option<&Value>) -> Option<Value> {
        let target = self.target.map(|target| Value::from(target.to_string()))?;
        match before? {
            Value::Array(targets) => {
                let left: Vec<Value> = targets.iter().filter(|known| **known != target).cloned().collect();
                (!left.is_empty()).then_some(Value::Array(left))
            }
            value => (*value != target).then(|| value.clone()),
        }
    }
}

/// The new value, if it can be stored.
fn checked(options: &Options<'_>, value: Option<Value>) -> Result<Option<Value>, CrmError> {
    if let Some(value) = &value {
        crate::check::value(options.call, &crate::OptionName::Plain("the relation"), value)?;
    }
    Ok(value)
}

/// A field that is declared as a relation.
struct RelationField {
    /// Whether it can lead to several entries.
    is_many: bool,
    /// The entity to which it leads, if its options say so.
    target_slug: Option<Slug>,
}

/// The declaration of the field.
async fn field(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
    asked: &Asked,
) -> Result<RelationField, CrmError> {
    let call = options.call;
    let entity = store.find_entity(caller.brand, asked.slug.clone()).await.map_err(CrmError::Store)?;
    let unknown = || CrmFault::UnknownSlug(asked.slug.as_str().to_owned()).explain(call, caller);
    let entity = entity.ok_or_else(unknown)?;
    let declared = entity.fields.iter().find(|(_, field)| field.key == asked.key.as_str());
    let target_slug = declared.and_then(|(_, field)| Slug::new(field.options.get("entity")?.as_str()?));
    match declared.map(|(_, field)| field.kind) {
        Some(FieldType::Reference) => Ok(RelationField { is_many: false, target_slug }),
        Some(FieldType::MultiReference) => Ok(RelationField { is_many: true, target_slug }),
        _ => Err(call.type_error(crate::OptionMistake::NoRelation(asked.key.as_str().to_owned()))),
    }
}

/// The target must exist: in `targetSlug`, or in the entity that the field's options name, or in its own.
async fn check_target(
    store: &dyn CrmDatabase,
    caller: &Caller<'_>,
    options: &Options<'_>,
    (asked, field): (&Asked, &RelationField),
) -> Result<(), CrmError> {
    let (call, none) = (options.call, || options.call.refused(RefusalReason::NoSuchTarget));
    let target = asked.target.ok_or_else(none)?;
    let slug = asked.target_slug.as_ref().or(field.target_slug.as_ref()).unwrap_or(&asked.slug).clone();
    match store.entry_reference(caller.brand, slug, target).await {
        Ok(Some(_)) => Ok(()),
        Ok(None) => Err(none()),
        Err(fault) => Err(fault.explain(call, caller)),
    }
}
