//! Reads the options object of a call. A missing property is a `TypeError`, and an invalid
//! one is refused. All missing properties are reported before invalid ones.

mod entity;
mod entries;
mod moves;
mod search;
mod table;

use serde_json::{Map, Value};
use sluice_text::suggest::nearest;

use super::check;
use super::names::shown;
use super::{
    Address, Call, Caller, CrmError, Expected, FieldKey, Given, KEYS_A_CALL_MAX, LIMIT_DEFAULT, LIMIT_MAX,
    OptionMistake, OptionName, Reference, Refusal, RefusalReason, Slug,
};

/// A property's name in messages, and the other spellings that are accepted.
#[derive(Clone, Copy)]
struct Name(&'static str, &'static [&'static str]);

impl Name {
    fn must_be(self, expected: Expected, given: Option<&Value>) -> OptionMistake {
        OptionMistake::Kind { option: OptionName::Plain(self.0), expected, given: Given::of(given) }
    }
}

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
const FROM_SLUG: Name = Name("fromSlug", &["from_slug"]);
const TO_SLUG: Name = Name("toSlug", &["to_slug"]);
const REFERENCE_TYPE_DEFAULT: &str = "customer";

/// The options of one call.
pub(super) struct Options<'a> {
    pub(super) call: Call,
    map: &'a Map<String, Value>,
}

impl Call {
    /// Whether the call depends on the visitor: it takes the visitor's session into account, or the
    /// reference that it does not name is the customer who is logged in.
    pub fn needs_visitor(self, options: &Value) -> bool {
        match self {
            Self::EnsureEntity
            | Self::GetEntry
            | Self::FindEntries
            | Self::CountEntries
            | Self::UpdateEntry
            | Self::DeleteEntry
            | Self::SetRelation
            | Self::RemoveRelation => false,
            Self::Reassign => true,
            _ => match options {
                Value::Object(map) => find(map, REFERENCE_ID).is_none_or(Value::is_null),
                // The call fails before it needs anything.
                _ => false,
            },
        }
    }
}

impl<'a> Options<'a> {
    pub(super) fn of(call: Call, options: &'a Value) -> Result<Self, CrmError> {
        match options {
            Value::Object(map) => match map.keys().find(|name| !call.has_option(name)) {
                Some(unknown) => Err(call.type_error(no_such_option(call, unknown))),
                None => Ok(Self { call, map }),
            },
            other => Err(call.type_error(OptionMistake::NotAnObject(Given::of(Some(other))))),
        }
    }

    pub(super) fn slug(&self) -> Result<Slug, CrmError> {
        self.entity_slug(SLUG)
    }

    fn entity_slug(&self, name: Name) -> Result<Slug, CrmError> {
        match self.required(name)? {
            // An invalid slug cannot be that of an entity, so the store need not be asked.
            Value::String(text) => {
                Slug::new(text).ok_or_else(|| unknown_slug(self.call, name.0, text, String::new()))
            }
            other => Err(self.call.type_error(name.must_be(Expected::Text, Some(other)))),
        }
    }

    /// The entities that the script names: the options' names and what they contain.
    pub(super) fn given_slugs(&self) -> impl Iterator<Item = (&'static str, &'a str)> {
        let names: &[Name] = match self.call {
            // It creates the entity.
            Call::EnsureEntity => &[],
            Call::MoveToEntity => &[FROM_SLUG, TO_SLUG],
            Call::SetRelation => &[SLUG, entries::TARGET_SLUG],
            _ => &[SLUG],
        };
        names.iter().filter_map(|name| Some((name.0, find(self.map, *name)?.as_str()?)))
    }

    /// The reference that the script names, or else the logged-in customer.
    pub(super) fn address(&self, slug: Slug, caller: &Caller<'_>) -> Result<Address, CrmError> {
        let reference = self.reference(caller)?;
        Ok(Address { brand: caller.brand.to_owned(), slug, reference })
    }

    pub(super) fn reference(&self, caller: &Caller<'_>) -> Result<Reference, CrmError> {
        let kind = self.text(REFERENCE_TYPE)?;
        let id = self.text(REFERENCE_ID)?.or(caller.customer_id);
        let none = || self.call.refused(RefusalReason::Rule(Refusal::NoReference));
        Reference::new(kind.unwrap_or(REFERENCE_TYPE_DEFAULT), id.ok_or_else(none)?)
            .map_err(|why| self.call.refused(OptionMistake::from(why)))
    }

    pub(super) fn required_field_key(&self) -> Result<&'a Value, CrmError> {
        self.required(FIELD_KEY)
    }

    pub(super) fn required_field_keys(&self) -> Result<&'a Value, CrmError> {
        self.required(FIELD_KEYS)
    }

    pub(super) fn required_value(&self) -> Result<&'a Value, CrmError> {
        self.required(VALUE)
    }

    /// The key and value of each field, both unchecked. It is refused if `fields` is not an
    /// array or an item is not an object.
    pub(super) fn required_fields(&self) -> Result<Vec<Field<'a>>, CrmError> {
        let fields = self.required(FIELDS)?;
        let items = array(self.call, FIELDS, fields)?;
        let fields: Vec<_> = items.iter().enumerate().map(|(index, item)| self.field(index, item)).collect();
        // A missing part is reported before an item that is not an object.
        let missing = fields.iter().find_map(|field| match field {
            Err(error @ CrmError::Type { .. }) => Some(error.clone()),
            _ => None,
        });
        missing.map_or_else(|| fields.into_iter().collect(), Err)
    }

    fn field(&self, index: usize, item: &'a Value) -> Result<Field<'a>, CrmError> {
        let Value::Object(map) = item else {
            let option = OptionName::Item(FIELDS.0, index);
            let given = Given::of(Some(item));
            return Err(self.call.refused(OptionMistake::Kind { option, expected: Expected::Field, given }));
        };
        let part = |name: Name| required(self.call, OptionName::OfField(index, name.0), find(map, name));
        Ok(Field { index, key: part(FIELD_KEY)?, value: part(VALUE)? })
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
            other => Err(self.call.refused(name.must_be(Expected::Flag, other))),
        }
    }

    /// The `limit`. A number over the maximum means the maximum.
    pub(super) fn limit(&self) -> Result<u32, CrmError> {
        match find(self.map, LIMIT) {
            None | Some(Value::Null) => Ok(LIMIT_DEFAULT),
            Some(Value::Number(limit)) if limit.as_f64().is_some_and(|x| x >= 1.0) => {
                Ok(limit.as_f64().unwrap_or(1.0).min(f64::from(LIMIT_MAX)) as u32)
            }
            other => Err(self.call.refused(LIMIT.must_be(Expected::Limit, other))),
        }
    }

    fn text(&self, name: Name) -> Result<Option<&'a str>, CrmError> {
        match find(self.map, name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            other => Err(self.call.refused(name.must_be(Expected::Text, other))),
        }
    }

    fn required(&self, name: Name) -> Result<&'a Value, CrmError> {
        required(self.call, OptionName::Plain(name.0), find(self.map, name))
    }
}

/// One item of `fields`.
pub(super) struct Field<'a> {
    index: usize,
    key: &'a Value,
    value: &'a Value,
}

impl Field<'_> {
    pub(super) fn check(self, call: Call) -> Result<(FieldKey, Value), CrmError> {
        let key = field_key(call, OptionName::OfField(self.index, FIELD_KEY.0), self.key)?;
        check::value(call, &OptionName::OfField(self.index, VALUE.0), self.value)?;
        Ok((key, self.value.clone()))
    }
}

pub(super) fn field_key(call: Call, option: OptionName, key: &Value) -> Result<FieldKey, CrmError> {
    let mistake = match key {
        Value::String(text) => match FieldKey::new(text) {
            Ok(key) => return Ok(key),
            Err(why) => OptionMistake::FieldKey { option, why },
        },
        other => OptionMistake::Kind { option, expected: Expected::Text, given: Given::of(Some(other)) },
    };
    Err(call.refused(mistake))
}

/// The items of `fieldKeys`.
pub(super) fn field_keys(call: Call, value: &Value) -> Result<&[Value], CrmError> {
    array(call, FIELD_KEYS, value)
}

/// The items of an array option, which may have at most [`KEYS_A_CALL_MAX`].
fn array(call: Call, name: Name, value: &Value) -> Result<&[Value], CrmError> {
    match value {
        Value::Array(items) if items.len() <= KEYS_A_CALL_MAX => Ok(items),
        Value::Array(items) => {
            Err(call.refused(OptionMistake::TooManyItems { option: name.0, items: items.len() }))
        }
        other => Err(call.refused(name.must_be(Expected::Array, Some(other)))),
    }
}

pub(super) fn unknown_slug(call: Call, option: &'static str, slug: &str, help: String) -> CrmError {
    call.type_error(OptionMistake::UnknownSlug { option, slug: shown(slug), help })
}

/// Names the option that the script probably meant.
fn no_such_option(call: Call, name: &str) -> OptionMistake {
    let name = shown(name);
    let (required, others) = call.options();
    let known = || required.iter().chain(others).copied();
    let help = match nearest(&name, known()) {
        Some(near) => format!("did you mean {near:?}?"),
        None => format!("the options are {}", known().collect::<Vec<_>>().join(", ")),
    };
    OptionMistake::Unknown { name, help }
}

/// Names the declared field that a script probably meant.
pub(super) fn field_help(field: &str, declared: &[String]) -> String {
    /// How many fields a message lists.
    const LISTED_MAX: usize = 10;
    let names = || declared.iter().map(String::as_str);
    match nearest(field, names()) {
        Some(near) => format!("did you mean {near:?}?"),
        None if declared.is_empty() => "declare it in crm.toml".to_owned(),
        None => format!("it declares {}", names().take(LISTED_MAX).collect::<Vec<_>>().join(", ")),
    }
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

fn required(call: Call, option: OptionName, value: Option<&Value>) -> Result<&Value, CrmError> {
    value
        .filter(|value| !value.is_null())
        .ok_or_else(|| call.type_error(OptionMistake::Missing { option, given: Given::of(value) }))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn calls_that_name_their_reference_do_not_need_the_visitor() {
        for call in Call::ALL {
            let always = call == Call::Reassign;
            let never = matches!(
                call,
                Call::EnsureEntity
                    | Call::GetEntry
                    | Call::FindEntries
                    | Call::CountEntries
                    | Call::UpdateEntry
                    | Call::DeleteEntry
                    | Call::SetRelation
                    | Call::RemoveRelation
            );
            for (options, needs) in [
                (json!({}), true),
                (json!({"referenceType": "lead"}), true),
                (json!({"referenceId": null}), true),
                (json!({"referenceId": "1"}), false),
                (json!({"reference_id": "1", "referenceId": null}), false),
                (json!([]), false),
            ] {
                let expected = always || (needs && !never);
                assert_eq!(call.needs_visitor(&options), expected, "{} {options}", call.name());
            }
        }
    }
}
