//! Renders a compiled page. Handlebars walks the templates and calls the helpers here, which
//! evaluate the table of actions.

mod run;

use std::sync::{Arc, Mutex, PoisonError};

use handlebars::template::TemplateElement;
use handlebars::{
    Context, Handlebars, Helper as Call, HelperDef, HelperResult, Output, RenderContext, Renderable, Template,
};

use crate::budget::{Fuel, LimitError, Quota};
use crate::host::PendingCall;
use crate::limits::TemplateLimits;
use crate::lower::{Action, Helper, Program, action_of};
use crate::mistake::Mistake;
use crate::scope::Scope;
use crate::source::{Pos, Problem, Sources};
use crate::value::LoopState;
use run::Run;

/// A rendered page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    /// The page.
    pub html: String,
    /// Warnings for the log about blocked URLs and refused calls, each with file, line and column.
    pub warnings: Vec<String>,
    /// The fuel that rendering the page used.
    pub fuel: u64,
}

/// How far a rendering came.
#[derive(Debug)]
pub enum Step {
    /// The page is complete.
    Done(Rendered),
    /// The host has to make this call, and then render the page again with the answer.
    Call(PendingCall),
}

/// Renders a page. `now` is in milliseconds since 1970. The quota replaces `limits.fuel_max`.
pub(super) fn render(
    program: &Program,
    sources: &Sources,
    limits: &TemplateLimits,
    scope: &Scope<'_>,
    now: f64,
    quota: Quota,
) -> Result<Step, Problem> {
    let fuel = Fuel::new(quota);
    let slots = program.units.first().map_or(0, |page| page.slots);
    let start = fuel.take(((slots + scope.variables.len()) as u64).saturating_mul(START_FUEL));
    start.map_err(|limit| Problem::new(Pos::new(0, 0), limit))?;
    let html = Mutex::new(String::new());
    let run = Run::new(program, sources, limits, scope, now, Arc::clone(&fuel), &html);
    let mut out = Page { html: &html, bytes_max: limits.output_bytes_max, full: false, fuel, over: None };
    let context = Context::null();
    let page = program.units.first().and_then(|page| program.registry.get_template(&page.name));
    let result = match page {
        Some(page) => {
            let mut handlebars = RenderContext::new(None);
            for helper in Helper::ALL {
                let runs = BoundHelper { run: &run, helper };
                handlebars.register_local_helper(helper.name(), Box::new(runs));
            }
            page.render(&program.registry, &context, &mut handlebars, &mut out)
        }
        None => Ok(()),
    };
    let mut state = run.finish();
    if let Some(call) = state.take_pending() {
        return Ok(Step::Call(PendingCall { fuel: out.fuel.used(), ..call }));
    }
    if out.full {
        return Err(Problem::new(state.at, Mistake::OutputBytes(out.bytes_max)));
    }
    if let Some(limit) = out.over {
        return Err(Problem::new(state.at, limit));
    }
    let html = std::mem::take(&mut *html.lock().unwrap_or_else(PoisonError::into_inner));
    match (result, state.failure.take()) {
        (Ok(()), None) => {
            let warnings = state.all_warnings(sources);
            Ok(Step::Done(Rendered { html, warnings, fuel: out.fuel.used() }))
        }
        (_, Some(problem)) => Err(problem),
        (Err(error), None) => Err(Problem::new(state.at, Mistake::Handlebars(Box::new(error)))),
    }
}

/// What one write costs besides its bytes.
const WRITE_FUEL: u64 = 16;

/// What each name and each variable costs before the rendering begins.
const START_FUEL: u64 = 8;

/// The page as far as it is rendered. The run reads it, too.
struct Page<'p> {
    html: &'p Mutex<String>,
    bytes_max: usize,
    full: bool,
    fuel: Arc<Fuel>,
    /// The limit that a write exceeded.
    over: Option<LimitError>,
}

impl Output for Page<'_> {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        let bytes = text.len() as u64;
        let charged = self.fuel.take(WRITE_FUEL.saturating_add(bytes));
        // The text of the page doubles its memory when it is full.
        if let Err(limit) = charged.and_then(|()| self.fuel.hold(bytes.saturating_mul(2))) {
            self.over = Some(limit);
            return Err(std::io::Error::other("the fuel or the memory is used up"));
        }
        let mut html = self.html.lock().unwrap_or_else(PoisonError::into_inner);
        if text.len() > self.bytes_max.saturating_sub(html.len()) {
            self.full = true;
            return Err(std::io::Error::other("the page is full"));
        }
        html.push_str(text);
        Ok(())
    }
}

/// A helper, bound to one rendering.
struct BoundHelper<'r, 'a> {
    run: &'r Run<'a>,
    helper: Helper,
}

impl HelperDef for BoundHelper<'_, '_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &Call<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        handlebars: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let run = self.run;
        run.call()?;
        let mut walk = Walk { run, registry, context, handlebars, out };
        if self.helper == Helper::Choose {
            return walk.choose(call);
        }
        let index = call.param(0).and_then(|param| param.value().as_u64());
        let action = index.and_then(|index| run.program.actions.get(usize::try_from(index).ok()?));
        match action {
            Some(Action::Print { expr, escape, pos }) => run.print(expr, *escape, *pos, walk.out),
            Some(Action::Set { value, slot, pos }) => run.set(value, *slot, *pos),
            Some(each @ Action::Each { .. }) => walk.each(call, each),
            Some(component @ Action::Component { .. }) => walk.component(component),
            Some(Action::Test { .. }) | None => Ok(()),
        }
    }
}

/// What Handlebars passes to a helper.
struct Walk<'w, 'a, 'reg: 'rc, 'rc> {
    run: &'w Run<'a>,
    registry: &'reg Handlebars<'reg>,
    context: &'rc Context,
    handlebars: &'w mut RenderContext<'reg, 'rc>,
    out: &'w mut dyn Output,
}

impl<'a, 'reg: 'rc, 'rc> Walk<'_, 'a, 'reg, 'rc> {
    fn body(&mut self, template: &'rc Template) -> HelperResult {
        self.run.enter()?;
        template.render(self.registry, self.context, self.handlebars, self.out)?;
        self.run.leave();
        Ok(())
    }

    /// Renders the first branch whose condition is true.
    fn choose(&mut self, call: &Call<'rc>) -> HelperResult {
        let branches = call.template().map_or(&[][..], |template| &template.elements);
        for element in branches {
            let TemplateElement::HelperBlock(branch) = element else {
                continue;
            };
            if self.run.test(action_of(branch))? {
                return match &branch.template {
                    Some(template) => self.body(template),
                    None => Ok(()),
                };
            }
        }
        Ok(())
    }

    fn each(&mut self, call: &Call<'rc>, action: &'a Action) -> HelperResult {
        let Action::Each { list, item, state, pos } = action else {
            return Ok(());
        };
        let Some(template) = call.template() else {
            return Ok(());
        };
        let items = self.run.list(list, *pos)?;
        let length = items.items().map_or(0, |items| items.len());
        for index in 0..length {
            self.run.next_item(&items, LoopState { index, length }, *item, *state, *pos)?;
            self.body(template)?;
        }
        self.run.leave_loop(*item, *state);
        Ok(())
    }

    fn component(&mut self, action: &'a Action) -> HelperResult {
        let Action::Component { unit, arguments, pos } = action else {
            return Ok(());
        };
        let Some(unit) = self.run.program.units.get(*unit) else {
            return Ok(());
        };
        let caller = self.run.enter_component(arguments, unit.slots, *pos)?;
        if let Some(component) = self.registry.get_template(&unit.name) {
            self.body(component)?;
        }
        self.run.leave_component(caller);
        Ok(())
    }
}
