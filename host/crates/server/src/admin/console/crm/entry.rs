//! One entry: what it has, the forms that change and delete it, and the form for a new one.

use actix_web::guard;
use actix_web::web::{self, Data, Form as Body, FormConfig, Path, Query};
use actix_web::{HttpResponse, Resource};
use serde_json::{Value, json};

use super::super::frame::{Section, render_of};
use super::super::{or_error_page, redirect_to};
use super::form::{BODY_BYTES_MAX, Form, Posted, Reasons};
use crate::admin::AdminState;
use crate::admin::changes::{note, note_refusal};
use crate::admin::error::AdminError;
use crate::admin::flash::{Operator, Said};
use crate::admin::templates::encode_query;
use crate::admin::views::changes::{self, ChangeView};
use crate::admin::views::crm::{self, EntityView, OneEntry};
use crate::admin::views::crm_edit::{self, Change, New};
use crate::admin::views::range::Range;

/// Brand, entity and entry.
type At = Path<(String, String, String)>;
/// A form as pairs of names and texts, or why it cannot be read.
type Pairs = Result<Body<Vec<(String, String)>>, actix_web::Error>;

pub(super) fn routes(config: &mut web::ServiceConfig) {
    // Longer than the forms of other pages.
    let post = |path: &str| -> Resource {
        web::resource(path).guard(guard::Post()).app_data(FormConfig::default().limit(BODY_BYTES_MAX))
    };
    config
        .route("/brands/{brand}/crm/{entity}/new", web::get().to(new))
        .service(post("/brands/{brand}/crm/{entity}/new").route(web::post().to(create)))
        .route("/brands/{brand}/crm/{entity}/{entry}", web::get().to(entry))
        .service(post("/brands/{brand}/crm/{entity}/{entry}").route(web::post().to(change)))
        .route("/brands/{brand}/crm/{entity}/{entry}/delete", web::get().to(to_entry))
        .route("/brands/{brand}/crm/{entity}/{entry}/delete", web::post().to(delete));
}

fn posted(pairs: Pairs) -> Result<Posted, AdminError> {
    let pairs = pairs.map_err(|error| AdminError::InvalidRequest(error.to_string()))?;
    Ok(Posted::new(pairs.into_inner()))
}

fn address(brand: &str, slug: &str, rest: &str) -> String {
    format!("/brands/{}/crm/{}{rest}", encode_query(brand), encode_query(slug))
}

async fn entry(state: Data<AdminState>, at: At, range: Query<Range>, said: Said) -> HttpResponse {
    let page = async {
        let (brand, slug, id) = at.into_inner();
        let entity = crm::entity(&state, &brand, &slug).await?;
        let one = crm::find_entry(&state, &brand, &slug, &id).await?;
        let form = Form::of(&entity, &one.entry).view(None, &Reasons::default(), false);
        show(&state, &brand, (&entity, &one), (form, said.0.as_deref()), *range).await
    };
    or_error_page(&state, page.await)
}

/// Leads to the page of the entry. A browser asks for this address if an operator loads the answer to the form again.
async fn to_entry(at: At, range: Query<Range>) -> HttpResponse {
    let rest = format!("/{}?{}", encode_query(&at.2), range.view().query());
    redirect_to(&address(&at.0, &at.1, &rest))
}

async fn show(
    state: &AdminState,
    brand: &str,
    (entity, one): (&EntityView, &OneEntry),
    (form, done): (Value, Option<&str>),
    range: Range,
) -> Result<HttpResponse, AdminError> {
    let OneEntry { entry, stage_moves, stage_history } = one;
    let by = changes::moves_of(state, brand, &entity.slug, &entry.id).await;
    let declared = |key: &str| entity.fields.iter().find(|field| field.key == key);
    let values: Vec<Value> = entry
        .values
        .iter()
        .map(|(key, value)| {
            let (label, kind) = declared(key).map(|field| (field.label.clone(), field.kind)).unzip();
            let shown = match value {
                Value::String(text) => text.clone(),
                value => format!("{value:#}"),
            };
            json!({ "key": key, "label": label, "kind": kind, "value": shown })
        })
        .collect();
    let undeclared = entry.values.keys().filter(|key| declared(key).is_none()).count();
    let view = json!({
        "title": format!("{} {}", entry.reference_type, entry.reference_id), "entity": entity, "entry": entry,
        "values": values, "has_stages": !entity.pipelines.is_empty() || *stage_moves > 0,
        "history": history(*stage_moves, stage_history, &by), "form": form, "done": done, "undeclared": undeclared,
    });
    render_of(state, brand, ("entry", Section::Crm), range.view(), view)
}

/// The history of an entry's stages, and what it does not show.
fn history(total: u64, moves: &[crm::MoveView], by: &[ChangeView]) -> Value {
    let shown = moves.len();
    let oldest = moves.last();
    let is_cut = u64::try_from(shown).is_ok_and(|shown| shown < total);
    // Moves by versions that kept no history are missing.
    let begins_late = !is_cut && oldest.is_some_and(|oldest| oldest.from.is_some());
    let row =
        |one: &crm::MoveView| json!({ "move": one, "change": changes::mover(by, &one.to, &one.moved_at) });
    json!({
        "moves": moves.iter().map(row).collect::<Vec<_>>(), "total": total, "shown": shown, "is_cut": is_cut, "begins_late": begins_late,
        "oldest": oldest.map(|oldest| &oldest.moved_at),
    })
}

async fn change(
    state: Data<AdminState>,
    at: At,
    pairs: Pairs,
    range: Query<Range>,
    operator: Operator,
) -> HttpResponse {
    let (brand, slug, id) = at.into_inner();
    or_error_page(&state, changed(&state, (&brand, &slug, &id), pairs, (*range, &operator)).await)
}

/// Changes the entry, or shows the form again with what was typed and why it is refused.
async fn changed(
    state: &AdminState,
    (brand, slug, id): (&str, &str, &str),
    pairs: Pairs,
    (range, operator): (Range, &Operator),
) -> Result<HttpResponse, AdminError> {
    let posted = posted(pairs)?;
    let seen = posted.one("seen").map(str::to_owned);
    let seen = seen.ok_or_else(|| AdminError::InvalidRequest("the form has no `seen`".to_owned()))?;
    let entity = crm::entity(state, brand, slug).await?;
    let one = crm::find_entry(state, brand, slug, id).await?;
    let form = Form::of(&entity, &one.entry);
    let typed = form.read(&posted);
    let again = async |one: &OneEntry, reasons: &Reasons, error: Option<&AdminError>| {
        let is_late = one.entry.updated_at != seen;
        note_refusal(&why_again(error));
        let form = Form::of(&entity, &one.entry).view(Some(&posted), reasons, is_late);
        let mut response = show(state, brand, (&entity, one), (form, None), range).await?;
        *response.status_mut() = match error {
            Some(error) => error.status(),
            None => AdminError::InvalidRequest(String::new()).status(),
        };
        Ok(response)
    };
    if one.entry.updated_at != seen && !(typed.is_empty() && typed.reasons.is_empty()) {
        return again(&one, &typed.reasons, Some(&AdminError::EntryChanged)).await;
    }
    if !typed.reasons.is_empty() {
        return again(&one, &typed.reasons, None).await;
    }
    let back = |said: &str| {
        let rest = format!("/{}?{}", encode_query(id), range.view().query());
        redirect_to(&state.flashes.address(operator, &address(brand, slug, &rest), said))
    };
    if typed.is_empty() {
        note(|note| note.is_nothing = true);
        return Ok(back("Nothing was changed: the form was as the entry is."));
    }
    let wanted = Change { values: typed.values, stage: typed.stage, if_updated_at: Some(seen.clone()) };
    match crm_edit::change(state, brand, slug, id, &wanted).await {
        Ok(()) => Ok(back("The entry was changed.")),
        Err(AdminError::EntryChanged) => {
            let now = crm::find_entry(state, brand, slug, id).await?;
            again(&now, &Reasons::default(), Some(&AdminError::EntryChanged)).await
        }
        Err(error) if is_about_form(&error) => again(&one, &Reasons::of(&error), Some(&error)).await,
        Err(error) => Err(error),
    }
}

/// Why a form is shown again, for the log of changes.
fn why_again(error: Option<&AdminError>) -> String {
    let said = error.map(AdminError::without_values).filter(|said| !said.is_empty());
    said.unwrap_or_else(|| "a value of the form was rejected".to_owned())
}

/// Whether the form can say what is wrong.
fn is_about_form(error: &AdminError) -> bool {
    error.status().is_client_error() && !matches!(error, AdminError::NoEntry(_) | AdminError::NoEntity { .. })
}

async fn delete(state: Data<AdminState>, at: At, range: Query<Range>, operator: Operator) -> HttpResponse {
    let (brand, slug, id) = at.into_inner();
    let done = crm_edit::delete(&state, &brand, &slug, &id).await;
    let address = address(&brand, &slug, &format!("?{}", range.view().query()));
    let back = |_| redirect_to(&state.flashes.address(&operator, &address, "1 entry was deleted."));
    or_error_page(&state, done.map(back))
}

async fn new(state: Data<AdminState>, at: Path<(String, String)>, range: Query<Range>) -> HttpResponse {
    let page = async {
        let (brand, slug) = at.into_inner();
        let entity = crm::entity(&state, &brand, &slug).await?;
        let form = Form::new(&entity).view(None, &Reasons::default(), false);
        show_new(&state, &brand, &entity, form, *range)
    };
    or_error_page(&state, page.await)
}

fn show_new(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
    form: Value,
    range: Range,
) -> Result<HttpResponse, AdminError> {
    let view = json!({ "title": format!("New entry of {}", entity.name), "entity": entity, "form": form });
    render_of(state, brand, ("entry_new", Section::Crm), range.view(), view)
}

async fn create(
    state: Data<AdminState>,
    at: Path<(String, String)>,
    pairs: Pairs,
    range: Query<Range>,
    operator: Operator,
) -> HttpResponse {
    let (brand, slug) = at.into_inner();
    or_error_page(&state, created(&state, (&brand, &slug), pairs, (*range, &operator)).await)
}

/// Creates the entry, or shows the form again with what was typed and why it is refused.
async fn created(
    state: &AdminState,
    (brand, slug): (&str, &str),
    pairs: Pairs,
    (range, operator): (Range, &Operator),
) -> Result<HttpResponse, AdminError> {
    let posted = posted(pairs)?;
    let entity = crm::entity(state, brand, slug).await?;
    let form = Form::new(&entity);
    let typed = form.read(&posted);
    let again = |reasons: &Reasons, error: &AdminError| {
        note_refusal(&why_again(Some(error)));
        let view = form.view(Some(&posted), reasons, false);
        let mut response = show_new(state, brand, &entity, view, range)?;
        *response.status_mut() = error.status();
        Ok(response)
    };
    if !typed.reasons.is_empty() {
        return again(&typed.reasons, &AdminError::InvalidRequest(String::new()));
    }
    let wanted = New {
        reference_type: posted.text("reference_type"),
        reference_id: posted.text("reference_id"),
        values: typed.values,
        stage: typed.stage,
    };
    match crm_edit::create(state, brand, slug, &wanted).await {
        Ok(id) => {
            let address = address(brand, slug, &format!("/{id}?{}", range.view().query()));
            Ok(redirect_to(&state.flashes.address(operator, &address, "The entry was created.")))
        }
        Err(error) if is_about_form(&error) => again(&Reasons::of(&error), &error),
        Err(error) => Err(error),
    }
}
