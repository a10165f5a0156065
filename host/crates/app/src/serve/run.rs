//! Runs the page's script.

use std::sync::Arc;

use serde_json::Value;

use sluice_page::{PageContent, PageScript};
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, RunReport, SandboxError};
use sluice_session::Session;

use super::admission::too_busy;
use super::matching::MatchedPage;
use crate::app::App;
use crate::load::Live;
use crate::observe::{Event, Observation};
use crate::request::PageRequest;
use crate::response::Reply;

/// Runs the page's script, if it has one that compiles. `seen` is `request` as the script
/// sees it.
#[expect(clippy::too_many_arguments, reason = "a run takes all that the journey has gathered")]
pub(super) async fn run_script(
    app: &App,
    live: &Live,
    matched: &MatchedPage,
    content: &PageContent,
    request: &PageRequest,
    seen: &Arc<Value>,
    session: Session,
    observation: &mut Observation,
) -> Result<RunReport, Reply> {
    let (brand, page) = (&matched.brand, &matched.page);
    let report = match &content.script {
        PageScript::None => RunReport::not_run(Outcome::Ok, None, session),
        PageScript::Broken(failure) => RunReport::not_run(Outcome::Compile, Some(failure.clone()), session),
        PageScript::Ready { script, files } => {
            let trace = observation.begin_run();
            let context = RunContext {
                brand: brand.id.clone(),
                trace: trace.clone(),
                request: Arc::clone(seen),
                is_https: request.is_https,
                brand_variables: Arc::clone(&brand.variables),
                session,
                crm: Some(app.crm_access(&brand.id)),
                handoff: Some(app.handoff(&brand.id)),
                secrets: live.secrets.of(&brand.id),
                limits: page.limits.clone(),
                clock: app.clock,
                seed: app.seed,
                observer: observation.run_observer(),
                test_calls: None,
            };
            match app.sandbox.run(script, context).await {
                Ok(mut report) => {
                    report.failure = report.failure.map(|failure| files.in_author_terms(failure));
                    report
                }
                Err(SandboxError::Busy) => return Err(too_busy(observation)),
                Err(error) => {
                    trace.failed("no sandbox could be made");
                    tracing::error!(page = page.file, %error, "no sandbox could be made");
                    return Err(Reply::plain(500, "Something went wrong"));
                }
            }
        }
    };
    let script = &content.script;
    observation.tell(Event::RunEnded { brand, page, request, script, report: &report });
    Ok(report)
}
