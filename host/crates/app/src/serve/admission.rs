//! Requests that are rejected before anything is loaded for them.

use std::net::{IpAddr, Ipv4Addr};

use sluice_page::PageContent;
use sluice_session::rate::Requester;

use super::matching::MatchedPage;
use crate::app::App;
use crate::observe::{Event, Observation};
use crate::request::{Method, PageRequest};
use crate::response::Reply;

/// Rejects a client that exceeds the page's rate with 429, and a request for which no
/// sandbox will be free with 503.
pub(super) async fn admit(
    app: &App,
    matched: &MatchedPage,
    content: &PageContent,
    request: &PageRequest,
    observation: &mut Observation,
) -> Result<(), Reply> {
    if let Some(rate) = matched.page.rate {
        // Clients whose address no proxy tells share one count.
        let address = request.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let requester = Requester { brand: &matched.brand.id, page: &matched.page.file, address };
        if let Err(spent) = app.rates.admit(rate, requester, app.now_ms()).await {
            observation.tell(Event::Rejected { reason: "rate" });
            return Err(try_again(429, "Too many requests", spent.retry_after_s));
        }
    }
    if content.script.is_ready() && app.sandbox.slots.is_full_for(&matched.brand.id) {
        return Err(too_busy(observation));
    }
    Ok(())
}

/// Rejects a POST that another site made the visitor's browser send.
pub(super) fn reject_cross_origin(matched: &MatchedPage, request: &PageRequest) -> Result<(), Reply> {
    if request.method == Method::Post && request.is_cross_origin() && !matched.page.cross_origin {
        return Err(Reply::plain(403, "This form cannot be sent from another site"));
    }
    Ok(())
}

/// The answer when every sandbox is taken and the queue is full.
pub(super) fn too_busy(observation: &mut Observation) -> Reply {
    observation.tell(Event::Rejected { reason: "overload" });
    try_again(503, "Too busy at the moment", 1)
}

/// An answer that asks the client to come back after some seconds.
pub(super) fn try_again(status: u16, title: &str, after_s: u64) -> Reply {
    let mut reply = Reply::plain(status, title);
    reply.set_header("retry-after", after_s.to_string());
    reply
}
