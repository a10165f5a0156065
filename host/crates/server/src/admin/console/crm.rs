//! The pages of the CRM: entities, one entry, and what imports and exports of entries say. `entity.rs` has the entries of
//! an entity.

mod entity;

use actix_web::web::{self, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;

use super::frame::{Section, render_of};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::templates::encode_query;
use crate::admin::views::crm;
use crate::admin::views::crm_csv::{self, Done};
use crate::admin::views::range::Range;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/brands/{brand}/crm", web::get().to(entities))
        .route("/brands/{brand}/crm/{entity}", web::get().to(entity::entity))
        .route("/brands/{brand}/crm/{entity}/entries.csv", web::get().to(export))
        .route("/brands/{brand}/crm/{entity}/entries.csv", web::post().to(import))
        .route("/brands/{brand}/crm/{entity}/{entry}", web::get().to(entry));
}

async fn entities(state: Data<AdminState>, brand: Path<String>, range: Query<Range>) -> HttpResponse {
    let page = async {
        let entities = crm::entities(&state, &brand).await?;
        let refused = state.app.crm.refused.of(&brand).map(|refused| {
            json!({ "count": refused.count, "last_at": iso_utc(refused.last_at), "last": refused.last })
        });
        let row = |entity: &crm::EntityView| {
            let (slug, name, moves) = (&entity.slug, &entity.name, entity.mode == "crm");
            json!({ "slug": slug, "name": name, "moves": moves, "fields": entity.fields, "pipelines": entity.pipelines })
        };
        let entities: Vec<Value> = entities.iter().map(row).collect();
        let view = json!({ "title": "CRM", "entities": entities, "refused": refused });
        render_of(&state, &brand, ("crm", Section::Crm), range.view(), view)
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

async fn entry(
    state: Data<AdminState>,
    at: Path<(String, String, String)>,
    range: Query<Range>,
) -> HttpResponse {
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
            "title": title, "entity": entity, "entry": entry,
            "values": values, "has_stages": !entity.pipelines.is_empty() || stage_moves > 0,
            "history": history(stage_moves, &stage_history),
        });
        render_of(&state, &brand, ("entry", Section::Crm), range.view(), view)
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
