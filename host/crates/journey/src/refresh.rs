//! Makes a kept answer again in the background, while visitors get the old one.

use std::sync::Arc;
use std::time::Instant;

use tracing::Instrument as _;

use sluice_app::app::App;
use sluice_app::load::Live;
use sluice_app::observe::{Event, Observation};
use sluice_app::page_cache::Answer;
use sluice_app::request::PageRequest;
use sluice_kit::database_time;
use sluice_page::PageContent;
use sluice_page_cache::{CacheRules, Dependence, Fill};
use sluice_telemetry::trace::Trace;

use super::admission::is_full;
use super::filling::{Filler, Filling};
use super::kept_answer::keep;
use super::matching::MatchedPage;
use super::page_journey::Journey;
use super::run_page;
use super::visitor::session_of;

/// What a run needs that outlives the request for which it was started.
struct Refresh {
    app: Arc<App>,
    live: Arc<Live>,
    matched: MatchedPage,
    content: Arc<PageContent>,
    request: PageRequest,
    trace: Trace,
}

/// Starts a run that makes an answer again. If the queue for sandboxes is full, the old answer stays for a
/// while: visitors whose pages have no answer at all come first.
pub(super) fn start_refresh(journey: &Journey<'_>, fill: Fill<Answer>, rules: Arc<CacheRules>) {
    if is_full(journey) {
        return fill.refuse(&Dependence::Failed, Instant::now());
    }
    let refresh = Refresh {
        app: Arc::clone(journey.app),
        live: Arc::clone(journey.live),
        matched: journey.matched.clone(),
        content: Arc::clone(journey.content),
        request: journey.request.clone(),
        trace: journey.observation.trace().child("refresh"),
    };
    let trace = refresh.trace.clone();
    let wait = journey.app.database_wait;
    let run = async move {
        Box::pin(refresh.run(fill, rules)).await;
        trace.end();
    };
    let run = database_time::limited(wait, run).in_current_span();
    journey.app.runtime.spawn(journey.observation.trace().with_context(run));
}

impl Refresh {
    async fn run(self, fill: Fill<Answer>, rules: Arc<CacheRules>) {
        let Self { app, live, matched, content, mut request, trace } = self;
        let mut observation = Observation::of_trace(trace);
        app.begin_observation(&mut observation, &request);
        observation.tell(Event::BrandFound { brand: &matched.brand });
        observation.tell(Event::PageFound { brand: &matched.brand, page: &matched.page });
        let session = session_of(&app, &matched.brand, &request);
        let mut journey = Journey {
            app: &app,
            live: &live,
            matched: &matched,
            content: &content,
            request: &mut request,
            observation: &mut observation,
            memory: None,
            files_memory: None,
            place: None,
            filling: Some(Filling::new(Some(fill), Filler::Refresh, rules)),
        };
        let answered = run_page(&mut journey, session).await;
        let mut reply = match keep(&mut journey, answered).await {
            Ok(reply) | Err(reply) => reply,
        };
        observation.tell(Event::PageAnswered { reply: &reply });
        observation.finish(&request, &mut reply);
    }
}
