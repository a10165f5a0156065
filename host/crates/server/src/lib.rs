//! The visitors' listener and the admin listener, from start to shutdown.

#![deny(unsafe_code)]

mod acme;
mod admin;
mod behind_routes;
mod bound;
mod descriptors;
mod dev_routes;
mod error;
mod handshake;
mod http2;
mod https;
mod indexes;
mod lines;
mod listener;
mod own_host;
mod service_manager;
mod signals;
mod turns;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use actix_server::Server;
use actix_web::http::Version;
use actix_web::{App as ActixApp, HttpMessage as _, HttpRequest, HttpResponse, web};
use futures_util::FutureExt as _;
use futures_util::future::{LocalBoxFuture, join_all};
use tokio::signal::unix::Signal;
use tracing::Instrument as _;

use sluice_app::app::App;
use sluice_app::app::purges::follow_purges;
use sluice_app::jobs::Workers;
use sluice_app::observe::Observation;
use sluice_app::queue::JobRunners;
use sluice_app::reload::{ReloadCause, reload_and_log};
use sluice_app::request::{Method, PageRequest, Read};
use sluice_app::response::Reply;
use sluice_app::stall::measured;
use sluice_app::uncancelled::Uncancelled;
use sluice_author::behind::Behind;
use sluice_author::dev::Dev;
use sluice_kit::StoreError;
use sluice_kit::clock::now_ms;
use sluice_sandbox::memory::Reserved;
use sluice_site::config::SiteConfig;
use sluice_storage::Area;
use sluice_telemetry::trace::{Incoming, Trace};

pub use crate::admin::{AdminStartError, TokenError};
pub use crate::bound::Bound;
pub use crate::error::ServerError;

use crate::acme::Keeping;
use crate::admin::AdminState;
use crate::bound::{LocalSocket, SocketFile};
use crate::descriptors::connections_a_worker;
use crate::https::{Https, Redirecting};
use crate::listener::Listening;
use crate::service_manager::{feed_watchdog, tell_ready, tell_stopping};
use crate::signals::{Signals, StopRequest};
use crate::turns::TurnsOwed;

const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// Connections that the listener that redirects to HTTPS may have. Each request on them takes no time.
const REDIRECT_CONNECTIONS: usize = 512;
/// Requests that are in progress when the server stops may take this long to finish.
const SHUTDOWN_SECONDS: u64 = 40;
const CLEANUP_EVERY: Duration = Duration::from_secs(60);
/// How often the sessions of each brand are counted, if that is quick, and if it is not.
const SESSION_LIMIT_EVERY: Duration = Duration::from_secs(2);
const SESSION_LIMIT_EVERY_MAX: Duration = Duration::from_secs(300);
/// How often the demand for sandboxes is looked at.
const IDLE_EVERY: Duration = Duration::from_secs(5);
/// How often the sessions of cookies that came back are confirmed. It is longer than most requests take:
/// one that changes its session confirms it itself.
const CONFIRM_EVERY: Duration = Duration::from_secs(1);
/// How long purges stay in the database: longer than any host asks for them.
const PURGE_ROWS_KEEP_MS: i64 = 2 * sluice_page_cache::PURGE_KEEP_MS;
/// Rows that one statement of the clean-up deletes.
const CLEANUP_ROWS: u32 = 500;

/// A server that accepts connections.
pub struct Running {
    /// The visitors' address. Its port is the one that the system chose if the settings say 0.
    pub address: SocketAddr,
    /// Whether visitors reach their address over HTTPS.
    pub is_https: bool,
    /// The address that redirects to HTTPS, if there is one.
    pub redirect_address: Option<SocketAddr>,
    /// The operators' address. Its port is the one that the system chose if the settings say 0.
    pub admin_address: SocketAddr,
    /// The visitors' listener, and the one that redirects to it if there is one.
    visitors: Vec<Server>,
    /// The admin listener, and the listener of `admin.probes` if there is one.
    operators: Vec<Server>,
    /// The file of the Unix socket, which is removed at the end.
    socket_file: Option<SocketFile>,
    https: Option<Arc<Https>>,
    workers: Workers,
    job_runners: JobRunners,
    signals: Signals,
    app: Arc<App>,
    dev: Option<Arc<Dev>>,
    /// How long the server goes on serving after SIGTERM.
    drain: Duration,
}

/// Starts to serve. `dev` is what `sluice dev` shares with the browsers; `sluice serve` has none.
/// `behind` is what it shows visitors of brands with `behind_pages`.
///
/// # Errors
/// A listener cannot be used, signals cannot be watched, the operators' token is invalid, or there is no
/// certificate for HTTPS.
pub async fn start(
    app: Arc<App>,
    bound: Bound,
    config: &SiteConfig,
    site_dir: &Path,
    dev: Option<Arc<Dev>>,
    behind: Option<Arc<Behind>>,
) -> Result<Running, ServerError> {
    // From here on, a signal stops the server in order instead of killing the process.
    let signals = Signals::new().map_err(ServerError::Signals)?;
    let data = web::Data::from(Arc::clone(&app));
    let dev_of_routes = dev.clone();
    let routes = move |config: &mut web::ServiceConfig| {
        if let Some(dev) = &dev_of_routes {
            dev_routes::routes(config, dev);
        }
        if let Some(behind) = &behind {
            behind_routes::routes(config, behind);
        }
    };
    let Bound {
        visitors: (listener, address),
        redirect,
        admin: (admin_listener, admin_address),
        probes,
        proxy,
    } = bound;
    let https = Https::load(&app, config, redirect.is_some()).await?;
    let workers = config.server.workers.unwrap_or_else(available_workers);
    let of_redirect = redirect.as_ref().map_or(0, |_| REDIRECT_CONNECTIONS);
    let kept = config.database.connections_max.saturating_add(of_redirect);
    let listeners = 1 + usize::from(proxy.is_some());
    let of_visitors = Listening {
        workers: Some(workers),
        connections_a_worker: connections_a_worker(workers.saturating_mul(listeners), kept),
        headers_timeout: config.server.headers_timeout,
        keep_alive: KEEP_ALIVE,
        write_timeout: config.server.write_timeout,
        shutdown_seconds: SHUTDOWN_SECONDS,
        tls: https.as_ref().map(|https| https.encryption(&app)).transpose()?,
    };
    let of_redirect = Listening {
        workers: Some(1),
        connections_a_worker: REDIRECT_CONNECTIONS,
        tls: None,
        ..of_visitors.clone()
    };
    let of_proxy = Listening { tls: None, ..of_visitors.clone() };
    let of_app = data.clone();
    let application =
        move || ActixApp::new().app_data(of_app.clone()).configure(&routes).default_service(web::to(visit));
    let mut visitors = vec![of_visitors.serve(listener, application.clone())?];
    let mut socket_file = None;
    if let Some(LocalSocket { listener, file }) = proxy {
        visitors.push(of_proxy.serve(listener, application)?);
        socket_file = file;
    }
    let redirect_address = redirect.as_ref().map(|(_, address)| *address);
    if let Some((listener, _)) = redirect {
        let acme = https.as_ref().and_then(|https| https.acme.as_ref());
        let to = web::Data::new(Redirecting {
            port: config.server.https_port.unwrap_or(address.port()),
            answers: acme.map(|acme| Arc::clone(&acme.answers)),
        });
        visitors.push(of_redirect.serve(listener, move || {
            let app = ActixApp::new().app_data(data.clone()).app_data(to.clone());
            app.default_service(web::to(https::redirect))
        })?);
    }
    let certificates = https.as_ref().map(|https| https.sources());
    let state = web::Data::new(AdminState::new(Arc::clone(&app), certificates, config, site_dir)?);
    let probe_state = state.clone();
    let admin = Listening::for_operators()
        .serve(admin_listener, move || ActixApp::new().app_data(state.clone()).configure(admin::routes))?;
    let mut operators = vec![admin];
    if let Some((listener, address)) = probes {
        tracing::info!(%address, "probes and metrics are also served on this address");
        operators.push(Listening::for_operators().serve(listener, move || {
            ActixApp::new().app_data(probe_state.clone()).configure(admin::probe_routes)
        })?);
    }
    let workers = Workers::start(&app.store, &app.caps_of_brand(), &app.bell);
    let job_runners = JobRunners::start(&app, &config.jobs);
    Ok(Running {
        address,
        is_https: https.is_some(),
        redirect_address,
        admin_address,
        visitors,
        operators,
        socket_file,
        https,
        workers,
        job_runners,
        signals,
        app,
        // Under `sluice dev` there is no load balancer that has to notice.
        drain: if dev.is_some() { Duration::ZERO } else { config.server.drain },
        dev,
    })
}

/// The number of cores, as actix counts them.
fn available_workers() -> usize {
    std::thread::available_parallelism().map_or(2, usize::from)
}

impl Running {
    /// Serves until SIGTERM or SIGINT, then finishes the requests in progress and closes the
    /// database. After SIGTERM the server first goes on serving for `server.drain`, while
    /// `/readyz` answers 503 and every answer closes its connection, so that load balancers
    /// and clients move to other hosts without a failed request. A second signal ends that.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn until_stopped(self) -> Result<(), ServerError> {
        let Self {
            visitors,
            operators,
            workers,
            job_runners,
            signals: Signals { mut stop, hangup },
            app,
            dev,
            drain,
            https,
            socket_file,
            ..
        } = self;
        // The visitors' listeners stop first, so that operators can watch the shutdown.
        let handles = |servers: &[Server]| servers.iter().map(Server::handle).collect::<Vec<_>>();
        let (of_visitors, of_operators) = (handles(&visitors), handles(&operators));
        let stopping = Arc::clone(&app);
        let cleanup = tokio::spawn(clean_up(Arc::clone(&app)));
        let session_limit = tokio::spawn(limit_sessions(Arc::clone(&app)));
        let idle = tokio::spawn(release_idle_sandboxes(Arc::clone(&app)));
        let confirmations = tokio::spawn(confirm_sessions(Arc::clone(&app)));
        let purges = tokio::spawn(follow_purges(Arc::clone(&app)));
        let reloads = tokio::spawn(reload_on(hangup, Arc::clone(&app), https.clone()));
        let keeping = https.as_ref().and_then(|https| https.acme.as_ref()).map(|acme| acme.keep());
        let end_orders = keeping.as_ref().map(Keeping::ending);
        let certificates = https.map(|https| tokio::spawn(https.watch()));
        let indexes = tokio::spawn(indexes::build_declared(Arc::clone(&app)));
        let watchdog = tokio::spawn(feed_watchdog());
        tell_ready();
        tokio::spawn(async move {
            let request = stop.recv().await;
            stopping.stopping.store(true, Ordering::Relaxed);
            if let Some(end_orders) = end_orders {
                end_orders();
            }
            tell_stopping();
            if let Some(dev) = &dev {
                dev.stopping.cancel();
            }
            if request == StopRequest::Drain && !drain.is_zero() {
                let seconds = drain.as_secs();
                tracing::info!(
                    seconds,
                    "stopping: requests are served until load balancers have noticed; a second signal ends this wait"
                );
                tokio::select! {
                    () = tokio::time::sleep(drain) => {}
                    _ = stop.recv() => {}
                }
            }
            tracing::info!("stopping: new connections are rejected, and running requests are finished");
            join_all(of_visitors.iter().map(|handle| handle.stop(true))).await;
            drop(socket_file);
            join_all(of_operators.iter().map(|handle| handle.stop(true))).await;
        });
        let stopped = join_all(visitors.into_iter().chain(operators)).await;
        cleanup.abort();
        session_limit.abort();
        idle.abort();
        confirmations.abort();
        purges.abort();
        indexes.abort();
        reloads.abort();
        if let Some(certificates) = certificates {
            certificates.abort();
        }
        if let Some(keeping) = keeping {
            keeping.stop().await;
        }
        job_runners.stop().await;
        workers.stop().await;
        // The first round takes the cookies of the last second into the second one.
        confirm_returning(&app).await;
        confirm_returning(&app).await;
        app.executions.flush().await;
        app.store.close().await;
        watchdog.abort();
        tracing::info!("stopped");
        stopped.into_iter().fold(Ok(()), Result::and).map_err(Into::into)
    }
}

/// Answers one request of a visitor: the handler of every path on the visitors' listener. The layers of actix-web
/// copy a future several times, so it is boxed.
fn visit(
    app: web::Data<App>,
    request: HttpRequest,
    payload: web::Payload,
) -> LocalBoxFuture<'static, HttpResponse> {
    answer(app, request, payload).boxed_local()
}

async fn answer(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    // A request of HTTP/2 carries them itself.
    let turns_http2 = request.extensions().get::<Rc<TurnsOwed>>().cloned();
    let turns = turns_http2.as_deref().or_else(|| request.conn_data::<TurnsOwed>());
    if let Some(turns) = turns {
        turns.let_others_go_first().await;
    }
    if let Some(rejection) = dev_routes::reject_foreign_host(&request) {
        return rejection;
    }
    let method = Method::of(request.method().as_str());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let incoming = Incoming { traceparent: header("traceparent"), tracestate: header("tracestate") };
    let trace = Trace::begin(&app.telemetry, method.name(), request.path(), incoming);
    trace.uses_version(version_name(request.version()));
    let live = app.live();
    let page_at = |host: &str, path: &str| live.page_at(host, path);
    let (rules, memory) = (&live.read_rules, &app.sandbox.memory);
    let (mut reply, is_https) =
        match PageRequest::read(method, &request, payload, rules, page_at, memory, &app.uploads).await {
            Ok(Read { request, memory: body_memory, files }) => {
                let is_https = request.is_https;
                let journey = travel(app.clone(), request, body_memory, trace.clone());
                let reply = match files {
                    None => journey.await,
                    Some(files) => files.read_during(journey, &app.uploads, memory, rules.body_timeout).await,
                };
                (reply, is_https)
            }
            Err(fault) => (fault.reply(), false),
        };
    if let Some(turns) = turns {
        turns.note(reply.status);
    }
    if app.stopping.load(Ordering::Relaxed) {
        reply.set_header("connection", "close".into());
    }
    if let Some(traceparent) = trace.finish(reply.status, is_https) {
        reply.set_header("traceparent", traceparent);
    }
    reply.into_response()
}

/// The version's name in a trace.
fn version_name(version: Version) -> &'static str {
    match version {
        Version::HTTP_2 => "2",
        Version::HTTP_10 => "1.0",
        _ => "1.1",
    }
}

/// Serves the request to its end: a visitor who disconnects cancels neither the run nor the
/// saving of the session. `body_memory` is reserved for the body of the request.
async fn travel(
    app: web::Data<App>,
    request: PageRequest,
    body_memory: Option<Reserved>,
    trace: Trace,
) -> Reply {
    use opentelemetry::trace::FutureExt as _;
    // The span has the level `error`, so that no log filter removes the trace id from errors.
    let log_span = tracing::error_span!("request", trace_id = trace.id());
    let context = trace.context();
    let runtime = app.runtime.clone();
    let telemetry = Arc::clone(&app.telemetry);
    let journey = async move {
        let reply = app.serve(request, Observation::of_trace(trace)).await;
        drop(body_memory);
        reply
    };
    let journey = journey.instrument(log_span);
    let journey = measured(journey, telemetry);
    let journey = match context {
        Some(context) => Uncancelled::new(journey.with_context(context), &runtime),
        None => Uncancelled::new(journey, &runtime),
    };
    journey.await.unwrap_or_else(|_| {
        // The panic's own message has already logged what happened and where.
        tracing::error!("the handler of a request panicked");
        Reply::plain(500, "Something went wrong")
    })
}

/// Reloads the site and the certificates at each SIGHUP.
async fn reload_on(mut hangup: Signal, app: Arc<App>, https: Option<Arc<Https>>) {
    while hangup.recv().await.is_some() {
        let (app, https) = (Arc::clone(&app), https.clone());
        // A brand that takes long to load must not keep later changes of others waiting.
        tokio::spawn(async move {
            if let Some(https) = &https {
                https.look().await;
            }
            // `reload_and_log` has already logged what failed.
            drop(reload_and_log(&app, ReloadCause::Files).await);
            if let Some(https) = https {
                https.wake();
            }
        });
    }
}

/// Deletes expired sessions, handoff tokens, rate windows, values of scripts and marks of failures, once a minute.
async fn clean_up(app: Arc<App>) {
    admin::tend_failure_marks(&app, CLEANUP_ROWS).await;
    loop {
        tokio::time::sleep(CLEANUP_EVERY).await;
        in_batches("expired sessions", || app.store.delete_expired_sessions(now_ms(), CLEANUP_ROWS)).await;
        in_batches("expired tokens", || app.store.delete_expired_tokens(now_ms(), CLEANUP_ROWS)).await;
        in_batches("expired rate windows", || app.store.delete_expired_rates(now_ms(), CLEANUP_ROWS)).await;
        let before = now_ms().saturating_sub(PURGE_ROWS_KEEP_MS);
        in_batches("old purges", || app.store.delete_old_purges(before, CLEANUP_ROWS)).await;
        admin::tend_failure_marks(&app, CLEANUP_ROWS).await;
        for (what, area) in [("expired values", Area::Storage), ("expired cached values", Area::Cache)] {
            in_batches(what, || app.store.delete_expired_values(area, now_ms(), CLEANUP_ROWS)).await;
        }
    }
}

/// Keeps each brand within its quota of sessions. Counting reads every session, so the pauses are
/// long in comparison: the database spends at most a fiftieth of its time on it.
async fn limit_sessions(app: Arc<App>) {
    loop {
        let began = Instant::now();
        if let Err(error) = app.sessions.quota.enforce(&*app.store).await {
            tracing::warn!(%error, "sessions over the quota could not be deleted");
        }
        let pause = began.elapsed().saturating_mul(50);
        tokio::time::sleep(pause.clamp(SESSION_LIMIT_EVERY, SESSION_LIMIT_EVERY_MAX)).await;
    }
}

/// Returns the memory of sandboxes that have been idle for a while to the system.
async fn release_idle_sandboxes(app: Arc<App>) {
    loop {
        tokio::time::sleep(IDLE_EVERY).await;
        let app = Arc::clone(&app);
        // It fails only while the process stops.
        drop(tokio::task::spawn_blocking(move || app.sandbox.release_idle()).await);
    }
}

/// Keeps the sessions whose cookies have come back.
async fn confirm_sessions(app: Arc<App>) {
    loop {
        tokio::time::sleep(CONFIRM_EVERY).await;
        confirm_returning(&app).await;
    }
}

async fn confirm_returning(app: &App) {
    // The visitor's next request tries again.
    if let Err(error) = app.returning.confirm(&*app.store, app.now_ms()).await {
        tracing::warn!(%error, "sessions could not be prolonged when their cookies came back");
    }
}

/// Repeats `delete` until it deletes fewer rows than a full batch.
async fn in_batches<F: Future<Output = Result<u32, StoreError>>>(what: &str, delete: impl Fn() -> F) {
    loop {
        match delete().await {
            Ok(CLEANUP_ROWS) => {}
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "{what} could not be deleted"),
        }
    }
}
