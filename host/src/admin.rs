//! The second listener: for operators, never for visitors.

use actix_web::{HttpResponse, web};

pub fn routes(config: &mut web::ServiceConfig) {
    config.route("/healthz", web::get().to(healthz));
}

/// The process answers.
async fn healthz() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}
