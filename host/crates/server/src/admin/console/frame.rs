//! What all pages about one brand have in common: the links to its other pages and to other brands, the range of time,
//! and what is wrong with the brand's files.

use actix_web::HttpResponse;
use serde_json::{Value, json};

use super::render;
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::views::range::RangeView;
use crate::admin::views::{brand_state, find_brand};

/// Brands in the list of the header. The overview has all.
const BRANDS_MAX: usize = 100;
/// Pages in the line that says which ones cannot be loaded. The overview has more of them.
const BROKEN_MAX: usize = 5;

/// The part of a brand's pages to which a page belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Section {
    Pages,
    Runs,
    Crm,
    Jobs,
    Calls,
    Changes,
}

impl Section {
    /// What follows `/brands/shop` in the address of its first page.
    fn path(self) -> &'static str {
        match self {
            Self::Pages => "",
            Self::Runs => "/runs",
            Self::Crm => "/crm",
            Self::Jobs => "/jobs",
            Self::Calls => "/calls",
            Self::Changes => "/changes",
        }
    }

    fn links(self) -> Vec<Value> {
        let link = |(label, section): (&str, Self)| json!({ "label": label, "path": section.path(), "is_here": section == self });
        let all = [
            ("Pages", Self::Pages),
            ("Runs", Self::Runs),
            ("CRM", Self::Crm),
            ("Jobs", Self::Jobs),
            ("Calls", Self::Calls),
            ("Changes", Self::Changes),
        ];
        all.map(link).into()
    }
}

/// Renders a page about a brand. `view` is an object.
///
/// # Errors
/// There is no such brand, or the template cannot be rendered.
pub(super) fn render_of(
    state: &AdminState,
    brand: &str,
    (template, section): (&str, Section),
    range: RangeView,
    mut view: Value,
) -> Result<HttpResponse, AdminError> {
    let live = state.app.live();
    let of_brand =
        brand_state::of(&live, &*find_brand(state, brand)?, &state.app.past_reloads()).truncate(BROKEN_MAX);
    let brands = live.site.brands().take(BRANDS_MAX).map(|one| {
        json!({
            "id": one.id, "is_here": one.id == brand,
            "state": brand_state::word(&live, one),
        })
    });
    let frame = json!({
        "brand": brand, "brands": brands.collect::<Vec<_>>(), "has_brands": live.site.brands().nth(1).is_some(),
        "sections": section.links(), "section_path": section.path(), "brand_state": of_brand, "range": range,
    });
    if let (Value::Object(view), Value::Object(frame)) = (&mut view, frame) {
        view.extend(frame);
    }
    render(state, template, &view)
}
