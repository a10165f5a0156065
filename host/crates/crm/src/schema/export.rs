//! Writes stored entities as a `crm.toml` that declares them.

use serde::Serialize;
use serde_json::Value;

use super::toml_of_json;
use crate::{Entity, EntityMode, FieldSpec, Indexing, Pipeline, Settings};

#[derive(Serialize)]
struct File<'a> {
    entity: Vec<EntityOut<'a>>,
}

#[derive(Serialize)]
struct EntityOut<'a> {
    slug: &'a str,
    name: &'a str,
    mode: &'a str,
    #[serde(flatten)]
    settings: toml::Table,
    field: Vec<FieldOut<'a>>,
    pipeline: Vec<PipelineOut<'a>>,
}

#[derive(Serialize)]
struct FieldOut<'a> {
    key: &'a str,
    label: &'a str,
    #[serde(rename = "type")]
    kind: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    options: Option<toml::Value>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    index: bool,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    unique: bool,
    #[serde(flatten)]
    settings: toml::Table,
}

#[derive(Serialize)]
struct PipelineOut<'a> {
    slug: &'a str,
    name: &'a str,
    stages: Vec<StageOut<'a>>,
}

#[derive(Serialize)]
struct StageOut<'a> {
    slug: &'a str,
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    color: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    status: Option<&'a str>,
}

/// Writes a `crm.toml` that makes these entities in an empty database and changes nothing in
/// this one. TOML has no `null`, so those in options and settings are left out.
///
/// # Errors
/// A part cannot be written as TOML. This is a defect, because all parts were read from TOML.
pub fn export(entities: &[Entity]) -> Result<String, toml::ser::Error> {
    let entity = entities.iter().map(entity_out).collect();
    toml::to_string(&File { entity })
}

fn entity_out(entity: &Entity) -> EntityOut<'_> {
    EntityOut {
        slug: &entity.slug,
        name: &entity.name,
        mode: entity.mode.as_str(),
        settings: settings_out(&entity.settings),
        field: entity.fields.iter().map(|(_, field)| field_out(field)).collect(),
        // An entity whose mode was `crm` before keeps its pipelines, but cannot declare them.
        pipeline: match entity.mode {
            EntityMode::Crm => entity.pipelines.iter().map(pipeline_out).collect(),
            EntityMode::Data => Vec::new(),
        },
    }
}

fn field_out(field: &FieldSpec) -> FieldOut<'_> {
    FieldOut {
        key: &field.key,
        label: &field.label,
        kind: field.kind.as_str(),
        options: Some(&field.options).filter(|options| !is_default(options)).and_then(toml_of_json),
        index: field.indexing() == Indexing::Plain,
        unique: field.indexing() == Indexing::Unique,
        settings: settings_out(&field.settings),
    }
}

fn is_default(options: &Value) -> bool {
    matches!(options, Value::Array(items) if items.is_empty())
}

fn settings_out(settings: &Settings) -> toml::Table {
    settings.iter().filter_map(|(name, value)| Some((name.clone(), toml_of_json(value)?))).collect()
}

fn pipeline_out(pipeline: &Pipeline) -> PipelineOut<'_> {
    let stages = pipeline.stages.iter().map(|stage| StageOut {
        slug: &stage.spec.slug,
        name: &stage.spec.name,
        color: stage.spec.color.as_deref(),
        status: stage.spec.status.as_deref(),
    });
    PipelineOut { slug: &pipeline.slug, name: &pipeline.name, stages: stages.collect() }
}
