//! The template language: author pages to HTML.
//!
//! A page is compiled once and rendered many times:
//!
//! ```text
//! lex    splits a file into text, {{ }}, directives and v-if elements (expr: expressions)
//! parse  pairs these into a tree (ast)
//! lower  turns the tree into Handlebars templates and a table of actions (html_context: escaping)
//! render lets Handlebars walk the templates; its helpers evaluate the table (eval, filters)
//! ```
//!
//! The author's text and expressions never reach Handlebars as syntax: it gets finished elements,
//! not source. Every value is escaped for the place in the HTML at which it is printed. Everything
//! that a visitor's data could make large is counted against `TemplateLimits`. This crate does no
//! I/O.

#![deny(unsafe_code)]

mod ast;
mod budget;
mod calls;
mod convert;
mod escape;
mod eval;
mod expr;
mod filters;
mod functions;
mod host;
mod html_context;
mod html_text;
mod json_text;
mod lex;
mod limits;
mod lower;
mod mistake;
mod parse;
mod render;
mod scope;
mod source;
mod translate;
mod value;
mod variables;

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use budget::LimitError;
use limits::{SHORT_FUEL, TemplateLimits};
use mistake::Mistake;
use source::{Checked, Pos, Problem, Sources};

pub use ast::RequestUse;
pub use budget::Quota;
pub use host::{Answer, Host, PendingCall};
pub use lex::{DIRECTIVES, comments};
pub use render::{Rendered, Step};
pub use scope::{Includes, Language, Scope};
pub use source::TemplateError;
pub use variables::{CrmCallUse, Outline, PropertyUse, UnknownName, VariableUse, outline};

/// The names that every template has.
pub fn names() -> impl Iterator<Item = &'static str> {
    parse::GLOBAL_NAMES.iter().chain(parse::REQUEST_NAMES).copied()
}

/// An ISO 8601 text (`2026-01-01`, `2026-01-01T12:00:00Z`) as milliseconds since 1970. It is UTC
/// unless it names a zone.
pub fn parse_time(text: &str) -> Option<i64> {
    filters::parse_time(text).map(|ms| ms as i64)
}

/// A compiled page.
#[derive(Debug)]
pub struct Template {
    program: lower::Program,
    sources: Sources,
    limits: TemplateLimits,
    /// Whether the last rendering took more than `SHORT_FUEL`.
    is_long: AtomicBool,
}

impl Template {
    /// Compiles a page with the default limits. Errors call the page `file`.
    pub fn compile(file: &str, source: &str, includes: &dyn Includes) -> Result<Template, TemplateError> {
        Template::compile_with(file, source, includes, TemplateLimits::default())
    }

    /// Compiles a page. Errors call it `file`.
    pub(crate) fn compile_with(
        file: &str,
        source: &str,
        includes: &dyn Includes,
        limits: TemplateLimits,
    ) -> Result<Template, TemplateError> {
        let mut sources = Sources::default();
        let page = sources.add(file, source);
        if source.len() > limits.source_bytes_max {
            let mistake = Mistake::SourceBytes(limits.source_bytes_max);
            return Err(sources.error(Problem::new(Pos::new(page, 0), mistake)));
        }
        match lower::lower(page, &mut sources, includes, &limits) {
            Ok(program) => Ok(Template { program, sources, limits, is_long: AtomicBool::new(false) }),
            Err(problem) => Err(sources.error(problem)),
        }
    }

    /// Renders the page with the current time.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Rendered, TemplateError> {
        self.render_at(scope, SystemTime::now())
    }

    /// Renders the page with `now` as the time for `'now'` and `timeago`.
    pub fn render_at(&self, scope: &Scope<'_>, now: SystemTime) -> Result<Rendered, TemplateError> {
        let quota = Quota { fuel: self.limits.fuel_max, used: 0, until: None, memory_bytes: u64::MAX };
        match self.run(scope, now, quota) {
            Ok(Step::Done(rendered)) => Ok(rendered),
            Ok(Step::Call(call)) => Err(self.call_error(&call, "there is no CRM here".to_owned())),
            Err(problem) => Err(self.sources.error(problem)),
        }
    }

    /// Whether the template calls functions that need [`Scope::host`].
    pub fn asks_host(&self) -> bool {
        self.program.asks_host
    }

    /// Whether the template calls the CRM.
    pub fn asks_crm(&self) -> bool {
        self.program.asks_crm
    }

    /// Whether the template needs [`Scope::customer`] and [`Scope::is_customer`].
    pub fn names_customer(&self) -> bool {
        self.program.names_customer
    }

    /// Whether the template needs [`Scope::language`].
    pub fn translates(&self) -> bool {
        self.program.translates
    }

    /// What the template reads of `request`.
    pub fn request_uses(&self) -> &[RequestUse] {
        &self.program.request_uses
    }

    /// `file:line:column` of a call.
    pub fn call_place(&self, call: &PendingCall) -> String {
        self.sources.place(call.pos)
    }

    /// The error of a call that failed.
    pub fn call_error(&self, call: &PendingCall, message: String) -> TemplateError {
        self.sources.error(Problem::new(call.pos, LimitError::Call(message)))
    }

    /// Does the same as [`Template::render_at`], within a quota. The template can call the host.
    pub fn render_within(
        &self,
        scope: &Scope<'_>,
        now: SystemTime,
        quota: Quota,
    ) -> Result<Step, TemplateError> {
        let rendered = self.run(scope, now, quota);
        if let Ok(Step::Done(rendered)) = &rendered {
            self.is_long.store(rendered.fuel > SHORT_FUEL, Ordering::Relaxed);
        }
        rendered.map_err(|problem| self.sources.error(problem))
    }

    /// Does the same as [`Template::render_within`] if that takes a few milliseconds at most.
    /// Returns `None` if it takes longer. If the last rendering did, this one does not begin.
    pub fn render_if_short(
        &self,
        scope: &Scope<'_>,
        now: SystemTime,
        quota: Quota,
    ) -> Option<Result<Step, TemplateError>> {
        if quota.fuel.saturating_sub(quota.used) <= SHORT_FUEL {
            return Some(self.render_within(scope, now, quota));
        }
        if self.is_long.load(Ordering::Relaxed) {
            return None;
        }
        match self.run(scope, now, Quota { fuel: quota.used.saturating_add(SHORT_FUEL), ..quota }) {
            Err(Problem { mistake: Mistake::Limit(LimitError::Fuel(_)), .. }) => {
                self.is_long.store(true, Ordering::Relaxed);
                None
            }
            rendered => Some(rendered.map_err(|problem| self.sources.error(problem))),
        }
    }

    fn run(&self, scope: &Scope<'_>, now: SystemTime, quota: Quota) -> Checked<Step> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = since.as_millis() as f64;
        render::render(&self.program, &self.sources, &self.limits, scope, now_ms, quota)
    }
}

#[cfg(test)]
mod tests;
