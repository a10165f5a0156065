//! The other servers that the scripts of a brand call.

use actix_web::HttpResponse;
use actix_web::web::{Data, Path, Query};
use serde_json::json;

use super::frame::{Section, render_of};
use super::or_error_page;
use crate::admin::AdminState;
use crate::admin::views::calls;
use crate::admin::views::range::Range;
use crate::admin::views::table_order::Order;

pub(super) async fn show(
    state: Data<AdminState>,
    brand: Path<String>,
    range: Query<Range>,
    order: Query<Order>,
) -> HttpResponse {
    let page = async {
        let view = json!({
            "title": "Calls", "rows": calls::list(&state, &brand, *range, &order).await?,
            "columns": order.headings(&calls::COLUMNS), "is_live": true, "range_keep": order.fields(),
        });
        render_of(&state, &brand, ("calls", Section::Calls), range.view(), view)
    };
    or_error_page(&state, page.await)
}
