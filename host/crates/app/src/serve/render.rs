//! Template and effects to a reply.

use serde_json::{Map, Value};

use sluice_page::{OnError, PageContent, template_failure};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::Failure;
use sluice_session::Session;
use sluice_template::{Rendered, Scope};

use super::matching::MatchedPage;
use crate::app::App;
use crate::observe::{Event, Observation};
use crate::request::PageRequest;
use crate::response::Reply;

/// The reply to a run. A stop call replaces the page; otherwise the template is rendered.
/// `seen` is `request` as the template sees it.
pub(super) fn reply(
    app: &App,
    matched: &MatchedPage,
    content: &PageContent,
    request: &PageRequest,
    seen: &Value,
    report: RunReport,
    observation: &mut Observation,
) -> Reply {
    if report.outcome.is_failure() && matched.page.on_error == OnError::Error {
        return Reply::plain(500, "Something went wrong");
    }
    let mut effects = report.effects;
    if effects.stop.is_some() {
        return Reply::of_effects(effects, None, request.is_https);
    }
    effects.status = effects.status.or(Some(matched.status));
    let step = observation.trace().child("template");
    let rendered = render(app, matched, content, seen, &effects.variables, &report.session);
    step.end();
    match rendered {
        Ok(rendered) => {
            observation.tell(Event::UrlsBlocked { warnings: &rendered.warnings });
            Reply::of_effects(effects, Some(rendered.html), request.is_https)
        }
        Err(failure) => {
            observation.tell(Event::TemplateFailed { failure: &failure });
            Reply::plain(500, "Something went wrong")
        }
    }
}

/// `own` are the script's variables, which override the brand's variables of the same name.
fn render(
    app: &App,
    matched: &MatchedPage,
    content: &PageContent,
    seen: &Value,
    own: &Map<String, Value>,
    session: &Session,
) -> Result<Rendered, Failure> {
    let template = content.template.as_ref().map_err(Failure::clone)?;
    let mut variables = Map::clone(&matched.brand.variables);
    variables.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    let params = matched.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    let identity = session.identity();
    let scope = Scope {
        variables: &variables,
        customer: identity.map_or(&Value::Null, |identity| &identity.customer),
        is_customer: identity.is_some(),
        request: seen,
        route_params: &Value::Object(params.collect()),
    };
    template.render_at(&scope, app.clock.now()).map_err(template_failure)
}
