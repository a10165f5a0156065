//! Turns the effects of a run and the template into a reply.

use serde_json::{Map, Value};

use sluice_app::observe::Event;
use sluice_app::response::Reply;
use sluice_page::{OnError, template_failure};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::Failure;
use sluice_session::Session;
use sluice_template::{Rendered, Scope};

use super::page_journey::Journey;

/// Makes the reply to a run. A stop call replaces the page; otherwise the template is rendered.
/// `seen` is `request` as the template sees it.
pub(super) fn reply(journey: &mut Journey<'_>, seen: &Value, report: RunReport) -> Reply {
    if report.outcome.is_failure() && journey.page().on_error == OnError::Error {
        return Reply::plain(500, "Something went wrong");
    }
    let is_https = journey.request.is_https;
    let mut effects = report.effects;
    if effects.stop.is_some() {
        return Reply::of_effects(effects, None, is_https);
    }
    effects.status = effects.status.or(Some(journey.matched.status));
    let step = journey.observation.trace().child("template");
    let rendered = render(journey, seen, &effects.variables, &report.session);
    step.end();
    match rendered {
        Ok(rendered) => {
            journey.observation.tell(Event::UrlsBlocked { warnings: &rendered.warnings });
            Reply::of_effects(effects, Some(rendered.html), is_https)
        }
        Err(failure) => {
            journey.observation.tell(Event::TemplateFailed { failure: &failure });
            Reply::plain(500, "Something went wrong")
        }
    }
}

/// Renders the template. `own` are the variables that the script set. They override the brand's
/// variables of the same name.
fn render(
    journey: &Journey<'_>,
    seen: &Value,
    own: &Map<String, Value>,
    session: &Session,
) -> Result<Rendered, Failure> {
    let template = journey.content.template.as_ref().map_err(Failure::clone)?;
    let mut variables = Map::clone(&journey.brand().variables);
    variables.extend(own.iter().map(|(name, value)| (name.clone(), value.clone())));
    let params = journey.matched.params.iter().map(|(name, value)| (name.clone(), value.clone().into()));
    let identity = session.identity();
    let scope = Scope {
        variables: &variables,
        customer: identity.map_or(&Value::Null, |identity| &identity.customer),
        is_customer: identity.is_some(),
        request: seen,
        route_params: &Value::Object(params.collect()),
    };
    template.render_at(&scope, journey.app.clock.now()).map_err(template_failure)
}
