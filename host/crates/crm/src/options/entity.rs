//! The options of `ensureCrmEntity`. They declare an entity by the same rules as `crm.toml`.

use serde_json::{Map, Value};

use super::{FIELD_KEY, FIELDS, Name, Options, SLUG, array, find};
use crate::{CrmError, CrmSchema, EntitySpec, Expected, Given, OptionMistake, OptionName};

const KEY: Name = Name("key", &["fieldKey", "field_key"]);
const NAME: Name = Name("name", &[]);
const MODE: Name = Name("mode", &[]);
const PIPELINES: Name = Name("pipelines", &["pipeline"]);

impl Options<'_> {
    /// The declaration in `{slug, name?, mode?, fields?, pipelines?}`. A field is a key, or an
    /// object with `key`, `label`, `type` and `options`.
    pub(crate) fn entity(&self) -> Result<EntitySpec, CrmError> {
        let mut entity = Map::new();
        let slug = self.required(SLUG)?;
        entity.insert("slug".to_owned(), slug.clone());
        for name in [NAME, MODE] {
            if let Some(value) = find(self.map, name).filter(|value| !value.is_null()) {
                entity.insert(name.0.to_owned(), value.clone());
            }
        }
        let fields = self.list(FIELDS)?.iter().map(|field| self.declared_field(field));
        entity.insert("field".to_owned(), Value::Array(fields.collect::<Result<_, _>>()?));
        entity.insert("pipeline".to_owned(), Value::Array(self.list(PIPELINES)?.to_vec()));
        CrmSchema::entity_of_json(&Value::Object(entity))
            .map_err(|why| self.call.refused(OptionMistake::from(Box::new(why))))
    }

    fn list(&self, name: Name) -> Result<&[Value], CrmError> {
        match find(self.map, name).filter(|value| !value.is_null()) {
            Some(list) => array(self.call, name, list),
            None => Ok(&[]),
        }
    }

    fn declared_field(&self, field: &Value) -> Result<Value, CrmError> {
        match field {
            Value::String(key) => Ok(serde_json::json!({ "key": key })),
            Value::Object(map) => {
                let mut map = map.clone();
                let key = find(&map, KEY).cloned();
                for name in FIELD_KEY.1.iter().chain([&FIELD_KEY.0]) {
                    map.shift_remove(*name);
                }
                if let Some(key) = key {
                    map.insert(KEY.0.to_owned(), key);
                }
                Ok(Value::Object(map))
            }
            other => Err(self.call.refused(OptionMistake::Kind {
                option: OptionName::Plain("an item of fields"),
                expected: Expected::Declaration,
                given: Given::of(Some(other)),
            })),
        }
    }
}
