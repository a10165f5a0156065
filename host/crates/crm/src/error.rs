//! Why a CRM call of a script failed, in types. The text is made where it is shown.

use std::fmt;

use serde_json::{Number, Value};

use sluice_kit::StoreError;

use super::names::{quoted, shown};
use super::schema::EntityError;
use super::search::{CONDITIONS_MAX, FILTER_DEPTH_MAX, IN_VALUES_MAX, UNINDEXED_ENTRIES_MAX};
use super::{
    Call, CapReached, CrmCaps, FieldKeyError, KEYS_A_CALL_MAX, LIMIT_MAX, OBJECT_BYTES_MAX, QUEUED_BYTES_MAX,
    ReferenceError, Refusal, STRING_CHARS_MAX,
};

/// Why a call failed. Messages are for the page's author and start with the call's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CrmError {
    /// The script gets a `TypeError` with this message.
    #[error("{}: {mistake}", call.name())]
    Type {
        /// The call.
        call: Call,
        /// What is wrong with its options.
        mistake: OptionMistake,
    },
    /// The script gets a `RangeError` with this message.
    #[error("{}: the result is larger than {bytes_max} bytes", call.name())]
    TooLarge {
        /// The call.
        call: Call,
        /// The quota `crm_result_bytes_max` of the run.
        bytes_max: usize,
    },
    /// The script gets [`Call::refused_value`]. The message goes to the execution log.
    #[error("{}: {reason}", call.name())]
    Refused {
        /// The call.
        call: Call,
        /// Why it was refused.
        reason: RefusalReason,
    },
    /// The script gets an `Error` without details, which are for the operator.
    #[error(transparent)]
    Store(StoreError),
}

impl CrmError {
    /// The limit that refused a write.
    pub fn limit(&self) -> Option<&'static str> {
        match self {
            Self::Refused { reason: RefusalReason::Cap { reached, .. }, .. } => Some(match reached {
                CapReached::KeysAnEntry => "crm_entry_keys_max",
                CapReached::EntriesAReference => "crm_reference_entries_max",
                CapReached::BrandBytes => "crm_brand_bytes_max",
                CapReached::Schema => "entities and fields of ensureCrmEntity",
                CapReached::Settings => "settings of ensureCrmEntity",
            }),
            Self::Refused { reason: RefusalReason::QueueFull, .. } => Some("queued writes of a run"),
            _ => None,
        }
    }
}

/// Why a call was refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RefusalReason {
    /// An option is invalid.
    #[error(transparent)]
    Option(#[from] OptionMistake),
    /// A stage or pipeline has an invalid slug, so it cannot exist.
    #[error("{option} {} does not exist", quoted(slug))]
    NoSuchPlace {
        /// The option.
        option: &'static str,
        /// Its value.
        slug: String,
        /// The code for the script.
        refusal: Refusal,
    },
    /// The entity has no entry with the given id.
    #[error("the entity has no entry with this id")]
    NoSuchEntry,
    /// The entry to which a relation is to lead does not exist.
    #[error("there is no entry with the id in targetId")]
    NoSuchTarget,
    /// Only a customer can get the entries of a visitor.
    #[error("nobody is logged in")]
    NobodyLoggedIn,
    /// The script names another visitor than the session does.
    #[error("fromReferenceId is not the session's quiz_visitor_id")]
    OtherVisitor,
    /// Entries would move to another reference than the customer who is logged in.
    #[error("referenceType and referenceId are not the logged-in customer; leave them out")]
    OtherCustomer,
    /// A quota is used up.
    #[error("{}", over_cap(*reached, caps))]
    Cap {
        /// The quota.
        reached: CapReached,
        /// All quotas of the run.
        caps: CrmCaps,
    },
    /// The run has called `ensureCrmEntity` too often.
    #[error("a run may call it at most {0} times")]
    TooManyEnsures(u32),
    /// The run has queued too much.
    #[error("the run would queue more than {QUEUED_BYTES_MAX} bytes")]
    QueueFull,
    /// A value has no encoding, such as `NaN`.
    #[error("a value cannot be stored")]
    NotEncoded,
    /// Another rule of the CRM.
    #[error("{0}")]
    Rule(Refusal),
}

impl RefusalReason {
    /// The code for the script.
    pub fn refusal(&self) -> Refusal {
        match self {
            Self::Option(_) | Self::NotEncoded => Refusal::InvalidInput,
            Self::NoSuchPlace { refusal, .. } | Self::Rule(refusal) => *refusal,
            Self::NoSuchEntry => Refusal::NoEntry,
            Self::NoSuchTarget => Refusal::NoTarget,
            Self::TooManyEnsures(_) => Refusal::RateLimited,
            Self::NobodyLoggedIn
            | Self::OtherVisitor
            | Self::OtherCustomer
            | Self::Cap { .. }
            | Self::QueueFull => Refusal::NotAllowed,
        }
    }
}

fn over_cap(reached: CapReached, caps: &CrmCaps) -> String {
    match reached {
        CapReached::KeysAnEntry => format!("the entry would have more than {} keys", caps.keys_an_entry_max),
        CapReached::EntriesAReference => {
            format!("the reference would have more than {} entries", caps.entries_a_reference_max)
        }
        CapReached::BrandBytes => {
            format!("the brand's CRM data would be over {} bytes", caps.brand_bytes_max)
        }
        CapReached::Settings => format!(
            "the options and settings of the entity and its fields would be over {} bytes as JSON",
            caps.settings_bytes_max
        ),
        CapReached::Schema => format!(
            "the brand would have more than {} entities, or the entity more than {} fields",
            caps.entities_a_brand_max, caps.fields_an_entity_max
        ),
    }
}

/// What is wrong with the options of a call.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OptionMistake {
    /// The argument is not an object.
    #[error("takes one options object, got {0}")]
    NotAnObject(Given),
    /// An option that the call requires is missing.
    #[error("{option} is required, got {given}")]
    Missing {
        /// The option.
        option: OptionName,
        /// What was given instead.
        given: Given,
    },
    /// One of these options must be given.
    #[error("{0} is required")]
    NoneOf(&'static str),
    /// An option has a value of another kind.
    #[error("{option} must be {expected}, got {given}")]
    Kind {
        /// The option.
        option: OptionName,
        /// What it may be.
        expected: Expected,
        /// What was given instead.
        given: Given,
    },
    /// The call has no such option.
    #[error("there is no option {}; {help}", quoted(name))]
    Unknown {
        /// What the script gave.
        name: String,
        /// What it probably meant, or the options that there are.
        help: String,
    },
    /// The brand has no such entity.
    #[error("{option} {} is not a CRM entity of this brand{help}", quoted(slug))]
    UnknownSlug {
        /// The option.
        option: &'static str,
        /// Its value.
        slug: String,
        /// What the script probably meant, or what to do. Empty if that is not known.
        help: String,
    },
    /// A field key is invalid.
    #[error("{option} {why}")]
    FieldKey {
        /// The option.
        option: OptionName,
        /// What is wrong with it.
        why: FieldKeyError,
    },
    /// A type and an id are not a reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// An array is too long.
    #[error("{option} has {items} items; at most {KEYS_A_CALL_MAX} can be given")]
    TooManyItems {
        /// The option.
        option: &'static str,
        /// The number of its items.
        items: usize,
    },
    /// A text is too long to be stored.
    #[error("{option} is a string of {chars} characters; at most {STRING_CHARS_MAX} can be stored")]
    LongString {
        /// The option.
        option: OptionName,
        /// Its length in UTF-16 code units.
        chars: usize,
    },
    /// An array or object is too large to be stored.
    #[error("{option} is {bytes} bytes as JSON; at most {OBJECT_BYTES_MAX} can be stored")]
    LargeObject {
        /// The option.
        option: OptionName,
        /// Its size as JSON.
        bytes: usize,
    },
    /// An array or object has too many levels to be stored.
    #[error("{0} has more than {1} levels of arrays and objects")]
    TooDeep(OptionName, usize),
    /// A script cannot declare this.
    #[error("{0} can be declared only in crm.toml")]
    OnlyInCrmToml(OptionName),
    /// `fieldMap` is empty or too large.
    #[error("fieldMap has {0} keys; it may have 1 to {KEYS_A_CALL_MAX}")]
    MapSize(usize),
    /// `fieldMap` would store two values under one key.
    #[error("fieldMap maps two keys to {}", quoted(.0))]
    MappedTwice(String),
    /// Entries would move to the entity that has them.
    #[error("fromSlug and toSlug are the same entity")]
    SameEntity,
    /// `where`, `orderBy` or `after` is invalid.
    #[error("{at} {why}")]
    Search {
        /// The part of the option, such as `where.score.gte`.
        at: String,
        /// What is wrong with it.
        why: SearchMistake,
    },
    /// An entity with many entries is filtered or ordered by a field without an index.
    #[error("{}", not_indexed(slug, field, *is_building))]
    NotIndexed {
        /// The entity.
        slug: String,
        /// The field.
        field: String,
        /// The index is declared and being built.
        is_building: bool,
    },
    /// The order is that of a field that is not declared.
    #[error("orderBy names no declared field: {}; {help}", quoted(field))]
    OrderNotDeclared {
        /// The field.
        field: String,
        /// What the script probably meant, or the fields that there are.
        help: String,
    },
    /// The field of a relation has another type.
    #[error("fieldKey {} is not declared with the type reference or multi_reference", quoted(.0))]
    NoRelation(String),
    /// The options do not declare an entity.
    #[error(transparent)]
    Entity(#[from] Box<EntityError>),
}

fn not_indexed(slug: &str, field: &str, is_building: bool) -> String {
    match is_building {
        true => format!(
            "the index of the field {field:?} of the entity {slug:?} is still being built; `sluice crm apply` \
             builds it and says what is in its way"
        ),
        false => format!(
            "the entity {slug:?} has more than {UNINDEXED_ENTRIES_MAX} entries, so the field {field:?} needs an \
             index: write `index = true` below `key = {field:?}` in crm.toml"
        ),
    }
}

/// What is wrong with a filter, an order or a cursor. `Display` writes a sentence without its subject.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SearchMistake {
    /// A value of another kind was given.
    #[error("must be {0}, got {1}")]
    Kind(&'static str, Given),
    /// A field has a value instead of conditions.
    #[error("needs an operator, such as {{ eq: … }}, got {0}")]
    NoOperator(Given),
    /// A field has no condition, or a part of `and` or `or` has none.
    #[error("has no condition; undefined values are left out")]
    Empty,
    /// There is no such operator.
    #[error("is not an operator; {0}")]
    UnknownOperator(String),
    /// `and` and `or` are in each other too often.
    #[error("has more than {FILTER_DEPTH_MAX} levels of and and or")]
    TooDeep,
    /// There are too many conditions.
    #[error("has more conditions than a filter may have, which is {CONDITIONS_MAX}")]
    TooMany,
    /// The `in` of a filter have too many values.
    #[error("has {0} values with those before it; a filter can have {IN_VALUES_MAX} in all its `in`")]
    TooManyValues(usize),
    /// A text is longer than any stored one.
    #[error("is longer than {STRING_CHARS_MAX} characters")]
    LongText,
    /// A field key is invalid.
    #[error("{0}")]
    Field(FieldKeyError),
    /// The text is no cursor, or one of another search.
    #[error("is not the next of an earlier result of this search")]
    Cursor,
}

/// The name of an option in messages.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum OptionName {
    /// `slug`
    Plain(&'static str),
    /// `fieldKeys[1]`
    Item(&'static str, usize),
    /// `fields[1].value`
    OfField(usize, &'static str),
    /// `fieldMap["weight"]`
    Mapped(String),
    /// `fields["weight"]`
    Keyed(String),
}

impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Plain(name) => f.write_str(name),
            Self::Item(list, index) => write!(f, "{list}[{index}]"),
            Self::OfField(index, name) => write!(f, "fields[{index}].{name}"),
            Self::Keyed(key) => write!(f, "fields[{}]", quoted(key)),
            Self::Mapped(key) => write!(f, "fieldMap[{}]", quoted(key)),
        }
    }
}

/// What an option may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expected {
    /// A string.
    Text,
    /// `true` or `false`.
    Flag,
    /// An integer that can be an id.
    Id,
    /// A number of entries.
    Limit,
    /// An array.
    Array,
    /// An object.
    Object,
    /// An item of `fields`.
    Field,
    /// `fields` of an entry.
    Fields,
    /// A declaration in the `fields` of `ensureCrmEntity`.
    Declaration,
}

impl fmt::Display for Expected {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text => f.write_str("a string"),
            Self::Flag => f.write_str("true or false"),
            Self::Id => f.write_str("an integer"),
            Self::Limit => write!(f, "a number from 1 to {LIMIT_MAX}"),
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
            Self::Field => f.write_str("an object with fieldKey and value"),
            Self::Fields => f.write_str("an object of values by key"),
            Self::Declaration => f.write_str("a key or an object with key"),
        }
    }
}

/// What a script gave for an option. Arrays and objects are not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Given {
    /// `undefined`
    Nothing,
    /// `null`
    Null,
    /// `true` or `false`.
    Flag(bool),
    /// A number.
    Number(Number),
    /// A string, as far as messages show it.
    Text(String),
    /// An array.
    Array,
    /// An object.
    Object,
}

impl Given {
    pub(crate) fn of(value: Option<&Value>) -> Self {
        match value {
            None => Self::Nothing,
            Some(Value::Null) => Self::Null,
            Some(Value::Bool(flag)) => Self::Flag(*flag),
            Some(Value::Number(number)) => Self::Number(number.clone()),
            Some(Value::String(text)) => Self::Text(shown(text)),
            Some(Value::Array(_)) => Self::Array,
            Some(Value::Object(_)) => Self::Object,
        }
    }
}

/// Writes `undefined`, `"text"`, `42` or `an array`. A long text is cut.
impl fmt::Display for Given {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Nothing => f.write_str("undefined"),
            Self::Null => f.write_str("null"),
            Self::Flag(flag) => write!(f, "{flag}"),
            Self::Number(number) => write!(f, "{number}"),
            Self::Text(text) => f.write_str(&quoted(text)),
            Self::Array => f.write_str("an array"),
            Self::Object => f.write_str("an object"),
        }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn describes_values_short_and_escaped() {
        let given = |value: Option<&Value>| Given::of(value).to_string();
        assert_eq!(given(None), "undefined");
        assert_eq!(given(Some(&json!(null))), "null");
        assert_eq!(given(Some(&json!("a\u{1b}[31m"))), r#""a\u{1b}[31m""#);
        assert_eq!(given(Some(&json!({}))), "an object");
    }
}
