//! Entities, fields, pipelines and stages.

use std::collections::HashMap;

use tokio_postgres::{Client, Row};

use sluice_crm::{
    CrmCaps, CrmFault, CrmSchema, Ensured, Entity, EntityMode, EntitySpec, FieldSpec, FieldType, Missing,
    Pipeline, SchemaWrite, Stage, StageSpec, plan,
};
use sluice_kit::StoreError;

use super::batch::{Batch, execute, int, optional_text, owned_text, query, text};
use super::error::corrupt;
use crate::error::{CrmSqlError, SqlError};

/// One declaration at a time in the whole database: what is found to be missing is
/// still missing when it is added. The number only has to be the same for all.
const LOCK: &str = "SELECT pg_advisory_xact_lock(7311047240)";

const ENTITY: &str = "SELECT id, name, mode FROM crm_entity WHERE brand = $1 AND slug = $2";

const FIELDS: &str = "SELECT f.position, f.key, f.label, f.type, f.options
    FROM crm_field f JOIN crm_entity e ON e.id = f.entity_id
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY f.position, f.key";

pub(super) const PIPELINES: &str = "SELECT p.id, p.position, p.slug, p.name
    FROM crm_pipeline p JOIN crm_entity e ON e.id = p.entity_id
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY p.position, p.id";

pub(super) const STAGES: &str = "SELECT s.pipeline_id, s.id, s.position, s.slug, s.name, s.color, s.status
    FROM crm_stage s JOIN crm_pipeline p ON p.id = s.pipeline_id
    JOIN crm_entity e ON e.id = p.entity_id
    WHERE e.brand = $1 AND e.slug = $2 ORDER BY s.position, s.id";

pub(super) async fn apply(conn: &Client, brand: &str, schema: &CrmSchema) -> Result<Vec<String>, SqlError> {
    Batch::begin().plain(LOCK).run(conn).await?;
    let mut sentences = Vec::new();
    for declared in &schema.entities {
        let stored = load(conn, Batch::new(), brand, &declared.slug).await?;
        let steps = plan(stored.as_ref(), declared);
        write(conn, brand, steps.iter().map(|step| &step.write)).await?;
        sentences.extend(steps.into_iter().map(|step| step.sentence));
    }
    execute(conn, "COMMIT").await?;
    Ok(sentences)
}

/// Adds what is missing and changes nothing that is there.
pub(super) async fn ensure(
    conn: &Client,
    brand: &str,
    asked: &EntitySpec,
    caps: CrmCaps,
) -> Result<Ensured, CrmSqlError> {
    let stored = load(conn, Batch::begin().plain(LOCK), brand, &asked.slug).await?;
    let count = "SELECT count(*) FROM crm_entity WHERE brand = $1";
    let rows = query(conn, count, [text(brand)]).await?;
    let entities: i64 = rows.first().map_or(Ok(0), |row| row.try_get(0))?;
    let entities = u32::try_from(entities).unwrap_or(u32::MAX);
    let missing = Missing::of(stored.as_ref(), asked, entities, caps)?;
    write(conn, brand, missing.writes.iter()).await?;
    let [rows] = Batch::new().query(ENTITY, [text(brand), text(&asked.slug)]).commit().run_for(conn).await?;
    let row = rows.first().ok_or_else(|| CrmFault::UnknownSlug(asked.slug.clone()))?;
    Ok(missing.ensured(row.try_get(0)?))
}

/// One round trip, and one to end the transaction.
pub(super) async fn find(conn: &Client, brand: &str, slug: &str) -> Result<Option<Entity>, SqlError> {
    let found = load(conn, Batch::begin_snapshot(), brand, slug).await?;
    execute(conn, "COMMIT").await?;
    Ok(found)
}

pub(super) async fn list(conn: &Client, brand: &str) -> Result<Vec<Entity>, SqlError> {
    let slugs = "SELECT slug FROM crm_entity WHERE brand = $1 ORDER BY slug";
    let [rows] = Batch::begin_snapshot().query(slugs, [text(brand)]).run_for(conn).await?;
    let mut entities = Vec::new();
    for row in &rows {
        entities.extend(load(conn, Batch::new(), brand, row.try_get(0)?).await?);
    }
    execute(conn, "COMMIT").await?;
    Ok(entities)
}

/// One round trip; `batch` is what is sent before, without queries.
async fn load<'a>(
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
        fields: fields.iter().map(read_field).collect::<Result<_, _>>()?,
        pipelines: read_pipelines(&pipelines, &stages)?,
    }))
}

fn read_field(row: &Row) -> Result<(i64, FieldSpec), SqlError> {
    let spec = FieldSpec {
        key: row.try_get(1)?,
        label: row.try_get(2)?,
        kind: FieldType::from_name(row.try_get(3)?).ok_or_else(|| unknown("field", "type"))?,
        options: serde_json::from_str(row.try_get(4)?).map_err(|_| unknown("field", "options"))?,
    };
    Ok((row.try_get(0)?, spec))
}

/// Rows of [`PIPELINES`] and [`STAGES`].
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

/// Each is an upsert: an id, once given, stays.
const PUT_ENTITY: &str = "INSERT INTO crm_entity (brand, slug, name, mode) VALUES ($1, $2, $3, $4)
    ON CONFLICT (brand, slug) DO UPDATE SET name = excluded.name, mode = excluded.mode";

const PUT_FIELD: &str = "INSERT INTO crm_field (entity_id, key, position, label, type, options)
    SELECT id, $3, $4, $5, $6, $7 FROM crm_entity WHERE brand = $1 AND slug = $2
    ON CONFLICT (entity_id, key) DO UPDATE SET
        position = excluded.position, label = excluded.label,
        type = excluded.type, options = excluded.options";

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

async fn write(
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
            batch.add(PUT_ENTITY, [text(brand), text(&spec.slug), text(&spec.name), text(spec.mode.as_str())])
        }
        SchemaWrite::Field { entity, position, spec } => {
            let options = serde_json::Value::Array(spec.options.clone()).to_string();
            let own = [text(brand), text(entity), text(&spec.key), int(*position), text(&spec.label)];
            let rest = [text(spec.kind.as_str()), owned_text(options)];
            batch.add(PUT_FIELD, Vec::from_iter(own.into_iter().chain(rest)));
        }
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

pub(super) fn unknown(what: &'static str, why: &str) -> StoreError {
    corrupt(what, &format!("its {why} is not one that this program knows"))
}
