//! Tells browsers which other origins may call a page (CORS).

use sluice_app::request::PageRequest;
use sluice_app::response::{Reply, ReplyBody};
use sluice_page::Page;

/// Answers the request with which a browser asks whether it may call the page. Only pages with `cors` have
/// an answer. The browser sends no cookies with it, so access rules cannot apply.
pub(super) fn answer_preflight(page: &Page, request: &PageRequest) -> Result<(), Reply> {
    let (Some(cors), true) = (&page.cors, request.is_preflight()) else { return Ok(()) };
    let origin = request.origin.origin.as_deref().unwrap_or_default();
    if !cors.allows(origin) {
        return Err(Reply::plain(403, "This page cannot be called from another site"));
    }
    let headers: Vec<&str> = std::iter::once("content-type").chain(page.headers.iter()).collect();
    let mut reply = Reply::of_body(204, ReplyBody::default());
    reply.set_header("access-control-allow-methods", page.methods.to_string());
    reply.set_header("access-control-allow-headers", headers.join(", "));
    reply.set_header("access-control-max-age", cors.max_age_s().to_string());
    Err(reply)
}

/// Adds the headers for other origins to a response of the page, whatever step of the journey made it.
pub(super) fn add_headers(page: &Page, request: &PageRequest, reply: &mut Reply) {
    let Some(cors) = &page.cors else { return };
    for (name, value) in cors.headers_for(request.origin.origin.as_deref()) {
        reply.set_header(name, value);
    }
    // Also without an origin: a cache must not use this response for other requests.
    if cors.depends_on_origin() {
        reply.vary_by("origin");
    }
}
