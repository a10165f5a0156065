//! The journey of a request: match → session → handoff → access → script → template →
//! response, each step once and in this order.

mod admission;
mod matching;
mod render;
mod run;
mod visitor;

use std::sync::Arc;

use sluice_http::compress;
use sluice_http::path::CanonicalPath;
use sluice_session::Session;
use sluice_site::Brand;
use sluice_site::access::Refusal;
use sluice_site::public::PublicFile;

use crate::app::App;
use crate::load::Live;
use crate::observe::{Event, Observation};
use crate::request::{Method, PageRequest};
use crate::response::Reply;
use crate::static_file;
use admission::{admit, reject_cross_origin, try_again};
use matching::{Match, MatchedPage, match_path};
use run::run_script;
use visitor::{load_session, save_session, take_url_token};

/// Answers one request.
pub async fn serve(app: &App, mut request: PageRequest, mut observation: Observation) -> Reply {
    app.begin_observation(&mut observation, &request);
    let live = app.live();
    let Some(brand) = live.site.brand(&request.host).cloned() else {
        observation.tell(Event::BrandUnknown { host: &request.host });
        let mut reply = Reply::plain(421, "No site of this name here");
        observation.finish(&request, &mut reply);
        return reply;
    };
    observation.tell(Event::BrandFound { brand: &brand });
    let mut reply = match match_path(&brand, &request) {
        Match::Page(matched) => {
            let answered = serve_page(app, &live, &matched, &mut request, &mut observation).await;
            answered.unwrap_or_else(|early| early)
        }
        Match::File(file, path) => serve_file(app, &brand, &file, &path, &request, &mut observation).await,
        Match::Nothing(path) => match access(app, &brand, &path, &request, &observation).await {
            Access::Refused(reply) => reply,
            Access::Open | Access::Guarded => Reply::plain(404, "Page not found"),
        },
        Match::Reply(reply) => reply,
    };
    reply.standing = brand.headers.clone();
    observation.finish(&request, &mut reply);
    let sec_fetch_site = request.origin.sec_fetch_site.as_deref();
    if brand.compress && compress::is_safe(sec_fetch_site, request.is_https, !request.cookies.is_empty()) {
        reply.compress(request.conditions.encoding).await;
    }
    reply
}

/// Answers with a page. A step that ends the journey early gives its reply as the error.
async fn serve_page(
    app: &App,
    live: &Live,
    matched: &MatchedPage,
    request: &mut PageRequest,
    observation: &mut Observation,
) -> Result<Reply, Reply> {
    observation.tell(Event::PageFound { brand: &matched.brand, page: &matched.page });
    let content = app.content(&matched.brand, &matched.page).await;
    admit(app, matched, &content, request, observation).await?;
    reject_cross_origin(matched, request)?;
    request.bound_body(matched.page.limits.body_bytes_max);
    let session = load_session(app, &matched.brand, request, observation).await;
    take_url_token(app, matched, request, &session, observation).await?;
    check_access(&matched.brand, &matched.path, &session)?;
    let seen = request.as_value(matched.path.as_str(), &matched.params, matched.brand.form_bodies);
    let seen = Arc::new(seen);
    let report = run_script(app, live, matched, &content, request, &seen, session, observation).await?;
    let session = report.session.clone();
    let reply = render::reply(app, matched, &content, request, &seen, report, observation);
    let reply = save_session(app, matched, &session, request, reply, observation).await;
    observation.tell(Event::PageAnswered { reply: &reply });
    Ok(reply)
}

/// Answers with a file of `public/`.
async fn serve_file(
    app: &App,
    brand: &Arc<Brand>,
    file: &Arc<PublicFile>,
    path: &CanonicalPath,
    request: &PageRequest,
    observation: &mut Observation,
) -> Reply {
    observation.tell(Event::FileFound { brand });
    if request.method == Method::Post {
        let mut reply = Reply::plain(405, "Method not allowed");
        reply.set_header("allow", "GET, HEAD".into());
        return reply;
    }
    match access(app, brand, path, request, observation).await {
        Access::Refused(reply) => reply,
        Access::Open => static_file::answer(&app.compressed_files, file, request, false).await,
        Access::Guarded => static_file::answer(&app.compressed_files, file, request, true).await,
    }
}

/// Whether a visitor may see a path that is no page's.
enum Access {
    /// Every visitor may.
    Open,
    /// This visitor may.
    Guarded,
    Refused(Reply),
}

async fn access(
    app: &App,
    brand: &Brand,
    path: &CanonicalPath,
    request: &PageRequest,
    observation: &Observation,
) -> Access {
    if !brand.access.cover(path) {
        return Access::Open;
    }
    let session = load_session(app, brand, request, observation).await;
    match check_access(brand, path, &session) {
        Ok(()) => Access::Guarded,
        Err(reply) => Access::Refused(reply),
    }
}

/// Rejects a visitor who may not see a path. Without the database nobody can tell, and the
/// answer is 503.
fn check_access(brand: &Brand, path: &CanonicalPath, session: &Session) -> Result<(), Reply> {
    let Some(refusal) = brand.access.refusal(path, session.identity().is_some()) else { return Ok(()) };
    if session.is_unavailable {
        return Err(try_again(503, "Please try again in a moment", 1));
    }
    Err(match refusal {
        Refusal::Redirect(target) => Reply::redirect(303, target),
        Refusal::Status(401) => Reply::plain(401, "Please log in"),
        Refusal::Status(404) => Reply::plain(404, "Page not found"),
        Refusal::Status(410) => Reply::plain(410, "This page is gone"),
        Refusal::Status(status) => Reply::plain(*status, "You may not see this page"),
    })
}
