//! The log of changes as a file for spreadsheets.

use std::sync::Arc;

use actix_web::HttpResponse;
use actix_web::http::header;
use actix_web::web::Bytes;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use sluice_crm::csv::{guarded, record};
use sluice_kit::clock::iso_utc;
use sluice_store::Store;
use sluice_store::changes::ChangeFilter;

use super::changes::{ChangeView, Query, filter};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Changes that are read at once.
const PIECE: u32 = 500;

const HEAD: [&str; 14] = [
    "number",
    "time",
    "milliseconds",
    "brand",
    "action",
    "what",
    "target",
    "item",
    "from",
    "to",
    "operator",
    "client",
    "outcome",
    "reason",
];

/// The response with all changes that match, newest first. It ends early if the database does not answer, and browsers
/// then say that the download has failed.
///
/// # Errors
/// There is no such brand or outcome, or the text is too long.
pub(crate) async fn export(state: &AdminState, query: &Query) -> Result<HttpResponse, AdminError> {
    let filter = filter(state, query, PIECE)?;
    let store = Arc::clone(&state.app.store);
    let head = stream::iter([Ok::<_, AdminError>(Bytes::from(record(HEAD)))]);
    let pieces = stream::try_unfold(Some((store, filter)), async |left| {
        let Some((store, filter)) = left else { return Ok(None) };
        let piece = piece(store, filter).await;
        piece.inspect_err(|error| tracing::warn!(%error, "an export of the log of changes has ended early"))
    });
    Ok(HttpResponse::Ok()
        .content_type("text/csv; charset=utf-8")
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"changes.csv\""))
        .streaming(head.chain(pieces.map_err(AdminError::from))))
}

type Left = Option<(Arc<dyn Store>, ChangeFilter)>;

/// The next records, and what is left then.
async fn piece(store: Arc<dyn Store>, mut filter: ChangeFilter) -> Result<Option<(Bytes, Left)>, AdminError> {
    let found = store.list_changes(filter.clone()).await?;
    let Some(last) = found.last() else { return Ok(None) };
    filter.before = Some(last.id);
    let is_full = found.len() == PIECE as usize;
    let text: String = found.into_iter().map(|change| line(&ChangeView::from(change))).collect();
    Ok(Some((Bytes::from(text), is_full.then_some((store, filter)))))
}

fn line(change: &ChangeView) -> String {
    let cells = [
        change.id.to_string(),
        iso_utc(change.at_ms),
        change.took_ms.to_string(),
        change.brand.clone().unwrap_or_default(),
        change.action.clone(),
        change.what.clone(),
        change.target.clone(),
        change.item.clone(),
        change.was.clone(),
        change.becomes.clone(),
        change.operator.clone(),
        change.client.clone(),
        change.outcome.clone(),
        change.said.clone(),
    ];
    // A page or an entry can have a name that a spreadsheet would run as a formula.
    let cells = cells.map(|cell| guarded(&cell));
    record(cells.iter().map(String::as_str))
}
