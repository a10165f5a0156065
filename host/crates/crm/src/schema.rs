//! Parses and checks `crm.toml`, the declaration of a brand's entities. Pure.

mod error;
mod export;
mod field_type;
mod spec;

use std::collections::HashSet;

use serde::Deserialize;
use serde_json::{Number, Value};
use toml::Spanned;

use sluice_kit::toml_text;

pub use error::{EntityError, SchemaError, SchemaMistake};
pub use export::export;
pub use field_type::FieldType;
pub use spec::{CrmSchema, EntityMode, EntitySpec, FieldSpec, PipelineSpec, Settings, StageSpec};
pub(crate) use spec::{SETTINGS, settings_bytes};

use super::index::INDEXES_MAX;
use super::names::{chars, shown};
use super::{FieldKey, Slug};
use error::Source;

const NAME_CHARS_MAX: usize = 200;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default)]
    entity: Vec<RawEntity>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawEntity {
    slug: Spanned<String>,
    name: Option<Spanned<String>>,
    mode: Option<Spanned<EntityMode>>,
    ui_editable: Option<Spanned<toml::Value>>,
    reporting_config: Option<Spanned<toml::Value>>,
    validation_rules: Option<Spanned<toml::Value>>,
    visible_to_team_ids: Option<Spanned<toml::Value>>,
    #[serde(default)]
    field: Vec<RawField>,
    #[serde(default)]
    pipeline: Vec<RawPipeline>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawField {
    key: Spanned<String>,
    label: Option<Spanned<String>>,
    #[serde(rename = "type")]
    kind: Option<FieldType>,
    options: Option<Spanned<toml::Value>>,
    index: Option<Spanned<bool>>,
    unique: Option<Spanned<bool>>,
    ui_editable: Option<Spanned<toml::Value>>,
    reporting_config: Option<Spanned<toml::Value>>,
    validation_rules: Option<Spanned<toml::Value>>,
    visible_to_team_ids: Option<Spanned<toml::Value>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawPipeline {
    slug: Spanned<String>,
    name: Option<Spanned<String>>,
    #[serde(default)]
    stages: Vec<RawStage>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStage {
    slug: Spanned<String>,
    name: Option<Spanned<String>>,
    color: Option<Spanned<String>>,
    status: Option<Spanned<String>>,
}

impl CrmSchema {
    /// Parses the text of a `crm.toml`. Errors call it `file`. A name or label defaults to the
    /// slug or key, a type to `text`, and a mode to `crm` if there are pipelines and to `data`
    /// otherwise.
    ///
    /// # Errors
    /// The text is not TOML, or breaks a rule.
    pub fn parse(text: &str, file: &str) -> Result<Self, SchemaError> {
        let source = Source { text, file };
        let raw: File = toml_text::parse(text).map_err(|error| source.toml(&error))?;
        let mut slugs = HashSet::new();
        let entities =
            raw.entity.into_iter().map(|raw| entity(&source, raw, &mut slugs)).collect::<Result<_, _>>()?;
        Ok(Self { entities })
    }
}

impl CrmSchema {
    /// Reads one entity from JSON of the same shape, with the same rules.
    pub(super) fn entity_of_json(entity: &Value) -> Result<EntitySpec, EntityError> {
        let mut table = toml::Table::new();
        let entity = toml_of_json(entity).unwrap_or_else(|| toml::Table::new().into());
        table.insert("entity".to_owned(), vec![entity].into());
        let text = toml::to_string(&table)?;
        let mut schema = Self::parse(&text, "")?;
        schema.entities.pop().ok_or(EntityError::Missing)
    }
}

/// The settings with these values, in the order of [`SETTINGS`].
fn settings(
    source: &Source,
    values: [Option<Spanned<toml::Value>>; SETTINGS.len()],
) -> Result<Settings, SchemaError> {
    let named = SETTINGS.iter().zip(values).filter_map(|((name, _), value)| Some((name, value?)));
    named.map(|(name, value)| Ok(((*name).to_owned(), json_of_toml(source, name, value)?))).collect()
}

/// Converts TOML to JSON, which has no dates, so they become text.
fn json_of_toml(
    source: &Source,
    name: &'static str,
    value: Spanned<toml::Value>,
) -> Result<Value, SchemaError> {
    let span = value.span();
    json_of(value.into_inner()).ok_or_else(|| source.at(span, SchemaMistake::NotFinite(name)))
}

/// None if a number in it is not finite: JSON has none of these.
fn json_of(value: toml::Value) -> Option<Value> {
    Some(match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => Number::from_f64(number)?.into(),
        toml::Value::Boolean(flag) => flag.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => Value::Array(items.into_iter().map(json_of).collect::<Option<_>>()?),
        toml::Value::Table(table) => {
            let entries = table.into_iter().map(|(name, value)| Some((name, json_of(value)?)));
            Value::Object(entries.collect::<Option<_>>()?)
        }
    })
}

/// Converts JSON to TOML. TOML has no `null`, so it is left out.
fn toml_of_json(value: &Value) -> Option<toml::Value> {
    Some(match value {
        Value::Null => return None,
        Value::Bool(flag) => (*flag).into(),
        Value::Number(number) => match number.as_i64() {
            Some(integer) => integer.into(),
            None => number.as_f64().unwrap_or_default().into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(items) => toml::Value::Array(items.iter().filter_map(toml_of_json).collect()),
        Value::Object(map) => {
            let entries = map.iter().filter_map(|(key, value)| Some((key.clone(), toml_of_json(value)?)));
            toml::Value::Table(entries.collect())
        }
    })
}

/// The slugs and keys that were read before in the same list.
type Seen = HashSet<String>;

fn entity(source: &Source, raw: RawEntity, seen: &mut Seen) -> Result<EntitySpec, SchemaError> {
    let slug = slug(source, &raw.slug, "entity", seen)?;
    let derived = match raw.pipeline.is_empty() {
        true => EntityMode::Data,
        false => EntityMode::Crm,
    };
    if let Some(mode) = &raw.mode
        && *mode.get_ref() == EntityMode::Data
        && derived == EntityMode::Crm
    {
        return Err(source.at(mode.span(), SchemaMistake::PipelinesOfData(slug)));
    }
    let indexed = |raw: &&RawField| is_true(&raw.index) || is_true(&raw.unique);
    if let Some(over) = raw.field.iter().filter(indexed).nth(INDEXES_MAX) {
        return Err(source.at(over.key.span(), SchemaMistake::TooManyIndexes(slug)));
    }
    let (mut keys, mut pipelines) = (Seen::new(), Seen::new());
    Ok(EntitySpec {
        name: name(source, raw.name, &slug, "name")?,
        mode: raw.mode.map_or(derived, Spanned::into_inner),
        settings: settings(
            source,
            [raw.ui_editable, raw.reporting_config, raw.validation_rules, raw.visible_to_team_ids],
        )?,
        fields: (raw.field.into_iter()).map(|raw| field(source, raw, &mut keys)).collect::<Result<_, _>>()?,
        pipelines: (raw.pipeline.into_iter())
            .map(|raw| pipeline(source, raw, &mut pipelines))
            .collect::<Result<_, _>>()?,
        slug,
    })
}

fn field(source: &Source, raw: RawField, seen: &mut Seen) -> Result<FieldSpec, SchemaError> {
    let key =
        FieldKey::new(raw.key.get_ref()).map_err(|why| source.at(raw.key.span(), SchemaMistake::Key(why)))?;
    unseen(source, &raw.key, "field", seen)?;
    if let Some(index) = raw.index.as_ref().filter(|index| !index.get_ref())
        && is_true(&raw.unique)
    {
        return Err(source.at(index.span(), SchemaMistake::UniqueWithoutIndex));
    }
    Ok(FieldSpec {
        index: raw.index.map(Spanned::into_inner),
        unique: raw.unique.map(Spanned::into_inner),
        label: name(source, raw.label, key.as_str(), "label")?,
        key: key.as_str().to_owned(),
        kind: raw.kind.unwrap_or(FieldType::Text),
        options: match raw.options {
            Some(options) => json_of_toml(source, "options", options)?,
            None => Value::Array(Vec::new()),
        },
        settings: settings(
            source,
            [raw.ui_editable, raw.reporting_config, raw.validation_rules, raw.visible_to_team_ids],
        )?,
    })
}

fn is_true(flag: &Option<Spanned<bool>>) -> bool {
    flag.as_ref().is_some_and(|flag| *flag.get_ref())
}

fn pipeline(source: &Source, raw: RawPipeline, seen: &mut Seen) -> Result<PipelineSpec, SchemaError> {
    let slug = slug(source, &raw.slug, "pipeline", seen)?;
    let mut stages = Seen::new();
    Ok(PipelineSpec {
        name: name(source, raw.name, &slug, "name")?,
        stages: (raw.stages.into_iter())
            .map(|raw| stage(source, raw, &mut stages))
            .collect::<Result<_, _>>()?,
        slug,
    })
}

fn stage(source: &Source, raw: RawStage, seen: &mut Seen) -> Result<StageSpec, SchemaError> {
    let slug = slug(source, &raw.slug, "stage", seen)?;
    if let Some(color) = &raw.color
        && !is_color(color.get_ref())
    {
        return Err(source.at(color.span(), SchemaMistake::Color(shown(color.get_ref()))));
    }
    if let Some(status) = &raw.status
        && Slug::new(status.get_ref()).is_none()
    {
        let (what, text) = ("status", shown(status.get_ref()));
        return Err(source.at(status.span(), SchemaMistake::Slug { what, text }));
    }
    Ok(StageSpec {
        name: name(source, raw.name, &slug, "name")?,
        color: raw.color.map(Spanned::into_inner),
        status: raw.status.map(Spanned::into_inner),
        slug,
    })
}

/// Whether `text` is a colour. The console puts it into a style, so it must contain nothing
/// else.
fn is_color(text: &str) -> bool {
    match text.strip_prefix('#') {
        Some(hex) => matches!(hex.len(), 3 | 6) && hex.bytes().all(|b| b.is_ascii_hexdigit()),
        None => (1..=32).contains(&text.len()) && text.bytes().all(|b| b.is_ascii_lowercase()),
    }
}

fn slug(
    source: &Source,
    raw: &Spanned<String>,
    what: &'static str,
    seen: &mut Seen,
) -> Result<String, SchemaError> {
    let text = raw.get_ref();
    let Some(slug) = Slug::new(text) else {
        return Err(source.at(raw.span(), SchemaMistake::Slug { what: "slug", text: shown(text) }));
    };
    unseen(source, raw, what, seen)?;
    Ok(slug.as_str().to_owned())
}

fn unseen(
    source: &Source,
    raw: &Spanned<String>,
    what: &'static str,
    seen: &mut Seen,
) -> Result<(), SchemaError> {
    if seen.insert(raw.get_ref().clone()) {
        return Ok(());
    }
    Err(source.at(raw.span(), SchemaMistake::Twice { what, name: raw.get_ref().clone() }))
}

/// Reads a name or label: one line of bounded length. Control characters are rejected,
/// because PostgreSQL rejects NUL.
fn name(
    source: &Source,
    raw: Option<Spanned<String>>,
    default: &str,
    what: &'static str,
) -> Result<String, SchemaError> {
    let Some(raw) = raw else {
        return Ok(default.to_owned());
    };
    let text = raw.get_ref();
    let fits = 1..=NAME_CHARS_MAX;
    if !fits.contains(&chars(text)) || text.contains(char::is_control) {
        return Err(source.at(raw.span(), SchemaMistake::Name(what)));
    }
    Ok(raw.into_inner())
}

#[cfg(test)]
mod tests;
