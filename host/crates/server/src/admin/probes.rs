//! `/healthz`, `/readyz` and `/metrics`: open to whoever reaches the listener.

use std::sync::atomic::Ordering;

use actix_web::{HttpResponse, web};

use super::AdminState;

const TEXT: &str = "text/plain; charset=utf-8";
/// The version of Prometheus' text form that is written.
const PROMETHEUS_TEXT: &str = "text/plain; version=0.0.4; charset=utf-8";

pub fn routes(config: &mut web::ServiceConfig) {
    config
        .route("/healthz", web::get().to(healthz))
        .route("/readyz", web::get().to(readyz))
        .route("/metrics", web::get().to(metrics));
}

/// The process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type(TEXT).body("ok\n")
}

/// Whether to send visitors here: not while it stops. A database that is away is
/// no reason, because pages are served without it.
async fn readyz(state: web::Data<AdminState>) -> HttpResponse {
    match state.app.stopping.load(Ordering::Relaxed) {
        true => HttpResponse::ServiceUnavailable().content_type(TEXT).body("stopping\n"),
        false => HttpResponse::Ok().content_type(TEXT).body("ready\n"),
    }
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
