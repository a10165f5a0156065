//! The forms that resolve and mute kinds of failures, and the links that choose which kinds are listed.

use actix_web::web::{self, Data, Form, Path};
use actix_web::{HttpRequest, HttpResponse};
use serde::Deserialize;
use serde_json::{Value, json};

use super::{or_error_page, redirect_to};
use crate::admin::AdminState;
use crate::admin::changes::operator;
use crate::admin::flash::Operator;
use crate::admin::own_address::own_address;
use crate::admin::templates::encode_query;
use crate::admin::views;
use crate::admin::views::failures::Kinds;
use crate::admin::views::marks::{self, Action, Length, MarkView};
use crate::admin::views::shown_kinds::{self, Counts, Place};

pub(super) fn routes(config: &mut web::ServiceConfig) {
    config.route("/brands/{brand}/failures/{failure}/{action}", web::post().to(act));
}

/// The form: for how long, and the page to which it leads.
#[derive(Deserialize)]
struct Asked {
    #[serde(flatten)]
    length: Length,
    #[serde(default)]
    next: String,
}

async fn act(
    state: Data<AdminState>,
    at: Path<(String, String, Action)>,
    form: Form<Asked>,
    (session, request): (Operator, HttpRequest),
) -> HttpResponse {
    let (brand, kind, action) = &*at;
    let done = marks::act(&state, (brand, kind), (*action, &form.length), operator(&request)).await;
    let page = || match own_address(&form.next) {
        true => form.next.clone(),
        false => format!("/brands/{}", encode_query(brand)),
    };
    or_error_page(&state, done.map(|said| redirect_to(&state.flashes.address(&session, &page(), &said))))
}

/// The links that choose which kinds are listed. Null if there is nothing to choose.
pub(super) fn show_links(kinds: Kinds, counts: Counts) -> Value {
    let links = shown_kinds::links(kinds.show, counts);
    if links.is_empty() { Value::Null } else { json!(links) }
}

/// The names and values of the choices as hidden fields of the form for the range.
pub(super) fn fields(kinds: Kinds) -> Vec<Value> {
    views::fields(kinds.asked())
}

/// What the page of a run shows of its kind. `next` is the address of that page.
pub(super) fn of_run(found: Option<(String, Option<MarkView>)>, next: &str) -> Value {
    let Some((id, mark)) = found else { return Value::Null };
    let state = mark.as_ref().map(|mark| mark.state);
    let (is_resolved, is_muted) = (state == Some(Place::Resolved), state == Some(Place::Muted));
    json!({
        "id": id, "mark": mark, "next": next, "is_resolved": is_resolved, "is_muted": is_muted,
        "is_hidden": is_resolved || is_muted,
    })
}
