//! Runs the page's script.

use std::sync::Arc;

use serde_json::Value;

use sluice_app::observe::Event;
use sluice_app::response::Reply;
use sluice_page::PageScript;
use sluice_page_cache::Dependence;
use sluice_sandbox::files::FilesAccess;
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{Admitted, RunContext, RunReport};
use sluice_session::LazySession;
use sluice_telemetry::trace::Trace;

use super::admission::too_busy;
use super::failure;
use super::filling::Filling;
use super::page_journey::Journey;

/// The memory of a rendering that is short enough for the worker's thread, and of the request as a
/// template sees it.
pub(super) const SHORT_RENDERING_BYTES: usize = 4 << 20;

/// Waits for a sandbox and for the memory of the run. A page without a script needs only the memory
/// of a short rendering, and a place in the database's share if its template calls the CRM.
pub(super) async fn admit_run(journey: &mut Journey<'_>) -> Result<Option<Admitted>, Reply> {
    let (sandbox, brand) = (&journey.app.sandbox, &journey.brand().id);
    match (journey.content.script.is_ready(), journey.run_kind()) {
        (true, Some(kind)) => match sandbox.admit(brand, kind, &journey.page().limits).await {
            Ok(mut admitted) => {
                journey.memory = admitted.take_memory();
                if journey.renders_with_crm() {
                    admitted.keep_place();
                }
                return Ok(Some(admitted));
            }
            Err(_) => return Err(too_busy(journey.observation)),
        },
        (_, Some(kind)) => {
            journey.place = Box::pin(sandbox.slots.take(brand, kind, SHORT_RENDERING_BYTES)).await;
            journey.memory = journey.place.as_mut().and_then(|place| place.memory.take());
        }
        (_, None) => journey.memory = sandbox.memory.try_reserve(SHORT_RENDERING_BYTES),
    }
    match journey.memory {
        Some(_) => Ok(None),
        None => Err(too_busy(journey.observation)),
    }
}

/// Runs the page's script, if the page has one that compiles. `seen` is `request` as the script
/// sees it.
pub(super) async fn run_script(
    journey: &mut Journey<'_>,
    seen: &Arc<Value>,
    session: LazySession,
    admitted: Option<Admitted>,
) -> Result<RunReport, Reply> {
    let (brand, page, script) = (journey.brand(), journey.page(), &journey.content.script);
    let report = match (script, admitted) {
        (PageScript::Broken(failure), _) => {
            RunReport::not_run(Outcome::Compile, Some(failure.clone()), session)
        }
        (PageScript::None, _) => RunReport::not_run(Outcome::Ok, None, session),
        // Cannot be, and the page must not be shown if its script did not run.
        (PageScript::Ready { .. }, None) => {
            return Err(failure::went_wrong(journey));
        }
        (PageScript::Ready { script, files }, Some(admitted)) => {
            let trace = journey.observation.begin_run();
            let context = run_context(journey, &trace, seen, session);
            // Pages without a script do not need the room.
            match Box::pin(journey.app.sandbox.run_admitted(script, context, admitted)).await {
                Ok((mut report, place)) => {
                    journey.place = place;
                    report.failure = report.failure.map(|failure| files.in_author_terms(failure));
                    if let Some(failure) = report.failure.as_mut().filter(|_| report.outcome != Outcome::Host)
                    {
                        failure.name_page(&page.file);
                    }
                    report
                }
                Err(error) => {
                    trace.failed("no sandbox could be made");
                    tracing::error!(page = page.file, %error, "no sandbox could be made");
                    return Err(failure::went_wrong(journey));
                }
            }
        }
    };
    if report.outcome.is_failure() {
        let message = report.failure.as_ref().map(ToString::to_string).unwrap_or_default();
        journey.app.run_failed(brand, &page.file, report.outcome.name(), &message);
    }
    if report.outcome.is_failure() {
        journey.depends_on(Dependence::Failed);
    } else if let Some(dependence) = report.dependence.clone() {
        journey.depends_on(dependence);
    }
    let request = &*journey.request;
    journey.observation.tell(Event::RunEnded { brand, page, request, script, report: &report });
    Ok(report)
}

/// What the run may see and change.
fn run_context(journey: &Journey<'_>, trace: &Trace, seen: &Arc<Value>, session: LazySession) -> RunContext {
    let (app, brand) = (journey.app, journey.brand());
    RunContext {
        brand: brand.id.clone(),
        trace: trace.clone(),
        request: Arc::clone(seen),
        raw_body: journey.request.body.bytes().filter(|_| journey.page().raw_body),
        is_https: journey.request.is_https,
        brand_variables: Arc::clone(&brand.variables),
        session,
        crm: Some(app.crm_access(&brand.id)),
        http: Some(Arc::clone(&app.http)),
        http_rules: Arc::clone(&brand.http),
        files: Some(FilesAccess {
            store: Arc::clone(&app.files),
            keys: Arc::clone(&app.sessions.keys),
            received: journey.request.body.received(),
        }),
        storage: Some(app.storage_access(&brand.id)),
        queue: Some(app.queue_access(brand)),
        purges: Some(app.purge_access(brand)),
        sharing: journey.filling.as_ref().map(Filling::sharing).unwrap_or_default(),
        is_job: false,
        handoff: Some(app.handoff(&brand.id)),
        secrets: journey.live.secrets.of(&brand.id),
        limits: journey.page().limits.clone(),
        clock: app.clock.clone(),
        seed: app.seed,
        observer: journey.observation.run_observer(),
        test_calls: None,
    }
}
