//! The visitors' listener and the admin listener, start to shutdown.

#![deny(unsafe_code)]

pub mod admin;
mod dev_routes;
mod signals;
mod turns;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;
use futures_util::future::join_all;
use socket2::SockRef;
use tokio::signal::unix::Signal;
use tracing::Instrument as _;

use sluice_app::app::App;
use sluice_app::jobs::Workers;
use sluice_app::observe::Observation;
use sluice_app::reload::reload_and_log;
use sluice_app::request::{BodyFault, Method, PageRequest};
use sluice_app::response::Reply;
use sluice_app::serve::serve;
use sluice_app::uncancelled::Uncancelled;
use sluice_author::dev::Dev;
use sluice_kit::StoreError;
use sluice_kit::clock::now_ms;
use sluice_site::config::SiteConfig;
use sluice_telemetry::trace::{Incoming, Trace};

use crate::admin::AdminState;
use crate::turns::TurnsOwed;
use signals::{Signals, StopRequest};

const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// What runs when the signal comes may take this long to finish.
const SHUTDOWN_SECONDS: u64 = 40;
const CLEANUP_EVERY: Duration = Duration::from_secs(60);
const CLEANUP_ROWS: u32 = 500;

/// Both listeners, bound and running.
pub struct Running {
    pub address: SocketAddr,
    pub admin_address: SocketAddr,
    visitors: Server,
    /// The admin listener, and that of the probes.
    operators: Vec<Server>,
    workers: Workers,
    signals: Signals,
    app: Arc<App>,
    dev: Option<Arc<Dev>>,
    drain: Duration,
}

/// Addresses that are this program's. Whoever asks before [`start`] waits.
pub struct Bound {
    visitors: (TcpListener, SocketAddr),
    admin: (TcpListener, SocketAddr),
    probes: Option<(TcpListener, SocketAddr)>,
}

impl Bound {
    /// Takes the addresses.
    ///
    /// # Errors
    /// One cannot be bound.
    pub fn new(config: &SiteConfig) -> anyhow::Result<Self> {
        let probes = config.admin.probes.map(|address| bind(address, "admin.probes in sluice.toml"));
        let visitors = bind(config.server.listen, "--listen")?;
        // Connections have it from the listener. It ends those on which sent data is not
        // acknowledged, or not taken because the other side's window stays shut.
        SockRef::from(&visitors.0)
            .set_tcp_user_timeout(Some(config.server.write_timeout))
            .context("server.write_timeout cannot be set")?;
        Ok(Self {
            visitors,
            admin: bind(config.admin.listen, "--admin-listen")?,
            probes: probes.transpose()?,
        })
    }
}

/// Begins to serve. `dev`: the site is worked on.
///
/// # Errors
/// A listener cannot be used.
pub fn start(
    app: Arc<App>,
    bound: Bound,
    config: &SiteConfig,
    site_dir: &Path,
    dev: Option<Arc<Dev>>,
) -> anyhow::Result<Running> {
    // From here on a signal is no end without a word.
    let signals = Signals::new().context("signals cannot be watched")?;
    let data = web::Data::from(Arc::clone(&app));
    let shown = dev.clone();
    let routes = move |config: &mut web::ServiceConfig| {
        if let Some(dev) = &shown {
            dev_routes::routes(config, dev);
        }
    };
    let mut visitors = HttpServer::new(move || {
        ActixApp::new().app_data(data.clone()).configure(&routes).default_service(web::to(visit))
    })
    .on_connect(|_, connection| {
        connection.insert(TurnsOwed::default());
    })
    .client_request_timeout(config.server.headers_timeout)
    .keep_alive(KEEP_ALIVE)
    .shutdown_timeout(SHUTDOWN_SECONDS)
    // An answer's head and body may be two segments; the second must not wait until the
    // client acknowledges the first.
    .tcp_nodelay(true)
    .disable_signals();
    if let Some(workers) = config.server.workers {
        visitors = visitors.workers(workers);
    }
    let Bound { visitors: (listener, address), admin: (admin_listener, admin_address), probes } = bound;
    let visitors = visitors.listen(listener)?.run();
    let state = web::Data::new(AdminState::new(Arc::clone(&app), config, site_dir)?);
    let probe_state = state.clone();
    let admin = HttpServer::new(move || ActixApp::new().app_data(state.clone()).configure(admin::routes));
    let admin = admin.workers(1).tcp_nodelay(true).disable_signals().listen(admin_listener)?.run();
    let mut operators = vec![admin];
    if let Some((listener, address)) = probes {
        tracing::info!(%address, "probes and metrics are answered here, too");
        let probes = HttpServer::new(move || {
            ActixApp::new().app_data(probe_state.clone()).configure(admin::probe_routes)
        });
        operators.push(probes.workers(1).tcp_nodelay(true).disable_signals().listen(listener)?.run());
    }
    let workers = Workers::start(&app.store, &app.caps_of_brand(), &app.bell);
    Ok(Running {
        address,
        admin_address,
        visitors,
        operators,
        workers,
        signals,
        app,
        // Nobody but the author waits for a site that is worked on.
        drain: if dev.is_some() { Duration::ZERO } else { config.server.drain },
        dev,
    })
}

/// `with`: how another address is given.
fn bind(address: SocketAddr, with: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => {
            anyhow::anyhow!("{address} is in use by another program; choose another address with {with}")
        }
        _ => anyhow::anyhow!("{address} cannot be used: {error}; choose another address with {with}"),
    })?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Running {
    /// Serves until SIGTERM or SIGINT, then finishes the requests that run and closes the
    /// database. After SIGTERM the server first goes on serving for `server.drain`, while
    /// `/readyz` answers 503 and every answer closes its connection, so that load balancers
    /// and clients move to other hosts without a failed request. A second signal ends that.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn until_stopped(self) -> anyhow::Result<()> {
        let Self {
            visitors, operators, workers, signals: Signals { mut stop, hangup }, app, dev, drain, ..
        } = self;
        // Visitors first: until they are gone, operators see how far it is.
        let handles: Vec<_> = [&visitors].into_iter().chain(&operators).map(Server::handle).collect();
        let stopping = Arc::clone(&app);
        let cleanup = tokio::spawn(clean_up(Arc::clone(&app)));
        let reloads = tokio::spawn(reload_on(hangup, Arc::clone(&app)));
        tokio::spawn(async move {
            let request = stop.recv().await;
            stopping.stopping.store(true, Ordering::Relaxed);
            if let Some(dev) = &dev {
                dev.stopping.cancel();
            }
            if request == StopRequest::Drain && !drain.is_zero() {
                let seconds = drain.as_secs();
                tracing::info!(
                    seconds,
                    "stopping: requests are served until load balancers have noticed; a second signal ends this"
                );
                tokio::select! {
                    () = tokio::time::sleep(drain) => {}
                    _ = stop.recv() => {}
                }
            }
            tracing::info!("stopping: new connections are rejected, and running requests are finished");
            for handle in handles {
                handle.stop(true).await;
            }
        });
        let (visitors, operators) = tokio::join!(visitors, join_all(operators));
        cleanup.abort();
        reloads.abort();
        workers.stop().await;
        app.executions.flush().await;
        app.store.close().await;
        tracing::info!("stopped");
        operators.into_iter().fold(visitors, Result::and).map_err(Into::into)
    }
}

async fn visit(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let turns = request.conn_data::<TurnsOwed>();
    if let Some(turns) = turns {
        turns.let_others_go_first().await;
    }
    let method = Method::of(request.method());
    let header = |name: &str| request.headers().get(name).and_then(|value| value.to_str().ok());
    let incoming = Incoming { traceparent: header("traceparent"), tracestate: header("tracestate") };
    let method_name = method.map_or("_OTHER", Method::name);
    let trace = Trace::begin(&app.telemetry, method_name, request.path(), incoming);
    let (mut reply, is_https) = match method {
        Some(method) => match PageRequest::read(method, &request, payload, &app.live().read_rules).await {
            Ok(request) => {
                let is_https = request.is_https;
                (travel(app.clone(), request, trace.clone()).await, is_https)
            }
            Err(fault) => (unread(fault), false),
        },
        None => {
            let mut reply = Reply::plain(405, "Method not allowed");
            reply.set_header("allow", "GET, HEAD, POST".into());
            (reply, false)
        }
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

/// The answer where the body did not arrive; nothing more is read from that connection.
fn unread(fault: BodyFault) -> Reply {
    let mut reply = match fault {
        BodyFault::Broken => Reply::plain(400, "The request did not arrive whole"),
        BodyFault::TooSlow => Reply::plain(408, "The request took too long to arrive"),
    };
    reply.set_header("connection", "close".into());
    reply
}

/// The journey, to its end: a visitor who leaves cancels neither the run nor the
/// saving of the session.
async fn travel(app: web::Data<App>, request: PageRequest, trace: Trace) -> Reply {
    use opentelemetry::trace::FutureExt as _;
    // At the level of errors, so that no filter takes the trace's id off them.
    let log_span = tracing::error_span!("request", trace_id = trace.id());
    let context = trace.context();
    let runtime = app.runtime.clone();
    let journey =
        async move { serve(&app, request, Observation::of_trace(trace)).await }.instrument(log_span);
    let journey = match context {
        Some(context) => Uncancelled::new(journey.with_context(context), &runtime),
        None => Uncancelled::new(journey, &runtime),
    };
    journey.await.unwrap_or_else(|_| {
        // What and where, the panic's own message has said.
        tracing::error!("a request's journey panicked");
        Reply::plain(500, "Something went wrong")
    })
}

/// Reads the site anew at each SIGHUP.
async fn reload_on(mut hangup: Signal, app: Arc<App>) {
    while hangup.recv().await.is_some() {
        // What failed is in the log.
        drop(reload_and_log(&app).await);
    }
}

/// Deletes what has expired.
async fn clean_up(app: Arc<App>) {
    loop {
        tokio::time::sleep(CLEANUP_EVERY).await;
        in_batches("expired sessions", || app.store.delete_expired_sessions(now_ms(), CLEANUP_ROWS)).await;
        in_batches("expired tokens", || app.store.delete_expired_tokens(now_ms(), CLEANUP_ROWS)).await;
        in_batches("ended rate windows", || app.store.delete_expired_rates(now_ms(), CLEANUP_ROWS)).await;
    }
}

/// Repeats `delete` until it finds less than a whole batch.
async fn in_batches<F: Future<Output = Result<u32, StoreError>>>(what: &str, delete: impl Fn() -> F) {
    loop {
        match delete().await {
            Ok(CLEANUP_ROWS) => {}
            Ok(_) => return,
            Err(error) => return tracing::warn!(%error, "{what} could not be deleted"),
        }
    }
}
