//! Entities, fields, pipelines and stages.

use rusqlite::{Connection, OptionalExtension, Row};

use sluice_crm::{
    CrmFault, Entity, EntityMode, FieldSpec, FieldType, Pipeline, SchemaWrite, Settings, Stage, StageSpec,
};
use sluice_kit::{BadRow, StoreError};

use crate::error::{CrmSqlError, SqlError};

/// An entity's id and mode.
pub(super) fn entity(conn: &Connection, brand: &str, slug: &str) -> Result<(i64, EntityMode), CrmSqlError> {
    let row: Option<(i64, String)> = conn
        .prepare_cached("SELECT id, mode FROM crm_entity WHERE brand = ?1 AND slug = ?2")?
        .query_row((brand, slug), |row| row.try_into())
        .optional()?;
    let (id, mode) = row.ok_or_else(|| CrmFault::UnknownSlug(slug.to_owned()))?;
    Ok((id, EntityMode::from_name(&mode).ok_or_else(|| unknown("entity", "mode"))?))
}

/// An entity's id.
pub(in crate::sqlite) fn entity_id(conn: &Connection, brand: &str, slug: &str) -> Result<i64, CrmSqlError> {
    conn.prepare_cached("SELECT id FROM crm_entity WHERE brand = ?1 AND slug = ?2")?
        .query_row((brand, slug), |row| row.get(0))
        .optional()?
        .ok_or_else(|| CrmFault::UnknownSlug(slug.to_owned()).into())
}

/// The slugs of a brand's entities, sorted.
pub(super) fn slugs(conn: &Connection, brand: &str) -> rusqlite::Result<Vec<String>> {
    conn.prepare_cached("SELECT slug FROM crm_entity WHERE brand = ?1 ORDER BY slug")?
        .query_map([brand], |row| row.get(0))?
        .collect()
}

/// An entity with its fields and pipelines.
pub(super) fn load(conn: &Connection, brand: &str, slug: &str) -> Result<Option<Entity>, SqlError> {
    let row: Option<(i64, String, String, String)> = conn
        .prepare_cached("SELECT id, name, mode, settings FROM crm_entity WHERE brand = ?1 AND slug = ?2")?
        .query_row((brand, slug), |row| row.try_into())
        .optional()?;
    let Some((id, name, mode, settings)) = row else {
        return Ok(None);
    };
    Ok(Some(Entity {
        id,
        slug: slug.to_owned(),
        name,
        mode: EntityMode::from_name(&mode).ok_or_else(|| unknown("entity", "mode"))?,
        settings: serde_json::from_str(&settings).map_err(|_| unknown("entity", "settings"))?,
        fields: fields(conn, id)?,
        pipelines: pipelines(conn, id)?,
    }))
}

fn fields(conn: &Connection, entity: i64) -> Result<Vec<(i64, FieldSpec)>, SqlError> {
    let mut query = conn.prepare_cached(
        "SELECT f.position, f.key, f.label, f.type, f.options, f.settings, i.is_unique FROM crm_field f
         LEFT JOIN crm_field_index i ON i.entity_id = f.entity_id AND i.key = f.key AND NOT i.is_dropped
         WHERE f.entity_id = ?1 ORDER BY f.position, f.key",
    )?;
    let mut rows = query.query([entity])?;
    let mut fields = Vec::new();
    while let Some(row) = rows.next()? {
        let kind: String = row.get(3)?;
        let (options, settings): (String, String) = (row.get(4)?, row.get(5)?);
        let unique: Option<bool> = row.get(6)?;
        let spec = FieldSpec {
            index: unique.map(|_| true),
            unique,
            key: row.get(1)?,
            label: row.get(2)?,
            kind: FieldType::from_name(&kind).ok_or_else(|| unknown("field", "type"))?,
            options: serde_json::from_str(&options).map_err(|_| unknown("field", "options"))?,
            settings: serde_json::from_str(&settings).map_err(|_| unknown("field", "settings"))?,
        };
        fields.push((row.get(0)?, spec));
    }
    Ok(fields)
}

pub(super) fn pipelines(conn: &Connection, entity: i64) -> Result<Vec<Pipeline>, SqlError> {
    let mut pipelines = conn
        .prepare_cached(
            "SELECT id, position, slug, name FROM crm_pipeline
             WHERE entity_id = ?1 ORDER BY position, id",
        )?
        .query_map([entity], |row| {
            Ok(Pipeline {
                id: row.get(0)?,
                position: row.get(1)?,
                slug: row.get(2)?,
                name: row.get(3)?,
                stages: Vec::new(),
            })
        })?
        .collect::<rusqlite::Result<Vec<_>>>()?;
    let mut query = conn.prepare_cached(
        "SELECT id, position, slug, name, color, status FROM crm_stage
         WHERE pipeline_id = ?1 ORDER BY position, id",
    )?;
    for pipeline in &mut pipelines {
        let stages = query.query_map([pipeline.id], read_stage)?;
        pipeline.stages = stages.collect::<rusqlite::Result<_>>()?;
    }
    Ok(pipelines)
}

fn read_stage(row: &Row<'_>) -> rusqlite::Result<Stage> {
    Ok(Stage {
        id: row.get(0)?,
        position: row.get(1)?,
        spec: StageSpec { slug: row.get(2)?, name: row.get(3)?, color: row.get(4)?, status: row.get(5)? },
    })
}

/// Carries out one step of a declaration. Each statement is an upsert, so that ids stay the
/// same.
pub(super) fn write(conn: &Connection, brand: &str, write: &SchemaWrite) -> Result<(), SqlError> {
    match write {
        SchemaWrite::Entity(spec) => conn
            .prepare_cached(
                "INSERT INTO crm_entity (brand, slug, name, mode, settings) VALUES (?1, ?2, ?3, ?4, ?5)
                 ON CONFLICT (brand, slug) DO UPDATE SET
                     name = excluded.name, mode = excluded.mode, settings = excluded.settings",
            )?
            .execute((brand, &spec.slug, &spec.name, spec.mode.as_str(), text_of(&spec.settings)))?,
        SchemaWrite::Field { entity, position, spec } => conn
            .prepare_cached(
                "INSERT INTO crm_field (entity_id, key, position, label, type, options, settings)
                 SELECT id, ?3, ?4, ?5, ?6, ?7, ?8 FROM crm_entity WHERE brand = ?1 AND slug = ?2
                 ON CONFLICT (entity_id, key) DO UPDATE SET
                     position = excluded.position, label = excluded.label,
                     type = excluded.type, options = excluded.options,
                     settings = excluded.settings",
            )?
            .execute((
                brand,
                entity,
                &spec.key,
                position,
                &spec.label,
                spec.kind.as_str(),
                spec.options.to_string(),
                text_of(&spec.settings),
            ))?,
        // `index::declare` does this.
        SchemaWrite::Index { .. } => 0,
        SchemaWrite::Pipeline { entity, position, spec } => conn
            .prepare_cached(
                "INSERT INTO crm_pipeline (entity_id, slug, position, name)
                 SELECT id, ?3, ?4, ?5 FROM crm_entity WHERE brand = ?1 AND slug = ?2
                 ON CONFLICT (entity_id, slug) DO UPDATE SET
                     position = excluded.position, name = excluded.name",
            )?
            .execute((brand, entity, &spec.slug, position, &spec.name))?,
        SchemaWrite::Stage { entity, pipeline, position, spec } => conn
            .prepare_cached(
                "INSERT INTO crm_stage (pipeline_id, slug, position, name, color, status)
                 SELECT p.id, ?4, ?5, ?6, ?7, ?8
                 FROM crm_pipeline p JOIN crm_entity e ON e.id = p.entity_id
                 WHERE e.brand = ?1 AND e.slug = ?2 AND p.slug = ?3
                 ON CONFLICT (pipeline_id, slug) DO UPDATE SET
                     position = excluded.position, name = excluded.name,
                     color = excluded.color, status = excluded.status",
            )?
            .execute((
                brand,
                entity,
                pipeline,
                &spec.slug,
                position,
                &spec.name,
                &spec.color,
                &spec.status,
            ))?,
    };
    Ok(())
}

/// Settings as JSON text.
fn text_of(settings: &Settings) -> String {
    serde_json::Value::Object(settings.clone()).to_string()
}

fn unknown(what: &'static str, column: &'static str) -> StoreError {
    StoreError::Corrupt { what, why: BadRow::Unknown(column) }
}
