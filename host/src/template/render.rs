//! Renders a compiled page: Handlebars walks the page, the helpers here evaluate.

use std::sync::{Mutex, MutexGuard, PoisonError};

use handlebars::template::TemplateElement;
use handlebars::{
    Context, Handlebars, Helper as Call, HelperDef, HelperResult, Output, RenderContext, RenderError,
    RenderErrorReason, Renderable,
};

use super::ast::Expr;
use super::budget::Budget;
use super::escape::{self, Escape, Stop};
use super::eval::Env;
use super::lower::{Action, Helper, MAIN, Program, action_of};
use super::source::{Pos, Problem, Sources};
use super::value::{LoopState, Val};
use super::{Rendered, Scope, TemplateLimits};

/// Blocks of one rendering that may stand in one another, over all components.
const DEPTH_MAX: usize = 160;

/// Warnings that one rendering gives at most.
const WARNINGS_MAX: usize = 100;

/// Characters of a blocked URL that a warning quotes.
const QUOTED_CHARS_MAX: usize = 60;

pub(super) fn render(
    program: &Program,
    sources: &Sources,
    limits: &TemplateLimits,
    scope: &Scope<'_>,
) -> Result<Rendered, Problem> {
    let run = Run {
        program,
        sources,
        state: Mutex::new(State {
            env: Env {
                scope,
                budget: Budget::new(limits.clone()),
                slots: vec![Val::Undefined; program.slots],
                base: 0,
                arguments: Val::Undefined,
            },
            warnings: Vec::new(),
            failure: None,
            at: Pos::new(0, 0),
            depth: 0,
        }),
    };
    let mut out = Page { html: String::new(), bytes_max: limits.output_bytes_max, full: false };
    let context = Context::null();
    let result = match program.registry.get_template(MAIN) {
        Some(page) => {
            let mut handlebars = RenderContext::new(None);
            for helper in Helper::ALL {
                let runs = Runs { run: &run, helper };
                handlebars.register_local_helper(helper.name(), Box::new(runs));
            }
            page.render(&program.registry, &context, &mut handlebars, &mut out)
        }
        None => Ok(()),
    };
    let state = run.state.into_inner().unwrap_or_else(PoisonError::into_inner);
    if out.full {
        let message = format!("the page is larger than {} bytes (output_bytes_max)", out.bytes_max);
        return Err(Problem::new(state.at, message));
    }
    match (result, state.failure) {
        (Ok(()), None) => Ok(Rendered { html: out.html, warnings: state.warnings }),
        (_, Some(problem)) => Err(problem),
        (Err(error), None) => Err(Problem::new(state.at, error.to_string())),
    }
}

/// One rendering. Handlebars wants helpers that could be shared between threads, hence the
/// lock, which nobody ever waits for.
struct Run<'a> {
    program: &'a Program,
    sources: &'a Sources,
    state: Mutex<State<'a>>,
}

struct State<'a> {
    env: Env<'a>,
    warnings: Vec<String>,
    /// What stopped the rendering; Handlebars' own error only says that something did.
    failure: Option<Problem>,
    /// The last directive or value that was reached.
    at: Pos,
    depth: usize,
}

/// The page as far as it is rendered.
struct Page {
    html: String,
    bytes_max: usize,
    full: bool,
}

impl Output for Page {
    fn write(&mut self, text: &str) -> std::io::Result<()> {
        if text.len() > self.bytes_max.saturating_sub(self.html.len()) {
            self.full = true;
            return Err(std::io::Error::other("the page is full"));
        }
        self.html.push_str(text);
        Ok(())
    }
}

/// A helper in one rendering.
struct Runs<'r, 'a> {
    run: &'r Run<'a>,
    helper: Helper,
}

impl HelperDef for Runs<'_, '_> {
    fn call<'reg: 'rc, 'rc>(
        &self,
        call: &Call<'rc>,
        registry: &'reg Handlebars<'reg>,
        context: &'rc Context,
        handlebars: &mut RenderContext<'reg, 'rc>,
        out: &mut dyn Output,
    ) -> HelperResult {
        let run = self.run;
        let mut body = |template: &'rc handlebars::Template, out: &mut dyn Output| {
            run.enter()?;
            template.render(registry, context, handlebars, out)?;
            run.lock().depth -= 1;
            Ok(())
        };
        if self.helper == Helper::Choose {
            let branches = call.template().map_or(&[][..], |template| &template.elements);
            for element in branches {
                let TemplateElement::HelperBlock(branch) = element else { continue };
                if run.test(action_of(branch))? {
                    return match &branch.template {
                        Some(template) => body(template, out),
                        None => Ok(()),
                    };
                }
            }
            return Ok(());
        }
        let index = call.param(0).and_then(|param| param.value().as_u64());
        let action = index.and_then(|index| run.program.actions.get(usize::try_from(index).ok()?));
        match action {
            Some(Action::Print { expr, escape, pos }) => run.print(expr, *escape, *pos, out),
            Some(Action::Set { value, slot, pos }) => run.set(value, *slot, *pos),
            Some(Action::Each { list, item, state, pos }) => {
                let items = run.list(list, *pos)?;
                let length = items.items().map_or(0, |items| items.len());
                for index in 0..length {
                    run.next_item(&items, LoopState { index, length }, *item, *state, *pos)?;
                    if let Some(template) = call.template() {
                        body(template, out)?;
                    }
                }
                run.leave_loop(*item, *state);
                Ok(())
            }
            Some(Action::Test { .. }) | None => Ok(()),
        }
    }
}

impl<'a> Run<'a> {
    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn enter(&self) -> Result<(), RenderError> {
        let mut state = self.lock();
        if state.depth >= DEPTH_MAX {
            return Err(state.fail(format!("blocks and components nest deeper than {DEPTH_MAX}")));
        }
        state.depth += 1;
        Ok(())
    }

    fn print(&self, expr: &'a Expr, escape: Escape, pos: Pos, out: &mut dyn Output) -> HelperResult {
        let mut state = self.lock();
        let value = state.eval(expr, pos)?;
        match escape::write(escape, &value, out, &mut state.env.budget) {
            Ok(None) => Ok(()),
            Ok(Some(url)) => {
                state.warn_blocked(self.sources, &url);
                Ok(())
            }
            Err(Stop::Output(error)) => Err(error.into()),
            Err(Stop::Limit(message)) => Err(state.fail(message)),
        }
    }

    /// Whether a branch is taken; one without a condition always is.
    fn test(&self, action: Option<usize>) -> Result<bool, RenderError> {
        match action.and_then(|action| self.program.actions.get(action)) {
            Some(Action::Test { expr, pos }) => Ok(self.lock().eval(expr, *pos)?.truthy()),
            _ => Ok(true),
        }
    }

    fn set(&self, value: &'a Expr, slot: u32, pos: Pos) -> HelperResult {
        let mut state = self.lock();
        let value = state.eval(value, pos)?;
        state.env.set_slot(slot, value);
        Ok(())
    }

    /// What a loop runs over: an array, the values of a record, or nothing.
    fn list(&self, list: &'a Expr, pos: Pos) -> Result<Val<'a>, RenderError> {
        let mut state = self.lock();
        let value = state.eval(list, pos)?;
        let Some(fields) = value.fields() else { return Ok(value) };
        let made = state.env.budget.make(fields.len() * size_of::<Val<'_>>());
        made.map_err(|message| state.fail(message))?;
        let values = fields.into_iter().map(|(_, value)| value).collect();
        Ok(Val::list(values).unwrap_or(Val::Undefined))
    }

    fn next_item(
        &self,
        items: &Val<'a>,
        position: LoopState,
        item_slot: u32,
        state_slot: u32,
        pos: Pos,
    ) -> HelperResult {
        let mut state = self.lock();
        state.at = pos;
        let charged = state.env.budget.operations(1);
        charged.map_err(|message| state.fail(message))?;
        state.env.set_slot(item_slot, items.at(position.index));
        state.env.set_slot(state_slot, Val::Loop(position));
        Ok(())
    }

    fn leave_loop(&self, item_slot: u32, state_slot: u32) {
        let mut state = self.lock();
        state.env.set_slot(item_slot, Val::Undefined);
        state.env.set_slot(state_slot, Val::Undefined);
    }
}

impl<'a> State<'a> {
    fn eval(&mut self, expr: &'a Expr, pos: Pos) -> Result<Val<'a>, RenderError> {
        self.at = pos;
        self.env.eval(expr).map_err(|message| self.fail(message))
    }

    fn fail(&mut self, message: String) -> RenderError {
        self.failure = Some(Problem::new(self.at, message));
        RenderErrorReason::Other(String::new()).into()
    }

    fn warn_blocked(&mut self, sources: &Sources, url: &str) {
        if self.warnings.len() < WARNINGS_MAX {
            let quoted: String = url.chars().take(QUOTED_CHARS_MAX).collect();
            let place = sources.place(self.at);
            self.warnings.push(format!("{place}: #blocked stands for the URL {quoted:?}"));
        }
    }
}
