//! One rendering: names, costs and what went wrong.

use std::sync::{Mutex, MutexGuard, PoisonError};

use handlebars::{HelperResult, Output, RenderError, RenderErrorReason};

use crate::ast::Expr;
use crate::budget::Budget;
use crate::escape::{self, Escape, Stop};
use crate::eval::Env;
use crate::lower::{Action, Arguments, Program};
use crate::source::{Pos, Problem, Sources};
use crate::value::{LoopState, Val};
use crate::{NESTING_MAX, Scope, TemplateLimits};

/// Warnings that one rendering gives at most.
const WARNINGS_MAX: usize = 100;

/// Characters of a blocked URL that a warning quotes.
const QUOTED_CHARS_MAX: usize = 60;

/// One rendering. Handlebars wants helpers that could be shared between threads, hence the
/// lock, which nobody ever waits for.
pub(super) struct Run<'a> {
    pub program: &'a Program,
    sources: &'a Sources,
    state: Mutex<State<'a>>,
    /// The page as far as it is rendered.
    html: &'a Mutex<String>,
}

pub(super) struct State<'a> {
    env: Env<'a>,
    pub warnings: Vec<String>,
    /// What stopped the rendering; Handlebars' own error only says that something did.
    pub failure: Option<Problem>,
    /// The last directive or value that was reached.
    pub at: Pos,
    depth: usize,
    component_depth: usize,
    component_depth_max: usize,
}

/// What a component's caller gets back.
pub(super) struct Caller<'a> {
    base: usize,
    arguments: Val<'a>,
}

impl<'a> Run<'a> {
    pub(super) fn new(
        program: &'a Program,
        sources: &'a Sources,
        limits: &TemplateLimits,
        scope: &'a Scope<'a>,
        now: f64,
        html: &'a Mutex<String>,
    ) -> Run<'a> {
        let slots = program.units.first().map_or(0, |page| page.slots);
        let env = Env {
            scope,
            budget: Budget::new(limits.clone()),
            now,
            slots: vec![Val::Undefined; slots],
            base: 0,
            arguments: Val::Undefined,
        };
        let state = State {
            env,
            warnings: Vec::new(),
            failure: None,
            at: Pos::new(0, 0),
            depth: 0,
            component_depth: 0,
            component_depth_max: limits.component_depth_max,
        };
        Run { program, sources, state: Mutex::new(state), html }
    }

    pub(super) fn finish(self) -> State<'a> {
        self.state.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    fn lock(&self) -> MutexGuard<'_, State<'a>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn enter(&self) -> Result<(), RenderError> {
        let mut state = self.lock();
        if state.depth >= NESTING_MAX {
            return Err(state.fail(format!("blocks and components nest deeper than {NESTING_MAX}")));
        }
        state.depth += 1;
        Ok(())
    }

    pub(super) fn leave(&self) {
        self.lock().depth -= 1;
    }

    pub(super) fn print(
        &self,
        expr: &'a Expr,
        escape: Escape,
        pos: Pos,
        out: &mut dyn Output,
    ) -> HelperResult {
        let mut state = self.lock();
        let value = state.eval(expr, pos)?;
        let page = match escape.looks_back() {
            true => escape::tail(&self.html.lock().unwrap_or_else(PoisonError::into_inner)).to_owned(),
            false => String::new(),
        };
        match escape::write(escape, &value, &page, out, &mut state.env.budget) {
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
    pub(super) fn test(&self, action: Option<usize>) -> Result<bool, RenderError> {
        match action.and_then(|action| self.program.actions.get(action)) {
            Some(Action::Test { expr, pos }) => Ok(self.lock().eval(expr, *pos)?.truthy()),
            _ => Ok(true),
        }
    }

    pub(super) fn set(&self, value: &'a Expr, slot: u32, pos: Pos) -> HelperResult {
        let mut state = self.lock();
        let value = state.eval(value, pos)?;
        state.env.set_slot(slot, value);
        Ok(())
    }

    /// What a loop runs over: an array, the values of a record, or nothing.
    pub(super) fn list(&self, list: &'a Expr, pos: Pos) -> Result<Val<'a>, RenderError> {
        let mut state = self.lock();
        let value = state.eval(list, pos)?;
        let Some(fields) = value.fields() else {
            return Ok(value);
        };
        let made = state.env.budget.make(fields.len() * size_of::<Val<'_>>());
        made.map_err(|message| state.fail(message))?;
        let values = fields.into_iter().map(|(_, value)| value).collect();
        Val::list(values).ok_or_else(|| state.fail("the record nests too deep".to_owned()))
    }

    pub(super) fn next_item(
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

    pub(super) fn enter_component(
        &self,
        arguments: &'a Arguments,
        slots: usize,
        pos: Pos,
    ) -> Result<Caller<'a>, RenderError> {
        let mut state = self.lock();
        state.at = pos;
        let most = state.component_depth_max;
        if state.component_depth >= most {
            let message = format!("components nest deeper than {most} (component_depth_max)");
            return Err(state.fail(message));
        }
        let charged = state.env.budget.operations(1 + slots);
        charged.map_err(|message| state.fail(message))?;
        // Arguments are the caller's expressions: all are evaluated before the slots change.
        let mut named = Vec::new();
        let mut record = Val::Undefined;
        match arguments {
            Arguments::Record(expr) => record = state.eval(expr, pos)?,
            Arguments::Named(arguments) => {
                for (slot, expr) in arguments {
                    named.push((*slot, state.eval(expr, pos)?));
                }
            }
        }
        state.component_depth += 1;
        let env = &mut state.env;
        let base = std::mem::replace(&mut env.base, env.slots.len());
        env.slots.resize(env.base + slots, Val::Undefined);
        for (slot, value) in named {
            env.set_slot(slot, value);
        }
        let arguments = std::mem::replace(&mut env.arguments, record);
        Ok(Caller { base, arguments })
    }

    pub(super) fn leave_component(&self, caller: Caller<'a>) {
        let mut state = self.lock();
        state.component_depth -= 1;
        let env = &mut state.env;
        env.slots.truncate(env.base);
        env.base = caller.base;
        env.arguments = caller.arguments;
    }

    pub(super) fn leave_loop(&self, item_slot: u32, state_slot: u32) {
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
