//! The routes that `sluice dev` adds for browsers: the client script and its event stream.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Path, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use sluice_app::app::App;
use sluice_app::request::requested_host;
use sluice_author::dev::{CLIENT_JS, CLIENT_PATH, Dev, EVENTS_PATH, Event, RUNS_PATH, SOURCES_PATH};
use sluice_site::Brand;

use crate::own_host::is_own_host_of_dev;

/// A browser that lost its connection reconnects after this delay.
const RETRY: Duration = Duration::from_millis(300);
/// Tells a page to reload.
const RELOAD: &str = "event: reload\ndata:\n\n";

/// The response to a request for another host.
const FOREIGN_HOST: &str = "sluice dev answers only to localhost, to names that end in .localhost and to loopback \
     addresses. To use another name or address, start it with --host NAME.\n";

/// Adds the routes. Only `sluice dev` calls this.
pub(crate) fn routes(config: &mut web::ServiceConfig, dev: &Arc<Dev>) {
    config.app_data(Data::from(Arc::clone(dev)));
    config.route(CLIENT_PATH, web::get().to(get_client)).route(EVENTS_PATH, web::get().to(get_events));
    config.route(&format!("{RUNS_PATH}/{{id}}"), web::get().to(get_run));
    config.route(&format!("{SOURCES_PATH}/{{file:.*}}"), web::get().to(get_source));
}

/// Rejects a request under `sluice dev` if its Host is not of this machine. Otherwise any web page that the
/// author visits could read the site and its sources through DNS rebinding. `sluice serve` has no such
/// list, because its brands name their Hosts.
pub(crate) fn reject_foreign_host(request: &HttpRequest) -> Option<HttpResponse> {
    let dev = request.app_data::<Data<Dev>>()?;
    let host = requested_host(request.uri(), request.headers()).unwrap_or_default();
    if is_own_host_of_dev(&host, &dev.hosts) {
        return None;
    }
    let response = HttpResponse::MisdirectedRequest()
        .insert_header((CONTENT_TYPE, "text/plain; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(FOREIGN_HOST);
    Some(response)
}

async fn get_client(request: HttpRequest) -> HttpResponse {
    if let Some(rejection) = reject_foreign_host(&request) {
        return rejection;
    }
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "max-age=3600"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(CLIENT_JS)
}

/// What a run of the host's brand did, as JSON.
async fn get_run(app: Data<App>, dev: Data<Dev>, request: HttpRequest, id: Path<String>) -> HttpResponse {
    if let Some(rejection) = reject_foreign_host(&request) {
        return rejection;
    }
    let run = brand_of(&app, &request).and_then(|brand| dev.run(&brand.id, &id));
    found("application/json", run.map(|run| run.to_string()))
}

/// The text of a page, module, layout or component of the host's brand.
async fn get_source(
    app: Data<App>,
    dev: Data<Dev>,
    request: HttpRequest,
    file: Path<String>,
) -> HttpResponse {
    if let Some(rejection) = reject_foreign_host(&request) {
        return rejection;
    }
    let Some(brand) = brand_of(&app, &request) else { return found("text/plain", None) };
    let read = web::block(move || dev.source(&brand, &file)).await;
    found("text/plain", read.ok().flatten())
}

pub(crate) fn brand_of(app: &App, request: &HttpRequest) -> Option<Arc<Brand>> {
    let host = requested_host(request.uri(), request.headers()).unwrap_or_default();
    app.live().site.brand(&host).cloned()
}

/// A response that only pages of the same origin can read.
pub(crate) fn found(kind: &'static str, body: Option<String>) -> HttpResponse {
    let Some(body) = body else { return HttpResponse::NotFound().finish() };
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, format!("{kind}; charset=utf-8")))
        .insert_header((CACHE_CONTROL, "no-store"))
        .insert_header(("x-content-type-options", "nosniff"))
        .insert_header(("cross-origin-resource-policy", "same-origin"))
        .body(body)
}

/// `?generation=3`: the generation of the site that the browser's page was rendered from.
#[derive(Deserialize)]
struct EventsQuery {
    generation: u64,
}

/// Sends server-sent events until the server stops.
async fn get_events(
    app: Data<App>,
    dev: Data<Dev>,
    request: HttpRequest,
    query: Query<EventsQuery>,
) -> HttpResponse {
    if let Some(rejection) = reject_foreign_host(&request) {
        return rejection;
    }
    let brand = brand_of(&app, &request).map(|brand| brand.id.clone());
    let mut first = format!("retry: {}\n\n", RETRY.as_millis());
    let events = dev.listen();
    if query.generation != dev.generation() {
        first.push_str(RELOAD);
    }
    let events = EventStream { events, brand, stopping: dev.stopping.clone(), first: Some(first) };
    let body = stream::unfold(events, |mut events| async {
        let event = events.next().await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(event)), events))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(body))
}

/// The events for one page in a browser.
struct EventStream {
    events: Receiver<Event>,
    /// The brand that serves the page.
    brand: Option<String>,
    stopping: tokio_util::sync::CancellationToken,
    /// The text to send before any event, until it is sent.
    first: Option<String>,
}

impl EventStream {
    /// Waits for the next event of the page's brand and returns its text. Returns none when the
    /// server stops.
    async fn next(&mut self) -> Option<String> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }
        loop {
            let event = tokio::select! {
                () = self.stopping.cancelled() => return None,
                event = self.events.recv() => event,
            };
            match event {
                // A page that missed events reloads.
                Ok(Event::Reload) | Err(RecvError::Lagged(_)) => return Some(RELOAD.to_owned()),
                Ok(Event::Failed { brand, mistakes }) if Some(&brand) == self.brand.as_ref() => {
                    // `mistakes` is JSON on one line, as an event's data must be.
                    return Some(format!("event: failed\ndata: {mistakes}\n\n"));
                }
                Ok(Event::Checked { brand, findings }) if Some(&brand) == self.brand.as_ref() => {
                    return Some(format!("event: checked\ndata: {findings}\n\n"));
                }
                Ok(Event::Failed { .. } | Event::Checked { .. }) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}
