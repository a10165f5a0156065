//! The routes that show visitors what is behind a page, for brands whose operator has set `behind_pages`.

use std::sync::Arc;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE, RETRY_AFTER};
use actix_web::web::{self, Data, Path};
use actix_web::{HttpRequest, HttpResponse};

use sluice_app::app::App;
use sluice_app::response::{Reply, ReplyBody};
use sluice_author::behind::{Behind, CLIENT_JS, CLIENT_PATH};
use sluice_author::dev::{RUNS_PATH, SOURCES_PATH};

use crate::dev_routes::{brand_of, found};

/// Adds the routes. They answer 404 on the hosts of other brands.
pub(crate) fn routes(config: &mut web::ServiceConfig, behind: &Arc<Behind>) {
    config.app_data(Data::from(Arc::clone(behind)));
    config.route(CLIENT_PATH, web::get().to(get_client));
    config.route(&format!("{RUNS_PATH}/{{id}}"), web::get().to(get_run));
    config.route(&format!("{SOURCES_PATH}/{{file:.*}}"), web::get().to(get_source));
}

async fn get_client(app: Data<App>, behind: Data<Behind>, request: HttpRequest) -> HttpResponse {
    if !brand_of(&app, &request).is_some_and(|brand| behind.shows(&brand)) {
        return HttpResponse::NotFound().finish();
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "max-age=3600"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(CLIENT_JS)
}

async fn get_run(
    app: Data<App>,
    behind: Data<Behind>,
    request: HttpRequest,
    id: Path<String>,
) -> HttpResponse {
    let run = brand_of(&app, &request).and_then(|brand| behind.run(&brand, &id));
    found("application/json", run.map(|run| run.to_string()))
}

async fn get_source(
    app: Data<App>,
    behind: Data<Behind>,
    request: HttpRequest,
    file: Path<String>,
) -> HttpResponse {
    let Some(brand) = brand_of(&app, &request) else { return HttpResponse::NotFound().finish() };
    let Ok(Some(source)) = web::block(move || behind.source(&brand, &file)).await else {
        return HttpResponse::NotFound().finish();
    };
    // A client that reads slowly holds a part of the file in memory, not all of it.
    let mut reply = Reply::of_body(200, ReplyBody::File(source));
    if !reply.reserve_body(&app.sandbox.memory) {
        return HttpResponse::ServiceUnavailable().insert_header((RETRY_AFTER, "1")).finish();
    }
    for (name, value) in [
        ("content-type", "text/plain; charset=utf-8"),
        ("x-content-type-options", "nosniff"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        reply.set_header(name, value.into());
    }
    reply.into_response()
}
