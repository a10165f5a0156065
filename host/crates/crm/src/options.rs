//! Reads the options object of a call. A missing property is a `TypeError`, and an invalid
//! one is refused. All missing properties are reported before invalid ones.

mod entity;
mod moves;

use serde_json::{Map, Value};

use super::check::{self, given};
use super::names::quoted;
use super::{
    Address, Call, Caller, CrmError, FieldKey, KEYS_A_CALL_MAX, LIMIT_DEFAULT, LIMIT_MAX, Reference, Refusal,
    Slug,
};

/// A property's name in messages, and the other spellings that are accepted.
#[derive(Clone, Copy)]
struct Name(&'static str, &'static [&'static str]);
const SLUG: Name = Name("slug", &["crmEntitySlug", "crm_entity_slug"]);
const FIELD_KEY: Name = Name("fieldKey", &["field_key"]);
const FIELD_KEYS: Name = Name("fieldKeys", &["field_keys"]);
const FIELDS: Name = Name("fields", &[]);
const VALUE: Name = Name("value", &[]);
const FORCE: Name = Name("force", &[]);
const ASYNC: Name = Name("async", &[]);
const LIMIT: Name = Name("limit", &[]);
const REFERENCE_TYPE: Name = Name("referenceType", &["reference_type"]);
const REFERENCE_ID: Name = Name("referenceId", &["reference_id"]);
const REFERENCE_TYPE_DEFAULT: &str = "customer";

/// The options of one call.
pub(super) struct Options<'a> {
    pub(super) call: Call,
    map: &'a Map<String, Value>,
}

impl<'a> Options<'a> {
    pub(super) fn of(call: Call, options: &'a Value) -> Result<Self, CrmError> {
        match options {
            Value::Object(map) => Ok(Self { call, map }),
            other => {
                Err(call.type_error(format_args!("takes one options object, got {}", given(Some(other)))))
            }
        }
    }

    pub(super) fn slug(&self) -> Result<Slug, CrmError> {
        self.entity_slug(SLUG)
    }

    fn entity_slug(&self, name: Name) -> Result<Slug, CrmError> {
        match required(self.call, name.0, find(self.map, name))? {
            // An invalid slug cannot be that of an entity, so the store need not be asked.
            Value::String(text) => Slug::new(text).ok_or_else(|| unknown_slug(self.call, text)),
            other => {
                let what = format!("{} must be a string, got {}", name.0, given(Some(other)));
                Err(self.call.type_error(what))
            }
        }
    }

    /// The reference that the script names, or else the logged-in customer.
    pub(super) fn address(&self, slug: Slug, caller: &Caller<'_>) -> Result<Address, CrmError> {
        let reference = self.reference(caller)?;
        Ok(Address { brand: caller.brand.to_owned(), slug, reference })
    }

    pub(super) fn reference(&self, caller: &Caller<'_>) -> Result<Reference, CrmError> {
        let kind = self.text(REFERENCE_TYPE)?;
        let id = self.text(REFERENCE_ID)?.or(caller.customer_id);
        let none = || self.call.refused_as(Refusal::NoReference, Refusal::NoReference);
        Reference::new(kind.unwrap_or(REFERENCE_TYPE_DEFAULT), id.ok_or_else(none)?)
            .map_err(|why| self.call.refused(why))
    }

    pub(super) fn required_field_key(&self) -> Result<&'a Value, CrmError> {
        required(self.call, FIELD_KEY.0, find(self.map, FIELD_KEY))
    }

    pub(super) fn required_field_keys(&self) -> Result<&'a Value, CrmError> {
        required(self.call, FIELD_KEYS.0, find(self.map, FIELD_KEYS))
    }

    pub(super) fn required_value(&self) -> Result<&'a Value, CrmError> {
        required(self.call, VALUE.0, find(self.map, VALUE))
    }

    /// The key and value of each field, both unchecked. It is refused if `fields` is not an
    /// array or an item is not an object.
    pub(super) fn required_fields(&self) -> Result<Vec<Field<'a>>, CrmError> {
        let fields = required(self.call, FIELDS.0, find(self.map, FIELDS))?;
        let items = array(self.call, FIELDS.0, fields)?;
        items.iter().enumerate().map(|(index, item)| self.field(index, item)).collect()
    }

    fn field(&self, index: usize, item: &'a Value) -> Result<Field<'a>, CrmError> {
        let Value::Object(map) = item else {
            return Err(self.call.refused(format_args!(
                "fields[{index}] must be an object with fieldKey and value, got {}",
                given(Some(item))
            )));
        };
        let key_name = format!("fields[{index}].fieldKey");
        let value_name = format!("fields[{index}].value");
        Ok(Field {
            key: required(self.call, &key_name, find(map, FIELD_KEY))?,
            value: required(self.call, &value_name, find(map, VALUE))?,
            key_name,
            value_name,
        })
    }

    pub(super) fn force(&self) -> Result<bool, CrmError> {
        self.flag(FORCE)
    }

    /// Whether the write is queued.
    pub(super) fn is_async(&self) -> Result<bool, CrmError> {
        self.flag(ASYNC)
    }

    fn flag(&self, name: Name) -> Result<bool, CrmError> {
        match find(self.map, name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(flag)) => Ok(*flag),
            other => {
                let what = format!("{} must be true or false, got {}", name.0, given(other));
                Err(self.call.refused(what))
            }
        }
    }

    /// The `limit`. A number over the maximum means the maximum.
    pub(super) fn limit(&self) -> Result<u32, CrmError> {
        match find(self.map, LIMIT) {
            None | Some(Value::Null) => Ok(LIMIT_DEFAULT),
            Some(Value::Number(limit)) if limit.as_f64().is_some_and(|x| x >= 1.0) => {
                Ok(limit.as_f64().unwrap_or(1.0).min(f64::from(LIMIT_MAX)) as u32)
            }
            other => Err(self
                .call
                .refused(format_args!("limit must be a number from 1 to {LIMIT_MAX}, got {}", given(other)))),
        }
    }

    fn text(&self, name: Name) -> Result<Option<&'a str>, CrmError> {
        match find(self.map, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            other => {
                Err(self.call.refused(format_args!("{} must be a string, got {}", name.0, given(other))))
            }
        }
    }
}

/// One item of `fields`, with its names for messages.
pub(super) struct Field<'a> {
    key: &'a Value,
    value: &'a Value,
    key_name: String,
    value_name: String,
}

impl Field<'_> {
    pub(super) fn check(self, call: Call) -> Result<(FieldKey, Value), CrmError> {
        let key = field_key(call, &self.key_name, self.key)?;
        check::value(call, &self.value_name, self.value)?;
        Ok((key, self.value.clone()))
    }
}

pub(super) fn field_key(call: Call, name: &str, key: &Value) -> Result<FieldKey, CrmError> {
    match key {
        Value::String(text) => FieldKey::new(text).map_err(|why| call.refused(format_args!("{name} {why}"))),
        other => Err(call.refused(format_args!("{name} must be a string, got {}", given(Some(other))))),
    }
}

/// The items of an array option, which may have at most [`KEYS_A_CALL_MAX`].
pub(super) fn array<'a>(call: Call, name: &str, value: &'a Value) -> Result<&'a [Value], CrmError> {
    match value {
        Value::Array(items) if items.len() <= KEYS_A_CALL_MAX => Ok(items),
        Value::Array(items) => Err(call.refused(format_args!(
            "{name} has {} items; at most {KEYS_A_CALL_MAX} can be given",
            items.len()
        ))),
        other => Err(call.refused(format_args!("{name} must be an array, got {}", given(Some(other))))),
    }
}

pub(super) fn unknown_slug(call: Call, slug: &str) -> CrmError {
    let slug = quoted(slug);
    call.type_error(format_args!("slug {slug} is not a CRM entity of this brand"))
}

/// Returns the first spelling with a value. If there is none, returns a `null` that was given,
/// because messages distinguish it from a property that is missing.
fn find(map: &Map<String, Value>, name: Name) -> Option<&Value> {
    let Name(first, others) = name;
    let spellings = std::iter::once(&first).chain(others);
    let mut spelled = spellings.filter_map(|name| map.get(*name));
    let first = spelled.next()?;
    if !first.is_null() {
        return Some(first);
    }
    Some(spelled.find(|value| !value.is_null()).unwrap_or(first))
}

fn required<'a>(call: Call, name: &str, value: Option<&'a Value>) -> Result<&'a Value, CrmError> {
    value
        .filter(|value| !value.is_null())
        .ok_or_else(|| call.type_error(format_args!("{name} is required, got {}", given(value))))
}
