//! The pages of the CRM: entities, the entries of one, and one entry.

use actix_web::web::{self, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;

use super::{or_error_page, redirect_to, render};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::{encode_query, text};
use crate::admin::views::crm;
use crate::admin::views::crm_csv::{self, Done};

/// Columns for values in a table of entries.
const COLUMNS_MAX: usize = 16;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/brands/{brand}/crm", web::get().to(entities))
        .route("/brands/{brand}/crm/{entity}", web::get().to(entity))
        .route("/brands/{brand}/crm/{entity}/entries.csv", web::get().to(export))
        .route("/brands/{brand}/crm/{entity}/entries.csv", web::post().to(import))
        .route("/brands/{brand}/crm/{entity}/{entry}", web::get().to(entry));
}

async fn entities(state: Data<AdminState>, brand: Path<String>) -> HttpResponse {
    let page = async {
        let entities = crm::entities(&state, &brand).await?;
        let refused = state.app.crm.refused.of(&brand).map(|refused| {
            json!({ "count": refused.count, "last_at": iso_utc(refused.last_at), "last": refused.last })
        });
        let view = json!({
            "title": "CRM", "brand": *brand, "section_crm": true, "entities": entities, "refused": refused,
        });
        render(&state, "crm", &view)
    };
    or_error_page(&state, page.await)
}

async fn entity(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    query: Query<crm::Query>,
    notice: Query<Notice>,
) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let entity = crm::entity(&state, &brand, &slug).await?;
        let found = crm::search(&state, &brand, &entity, &query).await?;
        let asked = query.asked();
        // A search is about the table. The boards would show entries that it does not mean.
        let boards = match asked.is_empty() && query.before.is_none() {
            true => crm::boards(&state, &brand, &entity).await?,
            false => Vec::new(),
        };
        let columns = columns(&entity, &found.entries);
        let cells = |entry: &crm::EntryView| -> Vec<Value> {
            let text = |key: &String| entry.values.get(key).map(text).unwrap_or_default();
            columns.iter().map(|(key, label)| json!({ "label": label, "text": text(key) })).collect()
        };
        let rows: Vec<Value> =
            found.entries.iter().map(|entry| json!({ "entry": entry, "cells": cells(entry) })).collect();
        let labels: Vec<Value> = columns.iter().map(|(_, label)| json!({ "label": label })).collect();
        let view = json!({
            "title": entity.name, "brand": brand, "section_crm": true, "entity": entity, "boards": boards,
            "columns": labels, "rows": rows, "older": found.next, "scanned": found.scanned, "asked": asked,
            "text": query.text, "notice": notice.text(), "fields": fields(&entity)?, "stages": stages(&entity, query.stage.as_deref().unwrap_or_default()),
        });
        render(&state, "entity", &view)
    };
    or_error_page(&state, page.await)
}

/// `?records=3` or `?created=1&changed=2`: what an import has done, after which the browser came here.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Notice {
    records: Option<u64>,
    created: Option<u64>,
    changed: Option<u64>,
}

impl Notice {
    fn text(&self) -> Option<String> {
        match (self.records, self.created, self.changed) {
            (Some(records), ..) => {
                Some(format!("The file is valid. Records that can be imported: {records}"))
            }
            (None, Some(created), Some(changed)) => {
                Some(format!("Entries created: {created}, changed: {changed}"))
            }
            _ => None,
        }
    }
}

async fn export(state: Data<AdminState>, at: Path<(String, String)>) -> HttpResponse {
    or_error_page(&state, crm_csv::export(&state, &at.0, &at.1).await)
}

async fn import(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let done = crm_csv::import(&state, &brand, &slug, request.headers(), payload).await?;
        let done = match done {
            Done::Checked { records } => format!("records={records}"),
            Done::Imported { created, changed } => format!("created={created}&changed={changed}"),
        };
        Ok(redirect_to(&format!("/brands/{brand}/crm/{}?{done}#csv", encode_query(&slug))))
    };
    or_error_page(&state, page.await)
}

async fn entry(state: Data<AdminState>, at: Path<(String, String, String)>) -> HttpResponse {
    let page = async {
        let (brand, slug, id) = at.into_inner();
        let entity = crm::entity(&state, &brand, &slug).await?;
        let crm::OneEntry { entry, stage_moves, stage_history } =
            crm::find_entry(&state, &brand, &slug, &id).await?;
        let label = |key: &str| entity.fields.iter().find(|field| field.key == key);
        let values: Vec<Value> = entry
            .values
            .iter()
            .map(|(key, value)| {
                let (label, kind) = label(key).map(|field| (field.label.clone(), field.kind)).unzip();
                let shown = match value {
                    Value::String(text) => text.clone(),
                    value => format!("{value:#}"),
                };
                json!({ "key": key, "label": label, "kind": kind, "value": shown })
            })
            .collect();
        let title = format!("{} {}", entry.reference_type, entry.reference_id);
        let view = json!({
            "title": title, "brand": brand, "section_crm": true, "entity": entity, "entry": entry,
            "values": values, "has_stages": !entity.pipelines.is_empty() || stage_moves > 0,
            "history": history(stage_moves, &stage_history),
        });
        render(&state, "entry", &view)
    };
    or_error_page(&state, page.await)
}

/// The history of an entry's stages, and what it does not show.
fn history(total: u64, moves: &[crm::MoveView]) -> Value {
    let shown = moves.len();
    let oldest = moves.last();
    let is_cut = u64::try_from(shown).is_ok_and(|shown| shown < total);
    // Moves by versions that kept no history are missing.
    let begins_late = !is_cut && oldest.is_some_and(|oldest| oldest.from.is_some());
    json!({
        "moves": moves, "total": total, "shown": shown, "is_cut": is_cut, "begins_late": begins_late,
        "oldest": oldest.map(|oldest| &oldest.moved_at),
    })
}

/// The declared fields, with those settings that say something.
fn fields(entity: &crm::EntityView) -> Result<Vec<Value>, AdminError> {
    let row = |field: &crm::FieldView| {
        let all =
            serde_json::to_value(field).map_err(|error| AdminError::InvalidRequest(error.to_string()))?;
        let is_own = |name: &str| matches!(name, "key" | "label" | "type");
        let says = |value: &Value| !value.is_null() && *value != json!([]) && *value != json!({});
        let settings: Vec<Value> = all
            .as_object()
            .into_iter()
            .flatten()
            .filter(|(name, value)| !is_own(name) && says(value))
            .map(|(name, value)| json!({ "name": name, "value": value }))
            .collect();
        Ok(json!({ "label": field.label, "key": field.key, "kind": field.kind, "settings": settings }))
    };
    entity.fields.iter().map(row).collect()
}

/// The stages that can be chosen: `sales/won`, and `none` if there is a pipeline.
fn stages(entity: &crm::EntityView, asked: &str) -> Vec<Value> {
    let choice =
        |value: String, label: String| json!({ "is_chosen": value == asked, "value": value, "label": label });
    let mut all: Vec<Value> = Vec::new();
    for pipeline in &entity.pipelines {
        for stage in &pipeline.stages {
            let label = format!("{} / {}", pipeline.name, stage.name);
            all.push(choice(format!("{}/{}", pipeline.slug, stage.slug), label));
        }
    }
    if !all.is_empty() {
        all.push(choice("none".to_owned(), "no stage".to_owned()));
    }
    all
}

/// The keys and labels of a table's columns: declared fields first, then the other keys of the
/// entries.
fn columns(entity: &crm::EntityView, entries: &[crm::EntryView]) -> Vec<(String, String)> {
    let mut columns: Vec<(String, String)> =
        entity.fields.iter().map(|field| (field.key.clone(), field.label.clone())).collect();
    for key in entries.iter().flat_map(|entry| entry.values.keys()) {
        if !columns.iter().any(|(known, _)| known == key) {
            columns.push((key.clone(), key.clone()));
        }
    }
    columns.truncate(COLUMNS_MAX);
    columns
}
