//! What a browser asks of `sluice dev`: its own half, and what happens.

use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use actix_web::web::{self, Bytes, Data, Query};
use actix_web::{HttpRequest, HttpResponse};
use futures_util::stream;
use serde::Deserialize;
use tokio::sync::broadcast::Receiver;
use tokio::sync::broadcast::error::RecvError;

use sluice_app::app::App;
use sluice_author::dev::{CLIENT_JS, CLIENT_PATH, Dev, EVENTS_PATH, Event};

/// A browser that lost the server asks again after this.
const RETRY: Duration = Duration::from_millis(300);

/// Only under `sluice dev`.
pub fn routes(config: &mut web::ServiceConfig, dev: &Arc<Dev>) {
    config.app_data(Data::from(Arc::clone(dev)));
    config.route(CLIENT_PATH, web::get().to(get_client)).route(EVENTS_PATH, web::get().to(get_events));
}

async fn get_client() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/javascript; charset=utf-8"))
        .insert_header((CACHE_CONTROL, "max-age=3600"))
        .insert_header(("x-content-type-options", "nosniff"))
        .body(CLIENT_JS)
}

/// What the browser's page was made of.
#[derive(Deserialize)]
struct Since {
    generation: u64,
}

/// Server-sent events, until the server stops.
async fn get_events(
    app: Data<App>,
    dev: Data<Dev>,
    request: HttpRequest,
    since: Query<Since>,
) -> HttpResponse {
    let host = request.headers().get("host").and_then(|host| host.to_str().ok()).unwrap_or_default();
    let brand = app.live().site.brand(host).map(|brand| brand.id.clone());
    let mut told = format!("retry: {}\n\n", RETRY.as_millis());
    let events = dev.listen();
    if since.generation != dev.generation() {
        told.push_str(&reload());
    }
    let listening = Listening { events, brand, stopping: dev.stopping.clone(), first: Some(told) };
    let body = stream::unfold(listening, |mut listening| async {
        let told = listening.next().await?;
        Some((Ok::<_, actix_web::Error>(Bytes::from(told)), listening))
    });
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/event-stream"))
        .insert_header((CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(body))
}

/// One browser's page.
struct Listening {
    events: Receiver<Event>,
    brand: Option<String>,
    stopping: tokio_util::sync::CancellationToken,
    first: Option<String>,
}

impl Listening {
    /// None: the server stops.
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
                Ok(Event::Reload) | Err(RecvError::Lagged(_)) => return Some(reload()),
                Ok(Event::Failed { brand, mistakes }) if Some(&brand) == self.brand.as_ref() => {
                    // JSON of one line.
                    return Some(format!("event: failed\ndata: {mistakes}\n\n"));
                }
                Ok(Event::Failed { .. }) => {}
                Err(RecvError::Closed) => return None,
            }
        }
    }
}

fn reload() -> String {
    "event: reload\ndata:\n\n".to_owned()
}
