//! What a visitor gets if the script of a page failed: the page or an error.
//!
//! A visitor may be able to make a script fail, and so to skip the lines with which it guards its
//! page. By default, visitors therefore see the page only after a failure that the script itself
//! caused.

use sluice_app::request::PageRequest;
use sluice_app::response::Reply;
use sluice_page::OnError;
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{Cause, Outcome};

use super::page_journey::Journey;

/// What replaces the page after a failed run. `None` if the run did not fail, or the page is rendered
/// nevertheless. The error asks the visitor to try again.
pub(super) fn reply_instead(journey: &Journey<'_>, report: &RunReport) -> Option<Result<Reply, Reply>> {
    if !report.outcome.is_failure() || is_rendered(journey, report) {
        return None;
    }
    let is_late = report.cause == Cause::Host && report.outcome != Outcome::Host;
    Some(match is_late {
        true => Err(error(journey.request, 503, "Please try again in a moment")),
        false => Ok(went_wrong(journey)),
    })
}

/// Whether the page is rendered although its script failed.
fn is_rendered(journey: &Journey<'_>, report: &RunReport) -> bool {
    match journey.page().on_error {
        OnError::Page => true,
        OnError::Error => false,
        OnError::Auto => {
            let request = &journey.request;
            report.outcome == Outcome::Error
                && report.cause == Cause::Script
                && request.method.only_reads()
                && !request.prefers_json
                && journey.content.has_markup
        }
    }
}

/// The error of a request that failed, without details: the brand's own page, if it has one.
pub(super) fn went_wrong(journey: &Journey<'_>) -> Reply {
    let mut reply = error(journey.request, 500, "Something went wrong");
    if let Some(page) = journey.brand().error_page.as_ref().filter(|_| !journey.request.prefers_json) {
        reply.body = page.to_string().into();
    }
    reply
}

/// An error without details, in the form that the client asks for.
pub(super) fn error(request: &PageRequest, status: u16, title: &str) -> Reply {
    let mut reply = match status {
        503 => try_again(status, title, 1),
        _ => Reply::plain(status, title),
    };
    if request.prefers_json {
        reply.body = serde_json::json!({ "error": title }).to_string().into();
        reply.set_header("content-type", "application/json; charset=utf-8".into());
    }
    reply
}

/// A reply that asks the client to try again after some seconds.
pub(super) fn try_again(status: u16, title: &str, after_s: u64) -> Reply {
    let mut reply = Reply::plain(status, title);
    reply.set_header("retry-after", after_s.to_string());
    reply
}
