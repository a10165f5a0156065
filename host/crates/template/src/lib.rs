//! The template language: author pages to HTML.
//!
//! A page is compiled once and rendered many times:
//!
//! ```text
//! lex    text, {{ }}, directives, v-if elements     expr   expressions
//! parse  pairs them into a tree (ast)
//! lower  tree → Handlebars templates + a table of actions, escaping by html_context
//! render Handlebars walks the templates; its helpers evaluate the table (eval, filters)
//! ```
//!
//! Author text and expressions never reach Handlebars as syntax: it is given finished
//! elements, not source. Every value is escaped for the place in the HTML where it stands,
//! and everything that a visitor's data could make large is counted against
//! [`TemplateLimits`]. Nothing here does I/O.

#![deny(unsafe_code)]

mod ast;
mod budget;
mod convert;
mod escape;
mod eval;
mod expr;
mod filters;
mod html_context;
mod json_text;
mod lex;
mod lower;
mod parse;
mod render;
mod source;
mod value;
mod variables;

use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Map, Value};

pub use lex::DIRECTIVES;
pub use parse::GLOBAL_NAMES as NAMES;
pub use source::TemplateError;

use source::{Pos, Problem, Sources};
pub use variables::{Shown, shown};

/// Where other template files come from; the site implements it. Called only while
/// compiling.
pub trait Includes {
    /// The file name (for errors) and the source of a layout.
    fn layout(&self, name: &str) -> Option<(String, String)>;
    /// The file name (for errors) and the source of a component.
    fn component(&self, name: &str) -> Option<(String, String)>;
    /// Every layout, to suggest one for a misspelt name.
    fn layout_names(&self) -> Vec<String>;
    /// Every component, to suggest one for a misspelt name.
    fn component_names(&self) -> Vec<String>;
}

/// What one page may cost. Each limit that is met is an error with its name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TemplateLimits {
    /// Bytes of one source file.
    pub source_bytes_max: usize,
    /// Nodes of the page with its layout and components, inlined ones counted each time.
    pub nodes_max: usize,
    /// Bytes of HTML.
    pub output_bytes_max: usize,
    /// Components inside components.
    pub component_depth_max: usize,
    /// Expressions evaluated and loop rounds, about 10–100 ns each.
    pub operations_max: u64,
    /// Bytes of all values that filters, `+`, lists and records make.
    pub made_bytes_max: u64,
}

impl Default for TemplateLimits {
    fn default() -> TemplateLimits {
        TemplateLimits {
            source_bytes_max: 4 << 20,
            nodes_max: 200_000,
            output_bytes_max: 8 << 20,
            component_depth_max: 32,
            operations_max: 5_000_000,
            made_bytes_max: 32 << 20,
        }
    }
}

/// How deep blocks may nest once layouts and components are where they belong. Handlebars
/// recurses: at this depth a debug build takes 1.2 MB of stack, a release build 0.4 MB.
const NESTING_MAX: usize = 120;

/// The names that a page sees.
#[derive(Debug, Clone, Copy)]
pub struct Scope<'a> {
    /// `var`: script variables over brand variables.
    pub variables: &'a Map<String, Value>,
    pub customer: &'a Value,
    pub is_customer: bool,
    pub request: &'a Value,
    pub route_params: &'a Value,
}

/// A rendered page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rendered {
    pub html: String,
    /// For the log, each with file, line and column: URLs that were blocked.
    pub warnings: Vec<String>,
}

/// ISO 8601 text (`2026-01-01`, `2026-01-01T12:00:00Z`) as Unix milliseconds; UTC unless
/// it names a zone.
pub fn parse_time(text: &str) -> Option<i64> {
    filters::parse_time(text).map(|ms| ms as i64)
}

/// Every filter's name, for documentation that has to be complete.
pub fn filter_names() -> impl Iterator<Item = &'static str> {
    filters::Filter::names()
}

/// A page, compiled.
#[derive(Debug)]
pub struct Template {
    program: lower::Program,
    sources: Sources,
    limits: TemplateLimits,
}

impl Template {
    /// Compiles a page with the default limits. `file` is the name that errors give it.
    pub fn compile(file: &str, source: &str, includes: &dyn Includes) -> Result<Template, TemplateError> {
        Template::compile_with(file, source, includes, TemplateLimits::default())
    }

    /// Compiles a page.
    pub fn compile_with(
        file: &str,
        source: &str,
        includes: &dyn Includes,
        limits: TemplateLimits,
    ) -> Result<Template, TemplateError> {
        let mut sources = Sources::default();
        let page = sources.add(file, source);
        if source.len() > limits.source_bytes_max {
            let message = format!("the file is larger than {} bytes", limits.source_bytes_max);
            return Err(sources.error(Problem::new(Pos::new(page, 0), message)));
        }
        match lower::lower(page, &mut sources, includes, &limits) {
            Ok(program) => Ok(Template { program, sources, limits }),
            Err(problem) => Err(sources.error(problem)),
        }
    }

    /// The names of all files that went into the page, the page's own first.
    pub fn files(&self) -> impl Iterator<Item = &str> {
        self.sources.names()
    }

    /// Renders the page for one request.
    pub fn render(&self, scope: &Scope<'_>) -> Result<Rendered, TemplateError> {
        self.render_at(scope, SystemTime::now())
    }

    /// Renders the page with a time of the caller's for `'now'` and `timeago`.
    pub fn render_at(&self, scope: &Scope<'_>, now: SystemTime) -> Result<Rendered, TemplateError> {
        let since = now.duration_since(UNIX_EPOCH).unwrap_or_default();
        let now_ms = since.as_millis() as f64;
        render::render(&self.program, &self.sources, &self.limits, scope, now_ms)
            .map_err(|problem| self.sources.error(problem))
    }
}

#[cfg(test)]
mod tests;
