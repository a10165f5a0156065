//! The state of one rendering: values, budget, warnings and the mistake that ended it.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use handlebars::{HelperResult, Output, RenderError, RenderErrorReason};

use crate::ast::Expr;
use crate::budget::{Budget, Fuel, LimitError};
use crate::escape::{self, Escape, Stop};
use crate::eval::Env;
use crate::host::{CallState, PendingCall};
use crate::limits::{NESTING_MAX, TemplateLimits};
use crate::lower::{Action, Arguments, Program};
use crate::mistake::Mistake;
use crate::scope::Scope;
use crate::source::{Pos, Problem, Sources};
use crate::value::{LoopState, Val};

/// The most warnings of one rendering.
const WARNINGS_MAX: usize = 100;

/// One rendering. Handlebars requires that helpers can be shared between threads, hence the locks.
/// No thread ever waits for them.
pub(super) struct Run<'a> {
    pub program: &'a Program,
    sources: &'a Sources,
    state: Mutex<State<'a>>,
    /// The page as far as it is rendered.
    html: &'a Mutex<String>,
}

/// What changes during a rendering.
pub(super) struct State<'a> {
    env: Env<'a>,
    warnings: Vec<String>,
    /// The mistake that stopped the rendering. Handlebars' own error does not carry it.
    pub failure: Option<Problem>,
    /// The position of the last directive or value.
    pub at: Pos,
    depth: usize,
    component_depth: usize,
    component_depth_max: usize,
}

/// The state of a component's caller, to be restored after the component.
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
        fuel: Arc<Fuel>,
        html: &'a Mutex<String>,
    ) -> Run<'a> {
        let slots = program.units.first().map_or(0, |page| page.slots);
        let env = Env {
            scope,
            budget: Budget::new(limits, fuel),
            now,
            slots: vec![Val::Undefined; slots],
            base: 0,
            arguments: Val::Undefined,
            calls: CallState::default(),
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

    /// Charges the call of a helper.
    pub(super) fn call(&self) -> HelperResult {
        let mut state = self.lock();
        let charged = state.env.budget.steps(1);
        charged.map_err(|limit| state.fail(limit))
    }

    pub(super) fn enter(&self) -> Result<(), RenderError> {
        let mut state = self.lock();
        if state.depth >= NESTING_MAX {
            return Err(state.fail(Mistake::RenderedDepth(NESTING_MAX)));
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
                let warned = state.warn_blocked(self.sources, &url);
                warned.map_err(|limit| state.fail(limit))
            }
            Err(Stop::Output(error)) => Err(error.into()),
            Err(Stop::Limit(limit)) => Err(state.fail(limit)),
        }
    }

    /// Whether a branch's condition is true. The `else` branch has none and is always taken.
    pub(super) fn test(&self, action: Option<usize>) -> Result<bool, RenderError> {
        match action.and_then(|action| self.program.actions.get(action)) {
            Some(Action::Test { expr, pos }) => Ok(self.lock().eval(expr, *pos)?.truthy()),
            _ => Ok(true),
        }
    }

    pub(super) fn set(&self, value: &'a Expr, slot: Option<u32>, pos: Pos) -> HelperResult {
        let mut state = self.lock();
        let value = state.eval(value, pos)?;
        if let Some(slot) = slot {
            state.env.set_slot(slot, value);
        }
        Ok(())
    }

    /// The value that a loop iterates over. A record becomes the list of its values. The loop has no
    /// iteration if the value is not a list.
    pub(super) fn list(&self, list: &'a Expr, pos: Pos) -> Result<Val<'a>, RenderError> {
        let mut state = self.lock();
        let value = state.eval(list, pos)?;
        let made = match value.is_record() {
            true => state.env.budget.make(value.entries() * size_of::<(&str, Val<'_>)>()),
            false => Ok(()),
        };
        made.map_err(|limit| state.fail(limit))?;
        let Some(fields) = value.fields() else {
            return Ok(value);
        };
        let values = fields.into_iter().map(|(_, value)| value).collect();
        Val::list(values).ok_or_else(|| state.fail(LimitError::ValueDepth))
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
        let charged = state.env.budget.steps(1);
        charged.map_err(|limit| state.fail(limit))?;
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
            return Err(state.fail(Mistake::ComponentDepth(most)));
        }
        let charged = state.env.budget.steps(1 + slots);
        charged.map_err(|limit| state.fail(limit))?;
        // Arguments are the caller's expressions, so all are evaluated before the slots change.
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
        self.env.eval(expr).map_err(|limit| self.fail(limit))
    }

    /// The call for which the rendering has stopped.
    pub(super) fn take_pending(&mut self) -> Option<PendingCall> {
        self.env.calls.pending.take()
    }

    /// All warnings, with their places.
    pub(super) fn all_warnings(&mut self, sources: &Sources) -> Vec<String> {
        let notes = std::mem::take(&mut self.env.calls.notes);
        let notes = notes.into_iter().map(|(pos, note)| format!("{}: {note}", sources.place(pos)));
        self.warnings.drain(..).chain(notes).collect()
    }

    fn fail(&mut self, mistake: impl Into<Mistake>) -> RenderError {
        self.failure = Some(Problem::new(self.at, mistake));
        RenderErrorReason::Other(String::new()).into()
    }

    /// `url` is the beginning of the URL.
    fn warn_blocked(&mut self, sources: &Sources, url: &str) -> Result<(), LimitError> {
        if self.warnings.len() < WARNINGS_MAX {
            // The line is counted from the beginning of the file.
            self.env.budget.read((self.at.at as usize).saturating_mul(2))?;
            let place = sources.place(self.at);
            self.warnings.push(format!("{place}: printed #blocked instead of the URL {url:?}"));
        }
        Ok(())
    }
}
