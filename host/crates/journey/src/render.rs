//! Turns the effects of a run and the template into a reply.
//!
//! Rendering is synchronous. It begins on the worker's thread with the fuel of a few milliseconds.
//! A rendering that needs more starts again on a thread for long work, as does every rendering of a
//! brand that has used more than its share of the workers' threads. There are as many such renderings
//! as processors, and brands share them like sandboxes.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use serde_json::{Map, Value};
use tokio::time::timeout_at;

use sluice_app::observe::Event;
use sluice_app::response::Reply;
use sluice_kit::thread::cpu_time;
use sluice_kit::value;
use sluice_page::OnError;
use sluice_page::{PageContent, template_failure};
use sluice_page_cache::Dependence;
use sluice_sandbox::RunReport;
use sluice_sandbox::limiter::Limiter;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::slots::RunKind;
use sluice_session::{LazySession, Session};
use sluice_site::Brand;
use sluice_site::languages::{Languages, accepted};
use sluice_template::{Host, PendingCall, Quota, Rendered, Scope, Step, Template, TemplateError};

use super::admission::too_busy;
use super::failure;
use super::page_journey::Journey;
use super::run::SHORT_RENDERING_BYTES;
use super::template_calls::{CallError, CrmCalls, TemplateCalls};
use super::visitor::{Changes, load_session};

/// Makes the reply to a run. A stop call replaces the page; otherwise the template is rendered.
/// `seen` is `request` as the template sees it. What the template changes is added to `changes`. The error
/// is a reply that asks the visitor to try again, because the host was too busy or its database did not
/// answer.
pub(super) async fn reply(
    journey: &mut Journey<'_>,
    seen: &Arc<Value>,
    report: RunReport,
    changes: &mut Changes,
) -> Result<Reply, Reply> {
    // A page with `on_error = "page"` is rendered after every failure.
    if report.is_starved() && !matches!(journey.page().on_error, OnError::Page) {
        return Err(too_busy(journey.observation));
    }
    if let Some(instead) = failure::reply_instead(journey, &report) {
        return instead;
    }
    let is_https = journey.request.is_https;
    let mut effects = report.effects;
    let variables = std::mem::take(&mut effects.variables);
    if effects.stop.is_some() {
        if is_large(&variables) {
            // Freeing hundreds of thousands of values takes milliseconds.
            journey.app.sandbox.long_calls.call(&journey.brand().id, move || drop(variables)).await;
        }
        return Ok(Reply::of_effects(effects, None, is_https));
    }
    effects.status = effects.status.or(Some(journey.matched.status));
    // A run that asked for the session was charged for it.
    let is_charged = report.host_bytes > 0 && changes.session.loaded().is_some();
    if let (Ok(template), Some(filling)) = (&journey.content.template, &mut journey.filling) {
        filling.renders(template);
    }
    if shows_session(journey, seen) {
        journey.depends_on(Dependence::Session);
        load_session(journey.brand(), &mut changes.session, journey.observation).await;
    }
    let nobody_asked = Session::default();
    let session = changes.session.loaded().unwrap_or(&nobody_asked);
    let of_session = if is_charged { 0 } else { session.held_bytes() };
    let host_bytes = report.host_bytes.max(value::held(seen)).saturating_add(of_session);
    let rendering = Rendering::new(journey, seen, variables, session, report.wall, host_bytes);
    let mut crm = CrmCalls {
        made: report.crm_calls,
        ensured: report.crm_ensure_calls,
        queued: &mut changes.queued,
        warnings: Vec::new(),
    };
    let step = journey.observation.trace().child("template");
    let rendered = render(journey, rendering, &mut crm).await;
    step.end();
    let mut warnings = crm.warnings;
    if let Ok((rendered, _)) = &rendered {
        warnings.extend_from_slice(&rendered.warnings);
    }
    let secrets = journey.live.secrets.of(&journey.brand().id);
    let warnings: Vec<String> = warnings.iter().map(|warning| secrets.mask(warning).into_owned()).collect();
    journey.observation.tell(Event::TemplateWarned { warnings: &warnings });
    match rendered {
        Ok((rendered, session)) => {
            if let Some(session) = session {
                changes.session = LazySession::from(*session);
            }
            Ok(Reply::of_effects(effects, Some(rendered.html), is_https))
        }
        Err(RenderError::Failed(failure)) => {
            let failure = failure.masked(&journey.live.secrets.of(&journey.brand().id));
            let (brand, page) = (journey.brand(), &journey.page().file);
            journey.app.run_failed(brand, page, "template", &failure.to_string());
            journey.observation.tell(Event::TemplateFailed { failure: &failure });
            Ok(failure::went_wrong(journey))
        }
        Err(RenderError::Busy) => Err(too_busy(journey.observation)),
        Err(RenderError::Unavailable) => {
            Err(failure::error(journey.request, 503, "Please try again in a moment"))
        }
    }
}

/// Why there is no page.
enum RenderError {
    Failed(Failure),
    /// Other long renderings take all threads, and the wait timed out.
    Busy,
    /// The database does not answer a call of the template.
    Unavailable,
}

impl From<TemplateError> for RenderError {
    fn from(error: TemplateError) -> Self {
        Self::Failed(template_failure(error))
    }
}

/// Renders the template. Makes the CRM calls that it needs, and renders it again after each. Returns
/// the session, too, if the template can change it.
async fn render(
    journey: &mut Journey<'_>,
    mut rendering: Rendering,
    crm: &mut CrmCalls<'_>,
) -> Result<(Rendered, Option<Box<Session>>), RenderError> {
    if let Err(failure) = &journey.content.template {
        return Err(RenderError::Failed(failure.clone()));
    }
    loop {
        match attempt(journey, rendering).await? {
            Attempt::Done(rendered, session) => return Ok((rendered, session)),
            Attempt::Call(pending, next) => {
                rendering = *next;
                Box::pin(rendering.answer(journey, &pending, crm)).await?;
            }
        }
    }
}

/// What one rendering came to.
enum Attempt {
    Done(Rendered, Option<Box<Session>>),
    /// It needs the answer to a call.
    Call(PendingCall, Box<Rendering>),
}

/// Renders the template once, on a thread of its own if that takes long.
async fn attempt(journey: &mut Journey<'_>, mut rendering: Rendering) -> Result<Attempt, RenderError> {
    let (sandbox, brand) = (&journey.app.sandbox, &journey.brand().id);
    if !sandbox.long_runs.is_over_share(brand) {
        let began = cpu_time();
        let rendered = rendering.finish_if_short();
        sandbox.long_runs.note_here(brand, cpu_time().saturating_sub(began));
        if let Some(step) = rendered {
            return Ok(rendering.attempted(step?));
        }
    }
    Box::pin(attempt_elsewhere(journey, rendering)).await
}

/// Renders the template once, on a thread for long work.
async fn attempt_elsewhere(
    journey: &mut Journey<'_>,
    mut rendering: Rendering,
) -> Result<Attempt, RenderError> {
    let (sandbox, brand) = (&journey.app.sandbox, &journey.brand().id);
    // A run's memory is enough for its rendering. A page without a script needs as much now, and
    // does not keep what it has: those who wait must not take the memory from those who run.
    let bytes = if journey.content.script.is_ready() { 0 } else { rendering.memory_bytes };
    if let (Some(reserved), 1..) = (&mut journey.memory, bytes) {
        reserved.shrink_to(rendering.host_bytes);
    }
    let slot =
        timeout_at(rendering.until.into(), sandbox.renderings.take(brand, RunKind::PLAIN, bytes)).await;
    let Ok(Some(slot)) = slot else { return Err(RenderError::Busy) };
    let rendered = sandbox.long_calls.call(brand, move || -> Result<Attempt, RenderError> {
        let step = rendering.finish();
        drop(slot);
        Ok(rendering.attempted(step?))
    });
    // There is no result while the process stops.
    rendered.await.unwrap_or(Err(RenderError::Busy))
}

/// Everything that a rendering needs, so that it can move to another thread.
struct Rendering {
    content: Arc<PageContent>,
    brand_variables: Arc<Map<String, Value>>,
    /// The variables that the script set. They override the brand's variables of the same name.
    variables: Map<String, Value>,
    customer: Option<Value>,
    seen: Arc<Value>,
    route_params: Value,
    now: SystemTime,
    fuel: u64,
    /// What the host holds for the run.
    host_bytes: usize,
    /// The memory that the rendering may take besides.
    memory_bytes: usize,
    /// Whether `variables` also contains those of the brand.
    is_merged: bool,
    /// When the time of the run is over.
    until: Instant,
    /// The session and the CRM, if the template uses them.
    calls: Option<TemplateCalls>,
    /// The fuel of the renderings before this one.
    used: u64,
    /// The brand's languages and the visitor's, if the template translates.
    language: Option<(Arc<Languages>, String)>,
}

impl Rendering {
    /// `took` is how much of its time the run has used, and `host_bytes` what the host holds for it.
    fn new(
        journey: &Journey<'_>,
        seen: &Arc<Value>,
        variables: Map<String, Value>,
        session: &Session,
        took: Duration,
        host_bytes: usize,
    ) -> Self {
        let params = seen.get("route_params").cloned().unwrap_or_default();
        let limits = &journey.page().limits;
        let asks_host = journey.content.template.as_ref().is_ok_and(Template::asks_host);
        let calls = asks_host.then(|| TemplateCalls::new(session, &journey.matched.page));
        let translates = journey.content.template.as_ref().is_ok_and(Template::translates);
        let language = translates.then(|| visitors_language(journey.brand(), seen, session));
        let host_bytes = host_bytes + calls.as_ref().map_or(0, TemplateCalls::held_bytes);
        let left = Duration::from_millis(limits.wall_ms_max).saturating_sub(took);
        let now = Instant::now();
        Self {
            content: Arc::clone(journey.content),
            brand_variables: Arc::clone(&journey.brand().variables),
            variables,
            customer: session.identity().map(|identity| identity.customer.clone()),
            seen: Arc::clone(seen),
            route_params: params,
            now: journey.app.clock.now(),
            fuel: limits.template_fuel,
            host_bytes,
            memory_bytes: Limiter::rendering_bytes(limits.heap_bytes_max).saturating_sub(host_bytes),
            is_merged: false,
            until: now.checked_add(left).unwrap_or(now + LONGEST),
            calls,
            used: 0,
            language,
        }
    }

    /// Renders the page if that takes a few milliseconds at most.
    fn finish_if_short(&mut self) -> Option<Result<Step, TemplateError>> {
        if is_large(&self.variables) {
            return None;
        }
        let cost = self.copy_cost(SHORT_COPY_FUEL);
        if cost >= SHORT_COPY_FUEL {
            return None;
        }
        let (now, quota) = (self.now, self.quota(cost));
        self.with_scope(|template, scope| template.render_if_short(scope, now, quota))?
    }

    fn finish(&mut self) -> Result<Step, RenderError> {
        let cost = self.copy_cost(self.fuel);
        let (now, quota) = (self.now, self.quota(cost));
        let rendered = self.with_scope(|template, scope| template.render_within(scope, now, quota));
        match rendered {
            Some(step) => Ok(step?),
            None => Err(RenderError::Busy),
        }
    }

    /// What the rendering came to. If it is complete, frees everything that it needed.
    fn attempted(mut self, step: Step) -> Attempt {
        match step {
            Step::Done(rendered) => {
                let session = self.calls.map(|calls| Box::new(calls.into_session()));
                Attempt::Done(rendered, session)
            }
            Step::Call(pending) => {
                self.used = pending.fuel;
                Attempt::Call(pending, Box::new(self))
            }
        }
    }

    /// Makes a call of the template, and keeps the answer for the next rendering.
    async fn answer(
        &mut self,
        journey: &Journey<'_>,
        pending: &PendingCall,
        crm: &mut CrmCalls<'_>,
    ) -> Result<(), RenderError> {
        let (Ok(template), Some(calls)) = (&self.content.template, &mut self.calls) else {
            return Err(RenderError::Busy);
        };
        // A page without a script has only the memory of a short rendering.
        let room = match self.content.script.is_ready() {
            true => self.memory_bytes,
            false => self.memory_bytes.min(SHORT_RENDERING_BYTES.saturating_sub(self.host_bytes)),
        };
        let place = template.call_place(pending);
        match crm.make(journey, calls, pending, &place, room, self.until).await {
            Ok(held) => {
                self.host_bytes += held;
                self.memory_bytes = self.memory_bytes.saturating_sub(held);
                Ok(())
            }
            Err(CallError::Failed(message)) => Err(template.call_error(pending, message).into()),
            Err(CallError::Unavailable) => Err(RenderError::Unavailable),
        }
    }

    /// The fuel of copying all variables into one record. Counts up to `most`.
    fn copy_cost(&self, most: u64) -> u64 {
        match self.brand_variables.is_empty() {
            true => 0,
            false if self.is_merged => 0,
            false => cost(&self.brand_variables, most).saturating_add(cost(&self.variables, most)),
        }
    }

    /// The quota after the variables are copied.
    fn quota(&self, copied: u64) -> Quota {
        let memory_bytes = self.memory_bytes as u64;
        Quota {
            fuel: self.fuel,
            used: copied.saturating_add(self.used),
            until: Some(self.until),
            memory_bytes,
        }
    }

    /// Calls `render` with the template and the values that it shows. `None` if there is no template.
    fn with_scope<T>(&mut self, render: impl FnOnce(&Template, &Scope<'_>) -> T) -> Option<T> {
        if !self.is_merged && !self.brand_variables.is_empty() {
            let own = std::mem::replace(&mut self.variables, Map::clone(&self.brand_variables));
            self.variables.extend(own);
            self.is_merged = true;
        }
        if let Some(calls) = &mut self.calls {
            calls.begin();
        }
        let template = self.content.template.as_ref().ok()?;
        let scope = Scope {
            variables: &self.variables,
            customer: self.customer.as_ref().unwrap_or(&Value::Null),
            is_customer: self.customer.is_some(),
            request: &self.seen,
            route_params: &self.route_params,
            host: self.calls.as_ref().map(|calls| calls as &dyn Host),
            language: self.language.as_ref().and_then(|(languages, code)| languages.texts(code)),
        };
        Some(render(template, &scope))
    }
}

/// Whether the page's template needs the visitor's session.
fn shows_session(journey: &Journey<'_>, seen: &Value) -> bool {
    let Ok(template) = &journey.content.template else { return false };
    let languages = &journey.brand().languages;
    let asks_for_language =
        template.translates() && !languages.is_empty() && languages.named(hints_of_address(seen)).is_none();
    template.asks_host() || template.names_customer() || asks_for_language
}

/// What the path and the query say about the visitor's language.
fn hints_of_address(seen: &Value) -> impl Iterator<Item = &str> {
    let of = |part: &str, name: &str| seen.get(part).and_then(|part| part.get(name)).and_then(Value::as_str);
    let of_path = ["hl", "locale"].map(|name| of("route_params", name));
    let of_query = ["hl", "locale", "lang"].map(|name| of("query", name));
    of_path.into_iter().chain(of_query).flatten()
}

/// The languages of a brand, and the one of a visitor: from the page's path, the query, the session, the
/// variables of the brand, or the browser.
fn visitors_language(brand: &Brand, seen: &Value, session: &Session) -> (Arc<Languages>, String) {
    let of_session = session.get("locale");
    let of_brand = ["locale", "language"].map(|name| brand.variables.get(name));
    let named = [of_session].into_iter().chain(of_brand).filter_map(|value| value?.as_str());
    let accept = seen.pointer("/headers/accept-language").and_then(Value::as_str).unwrap_or_default();
    let hints = hints_of_address(seen).chain(named).chain(accepted(accept));
    let code = brand.languages.choose(hints).to_owned();
    (Arc::clone(&brand.languages), code)
}

/// The time of a run whose limit is longer than the clock can count.
const LONGEST: Duration = Duration::from_secs(1 << 30);

/// Variables whose copy costs more fuel are neither copied nor freed on the worker's thread.
const SHORT_COPY_FUEL: u64 = 1_000_000;

/// Whether copying or freeing the variables takes milliseconds.
fn is_large(variables: &Map<String, Value>) -> bool {
    cost(variables, SHORT_COPY_FUEL) >= SHORT_COPY_FUEL
}

/// The fuel of copying one value, besides its bytes.
const COPY_FUEL: u64 = 64;

/// The fuel of copying variables. Counts up to `most`.
fn cost(variables: &Map<String, Value>, most: u64) -> u64 {
    let mut cost = 0_u64;
    let mut open: Vec<&Value> = Vec::new();
    let mut maps = vec![variables];
    while cost < most {
        if let Some(map) = maps.pop() {
            for (name, value) in map {
                cost = cost.saturating_add(COPY_FUEL + name.len() as u64);
                open.push(value);
            }
            continue;
        }
        match open.pop() {
            Some(Value::String(text)) => cost = cost.saturating_add(text.len() as u64),
            Some(Value::Array(items)) => {
                cost = cost.saturating_add(COPY_FUEL.saturating_mul(items.len() as u64));
                open.extend(items);
            }
            Some(Value::Object(map)) => maps.push(map),
            Some(_) => {}
            None => break,
        }
    }
    cost.min(most)
}
