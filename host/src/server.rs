//! The visitors' listener and the admin listener, start to shutdown.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Server;
use actix_web::{App as ActixApp, HttpRequest, HttpResponse, HttpServer, web};
use anyhow::Context as _;

use crate::admin;
use crate::app::{App, now_ms};
use crate::config::SiteConfig;
use crate::jobs::Workers;
use crate::request::{Method, PageRequest};
use crate::response::Reply;
use crate::serve::serve_page;

/// Headers must arrive within this time.
const HEADERS_TIMEOUT: Duration = Duration::from_secs(10);
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
    admin: Server,
    workers: Workers,
    app: Arc<App>,
}

/// Binds both listeners and begins to serve.
///
/// # Errors
/// An address cannot be bound.
pub fn start(app: Arc<App>, config: &SiteConfig) -> anyhow::Result<Running> {
    let data = web::Data::from(Arc::clone(&app));
    let mut visitors =
        HttpServer::new(move || ActixApp::new().app_data(data.clone()).default_service(web::to(visit)))
            .client_request_timeout(HEADERS_TIMEOUT)
            .keep_alive(KEEP_ALIVE)
            .shutdown_timeout(SHUTDOWN_SECONDS)
            .disable_signals();
    if let Some(workers) = config.server.workers {
        visitors = visitors.workers(workers);
    }
    let (listener, address) = bind(config.server.listen, "server.listen")?;
    let (admin_listener, admin_address) = bind(config.admin.listen, "admin.listen")?;
    let visitors = visitors.listen(listener)?.run();
    let admin = HttpServer::new(|| ActixApp::new().configure(admin::routes)).workers(1).disable_signals();
    let admin = admin.listen(admin_listener)?.run();
    let workers = Workers::start(&app.store, &app.caps_of_brand(), &app.bell);
    Ok(Running { address, admin_address, visitors, admin, workers, app })
}

fn bind(address: SocketAddr, setting: &str) -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener =
        TcpListener::bind(address).with_context(|| format!("{setting}: {address} cannot be bound"))?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

impl Running {
    /// Serves until SIGTERM or SIGINT; then finishes what runs and lets go of
    /// the database.
    ///
    /// # Errors
    /// A listener failed.
    pub async fn until_stopped(self) -> anyhow::Result<()> {
        let Self { visitors, admin, workers, app, .. } = self;
        let handles = [visitors.handle(), admin.handle()];
        let cleanup = tokio::spawn(clean_up(Arc::clone(&app)));
        tokio::spawn(async move {
            stop_signal().await;
            tracing::info!("stopping: no new requests, what runs is finished");
            for handle in handles {
                handle.stop(true).await;
            }
        });
        let (visitors, admin) = tokio::join!(visitors, admin);
        cleanup.abort();
        workers.stop().await;
        app.store.close().await;
        tracing::info!("stopped");
        visitors.and(admin).map_err(Into::into)
    }
}

async fn visit(app: web::Data<App>, request: HttpRequest, payload: web::Payload) -> HttpResponse {
    let Some(method) = Method::of(request.method()) else {
        let mut reply = Reply::plain(405, "Method not allowed");
        reply.set_header("allow", "GET, HEAD, POST".into());
        return reply.into_response();
    };
    let request = PageRequest::read(method, &request, payload, app.body_bytes_max).await;
    // A task of its own: a visitor who leaves cancels neither the run nor the
    // saving of the session.
    let journey = actix_web::rt::spawn(async move { serve_page(&app, request).await });
    match journey.await {
        Ok(reply) => reply.into_response(),
        Err(error) => {
            tracing::error!(%error, "a request's task failed");
            Reply::plain(500, "Something went wrong").into_response()
        }
    }
}

async fn stop_signal() {
    use tokio::signal::unix::{SignalKind, signal};
    let (Ok(mut term), Ok(mut int)) = (signal(SignalKind::terminate()), signal(SignalKind::interrupt()))
    else {
        tracing::error!("signals cannot be watched; stop this process with SIGKILL");
        return std::future::pending().await;
    };
    tokio::select! {
        _ = term.recv() => {}
        _ = int.recv() => {}
    }
}

/// Deletes expired sessions in bounded batches.
async fn clean_up(app: Arc<App>) {
    loop {
        tokio::time::sleep(CLEANUP_EVERY).await;
        loop {
            match app.store.delete_expired_sessions(now_ms(), CLEANUP_ROWS).await {
                Ok(CLEANUP_ROWS) => {}
                Ok(_) => break,
                Err(error) => {
                    tracing::warn!(%error, "expired sessions could not be deleted");
                    break;
                }
            }
        }
    }
}
