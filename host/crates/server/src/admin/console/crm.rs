//! The pages of the CRM: its entities, and what imports and exports of entries say. `entity.rs` has the entries of an
//! entity, `entry.rs` one of them, and `form.rs` the form that changes it.

mod columns;
mod entity;
mod entry;
mod field;
mod form;

use actix_web::web::{self, Data, Path, Payload, Query};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::{Value, json};

use sluice_kit::clock::iso_utc;

use super::frame::{Section, render_of};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::flash::Operator;
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
        .route("/brands/{brand}/crm/{entity}/delete", web::get().to(entity::to_entity))
        .route("/brands/{brand}/crm/{entity}/delete", web::post().to(entity::delete))
        .configure(entry::routes);
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

async fn export(state: Data<AdminState>, at: Path<(String, String)>) -> HttpResponse {
    or_error_page(&state, crm_csv::export(&state, &at.0, &at.1).await)
}

async fn import(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    request: HttpRequest,
    payload: Payload,
    operator: Operator,
) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let done = crm_csv::import(&state, &brand, &slug, request.headers(), payload).await?;
        let said = match done {
            Done::Checked { records } => {
                format!("The file is valid. Records that can be imported: {records}. Nothing was written.")
            }
            Done::Imported { created, changed } => format!("Entries created: {created}, changed: {changed}."),
        };
        let address = format!("/brands/{brand}/crm/{}", encode_query(&slug));
        Ok(redirect_to(&state.flashes.address(&operator, &address, &said)))
    };
    or_error_page(&state, page.await)
}
