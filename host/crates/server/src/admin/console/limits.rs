//! Changes of a page's limits, from the form of the page about it.

use actix_web::HttpResponse;
use actix_web::web::{self, Data, Form, Path, Query};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::{self, Edit, show};
use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::changes::note_refusal;
use crate::admin::error::AdminError;
use crate::admin::flash::Operator;
use crate::admin::templates::encode_query;
use crate::admin::views::limits::{self, Change, PageLimits};
use crate::admin::views::pages;
use crate::admin::views::range::Range;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/brands/{brand}/limits", web::get().to(to_page))
        .route("/brands/{brand}/limits", web::post().to(set))
        .route("/brands/{brand}/limits/preview", web::get().to(preview));
}

/// `?path=/cart`, as in the address of the form.
#[derive(Deserialize)]
struct At {
    path: Option<String>,
}

/// Leads to the page with the form. A browser asks for this address if an operator loads the answer to the form
/// again.
async fn to_page(brand: Path<String>, at: Query<At>, range: Query<Range>) -> HttpResponse {
    let brand = encode_query(&brand);
    match &at.path {
        Some(path) => redirect_to(&format!(
            "/brands/{brand}/page?path={}&{}#limits",
            encode_query(path),
            range.view().query()
        )),
        None => redirect_to(&format!("/brands/{brand}")),
    }
}

async fn set(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Form<Change>,
    range: Query<Range>,
    operator: Operator,
) -> HttpResponse {
    let error = match done(&state, &brand, &change, (*range, &operator)).await {
        Ok(response) => return response,
        Err(error) => error,
    };
    note_refusal(&error.to_string());
    // The page again, with what was typed and why it was rejected.
    let wrong = Some((change.limit.clone(), change.typed().to_owned(), error.to_string()));
    let edit = Edit { wrong, ..Edit::default() };
    match show(&state, &brand, &change.page, *range, &edit).await {
        Ok(mut response) => {
            *response.status_mut() = error.status();
            response
        }
        Err(_) => or_error_page(&state, Err(error)),
    }
}

async fn done(
    state: &AdminState,
    brand: &str,
    change: &Change,
    (range, operator): (Range, &Operator),
) -> Result<HttpResponse, AdminError> {
    if change.is_preview() {
        let preview = preview_of(state, brand, change, range).await?;
        let preview = Some((change.limit.clone(), change.typed().to_owned(), preview));
        return show(state, brand, &change.page, range, &Edit { preview, ..Edit::default() }).await;
    }
    let PageLimits { rows, .. } = limits::of_page(state, brand, &change.page)?;
    let was = rows.iter().find(|row| row.limit.kind.name == change.limit).map(|row| row.limit.value);
    limits::apply(state, brand, change).await?;
    let PageLimits { rows, .. } = limits::of_page(state, brand, &change.page)?;
    let said = page::done(&rows, &change.limit, was.unwrap_or_default()).unwrap_or_default();
    let (path, limit, range) = (encode_query(&change.page), encode_query(&change.limit), range.view());
    let address = format!("/brands/{brand}/page?path={path}&set={limit}&{}#limits", range.query());
    Ok(redirect_to(&state.flashes.address(operator, &address, &said)))
}

async fn preview_of(
    state: &AdminState,
    brand: &str,
    change: &Change,
    range: Range,
) -> Result<limits::Preview, AdminError> {
    let detail = pages::find(state, brand, &change.page, range).await?;
    limits::preview(state, brand, change, detail.uses.iter().find(|used| used.limit == change.limit))
}

/// What a change would do, for the script of the page. A value that is not allowed is no error of the request:
/// somebody is typing it.
async fn preview(
    state: Data<AdminState>,
    brand: Path<String>,
    change: Query<Change>,
    range: Query<Range>,
) -> Result<HttpResponse, AdminError> {
    let view: Value = match preview_of(&state, &brand, &change, *range).await {
        Ok(preview) => json!(preview),
        Err(error @ (AdminError::InvalidAmount { .. } | AdminError::AboveMax { .. })) => {
            json!({ "wrong": error.to_string() })
        }
        Err(error) => return Err(error),
    };
    Ok(HttpResponse::Ok().json(view))
}
