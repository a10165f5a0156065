//! The entries of one CRM entity, as boards and as a table, with its fields.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde_json::{Value, json};

use super::super::frame::{Section, render_of};
use super::super::or_error_page;
use super::Notice;
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::text;
use crate::admin::views::crm::{self, EntityView, EntryView};
use crate::admin::views::range::Range;

/// Columns for values in a table of entries.
const COLUMNS_MAX: usize = 16;
/// Values on a card of a board. The entry's page has all.
const CARD_VALUES_MAX: usize = 4;

pub(super) async fn entity(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    query: Query<crm::Query>,
    notice: Query<Notice>,
    range: Query<Range>,
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
        let rows =
            found.entries.iter().map(|entry| json!({ "entry": entry, "cells": cells(&columns, entry) }));
        let view = json!({
            "title": entity.name, "entity": entity, "boards": board_views(&entity, &boards),
            "columns": columns.iter().map(Column::head).collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(),
            "count": count(&query, &found), "older": found.next, "scanned": found.scanned, "asked": asked,
            "text": query.text, "notice": notice.text(), "fields": fields(&entity)?,
            "stages": stages(&entity, query.stage.as_deref().unwrap_or_default()),
        });
        render_of(&state, &brand, ("entity", Section::Crm), range.view(), view)
    };
    or_error_page(&state, page.await)
}

/// How many entries the table has, in words.
fn count(query: &crm::Query, found: &crm::Found) -> String {
    let shown = found.entries.len();
    let noun = if shown == 1 { "entry" } else { "entries" };
    match (&query.before, &found.next) {
        (None, None) => format!("{shown} {noun}."),
        (None, Some(_)) => format!("The newest {shown}. There are more."),
        (Some(_), Some(_)) => format!("{shown} older {noun}. There are more."),
        (Some(_), None) => format!("The oldest {shown}."),
    }
}

fn board_views(entity: &EntityView, boards: &[crm::Board]) -> Vec<Value> {
    let card = |entry: &EntryView| {
        let values = columns(entity, std::slice::from_ref(entry)).into_iter().take(CARD_VALUES_MAX);
        let values = values
            .map(|column| json!({ "label": column.label, "text": column.text(entry) }))
            .collect::<Vec<_>>();
        json!({ "entry": entry, "values": values })
    };
    let column = |column: &crm::Column| {
        json!({
            "name": column.name, "stage": column.stage, "has_more": column.has_more, "shown": column.entries.len(),
            "cards": column.entries.iter().map(card).collect::<Vec<_>>(),
        })
    };
    let board = |board: &crm::Board| json!({ "name": board.name, "columns": board.columns.iter().map(column).collect::<Vec<_>>() });
    boards.iter().map(board).collect()
}

/// The declared fields, with those settings that say something.
fn fields(entity: &EntityView) -> Result<Vec<Value>, AdminError> {
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
fn stages(entity: &EntityView, asked: &str) -> Vec<Value> {
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

/// A column of a table: a declared field, or a key that some entries have.
struct Column {
    key: String,
    label: String,
    is_number: bool,
}

impl Column {
    fn head(&self) -> Value {
        json!({ "label": self.label, "is_number": self.is_number })
    }

    fn text(&self, entry: &EntryView) -> String {
        entry.values.get(&self.key).map(text).unwrap_or_default()
    }
}

/// The columns of a table of these entries: declared fields first, then the other keys of the entries. A field that
/// none of them has is left out.
fn columns(entity: &EntityView, entries: &[EntryView]) -> Vec<Column> {
    let is_number = |kind: &str| matches!(kind, "number" | "integer" | "decimal" | "currency");
    let has_values = |key: &str| {
        entries
            .iter()
            .any(|entry| entry.values.get(key).is_some_and(|value| !value.is_null() && *value != json!("")))
    };
    let declared = entity.fields.iter().map(|field| Column {
        key: field.key.clone(),
        label: field.label.clone(),
        is_number: is_number(field.kind),
    });
    let mut columns: Vec<Column> = declared.collect();
    for key in entries.iter().flat_map(|entry| entry.values.keys()) {
        if !columns.iter().any(|known| known.key == *key) {
            columns.push(Column { key: key.clone(), label: key.clone(), is_number: false });
        }
    }
    columns.retain(|column| has_values(&column.key));
    columns.truncate(COLUMNS_MAX);
    columns
}

fn cells(columns: &[Column], entry: &EntryView) -> Vec<Value> {
    let cell = |column: &Column| json!({ "label": column.label, "text": column.text(entry), "is_number": column.is_number });
    columns.iter().map(cell).collect()
}
