//! Entities, fields, pipelines and stages.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use sluice_crm::{
    Entity, EntityMode, FieldSpec, FieldType, Pipeline, SchemaWrite, Settings, Stage, StageSpec,
};
use sluice_kit::{BadRow, StoreError};

use crate::error::SqlError;
use crate::postgres::batch::{Batch, int, optional_text, owned_text, text};
use crate::postgres::error::corrupt;

/// Lets one host at a time change declarations in the whole database, so that what is missing
/// stays missing until it is added. The number only has to be the same for all hosts.
pub(super) const LOCK: &str = "SELECT pg_advisory_xact_lock(7311047240)";

pub(super) const SLUGS: &str = "SELECT slug FROM crm_entity WHERE brand = $1 ORDER BY slug";

pub(super) const FIRST_SLUGS: &str =
    "SELECT slug FROM crm_entity WHERE brand = $1 ORDER BY slug = $2 DESC, slug LIMIT $3";

pub(super) const ENTITY: &str =
    "SELECT id, name, mode, settings FROM crm_entity WHERE brand = $1 AND slug = $2";

const FIELDS: &str = "SELECT f.position, f.key, f.label, f.type, f.options, f.settings, i.is_unique
    FROM crm_field f JOIN crm_entity e ON e.id = f.entity_id
    LEFT JOIN crm_field_index i ON i.entity_id = e.id AND i.key = f.key AND NOT i.is_dropped
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY f.position, f.key";

pub(super) const PIPELINES: &str = "SELECT p.id, p.position, p.slug, p.name
    FROM crm_pipeline p JOIN crm_entity e ON e.id = p.entity_id
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY p.position, p.id";

pub(super) const STAGES: &str = "SELECT s.pipeline_id, s.id, s.position, s.slug, s.name, s.color, s.status
    FROM crm_stage s JOIN crm_pipeline p ON p.id = s.pipeline_id
    JOIN crm_entity e ON e.id = p.entity_id
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY s.position, s.id";

/// Loads an entity with its fields and pipelines, in one round trip. The statements of `batch`,
/// which must not be queries, are sent first.
pub(super) async fn load<'a>(
    conn: &Client,
    mut batch: Batch<'a>,
    brand: &'a str,
    slug: &'a str,
) -> Result<Option<Entity>, SqlError> {
    for sql in [ENTITY, FIELDS, PIPELINES, STAGES] {
        batch.add(sql, [text(brand), text(slug)]);
    }
    let [entity, fields, pipelines, stages] = batch.run_for(conn).await?;
    let Some(entity) = entity.first() else {
        return Ok(None);
    };
    Ok(Some(Entity {
        id: entity.try_get(0)?,
        slug: slug.to_owned(),
        name: entity.try_get(1)?,
        mode: EntityMode::from_name(entity.try_get(2)?).ok_or_else(|| unknown("entity", "mode"))?,
        settings: serde_json::from_str(entity.try_get(3)?).map_err(|_| unknown("entity", "settings"))?,
        fields: fields.iter().map(read_field).collect::<Result<_, _>>()?,
        pipelines: read_pipelines(&pipelines, &stages)?,
    }))
}

fn read_field(row: &Row) -> Result<(i64, FieldSpec), SqlError> {
    let unique: Option<bool> = row.try_get(6)?;
    let spec = FieldSpec {
        index: unique.map(|_| true),
        unique,
        key: row.try_get(1)?,
        label: row.try_get(2)?,
        kind: FieldType::from_name(row.try_get(3)?).ok_or_else(|| unknown("field", "type"))?,
        options: serde_json::from_str(row.try_get(4)?).map_err(|_| unknown("field", "options"))?,
        settings: serde_json::from_str(row.try_get(5)?).map_err(|_| unknown("field", "settings"))?,
    };
    Ok((row.try_get(0)?, spec))
}

/// Reads the rows of [`PIPELINES`] and [`STAGES`].
pub(super) fn read_pipelines(pipelines: &[Row], stages: &[Row]) -> Result<Vec<Pipeline>, SqlError> {
    let mut by_pipeline: HashMap<i64, Vec<Stage>> = HashMap::new();
    for row in stages {
        by_pipeline.entry(row.try_get(0)?).or_default().push(Stage {
            id: row.try_get(1)?,
            position: row.try_get(2)?,
            spec: StageSpec {
                slug: row.try_get(3)?,
                name: row.try_get(4)?,
                color: row.try_get(5)?,
                status: row.try_get(6)?,
            },
        });
    }
    let read = |row: &Row| {
        let id = row.try_get(0)?;
        Ok(Pipeline {
            id,
            position: row.try_get(1)?,
            slug: row.try_get(2)?,
            name: row.try_get(3)?,
            stages: by_pipeline.remove(&id).unwrap_or_default(),
        })
    };
    pipelines.iter().map(read).collect()
}

/// The statements below are upserts, so that ids stay the same.
const PUT_ENTITY: &str = "INSERT INTO crm_entity (brand, slug, name, mode, settings)
    VALUES ($1, $2, $3, $4, $5)
    ON CONFLICT (brand, slug) DO UPDATE SET
        name = excluded.name, mode = excluded.mode, settings = excluded.settings";

const PUT_FIELD: &str = "INSERT INTO crm_field (entity_id, key, position, label, type, options, settings)
    SELECT id, $3, $4, $5, $6, $7, $8 FROM crm_entity WHERE brand = $1 AND slug = $2
    ON CONFLICT (entity_id, key) DO UPDATE SET
        position = excluded.position, label = excluded.label,
        type = excluded.type, options = excluded.options, settings = excluded.settings";

const PUT_PIPELINE: &str = "INSERT INTO crm_pipeline (entity_id, slug, position, name)
    SELECT id, $3, $4, $5 FROM crm_entity WHERE brand = $1 AND slug = $2
    ON CONFLICT (entity_id, slug) DO UPDATE SET position = excluded.position, name = excluded.name";

const PUT_STAGE: &str = "INSERT INTO crm_stage (pipeline_id, slug, position, name, color, status)
    SELECT p.id, $4, $5, $6, $7, $8
    FROM crm_pipeline p JOIN crm_entity e ON e.id = p.entity_id
    WHERE e.brand = $1 AND e.slug = $2 AND p.slug = $3
    ON CONFLICT (pipeline_id, slug) DO UPDATE SET
        position = excluded.position, name = excluded.name,
        color = excluded.color, status = excluded.status";

/// Carries out the steps of a declaration.
pub(super) async fn write(
    conn: &Client,
    brand: &str,
    writes: impl Iterator<Item = &SchemaWrite>,
) -> Result<(), SqlError> {
    for write in writes {
        let mut batch = Batch::new();
        add_write(&mut batch, brand, write);
        batch.run(conn).await?;
    }
    Ok(())
}

fn add_write<'a>(batch: &mut Batch<'a>, brand: &'a str, write: &'a SchemaWrite) {
    match write {
        SchemaWrite::Entity(spec) => {
            let own = [text(brand), text(&spec.slug), text(&spec.name), text(spec.mode.as_str())];
            let settings = owned_text(text_of(&spec.settings));
            batch.add(PUT_ENTITY, Vec::from_iter(own.into_iter().chain([settings])));
        }
        SchemaWrite::Field { entity, position, spec } => {
            let own = [text(brand), text(entity), text(&spec.key), int(*position), text(&spec.label)];
            let settings = owned_text(text_of(&spec.settings));
            let rest = [text(spec.kind.as_str()), owned_text(spec.options.to_string()), settings];
            batch.add(PUT_FIELD, Vec::from_iter(own.into_iter().chain(rest)));
        }
        // It has a transaction of its own.
        SchemaWrite::Index { .. } => {}
        SchemaWrite::Pipeline { entity, position, spec } => batch.add(
            PUT_PIPELINE,
            [text(brand), text(entity), text(&spec.slug), int(*position), text(&spec.name)],
        ),
        SchemaWrite::Stage { entity, pipeline, position, spec } => {
            let place = [text(brand), text(entity), text(pipeline), text(&spec.slug), int(*position)];
            let (color, status) = (spec.color.as_deref(), spec.status.as_deref());
            let rest = [text(&spec.name), optional_text(color), optional_text(status)];
            batch.add(PUT_STAGE, Vec::from_iter(place.into_iter().chain(rest)));
        }
    }
}

/// Settings as JSON text.
fn text_of(settings: &Settings) -> String {
    serde_json::Value::Object(settings.clone()).to_string()
}

pub(super) fn unknown(what: &'static str, column: &'static str) -> StoreError {
    corrupt(what, BadRow::Unknown(column))
}
