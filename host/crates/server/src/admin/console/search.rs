//! The page with what a search over all brands has found.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde_json::json;

use super::{or_error_page, render};
use crate::admin::AdminState;
use crate::admin::views::range::Range;
use crate::admin::views::search;

pub(super) async fn show(
    state: Data<AdminState>,
    query: Query<search::Query>,
    range: Query<Range>,
) -> HttpResponse {
    let page = async {
        let found = search::search(&state, &query, *range).await?;
        let is_first = query.after.as_ref().is_none_or(String::is_empty);
        let is_empty = found.brands.is_empty()
            && found.pages.is_empty()
            && found.failures.is_empty()
            && found.jobs.is_empty()
            && found.entries.is_empty();
        let view = json!({
            "title": "Search", "q": query.q.trim(), "is_asked": search::text(&query)?.is_some(), "is_first": is_first,
            "is_empty": is_empty, "found": found, "range": range.view(), "is_search": true,
        });
        render(&state, "search", &view)
    };
    or_error_page(&state, page.await)
}
