//! The options of `ensureCrmEntity`. They declare an entity by the same rules as `crm.toml`. Options of
//! fields and settings can be any JSON, which TOML cannot hold, so they take another way.

use serde_json::{Map, Value};

use super::{FIELD_KEY, FIELDS, Name, Options, SLUG, array, find};
use crate::schema::SETTINGS;
use crate::size::depth;
use crate::{
    CrmError, CrmSchema, EntitySpec, Expected, Given, OptionMistake, OptionName, SETTINGS_DEPTH_MAX, Settings,
};

const KEY: Name = Name("key", &["fieldKey", "field_key"]);
const NAME: Name = Name("name", &[]);
const MODE: Name = Name("mode", &["entityMode", "entity_mode"]);
const PIPELINES: Name = Name("pipelines", &["pipeline"]);
const CHOICES: &str = "options";

/// A declared field: what follows the rules of `crm.toml`, its options, and its settings.
struct Declared {
    field: Value,
    options: Option<Value>,
    settings: Settings,
}

impl Options<'_> {
    /// The declaration in `{slug, name?, mode?, fields?, pipelines?}`. A field is a key, or an
    /// object with `key`, `label`, `type`, `options` and settings.
    pub(crate) fn entity(&self) -> Result<EntitySpec, CrmError> {
        let mut entity = Map::new();
        let slug = self.required(SLUG)?;
        entity.insert("slug".to_owned(), slug.clone());
        for name in [NAME, MODE] {
            if let Some(value) = find(self.map, name).filter(|value| !value.is_null()) {
                entity.insert(name.0.to_owned(), value.clone());
            }
        }
        let fields = self.list(FIELDS)?.iter().enumerate();
        let fields = fields.map(|(index, field)| self.declared_field(index, field));
        let fields = fields.collect::<Result<Vec<_>, _>>()?;
        let texts = fields.iter().map(|declared| declared.field.clone()).collect();
        entity.insert("field".to_owned(), texts);
        entity.insert("pipeline".to_owned(), Value::Array(self.list(PIPELINES)?.to_vec()));
        let mut spec = CrmSchema::entity_of_json(&Value::Object(entity))
            .map_err(|why| self.call.refused(OptionMistake::from(Box::new(why))))?;
        spec.settings = self.settings_of(self.map, &OptionName::Plain)?;
        for (field, declared) in spec.fields.iter_mut().zip(fields) {
            field.options = declared.options.unwrap_or_else(|| Value::Array(Vec::new()));
            field.settings = declared.settings;
        }
        Ok(spec)
    }

    fn list(&self, name: Name) -> Result<&[Value], CrmError> {
        match find(self.map, name).filter(|value| !value.is_null()) {
            Some(list) => array(self.call, name, list),
            None => Ok(&[]),
        }
    }

    fn declared_field(&self, index: usize, field: &Value) -> Result<Declared, CrmError> {
        match field {
            Value::String(key) => Ok(Declared {
                field: serde_json::json!({ "key": key }),
                options: None,
                settings: Settings::new(),
            }),
            Value::Object(map) => {
                let named = |name| OptionName::OfField(index, name);
                let settings = self.settings_of(map, &named)?;
                let options = map.get(CHOICES).filter(|options| !options.is_null());
                let options = options.map(|options| self.bounded(named(CHOICES), options)).transpose()?;
                let own = |name: &str| {
                    name == CHOICES
                        || name == FIELD_KEY.0
                        || FIELD_KEY.1.contains(&name)
                        || SETTINGS.iter().any(|(snake, camel)| name == *snake || name == *camel)
                };
                // Only `crm.toml` declares indexes, which can take long to build.
                if let Some(name) = ["index", "unique"].into_iter().find(|name| map.contains_key(*name)) {
                    let option = OptionName::OfField(index, name);
                    return Err(self.call.refused(OptionMistake::OnlyInCrmToml(option)));
                }
                let rest = map.iter().filter(|(name, _)| !own(name));
                let mut rest: Map<_, _> = rest.map(|(name, value)| (name.clone(), value.clone())).collect();
                if let Some(key) = find(map, KEY) {
                    rest.insert(KEY.0.to_owned(), key.clone());
                }
                Ok(Declared { field: Value::Object(rest), options, settings })
            }
            other => Err(self.call.refused(OptionMistake::Kind {
                option: OptionName::Plain("an item of fields"),
                expected: Expected::Declaration,
                given: Given::of(Some(other)),
            })),
        }
    }

    /// The settings in `map`, in either spelling.
    fn settings_of(
        &self,
        map: &Map<String, Value>,
        named: &dyn Fn(&'static str) -> OptionName,
    ) -> Result<Settings, CrmError> {
        let mut settings = Settings::new();
        for (snake, camel) in SETTINGS {
            let given = [snake, camel].into_iter().filter_map(|name| map.get(name));
            if let Some(value) = given.into_iter().find(|value| !value.is_null()) {
                settings.insert(snake.to_owned(), self.bounded(named(snake), value)?);
            }
        }
        Ok(settings)
    }

    /// A value that can be stored as JSON text. Its size is limited together with that of all others.
    fn bounded(&self, option: OptionName, value: &Value) -> Result<Value, CrmError> {
        match depth(value) > SETTINGS_DEPTH_MAX {
            true => Err(self.call.refused(OptionMistake::TooDeep(option, SETTINGS_DEPTH_MAX))),
            false => Ok(value.clone()),
        }
    }
}
