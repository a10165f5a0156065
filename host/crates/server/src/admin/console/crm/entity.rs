//! The entries of one CRM entity, as boards and as a table, with its fields.

use actix_web::web::{Data, Form, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use super::super::frame::{Section, render_of};
use super::super::{or_error_page, redirect_to};
use super::columns::{Chosen, cells, those_with_values};
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::flash::{Operator, Said};
use crate::admin::templates::encode_query;
use crate::admin::views::crm::{self, EntityView, EntryView};
use crate::admin::views::crm_edit::{self, Deleted};
use crate::admin::views::crm_sorted::{self, Sort};
use crate::admin::views::range::Range;

/// Values on a card of a board. The entry's page has all.
const CARD_VALUES_MAX: usize = 4;

pub(super) async fn entity(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    query: Query<crm::Query>,
    (said, chosen, sort): (Said, Query<Chosen>, Query<Sort>),
    range: Query<Range>,
    request: HttpRequest,
) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let pairs = Query::<Vec<(String, String)>>::from_query(request.query_string());
        if let Some(chosen) = pairs.ok().and_then(|pairs| Chosen::of_form(&pairs)) {
            // The address has the choice as one part.
            let parts = [query.asked(), sort.query(), chosen.query(), range.view().query().to_owned()];
            let parts: Vec<&str> = parts.iter().map(String::as_str).filter(|part| !part.is_empty()).collect();
            return Ok(redirect_to(&format!("{}?{}#entries", address(&brand, &slug), parts.join("&"))));
        }
        let entity = crm::entity(&state, &brand, &slug).await?;
        let found = match sort.is_default() {
            true => crm::search(&state, &brand, &entity, &query).await?,
            false => crm_sorted::search(&state, &brand, &entity, (&query, &sort)).await?,
        };
        let asked = query.asked();
        // A search is about the table. The boards would show entries that it does not mean.
        let boards = match asked.is_empty() && query.before.is_none() && sort.is_default() {
            true => crm::boards(&state, &brand, &entity).await?,
            false => Vec::new(),
        };
        let columns = chosen.columns(&entity, &found.entries)?;
        let rows =
            found.entries.iter().map(|entry| json!({ "entry": entry, "cells": cells(&columns, entry) }));
        let view = json!({
            "title": entity.name, "entity": entity, "boards": board_views(&entity, &boards),
            "columns": columns.iter().map(|column| column.head(&sort)).collect::<Vec<_>>(), "rows": rows.collect::<Vec<_>>(),
            "count": count(&query, &sort, &found), "older": found.next, "sort": sort.query(), "sort_fields": sort_fields(&sort),
            "created": sort.link(""), "is_sorted": !sort.is_default(), "has_unsorted": columns.iter().any(|column| !column.is_indexed), "scanned": found.scanned, "asked": asked,
            "text": query.text, "fields": fields(&entity)?, "done": said.0,
            "stage": query.stage, "chosen": chosen.kept(), "chosen_query": chosen.query(),
            "boxes": chosen.boxes(&entity, &columns), "range_fields": range.view().fields(),
            "stages": stages(&entity, query.stage.as_deref().unwrap_or_default()),
        });
        render_of(&state, &brand, ("entity", Section::Crm), range.view(), view)
    };
    or_error_page(&state, page.await)
}

/// How many entries the table has, in words.
fn count(query: &crm::Query, sort: &Sort, found: &crm::Found) -> String {
    let shown = found.entries.len();
    let noun = if shown == 1 { "entry" } else { "entries" };
    if !sort.is_default() {
        let more = if found.next.is_some() { " There are more." } else { "" };
        return format!("{shown} {noun} in this order.{more}");
    }
    match (&query.before, &found.next) {
        (None, None) => format!("{shown} {noun}."),
        (None, Some(_)) => format!("The newest {shown}. There are more."),
        (Some(_), Some(_)) => format!("{shown} older {noun}. There are more."),
        (Some(_), None) => format!("The oldest {shown}."),
    }
}

fn sort_fields(sort: &Sort) -> Vec<Value> {
    sort.fields().into_iter().map(|(name, value)| json!({ "name": name, "value": value })).collect()
}

fn board_views(entity: &EntityView, boards: &[crm::Board]) -> Vec<Value> {
    let card = |entry: &EntryView| {
        let values = those_with_values(entity, std::slice::from_ref(entry)).into_iter();
        // The card is titled with its reference, which is often an e-mail address that a field has, too.
        let values = values
            .filter(|column| column.text(entry) != entry.reference_id)
            .take(CARD_VALUES_MAX)
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

fn address(brand: &str, slug: &str) -> String {
    format!("/brands/{}/crm/{}", encode_query(brand), encode_query(slug))
}

/// Leads to the entries. A browser asks for this address if an operator loads the answer to the form again.
pub(super) async fn to_entity(at: Path<(String, String)>, range: Query<Range>) -> HttpResponse {
    redirect_to(&format!("{}?{}#entries", address(&at.0, &at.1), range.view().query()))
}

/// What became of entries that were to be deleted.
fn deleted_text(deleted: usize, missing: usize) -> String {
    let were = match deleted {
        1 => "1 entry was deleted.".to_owned(),
        count => format!("{count} entries were deleted."),
    };
    match missing {
        0 => were,
        missing => format!("{were} {missing} had been deleted before."),
    }
}

/// Deletes the entries that are ticked in the table. Asks first, on a page that names their number.
pub(super) async fn delete(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    form: Form<Vec<(String, String)>>,
    range: Query<Range>,
    operator: Operator,
) -> HttpResponse {
    let (brand, slug) = at.into_inner();
    let page = async {
        let ids = form.iter().filter(|(name, _)| name == "id").map(|(_, id)| id.as_str());
        let ids = crm_edit::chosen(ids)?;
        let is_sure = form.iter().any(|(name, value)| name == "sure" && value == "yes");
        if !is_sure {
            let entity = crm::entity(&state, &brand, &slug).await?;
            let mut entries = Vec::new();
            for id in ids.iter().map(ToString::to_string) {
                match crm::find_entry(&state, &brand, &slug, &id).await {
                    Ok(one) => entries.push(one.entry),
                    Err(AdminError::NoEntry(_)) => {}
                    Err(error) => return Err(error),
                }
            }
            let (count, missing) = (entries.len(), ids.len().saturating_sub(entries.len()));
            let title =
                if count == 1 { "Delete 1 entry".to_owned() } else { format!("Delete {count} entries") };
            let entries: Vec<Value> = entries.iter().map(|entry| json!({
                "id": entry.id, "reference_type": entry.reference_type, "reference_id": entry.reference_id,
                "updated_at": entry.updated_at,
            })).collect();
            let view = json!({ "title": title, "entity": entity, "entries": entries, "missing": missing });
            return render_of(&state, &brand, ("entries_delete", Section::Crm), range.view(), view);
        }
        let Deleted { deleted, missing } = crm_edit::delete_chosen(&state, &brand, &slug, ids).await?;
        let address = format!("{}?{}", address(&brand, &slug), range.view().query());
        Ok(redirect_to(&state.flashes.address(&operator, &address, &deleted_text(deleted, missing))))
    };
    or_error_page(&state, page.await)
}
