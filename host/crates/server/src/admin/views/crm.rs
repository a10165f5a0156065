//! The CRM data of one brand: its entities, and their entries as a table or as one column per stage.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use sluice_crm::{
    Browse, BrowsedEntry, Entity, EntryId, Placement, Settings, Slug, StageChoice, StageHistory, StageMove,
};
use sluice_kit::clock::iso_utc;

use super::find_brand;
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;

/// Entries on one page of the table.
pub(crate) const ENTRIES: u32 = 50;
/// Entries in a column of the board.
const CARDS: u32 = 20;
/// Bytes of entries that one query reads.
pub(super) const BYTES_MAX: usize = 4 << 20;

/// An entity with its declared fields and pipelines.
#[derive(Debug, Serialize)]
pub(crate) struct EntityView {
    pub(crate) slug: String,
    pub(crate) name: String,
    /// `crm` or `data`.
    pub(crate) mode: &'static str,
    #[serde(flatten)]
    pub(crate) settings: Settings,
    pub(crate) fields: Vec<FieldView>,
    pub(crate) pipelines: Vec<PipelineView>,
}

/// A declared field of an entity.
#[derive(Debug, Serialize)]
pub(crate) struct FieldView {
    pub(crate) key: String,
    pub(crate) label: String,
    #[serde(rename = "type")]
    pub(crate) kind: &'static str,
    pub(crate) options: Value,
    #[serde(flatten)]
    pub(crate) settings: Settings,
    /// No two entries can have the same value.
    #[serde(skip)]
    pub(crate) is_unique: bool,
    /// The entries can be sorted by it.
    #[serde(skip)]
    pub(crate) is_indexed: bool,
}

impl FieldView {
    /// Whether `validation_rules` say that entries need a value. Scripts are not held to that.
    pub(crate) fn is_required(&self) -> bool {
        match self.settings.get("validation_rules") {
            Some(Value::Object(rules)) => rules.get("required") == Some(&Value::Bool(true)),
            Some(Value::Array(rules)) => rules.iter().any(|rule| rule == "required"),
            _ => false,
        }
    }
}

/// A pipeline of an entity with its stages, in order.
#[derive(Debug, Serialize)]
pub(crate) struct PipelineView {
    pub(crate) slug: String,
    pub(crate) name: String,
    pub(crate) stages: Vec<StageView>,
}

/// A stage of a pipeline.
#[derive(Debug, Serialize)]
pub(crate) struct StageView {
    pub(crate) id: i64,
    pub(crate) slug: String,
    pub(crate) name: String,
}

/// An entry with its values. `stage` and `pipeline` are slugs.
#[derive(Debug, Serialize)]
pub(crate) struct EntryView {
    pub(crate) id: String,
    pub(crate) reference_type: String,
    pub(crate) reference_id: String,
    pub(crate) stage: Option<String>,
    pub(crate) pipeline: Option<String>,
    pub(crate) values: serde_json::Map<String, Value>,
    pub(crate) created_at: String,
    pub(crate) updated_at: String,
}

impl EntryView {
    /// Its stage as `sales/won`.
    pub(crate) fn place(&self) -> Option<String> {
        self.pipeline.as_ref().zip(self.stage.as_ref()).map(|(pipeline, stage)| format!("{pipeline}/{stage}"))
    }
}

/// One entry with the history of its stages.
#[derive(Debug, Serialize)]
pub(crate) struct OneEntry {
    #[serde(flatten)]
    pub(crate) entry: EntryView,
    /// How often it was moved to another stage. Only the newest moves are kept.
    pub(crate) stage_moves: u64,
    /// Newest first.
    pub(crate) stage_history: Vec<MoveView>,
}

/// A move of an entry. The stages are `sales/won`.
#[derive(Debug, Serialize)]
pub(crate) struct MoveView {
    pub(crate) from: Option<String>,
    pub(crate) to: String,
    pub(crate) moved_at: String,
}

/// `?before=…&text=ann&stage=sales/won`: which entries to list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    /// Only entries that are older than the one with this id.
    pub(crate) before: Option<String>,
    /// Only entries that have this text in their reference or values, in capitals or not.
    pub(crate) text: Option<String>,
    /// Only entries in this stage of this pipeline. `none` stands for entries that are in no stage.
    pub(crate) stage: Option<String>,
}

impl Query {
    /// The query without its cursor, for links: `text=ann&stage=sales/won`.
    pub(crate) fn asked(&self) -> String {
        let given = [("text", &self.text), ("stage", &self.stage)];
        let given = given.into_iter().filter_map(|(name, value)| {
            let value = value.as_deref().filter(|value| !value.is_empty())?;
            Some(format!("{name}={}", encode_query(value)))
        });
        given.collect::<Vec<_>>().join("&")
    }

    /// Whether entries match, looked at one by one.
    ///
    /// # Errors
    /// There is no such stage.
    pub(super) fn admits(
        &self,
        entity: &EntityView,
    ) -> Result<impl Fn(&EntryView) -> bool + use<>, AdminError> {
        let stage = self.stage.clone().unwrap_or_default();
        stage_of(entity, &stage)?;
        let text = self.text.as_deref().unwrap_or_default().trim().to_lowercase();
        Ok(move |entry: &EntryView| {
            let is_there = match stage.as_str() {
                "" => true,
                "none" => entry.stage.is_none(),
                stage => entry.place().as_deref() == Some(stage),
            };
            is_there && Self::has(&text, entry)
        })
    }

    /// Whether an entry has the text. `text` is in small letters.
    fn has(text: &str, entry: &EntryView) -> bool {
        let has = |part: &str| part.to_lowercase().contains(text);
        text.is_empty()
            || has(&format!("{} {}", entry.reference_type, entry.reference_id))
            || entry.values.values().any(|value| match value {
                Value::String(value) => has(value),
                value => has(&value.to_string()),
            })
    }
}

/// Entries that a search for a text looks at for one response.
pub(super) const SCANNED_MAX: usize = 2_000;

/// The entries that match a query.
pub(crate) struct Found {
    /// Newest first.
    pub(crate) entries: Vec<EntryView>,
    /// The id before which older entries begin. None if there are no more.
    pub(crate) next: Option<String>,
    /// How many entries were looked at, if the search stopped before the response was full.
    pub(crate) scanned: Option<usize>,
}

/// A column of a board: a stage with its newest entries.
#[derive(Debug, Serialize)]
pub(crate) struct Column {
    pub(crate) name: String,
    /// The stage in a query: `sales/won`, or `none`.
    pub(crate) stage: String,
    pub(crate) entries: Vec<EntryView>,
    /// There are older entries in this stage.
    pub(crate) has_more: bool,
}

/// A pipeline with one column per stage. The first board of an entity begins with a column for the
/// entries that are in no stage, if there are some.
#[derive(Debug, Serialize)]
pub(crate) struct Board {
    pub(crate) name: String,
    pub(crate) columns: Vec<Column>,
}

/// All entities of the brand.
pub(crate) async fn entities(state: &AdminState, brand: &str) -> Result<Vec<EntityView>, AdminError> {
    let brand = find_brand(state, brand)?;
    Ok(state.app.store.list_entities(&brand.id).await?.iter().map(view).collect())
}

/// One entity of the brand.
///
/// # Errors
/// There is no such brand or entity, or the database does not answer.
pub(crate) async fn entity(state: &AdminState, brand: &str, slug: &str) -> Result<EntityView, AdminError> {
    let brand = find_brand(state, brand)?;
    let found = find(state, &brand.id, slug).await?;
    found.as_ref().map(view).ok_or_else(|| no_entity(&brand.id, slug))
}

/// The entries of an entity that match a query, newest first.
///
/// # Errors
/// There is no such brand, entity or stage, or the database does not answer.
pub(crate) async fn search(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
    query: &Query,
) -> Result<Found, AdminError> {
    let stage = stage_of(entity, query.stage.as_deref().unwrap_or_default())?;
    let text = query.text.as_deref().unwrap_or_default().trim().to_lowercase();
    let mut before = query.before.as_deref().filter(|text| !text.is_empty()).map(parse_id).transpose()?;
    let mut found = Found { entries: Vec::new(), next: None, scanned: None };
    let mut scanned = 0;
    loop {
        let batch = browse(state, brand, &entity.slug, stage, before, ENTRIES).await?;
        if batch.is_empty() {
            return Ok(found);
        }
        for entry in batch {
            if found.entries.len() == ENTRIES as usize {
                found.next = found.entries.last().map(|entry| entry.id.clone());
                return Ok(found);
            }
            scanned += 1;
            before = Some(parse_id(&entry.id)?);
            if Query::has(&text, &entry) {
                found.entries.push(entry);
            }
        }
        if scanned >= SCANNED_MAX {
            found.next = before.map(|id| id.to_string());
            found.scanned = Some(scanned);
            return Ok(found);
        }
    }
}

/// The entries that have a text, of the newest `scanned_max` of an entity.
///
/// # Errors
/// The database does not answer.
pub(super) async fn newest_with(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
    text: &str,
    scanned_max: usize,
) -> Result<Vec<EntryView>, AdminError> {
    let text = text.to_lowercase();
    let (mut found, mut scanned, mut before) = (Vec::new(), 0, None);
    while scanned < scanned_max {
        let batch = browse(state, brand, &entity.slug, StageChoice::Any, before, ENTRIES).await?;
        let Some(last) = batch.last() else { break };
        before = Some(parse_id(&last.id)?);
        scanned += batch.len();
        found.extend(batch.into_iter().filter(|entry| Query::has(&text, entry)));
    }
    Ok(found)
}

/// The entries of an entity that match a query, newest first.
///
/// # Errors
/// As [`search`].
pub(crate) async fn entries(
    state: &AdminState,
    brand: &str,
    slug: &str,
    query: &Query,
) -> Result<Vec<EntryView>, AdminError> {
    let entity = entity(state, brand, slug).await?;
    Ok(search(state, brand, &entity, query).await?.entries)
}

/// One entry of an entity, with the history of its stages.
///
/// # Errors
/// There is no such brand, entity or entry, or the database does not answer.
pub(crate) async fn find_entry(
    state: &AdminState,
    brand: &str,
    slug: &str,
    id: &str,
) -> Result<OneEntry, AdminError> {
    let missing = || AdminError::NoEntry(id.to_owned());
    let asked = parse_id(id)?;
    let own = u128::from_be_bytes(*asked.as_bytes());
    // The newest entry that is older than the next id.
    let next = EntryId::from_bytes(own.checked_add(1).ok_or_else(missing)?.to_be_bytes());
    let found = browse(state, brand, slug, StageChoice::Any, Some(next), 1).await?.pop();
    let found = found.filter(|entry| parse_id(&entry.id).is_ok_and(|id| id == asked));
    let entry = found.ok_or_else(missing)?;
    let slug = Slug::new(slug).ok_or_else(|| no_entity(brand, slug))?;
    let StageHistory { total, newest } =
        state.app.store.stage_history(brand, slug, asked).await?.ok_or_else(missing)?;
    let stage_history = newest.iter().map(move_view).collect();
    Ok(OneEntry { entry, stage_moves: total, stage_history })
}

pub(super) fn move_view(line: &StageMove) -> MoveView {
    let name = |at: &Placement| format!("{}/{}", at.pipeline_slug, at.stage_slug);
    MoveView { from: line.from.as_ref().map(name), to: name(&line.to), moved_at: iso_utc(line.moved_at) }
}

/// The choice that `sales/won`, `none` or nothing stands for.
fn stage_of(entity: &EntityView, asked: &str) -> Result<StageChoice, AdminError> {
    match asked {
        "" => return Ok(StageChoice::Any),
        "none" => return Ok(StageChoice::None),
        _ => {}
    }
    let of_pipeline = |pipeline: &PipelineView| {
        let stage = asked.strip_prefix(&pipeline.slug)?.strip_prefix('/')?.to_owned();
        pipeline.stages.iter().find(|one| one.slug == stage).map(|one| StageChoice::In(one.id))
    };
    let found = entity.pipelines.iter().find_map(of_pipeline);
    found.ok_or_else(|| AdminError::InvalidRequest(format!("{} has no stage {asked:?}", entity.slug)))
}

/// The pipelines of an entity as boards.
pub(crate) async fn boards(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
) -> Result<Vec<Board>, AdminError> {
    let column = async |name: &str, stage: String, choice: StageChoice| -> Result<Column, AdminError> {
        // One more shows whether there are older ones.
        let mut entries = browse(state, brand, &entity.slug, choice, None, CARDS + 1).await?;
        let has_more = entries.len() > CARDS as usize;
        entries.truncate(CARDS as usize);
        Ok(Column { name: name.to_owned(), stage, entries, has_more })
    };
    let mut boards = Vec::new();
    for pipeline in &entity.pipelines {
        let mut columns = Vec::new();
        for stage in &pipeline.stages {
            let slug = format!("{}/{}", pipeline.slug, stage.slug);
            columns.push(column(&stage.name, slug, StageChoice::In(stage.id)).await?);
        }
        boards.push(Board { name: pipeline.name.clone(), columns });
    }
    if let Some(first) = boards.first_mut() {
        let without = column("No stage", "none".to_owned(), StageChoice::None).await?;
        if !without.entries.is_empty() {
            first.columns.insert(0, without);
        }
    }
    Ok(boards)
}

pub(super) async fn find(state: &AdminState, brand: &str, slug: &str) -> Result<Option<Entity>, AdminError> {
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
    let slug = Slug::new(slug).ok_or_else(|| no_entity(brand, slug))?;
    let browse = Browse { brand: brand.to_owned(), slug, stage, before, entries_max, bytes_max: BYTES_MAX };
    let found = state.app.store.browse_entries(browse).await?;
    Ok(found.into_iter().map(entry).collect())
}

pub(super) fn no_entity(brand: &str, slug: &str) -> AdminError {
    AdminError::NoEntity { brand: brand.to_owned(), slug: slug.to_owned() }
}

pub(super) fn entry(browsed: BrowsedEntry) -> EntryView {
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
        kind: field.kind.as_str(),
        options: field.options.clone(),
        settings: field.settings.clone(),
        is_unique: field.unique == Some(true),
        is_indexed: field.index == Some(true) || field.unique == Some(true),
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
        settings: entity.settings.clone(),
        fields: entity.fields.iter().map(field).collect(),
        pipelines: pipelines.collect(),
    }
}

/// Reads an entry's id: 32 hexadecimal digits, with or without hyphens.
pub(super) fn parse_id(text: &str) -> Result<EntryId, AdminError> {
    let digits: String = text.chars().filter(|c| *c != '-').collect();
    let id = u128::from_str_radix(&digits, 16).ok().filter(|_| digits.len() == 32);
    let id = id.ok_or_else(|| AdminError::InvalidEntryId(text.to_owned()))?;
    Ok(EntryId::from_bytes(id.to_be_bytes()))
}
