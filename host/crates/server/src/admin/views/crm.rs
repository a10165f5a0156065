//! CRM data of one brand: its entities, and their entries as a table or as
//! columns of stages.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use sluice_crm::{Browse, BrowsedEntry, CrmFault, Entity, EntryId, Slug, StageChoice};
use sluice_kit::clock::iso_utc;

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Entries on one page of the table.
pub const ENTRIES: u32 = 50;
/// Entries in a column of the board.
const CARDS: u32 = 20;
const BYTES_MAX: usize = 4 << 20;

#[derive(Debug, Serialize)]
pub struct EntityView {
    pub slug: String,
    pub name: String,
    /// `crm` or `data`.
    pub mode: &'static str,
    pub fields: Vec<FieldView>,
    pub pipelines: Vec<PipelineView>,
}

#[derive(Debug, Serialize)]
pub struct FieldView {
    pub key: String,
    pub label: String,
}

#[derive(Debug, Serialize)]
pub struct PipelineView {
    pub slug: String,
    pub name: String,
    pub stages: Vec<StageView>,
}

#[derive(Debug, Serialize)]
pub struct StageView {
    pub id: i64,
    pub slug: String,
    pub name: String,
}

#[derive(Debug, Serialize)]
pub struct EntryView {
    pub id: String,
    pub reference_type: String,
    pub reference_id: String,
    pub stage: Option<String>,
    pub pipeline: Option<String>,
    pub values: serde_json::Map<String, Value>,
    pub created_at: String,
    pub updated_at: String,
}

/// `?before=…`: older than this entry.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub struct Query {
    pub before: Option<String>,
}

/// A stage with its newest entries.
#[derive(Debug, Serialize)]
pub struct Column {
    pub name: String,
    pub entries: Vec<EntryView>,
}

/// A pipeline as columns; the first is what stands in no stage.
#[derive(Debug, Serialize)]
pub struct Board {
    pub name: String,
    pub columns: Vec<Column>,
}

/// The brand's entities.
pub async fn entities(state: &AdminState, brand: &str) -> Result<Vec<EntityView>, AdminError> {
    let brand = find_brand(state, brand)?;
    Ok(state.app.store.list_entities(&brand.id).await?.iter().map(view).collect())
}

/// One entity.
pub async fn entity(state: &AdminState, brand: &str, slug: &str) -> Result<EntityView, AdminError> {
    let brand = find_brand(state, brand)?;
    let found = find(state, &brand.id, slug).await?;
    let unknown = || AdminError::NotFound(format!("entity {slug} of brand {}", brand.id));
    found.as_ref().map(view).ok_or_else(unknown)
}

/// Its entries, newest first.
pub async fn entries(
    state: &AdminState,
    brand: &str,
    slug: &str,
    query: &Query,
) -> Result<Vec<EntryView>, AdminError> {
    entity(state, brand, slug).await?;
    let before = query.before.as_deref().filter(|text| !text.is_empty()).map(parse_id).transpose()?;
    browse(state, brand, slug, StageChoice::Any, before, ENTRIES).await
}

/// Its pipelines, each as columns of stages.
pub async fn boards(state: &AdminState, brand: &str, entity: &EntityView) -> Result<Vec<Board>, AdminError> {
    let mut boards = Vec::new();
    for pipeline in &entity.pipelines {
        let mut columns = Vec::new();
        for stage in &pipeline.stages {
            let entries = browse(state, brand, &entity.slug, StageChoice::In(stage.id), None, CARDS).await?;
            columns.push(Column { name: stage.name.clone(), entries });
        }
        boards.push(Board { name: pipeline.name.clone(), columns });
    }
    if let Some(first) = boards.first_mut() {
        let entries = browse(state, brand, &entity.slug, StageChoice::None, None, CARDS).await?;
        first.columns.insert(0, Column { name: "In no stage".to_owned(), entries });
    }
    Ok(boards)
}

async fn find(state: &AdminState, brand: &str, slug: &str) -> Result<Option<Entity>, AdminError> {
    let Some(slug) = Slug::new(slug) else { return Ok(None) };
    Ok(state.app.store.find_entity(brand, slug).await?)
}

async fn browse(
    state: &AdminState,
    brand: &str,
    slug: &str,
    stage: StageChoice,
    before: Option<EntryId>,
    entries_max: u32,
) -> Result<Vec<EntryView>, AdminError> {
    let slug = Slug::new(slug).ok_or_else(|| AdminError::NotFound(format!("entity {slug}")))?;
    let browse = Browse { brand: brand.to_owned(), slug, stage, before, entries_max, bytes_max: BYTES_MAX };
    let found = state.app.store.browse_entries(browse).await.map_err(|fault| match fault {
        CrmFault::Store(error) => AdminError::Store(error),
        other => AdminError::NotFound(other.to_string()),
    })?;
    Ok(found.into_iter().map(entry).collect())
}

fn entry(browsed: BrowsedEntry) -> EntryView {
    let BrowsedEntry { reference_type, reference_id, entry } = browsed;
    let (pipeline, stage) = entry.placement.map(|at| (at.pipeline_slug, at.stage_slug)).unzip();
    EntryView {
        id: entry.id.to_string(),
        reference_type,
        reference_id,
        stage,
        pipeline,
        values: entry.values.into_iter().collect(),
        created_at: iso_utc(entry.created_at),
        updated_at: iso_utc(entry.updated_at),
    }
}

fn view(entity: &Entity) -> EntityView {
    let field = |(_, field): &(i64, sluice_crm::FieldSpec)| FieldView {
        key: field.key.clone(),
        label: field.label.clone(),
    };
    let stage = |stage: &sluice_crm::Stage| StageView {
        id: stage.id,
        slug: stage.spec.slug.clone(),
        name: stage.spec.name.clone(),
    };
    let pipelines = entity.pipelines.iter().map(|pipeline| PipelineView {
        slug: pipeline.slug.clone(),
        name: pipeline.name.clone(),
        stages: pipeline.stages.iter().map(stage).collect(),
    });
    EntityView {
        slug: entity.slug.clone(),
        name: entity.name.clone(),
        mode: entity.mode.as_str(),
        fields: entity.fields.iter().map(field).collect(),
        pipelines: pipelines.collect(),
    }
}

/// An entry's id as it is shown.
fn parse_id(text: &str) -> Result<EntryId, AdminError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    let id = id.ok_or_else(|| AdminError::Invalid(format!("`{text}` is not the id of an entry")))?;
    Ok(EntryId::from_bytes(id.to_be_bytes()))
}
