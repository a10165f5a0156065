//! `/healthz`, `/readyz` and `/metrics`. They are open to every client that reaches the listener.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};

use super::AdminState;

const TEXT: &str = "text/plain; charset=utf-8";
/// The version of the Prometheus text format that `/metrics` returns.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Adds the open paths.
pub(crate) fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
}

/// Succeeds as long as the process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type(TEXT).body("ok\n")
}

/// Tells load balancers whether to send visitors to this host. Fails while the host is shutting down.
/// Succeeds when the database does not answer, because the host serves pages without it; the text
/// then says so.
async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    if state.app.stopping.load(Ordering::Relaxed) {
        return HttpResponse::ServiceUnavailable().content_type(TEXT).body("stopping\n");
    }
    let text = match state.app.store.outage() {
        Some(why) => format!("ready without the database: {why}\n"),
        None => "ready\n".to_owned(),
    };
    HttpResponse::Ok().content_type(TEXT).body(text)
}

async fn metrics(state: web::Data<AdminState>) -> HttpResponse {
    match state.app.telemetry.prometheus_text() {
        Ok(text) => HttpResponse::Ok().content_type(PROMETHEUS_TEXT).body(text),
        Err(error) => {
            tracing::error!(%error, "the metrics could not be written");
            HttpResponse::InternalServerError().content_type(TEXT).body("metrics could not be written\n")
        }
    }
}
