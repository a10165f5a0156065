//! The journey of a request: match → session → handoff → access → script → template →
//! response, each step once and in this order.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use opentelemetry::KeyValue;
use serde_json::{Map, Value};

use crate::app::App;
use crate::compress;
use crate::config::OnError;
use crate::dev::Mistake;
use crate::execution_log::{Asked, FinishedRun};
use crate::page::{Page, PageContent, PageScript};
use crate::page_stats::RunCost;
use crate::rate::Asker;
use crate::reload::Live;
use crate::request::{Body, Method, PageRequest};
use crate::response::Reply;
use crate::run_log;
use crate::script::outcome::{Failure, Outcome};
use crate::script::{RunContext, RunReport, SandboxError};
use crate::session::Session;
use crate::session::cookie::SessionId;
use crate::site::Brand;
use crate::site::access::Refusal;
use crate::site::path::{CanonicalPath, PathForm, canonical};
use crate::site::public::PublicFile;
use crate::site::table::RouteParams;
use crate::static_file;
use crate::telemetry::trace::Trace;
use crate::template::Scope;

/// Answers one request.
pub async fn serve(app: &App, mut request: PageRequest) -> Reply {
    let live = app.live();
    let Some(brand) = live.site.brand(&request.host).cloned() else {
        return no_site(app, &request);
    };
    let mut reply = match find(&brand, &request) {
        Answer::Page(found) => serve_page(app, &live, found, &mut request).await,
        Answer::File(file, path) => serve_file(app, &brand, &file, &path, &request).await,
        Answer::Nothing(path) => match access(app, &brand, &path, &request).await {
            Access::Refused(reply) => reply,
            Access::Open | Access::Guarded => Reply::plain(404, "Page not found"),
        },
        Answer::Reply(reply) => reply,
    };
    reply.standing = brand.headers.clone();
    if let Some(dev) = &app.dev {
        dev.dress(&mut reply, &request, &brand.id);
    }
    if brand.compress && compress::is_safe_for(&request) {
        reply.compress(request.conditions.encoding).await;
    }
    reply
}

fn no_site(app: &App, request: &PageRequest) -> Reply {
    let mut reply = Reply::plain(421, "No site of this name here");
    // An author who has just put the wrong hosts into `brand.toml` is told so.
    if let Some(dev) = &app.dev {
        let host = run_log::printable(&request.host);
        let message = format!(
            "no brand answers to {host}: a brand.toml needs `default = true`, or `domains = [\"{host}\"]`"
        );
        reply.mistakes = vec![Mistake::of_sentence(&message)];
        dev.dress(&mut reply, request, "");
    }
    reply
}

/// Answers with a page.
async fn serve_page(app: &App, live: &Live, found: Found, request: &mut PageRequest) -> Reply {
    request.trace.found(&found.brand.id, &found.page.route);
    let content = app.content(&found.brand, &found.page).await;
    if let Err(reply) = admit(app, &found, &content, request).await {
        return reply;
    }
    if request.method == Method::Post && request.is_cross_origin() && !found.page.cross_origin {
        return Reply::plain(403, "This form cannot be sent from another site");
    }
    request.body.bound(found.page.limits.body_bytes_max);
    let session = load_session(app, &found.brand, request).await;
    if let Some(reply) = take_url_token(app, &found, request, &session).await {
        return reply;
    }
    if let Some(reply) = refusal(&found.brand, &found.path, &session) {
        return reply;
    }
    let seen = request.as_value(found.path.as_str(), &found.params, found.brand.form_bodies);
    let seen = Arc::new(seen);
    // Only those who work on the page are told.
    let is_watched = request.watch.is_some() || app.dev.is_some();
    let unread = if is_watched { request.body_unread(found.brand.form_bodies) } else { None };
    if let Some(watch) = &request.watch {
        watch.warned(unread.map(str::to_owned));
    }
    let mut report = match run_script(app, live, &found, &content, request, Arc::clone(&seen), session).await
    {
        Ok(report) => report,
        Err(reply) => return reply,
    };
    run_log::record(&found.brand.id, &found.page.file, request, &report);
    if let Some(watch) = &request.watch {
        watch.page_ran(&found.brand.id, &found.page.file, &report);
    }
    if let Some(metrics) = request.trace.metrics()
        && !matches!(content.script, PageScript::None)
    {
        metrics.run_outcome(&found.brand.id, report.outcome.name());
    }
    let session = report.session.clone();
    let mut run = finished_run(&content, request, &mut report);
    let step = request.trace.child("template");
    let shown = Shown { found: &found, content: &content, seen: &seen, request, now: app.clock.now() };
    let mut reply = shown.compose(report, &mut run);
    step.end();
    save_session(app, &found, &session, request, &mut reply).await;
    let asked = Asked {
        brand: &found.brand.id,
        page: &found.page.file,
        method: request.method.name(),
        path: &request.raw_path,
    };
    if let Some(dev) = &app.dev {
        dev.ran(&found.brand, asked, &run, unread, &mut reply);
    }
    app.executions.record(asked, run, reply.status);
    reply
}

/// Answers with a file of `public/`.
async fn serve_file(
    app: &App,
    brand: &Brand,
    file: &Arc<PublicFile>,
    path: &CanonicalPath,
    request: &PageRequest,
) -> Reply {
    request.trace.found(&brand.id, "/public");
    if request.method == Method::Post {
        let mut reply = Reply::plain(405, "Method not allowed");
        reply.set_header("allow", "GET, HEAD".into());
        return reply;
    }
    match access(app, brand, path, request).await {
        Access::Refused(reply) => reply,
        Access::Open => static_file::answer(&app.compressed_files, file, request, false).await,
        Access::Guarded => static_file::answer(&app.compressed_files, file, request, true).await,
    }
}

/// Whether a visitor may see a path that is no page's.
enum Access {
    /// Everybody may.
    Open,
    /// This visitor may.
    Guarded,
    Refused(Reply),
}

async fn access(app: &App, brand: &Brand, path: &CanonicalPath, request: &PageRequest) -> Access {
    if !brand.access.cover(path) {
        return Access::Open;
    }
    let session = load_session(app, brand, request).await;
    refusal(brand, path, &session).map_or(Access::Guarded, Access::Refused)
}

/// Why a visitor may not see a path. Without the database nobody can tell.
fn refusal(brand: &Brand, path: &CanonicalPath, session: &Session) -> Option<Reply> {
    let refusal = brand.access.refusal(path, session.identity().is_some())?;
    if session.is_unavailable {
        return Some(try_again(503, "Please try again in a moment", 1));
    }
    Some(match refusal {
        Refusal::Redirect(target) => Reply::redirect(303, target),
        Refusal::Status(401) => Reply::plain(401, "Please log in"),
        Refusal::Status(404) => Reply::plain(404, "Page not found"),
        Refusal::Status(410) => Reply::plain(410, "This page is gone"),
        Refusal::Status(status) => Reply::plain(*status, "You may not see this page"),
    })
}

/// What is at a path.
enum Answer {
    Page(Found),
    File(Arc<PublicFile>, CanonicalPath),
    Nothing(CanonicalPath),
    /// The path is not one.
    Reply(Reply),
}

/// The page that answers a request.
struct Found {
    brand: Arc<Brand>,
    page: Arc<Page>,
    path: CanonicalPath,
    params: RouteParams,
    /// 404 for the brand's page of that name.
    status: u16,
}

fn find(brand: &Arc<Brand>, request: &PageRequest) -> Answer {
    let path = match canonical(&request.raw_path) {
        PathForm::Canonical(path) => path,
        PathForm::Refused => return Answer::Reply(Reply::plain(400, "Not a valid address")),
        PathForm::TrailingSlash(_) => {
            return Answer::Reply(Reply::redirect(308, &request.address_without_slash()));
        }
    };
    let page = |page: &Arc<Page>, path, params, status| {
        Answer::Page(Found { brand: Arc::clone(brand), page: Arc::clone(page), path, params, status })
    };
    if let Some((found, params)) = brand.pages.find(&path) {
        // Nothing is at the address of the page that says so.
        let status =
            if brand.not_found_page().is_some_and(|own| Arc::ptr_eq(own, found)) { 404 } else { 200 };
        page(found, path, params, status)
    } else if let Some(file) = brand.public.find(&path) {
        Answer::File(Arc::clone(file), path)
    } else if let Some(own) = brand.not_found_page() {
        page(own, path, RouteParams::new(), 404)
    } else {
        Answer::Nothing(path)
    }
}

/// Turns away who asks too often, and whom no sandbox will be free for.
async fn admit(app: &App, found: &Found, content: &PageContent, request: &PageRequest) -> Result<(), Reply> {
    if let Some(rate) = found.page.rate {
        // Those whose address no proxy tells share one count.
        let address = request.ip.unwrap_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
        let asker = Asker { brand: &found.brand.id, page: &found.page.file, address };
        let admitted = app.rates.admit(rate, asker, app.now_ms()).await;
        admitted.map_err(|spent| {
            request.trace.refused("rate");
            try_again(429, "Too many requests", spent.retry_after_s)
        })?;
    }
    let runs = matches!(content.script, PageScript::Ready { .. });
    if runs && app.sandbox.slots.is_full_for(&found.brand.id) {
        request.trace.refused("overload");
        return Err(too_busy());
    }
    Ok(())
}

fn too_busy() -> Reply {
    try_again(503, "Too busy at the moment", 1)
}

fn try_again(status: u16, title: &str, after_s: u64) -> Reply {
    let mut reply = Reply::plain(status, title);
    reply.set_header("retry-after", after_s.to_string());
    reply
}

/// The visitor's session. Without the database the page is served as to a
/// visitor who has none, and the session stays as it is.
async fn load_session(app: &App, brand: &Brand, request: &PageRequest) -> Session {
    let cookies = request.cookies.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let id = SessionId::find(cookies, request.is_https);
    if id.is_none() {
        return Session::default();
    }
    let loaded = app.sessions.load(&brand.id, id.as_ref(), app.now_ms());
    request.trace.ask("session.load", |_| true, loaded).await.unwrap_or_else(|error| {
        tracing::error!(brand = brand.id, %error, "the session could not be loaded; the page is served without it");
        Session::unavailable()
    })
}

/// A handoff token in the address logs its customer in; the answer is the same
/// address without it. Where it is not valid, the request goes on as if it were not
/// there.
async fn take_url_token(
    app: &App,
    found: &Found,
    request: &mut PageRequest,
    session: &Session,
) -> Option<Reply> {
    if request.method == Method::Post {
        return None;
    }
    let token = request.take_url_token()?;
    // HEAD changes nothing, what is not there logs nobody in, and a token that nobody
    // can be logged in with is not used up.
    if request.method == Method::Head || found.status == 404 || session.is_unavailable {
        return None;
    }
    let mut session = session.clone();
    let taken = app.handoff(&found.brand.id).take(&token, app.now_ms()).await;
    let taken = taken.map_err(|refusal| refusal.to_string()).and_then(|identity| {
        session.hand_over(identity, &found.page.limits).map_err(|refusal| refusal.to_string())
    });
    let taken = match (taken, session.new_owner()) {
        (Ok(()), Some(customer)) => {
            let adopted = app.crm_access(&found.brand.id).adopt_email(customer, app.now_ms()).await;
            adopted.map_err(|error| error.to_string())
        }
        (taken, _) => taken,
    };
    if let Err(reason) = taken {
        tracing::info!(
            brand = found.brand.id,
            page = found.page.file,
            "a handoff token was refused: {reason}"
        );
        return None;
    }
    let mut reply = Reply::redirect(303, &request.address());
    save_session(app, found, &session, request, &mut reply).await;
    Some(reply)
}

async fn run_script(
    app: &App,
    live: &Live,
    found: &Found,
    content: &PageContent,
    request: &PageRequest,
    seen: Arc<Value>,
    session: Session,
) -> Result<RunReport, Reply> {
    let page = &found.page;
    let (script, files) = match &content.script {
        PageScript::None => return Ok(RunReport::not_run(Outcome::Ok, None, session)),
        PageScript::Broken(failure) => {
            return Ok(RunReport::not_run(Outcome::Compile, Some(failure.clone()), session));
        }
        PageScript::Ready { script, files } => (script, files),
    };
    let trace = request.trace.child("run");
    let context = RunContext {
        brand: found.brand.id.clone(),
        trace: trace.clone(),
        request: seen,
        is_https: request.is_https,
        brand_variables: Arc::clone(&found.brand.variables),
        session,
        crm: Some(app.crm_access(&found.brand.id)),
        handoff: Some(app.handoff(&found.brand.id)),
        secrets: live.secrets.of(&found.brand.id),
        limits: page.limits.clone(),
        clock: app.clock,
        seed: app.seed,
        watch: request.watch.clone(),
        test_calls: None,
    };
    match app.sandbox.run(script, context).await {
        Ok(mut report) => {
            end_run(&trace, &found.brand.id, &report);
            report.failure = report.failure.map(|failure| files.in_author_terms(failure));
            Ok(report)
        }
        Err(SandboxError::Busy) => {
            trace.refused("overload");
            Err(too_busy())
        }
        Err(error) => {
            trace.failed("no sandbox could be made");
            tracing::error!(page = page.file, %error, "no sandbox could be made");
            Err(Reply::plain(500, "Something went wrong"))
        }
    }
}

/// What the execution log keeps of a run.
fn finished_run(content: &PageContent, request: &PageRequest, report: &mut RunReport) -> FinishedRun {
    let microseconds = |time: Duration| u64::try_from(time.as_micros()).unwrap_or(u64::MAX);
    FinishedRun {
        trace_id: request.trace.id(),
        has_run: matches!(content.script, PageScript::Ready { .. }),
        outcome: report.outcome.name(),
        cost: RunCost {
            fuel: report.fuel,
            memory_bytes: report.memory_bytes_peak as u64,
            memory_bytes_base: report.memory_bytes_initial as u64,
            wall_us: microseconds(report.wall),
            host_us: microseconds(report.host_wall),
            has_failed: report.outcome.is_failure(),
        },
        console: std::mem::take(&mut report.effects.console),
        failure: report.failure.clone(),
    }
}

/// Ends the run's part of the trace and counts it.
fn end_run(trace: &Trace, brand: &str, report: &RunReport) {
    if let Some(metrics) = trace.metrics() {
        metrics.run_ended(brand, report);
    }
    trace.note(|| {
        [
            KeyValue::new("sluice.run.outcome", report.outcome.name()),
            KeyValue::new("sluice.run.fuel", i64::try_from(report.fuel).unwrap_or(i64::MAX)),
            KeyValue::new("sluice.run.memory", i64::try_from(report.memory_bytes_peak).unwrap_or(i64::MAX)),
        ]
    });
    if report.outcome.is_failure() {
        trace.failed(report.outcome.name());
    }
    trace.end();
}

/// A page and whom it is shown to.
struct Shown<'a> {
    found: &'a Found,
    content: &'a PageContent,
    /// `request` as the template sees it.
    seen: &'a Value,
    request: &'a PageRequest,
    now: SystemTime,
}

impl Shown<'_> {
    /// Template and effects to a reply. A stop call replaces the page.
    fn compose(&self, report: RunReport, run: &mut FinishedRun) -> Reply {
        let Self { found, request, .. } = self;
        if report.outcome.is_failure() && found.page.on_error == OnError::Error {
            return Reply::plain(500, "Something went wrong");
        }
        let mut effects = report.effects;
        if effects.stop.is_some() {
            return Reply::of_effects(effects, None, request.is_https);
        }
        effects.status = effects.status.or(Some(found.status));
        match self.render(&effects.variables, &report.session) {
            Ok(html) => Reply::of_effects(effects, Some(html), request.is_https),
            Err(failure) => {
                run_log::template_failed(&found.brand.id, &found.page.file, &failure);
                if let Some(watch) = &request.watch {
                    watch.template_failed(&failure);
                }
                run.outcome = "template";
                run.failure = Some(failure);
                Reply::plain(500, "Something went wrong")
            }
        }
    }

    fn render(&self, own: &Map<String, Value>, session: &Session) -> Result<String, Failure> {
        let found = self.found;
        let template = self.content.template.as_ref().map_err(Failure::clone)?;
        // Script variables win over brand variables of the same name.
        let mut variables = Map::clone(&found.brand.variables);
        variables.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
        let params = found.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
        let customer = session.identity().map_or(&Value::Null, |identity| &identity.customer);
        let scope = Scope {
            variables: &variables,
            customer,
            is_customer: session.identity().is_some(),
            request: self.seen,
            route_params: &Value::Object(params.collect()),
        };
        let rendered = template.render_at(&scope, self.now)?;
        for warning in &rendered.warnings {
            tracing::warn!(brand = found.brand.id, page = found.page.file, "{}", run_log::printable(warning));
        }
        if let Some(watch) = &self.request.watch {
            watch.warned(rendered.warnings.iter().cloned());
        }
        Ok(rendered.html)
    }
}

async fn save_session(app: &App, found: &Found, session: &Session, request: &PageRequest, reply: &mut Reply) {
    if session.changes().is_empty() {
        return;
    }
    let brand = &found.brand;
    let saved = app.sessions.save(&brand.id, session, &found.page.limits, app.now_ms());
    match request.trace.ask("session.save", |_| true, saved).await {
        Ok(Some(issued)) => reply.issue_session(&issued, request.is_https),
        Ok(None) => {}
        Err(error) => {
            tracing::error!(brand = brand.id, %error, "the session could not be saved; its changes are lost");
        }
    }
}

impl Body {
    /// Drops a body that is larger than the page's own quota.
    fn bound(&mut self, bytes_max: usize) {
        if matches!(self, Self::Json(bytes) | Self::Form(bytes) if bytes.len() > bytes_max) {
            *self = Self::Dropped;
        }
    }
}
