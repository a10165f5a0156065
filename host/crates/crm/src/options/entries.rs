//! The options of calls about one entry: its id, its fields, and the time of its last change.

use serde_json::Value;

use super::{FIELDS, Name, Options, find};
use crate::{
    Call, CrmError, EntryId, Expected, FieldKey, KEYS_A_CALL_MAX, OptionMistake, OptionName, RefusalReason,
    Slug, check,
};

const ID: Name = Name("id", &[]);
const TARGET_ID: Name = Name("targetId", &["target_id"]);
pub(super) const TARGET_SLUG: Name = Name("targetSlug", &["target_slug"]);
const IF_UPDATED_AT: Name = Name("ifUpdatedAt", &["if_updated_at"]);

impl<'a> Options<'a> {
    pub(crate) fn required_id(&self) -> Result<&'a Value, CrmError> {
        self.required(ID)
    }

    /// The entry's id. A text that is not an id is often a visitor's, so it means that there is no such entry.
    pub(crate) fn entry_id(&self, id: &Value) -> Result<EntryId, CrmError> {
        match id {
            Value::String(text) => {
                EntryId::parse(text).ok_or_else(|| self.call.refused(RefusalReason::NoSuchEntry))
            }
            other => Err(self.call.refused(ID.must_be(Expected::Text, Some(other)))),
        }
    }

    pub(crate) fn required_entry_fields(&self) -> Result<&'a Value, CrmError> {
        self.required(FIELDS)
    }

    /// The keys and values in `fields`, each key once. The value of a field that is to be removed is `None`.
    pub(crate) fn entry_fields(&self, fields: &Value) -> Result<Vec<(FieldKey, Option<Value>)>, CrmError> {
        let Value::Object(map) = fields else {
            return Err(self.call.refused(FIELDS.must_be(Expected::Fields, Some(fields))));
        };
        if map.len() > KEYS_A_CALL_MAX {
            let (option, items) = (FIELDS.0, map.len());
            return Err(self.call.refused(OptionMistake::TooManyItems { option, items }));
        }
        let checked = map.iter().map(|(key, value)| {
            let option = OptionName::Plain("a key of fields");
            let key_mistake = |why| self.call.refused(OptionMistake::FieldKey { option, why });
            let checked_key = FieldKey::new(key).map_err(key_mistake)?;
            check::value(self.call, &OptionName::Keyed(key.clone()), value)?;
            Ok((checked_key, Some(value.clone()).filter(|value| !value.is_null())))
        });
        checked.collect()
    }

    /// The id of the entry to which a relation leads. `setCrmRelation` requires it.
    pub(crate) fn target_id(&self) -> Result<Option<&'a Value>, CrmError> {
        match self.call {
            Call::SetRelation => self.required(TARGET_ID).map(Some),
            _ => Ok(find(self.map, TARGET_ID).filter(|value| !value.is_null())),
        }
    }

    pub(crate) fn target(&self, id: &Value) -> Result<EntryId, CrmError> {
        match id {
            Value::String(text) => {
                EntryId::parse(text).ok_or_else(|| self.call.refused(RefusalReason::NoSuchTarget))
            }
            other => Err(self.call.refused(TARGET_ID.must_be(Expected::Text, Some(other)))),
        }
    }

    /// The entity to which a relation leads, if the script names it.
    pub(crate) fn target_slug(&self) -> Result<Option<Slug>, CrmError> {
        match find(self.map, TARGET_SLUG).filter(|value| !value.is_null()) {
            Some(_) => self.entity_slug(TARGET_SLUG).map(Some),
            None => Ok(None),
        }
    }

    /// `updated_at` of the entry that the script has read.
    pub(crate) fn if_updated_at(&self) -> Result<Option<String>, CrmError> {
        Ok(self.text(IF_UPDATED_AT)?.map(str::to_owned))
    }
}
