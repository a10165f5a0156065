//! Rejects requests before anything is loaded for them.

use sluice_app::observe::{Event, Observation};
use sluice_app::response::Reply;
use sluice_session::rate::Requester;
use sluice_site::Outage;

use super::failure::{self, try_again};
use super::page_journey::Journey;

/// Rejects a request with 429 if its client exceeds the page's rate, and with 503 if it needs a place among
/// the running sandboxes and the queue for them is full. It may not need one if the page has a cache.
pub(super) async fn admit(journey: &mut Journey<'_>) -> Result<(), Reply> {
    let (app, brand, page) = (journey.app, journey.brand(), journey.page());
    if let Some(rate) = page.rate {
        let requester = Requester { brand: &brand.id, page: &page.file, address: journey.request.ip };
        if let Err(spent) = app.rates.admit(rate, requester, app.now_ms()).await {
            journey.observation.tell(Event::Rejected { reason: "rate" });
            return Err(try_again(429, "Too many requests", spent.retry_after_s));
        }
    }
    match page.cache.is_some() && journey.request.method.only_reads() {
        true => Ok(()),
        false => reject_if_full(journey),
    }
}

/// Rejects a request that needs a place among the running sandboxes if the queue for them is full.
pub(super) fn reject_if_full(journey: &mut Journey<'_>) -> Result<(), Reply> {
    match is_full(journey) {
        true => Err(too_busy(journey.observation)),
        false => Ok(()),
    }
}

/// Whether a request needs a place among the running sandboxes and the queue for them is full.
pub(super) fn is_full(journey: &Journey<'_>) -> bool {
    let (slots, brand) = (&journey.app.sandbox.slots, &journey.brand().id);
    journey.run_kind().is_some_and(|kind| slots.is_full_for(brand, kind))
}

/// Rejects a request that may change something and that another site made the visitor's browser send,
/// unless the page allows that.
pub(super) fn reject_cross_origin(journey: &Journey<'_>) -> Result<(), Reply> {
    let (request, page) = (&journey.request, journey.page());
    if !request.method.may_change() || page.cross_origin || !request.is_cross_origin() {
        return Ok(());
    }
    let allowed = page.cors.as_ref().zip(request.origin.origin.as_deref());
    if allowed.is_some_and(|(cors, origin)| cors.admits(origin, request.has_cookies())) {
        return Ok(());
    }
    Err(Reply::plain(403, "This form cannot be sent from another site"))
}

/// Rejects a method that the page does not accept.
pub(super) fn reject_method(journey: &Journey<'_>) -> Result<(), Reply> {
    let methods = journey.page().methods;
    if methods.accept(journey.request.method) {
        return Ok(());
    }
    Err(method_not_allowed(methods.to_string()))
}

/// The reply to a method other than those in `allow`.
pub(super) fn method_not_allowed(allow: String) -> Reply {
    let mut reply = Reply::plain(405, "Method not allowed");
    reply.set_header("allow", allow);
    reply
}

/// Rejects a request with more query parameters, cookies or values in its body than the page
/// allows, before any of them is decoded.
pub(super) fn reject_too_many_parts(journey: &Journey<'_>) -> Result<(), Reply> {
    let counted = journey.request.count_parts(&journey.page().limits, journey.brand().form_bodies);
    counted.map_err(|excess| failure::error(journey.request, 400, &excess.to_string()))
}

/// The reply if every sandbox is in use and the queue is full, or the request waited too long.
pub(super) fn too_busy(observation: &mut Observation) -> Reply {
    observation.tell(Event::Rejected { reason: "overload" });
    try_again(503, "Too busy at the moment", 1)
}

/// The reply of a brand that cannot be loaded.
pub(super) fn out_of_service(outage: &Outage) -> Reply {
    let mut reply = try_again(503, "This site is not available at the moment", 60);
    if let Some(page) = &outage.page {
        reply.body = page.clone().into();
    }
    reply.set_header("cache-control", "no-store".into());
    reply
}
