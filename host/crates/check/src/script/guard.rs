//! Finds where a script keeps visitors away from its page: where it answers with 401 or 403 to every
//! request method, and where it redirects visitors because of who they are.

use oxc_ast::AstKind;
use oxc_ast::ast::{CallExpression, Expression};
use oxc_semantic::AstNode;
use oxc_span::{GetSpan as _, Span};
use oxc_syntax::scope::ScopeId;

use super::{Script, range};
use crate::facts::{Act, Step};

/// Globals that say who the visitor is.
const OF_VISITOR: [&str; 7] =
    ["is_customer", "customer", "session", "cookie", "cookies", "getCustomer", "getUser"];
/// Parts of an address where visitors log in.
const LOGIN: [&str; 4] = ["login", "log-in", "signin", "sign-in"];
/// How much of a condition is looked at.
const CONDITION_BYTES_MAX: usize = 1_024;
/// How many variables are followed from a condition to what they were set to.
const VARIABLES_MAX: usize = 3;

/// What a condition says about the visitor.
#[derive(Clone, Copy, Default)]
struct Condition {
    /// It depends on who the visitor is.
    is_of_visitor: bool,
    /// It has an operator, so it may be true for visitors who are not logged in.
    has_operator: bool,
}

impl<'a> Script<'_, 'a> {
    /// Notes a call that may guard the page.
    pub(super) fn step(&mut self, node: &AstNode<'a>, call: &'a CallExpression<'a>) {
        let act = match self.path(&call.callee).as_deref() {
            Some("redirect") => {
                let target = self.argument(&call.arguments, 0);
                Act::Redirects(target.and_then(|target| self.text_of(target)))
            }
            Some("response.status") => {
                let code = self.argument(&call.arguments, 0).and_then(|code| self.number_of(code));
                if !matches!(code, Some(401.0 | 403.0)) {
                    return;
                }
                Act::Denies
            }
            _ => match &call.callee {
                Expression::Identifier(name) => Act::Calls(name.name.to_string()),
                _ => return,
            },
        };
        let mut function = None;
        let mut is_conditional = false;
        let mut turns_away = false;
        for parent in self.ancestors(node.id()) {
            let (test, is_otherwise) = match parent {
                // A check that only runs for POST does not protect what GET shows.
                AstKind::IfStatement(either)
                    if self.source(either.test.span()).contains("request.method") =>
                {
                    return;
                }
                AstKind::IfStatement(either) => {
                    let otherwise = either.alternate.as_ref().map(|otherwise| otherwise.span());
                    (either.test.span(), otherwise.is_some_and(|span| contains(span, call.span)))
                }
                AstKind::ConditionalExpression(either) => {
                    (either.test.span(), contains(either.alternate.span(), call.span))
                }
                AstKind::LogicalExpression(both) => (both.left.span(), both.operator.as_str() != "&&"),
                AstKind::Function(declared) => {
                    function = Some(declared.name().map(|name| name.to_string()));
                    continue;
                }
                AstKind::VariableDeclarator(variable) if function == Some(None) => {
                    function = Some(variable.id.get_identifier_name().map(|name| name.to_string()));
                    continue;
                }
                AstKind::ArrowFunctionExpression(_) => {
                    function = Some(None);
                    continue;
                }
                _ => continue,
            };
            is_conditional = true;
            let condition = self.condition(self.source(test), node.scope_id(), 0);
            turns_away |= condition.is_of_visitor && (is_otherwise || condition.has_operator);
        }
        let function = function.map(Option::unwrap_or_default);
        if let Act::Redirects(Some(target)) = &act {
            let is_login = LOGIN.iter().any(|part| target.to_ascii_lowercase().contains(part));
            turns_away |= is_login && (is_conditional || function.is_some());
        }
        self.facts.steps.push(Step { function, act, turns_away, span: range(call.span) });
    }

    /// What a condition says about the visitor: by its own words, or by what the variables in it
    /// were set to.
    fn condition(&self, text: &str, scope: ScopeId, variables: usize) -> Condition {
        let end = text.floor_char_boundary(CONDITION_BYTES_MAX);
        let text = text.get(..end).unwrap_or_default();
        let mut found = Condition { is_of_visitor: false, has_operator: text.contains(['!', '<', '>', '=']) };
        for word in text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$')) {
            if OF_VISITOR.contains(&word) || word.starts_with("getCrm") {
                found.is_of_visitor = true;
            } else if variables < VARIABLES_MAX
                && let Some(value) = self.value_of(word, scope)
            {
                let value = self.condition(value, scope, variables + 1);
                found.is_of_visitor |= value.is_of_visitor;
                found.has_operator |= value.has_operator;
            }
        }
        found
    }

    /// The text of what a variable was set to where it was declared.
    pub(super) fn value_of(&self, name: &str, scope: ScopeId) -> Option<&str> {
        let symbol = self.semantic.scoping().find_binding(scope, name.into())?;
        match self.semantic.symbol_declaration(symbol).kind() {
            AstKind::VariableDeclarator(variable) => Some(self.source(variable.init.as_ref()?.span())),
            _ => None,
        }
    }
}

pub(super) fn contains(outer: Span, inner: Span) -> bool {
    outer.start <= inner.start && inner.end <= outer.end
}
