//! The journey of a request: match → session → handoff → access → script → template →
//! response. Each step happens once and in this order.
//!
//! Only the program itself depends on this crate, so a change here recompiles two crates. The
//! server and the tools for authors reach it through [`sluice_app::app::service::Service`].

#![deny(unsafe_code)]

mod admission;
mod cors;
mod failure;
mod filling;
mod kept_answer;
mod kept_file;
mod matching;
mod page_cache;
mod page_journey;
mod part;
mod refresh;
mod render;
mod run;
mod static_file;
mod template_calls;
mod visitor;

use std::sync::Arc;

use serde_json::Value;

use sluice_app::app::App;
use sluice_app::app::service::Service;
use sluice_app::load::Live;
use sluice_app::observe::{Event, Observation};
use sluice_app::request::{BodyFault, PageRequest, View};
use sluice_app::response::Reply;
use sluice_http::compress;
use sluice_http::path::CanonicalPath;
use sluice_kit::folder::FolderPath;
use sluice_kit::{BoxFuture, database_time};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::Failure;
use sluice_session::LazySession;
use sluice_site::Brand;
use sluice_site::access::Refusal;

use admission::{
    admit, method_not_allowed, out_of_service, reject_cross_origin, reject_method, reject_too_many_parts,
    too_busy,
};
use failure::try_again;
use kept_answer::keep;
use matching::{Match, MatchedFile, MatchedPage, match_path};
use page_cache::answer_from_cache;
use page_journey::Journey;
use run::{admit_run, run_script};
use static_file::CompressedFiles;
use visitor::{Changes, commit_run, load_if_shown, load_session, session_of, take_url_token};

/// Syntax errors in larger scripts are logged in the words of QuickJS. The other parser has no quota,
/// and takes a few milliseconds and megabytes for a script of this size.
const EXPLAINED_BYTES_MAX: usize = 256 << 10;

/// How often a session is in the memory while it is saved: as it is, as its changes, and encoded.
const SESSION_COPIES: usize = 3;

/// Answers requests with the pages and files of the site.
#[derive(Default)]
pub struct JourneyService {
    compressed_files: CompressedFiles,
}

impl Service for JourneyService {
    fn serve<'a>(
        &'a self,
        app: &'a Arc<App>,
        request: PageRequest,
        observation: Observation,
    ) -> BoxFuture<'a, Reply> {
        // Each step that wraps a future copies it, so a large one is boxed first. For the same reason, steps that most
        // requests skip are boxed where they are taken.
        let serving = Box::pin(serve(app, &self.compressed_files, request, observation));
        Box::pin(database_time::limited(app.database_wait, serving))
    }

    fn reword(&self, failure: Failure, brand_dir: &FolderPath) -> Failure {
        sluice_check::explained_within(failure, brand_dir, EXPLAINED_BYTES_MAX)
    }
}

/// Answers one request.
async fn serve(
    app: &Arc<App>,
    files: &CompressedFiles,
    mut request: PageRequest,
    mut observation: Observation,
) -> Reply {
    app.begin_observation(&mut observation, &request);
    let live = app.live();
    let Some(brand) = live.site.brand(&request.host).cloned() else {
        observation.tell(Event::BrandUnknown { host: &request.host });
        let mut reply = Reply::plain(421, "This server has no site with this name");
        observation.finish(&request, &mut reply);
        return reply;
    };
    observation.tell(Event::BrandFound { brand: &brand });
    let mut reply = match &brand.outage {
        Some(outage) => out_of_service(outage),
        None => serve_brand(app, files, &live, &brand, &mut request, &mut observation).await,
    };
    // This never rejects the reply of a page, whose changes are stored already: `serve_page` has
    // reserved its body before.
    if !reply.reserve_body(&app.sandbox.memory) {
        reply = too_busy(&mut observation);
    }
    reply.standing = brand.headers.clone();
    observation.finish(&request, &mut reply);
    let sec_fetch_site = request.origin.sec_fetch_site.as_deref();
    if brand.compress && compress::is_safe(sec_fetch_site, request.is_https, request.has_cookies()) {
        reply.compress(request.conditions.encoding, &app.sandbox.long_calls, &brand.id).await;
    }
    reply.release_unused();
    reply
}

/// Answers with what a brand has at the path.
async fn serve_brand(
    app: &Arc<App>,
    files: &CompressedFiles,
    live: &Arc<Live>,
    brand: &Arc<Brand>,
    request: &mut PageRequest,
    observation: &mut Observation,
) -> Reply {
    match match_path(brand, request) {
        Match::Page(matched) => {
            let answered = serve_page(app, live, &matched, request, observation).await;
            let mut reply = answered.unwrap_or_else(|early| early);
            cors::add_headers(&matched.page, request, &mut reply);
            reply
        }
        Match::File(matched) => serve_file(app, files, &matched, request, observation).await,
        Match::Kept(id) => serve_kept(app, brand, &id, request, observation).await,
        Match::Nothing(path) => serve_nothing(app, brand, &path, request, observation).await,
        Match::Reply(reply) => reply,
    }
}

/// Answers with a page. A step that ends the journey early returns its reply as the error.
async fn serve_page(
    app: &Arc<App>,
    live: &Arc<Live>,
    matched: &MatchedPage,
    request: &mut PageRequest,
    observation: &mut Observation,
) -> Result<Reply, Reply> {
    observation.tell(Event::PageFound { brand: &matched.brand, page: &matched.page });
    cors::answer_preflight(&matched.page, request)?;
    let content = app.content(&matched.brand, &matched.page).await;
    let mut journey = Journey {
        app,
        live,
        matched,
        content: &content,
        request,
        observation,
        memory: None,
        files_memory: None,
        place: None,
        filling: None,
    };
    admit(&mut journey).await?;
    reject_cross_origin(&journey)?;
    journey.request.bound_body(matched.page.limits.body_bytes_max);
    reject_too_many_parts(&journey)?;
    let mut session = session_of(app, &matched.brand, journey.request);
    take_url_token(&mut journey, &mut session).await?;
    check_access(&matched.brand, &matched.path, &mut session, journey.observation).await?;
    // After the access rules, because the methods of a page tell that it exists.
    reject_method(&journey)?;
    receive_files(&mut journey, &mut session).await?;
    answer_from_cache(&mut journey).await?;
    let answered = run_page(&mut journey, session).await;
    let reply = match journey.filling {
        Some(_) => Box::pin(keep(&mut journey, answered)).await?,
        None => answered?,
    };
    journey.observation.tell(Event::PageAnswered { reply: &reply });
    Ok(reply)
}

/// Runs the page and stores what the run changed. A step that ends the journey early returns its reply as the
/// error.
async fn run_page(journey: &mut Journey<'_>, mut session: LazySession) -> Result<Reply, Reply> {
    load_if_shown(journey, &mut session).await;
    // What follows takes memory, so it waits until the memory is reserved.
    let admitted = admit_run(journey).await?;
    let MatchedPage { brand, page, path, route, .. } = journey.matched;
    let view = View { form_bodies: brand.form_bodies, headers: &page.headers };
    let seen = Arc::new(journey.request.as_value(path.as_str(), route.as_ref(), view));
    let mut report = run_script(journey, &seen, session, admitted).await?;
    let mut changes = Changes::take_from(&mut report);
    Ok(match ready_to_send(journey, &seen, report, &mut changes).await {
        Ok(reply) => commit_run(journey, changes, reply).await,
        // The visitor will make the request again, so this one must not leave anything behind.
        Err(refused) => refused,
    })
}

/// Takes the files that the visitor sends. That can take minutes, so what was known about the visitor before is
/// looked up again.
async fn receive_files(journey: &mut Journey<'_>, session: &mut LazySession) -> Result<(), Reply> {
    if !journey.request.announces_files() {
        return Ok(());
    }
    let received = Box::pin(journey.request.receive_files()).await;
    journey.files_memory = received.map_err(BodyFault::reply)?;
    if journey.files_memory.is_some() {
        let (app, MatchedPage { brand, path, .. }) = (journey.app, journey.matched);
        reject_too_many_parts(journey)?;
        *session = session_of(app, brand, journey.request);
        check_access(brand, path, session, journey.observation).await?;
    }
    Ok(())
}

/// Everything that can still go wrong with the reply to a run, so that nothing does after the changes of
/// the run are stored. The error is a reply that asks the visitor to try again.
async fn ready_to_send(
    journey: &mut Journey<'_>,
    seen: &Arc<Value>,
    report: RunReport,
    changes: &mut Changes,
) -> Result<Reply, Reply> {
    let mut reply = render::reply(journey, seen, report, changes).await?;
    reply.memory = journey.memory.take();
    if !reply.reserve_body(&journey.app.sandbox.memory) {
        return Err(too_busy(journey.observation));
    }
    // A request with queued writes or jobs keeps its memory and its place until they are stored.
    if !changes.has_jobs() {
        reply.keep_memory(changes.session.held_bytes().saturating_mul(SESSION_COPIES));
        journey.place = None;
    }
    Ok(reply)
}

/// Answers with a file of `public/`.
async fn serve_file(
    app: &App,
    files: &CompressedFiles,
    matched: &MatchedFile,
    request: &PageRequest,
    observation: &mut Observation,
) -> Reply {
    let MatchedFile { brand, path, .. } = matched;
    observation.tell(Event::FileFound { brand });
    match access(app, brand, path, request, observation).await {
        Access::Rejected(reply) => reply,
        _ if !request.method.only_reads() => method_not_allowed("GET, HEAD".into()),
        Access::Public => static_file::answer(app, files, matched, request, false).await,
        Access::Granted => static_file::answer(app, files, matched, request, true).await,
    }
}

/// Answers with a file that a script has kept. Its address is the permission to read it, so access rules do
/// not apply.
async fn serve_kept(
    app: &App,
    brand: &Arc<Brand>,
    id: &str,
    request: &PageRequest,
    observation: &mut Observation,
) -> Reply {
    observation.tell(Event::FileFound { brand });
    match request.method.only_reads() {
        true => kept_file::answer(app, brand, id, request, observation).await,
        false => method_not_allowed("GET, HEAD".into()),
    }
}

/// Answers for a path where nothing is. Access rules come first: a visitor must not learn what
/// exists below a path that they may not see.
async fn serve_nothing(
    app: &App,
    brand: &Brand,
    path: &CanonicalPath,
    request: &PageRequest,
    observation: &Observation,
) -> Reply {
    match access(app, brand, path, request, observation).await {
        Access::Rejected(reply) => reply,
        Access::Public | Access::Granted => Reply::plain(404, "Page not found"),
    }
}

/// Whether a visitor may see a path that is not a page's.
enum Access {
    /// No access rule covers the path.
    Public,
    /// An access rule lets this visitor see it.
    Granted,
    /// An access rule rejects this visitor.
    Rejected(Reply),
}

async fn access(
    app: &App,
    brand: &Brand,
    path: &CanonicalPath,
    request: &PageRequest,
    observation: &Observation,
) -> Access {
    if !brand.access.cover(path) {
        return Access::Public;
    }
    let mut session = session_of(app, brand, request);
    match check_access(brand, path, &mut session, observation).await {
        Ok(()) => Access::Granted,
        Err(reply) => Access::Rejected(reply),
    }
}

/// Rejects a visitor who may not see a path. If the database is unavailable, the visitor could be
/// logged in, so the answer is 503. A path that no rule covers does not need the session.
async fn check_access(
    brand: &Brand,
    path: &CanonicalPath,
    session: &mut LazySession,
    observation: &Observation,
) -> Result<(), Reply> {
    if !brand.access.cover(path) {
        return Ok(());
    }
    let session = load_session(brand, session, observation).await;
    let Some(refusal) = brand.access.refusal(path, session.identity().is_some()) else { return Ok(()) };
    if session.is_unavailable() {
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
