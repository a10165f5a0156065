//! Finds Promises that are passed to the host, because `await` is missing.

use std::cell::Cell;

use oxc_ast::AstKind;
use oxc_ast::ast::{
    ArrayExpressionElement, CallExpression, Expression, IdentifierReference, ObjectPropertyKind,
};
use oxc_semantic::AstNode;
use oxc_span::{GetSpan as _, Span};

use sluice_crm::Call;
use sluice_page::diagnostic::Rule;

use super::{Script, range};
use crate::facts::{Finding, Imported};

/// Calls that do not take Promises, and how many of their arguments are looked at.
const CALLS: [(&str, usize); 15] = [
    ("cookie.set", 3),
    ("http.delete", 3),
    ("http.get", 2),
    ("http.patch", 3),
    ("http.post", 3),
    ("http.put", 3),
    ("redirect", 1),
    ("response.json", 1),
    ("response.send", 1),
    ("response.status", 1),
    ("session.set", 2),
    ("session.setCustomer", 1),
    ("session.setFromToken", 1),
    ("setHeader", 2),
    ("setVariable", 2),
];
/// JavaScript's own functions that return Promises.
const OF_PROMISE: [&str; 7] = ["all", "allSettled", "any", "race", "reject", "resolve", "try"];
/// How many values within the arguments of a call are looked at.
const VALUES_MAX: usize = 200;
/// How deep values within values are looked at.
const DEPTH_MAX: usize = 16;
/// How much of a call's name a message shows.
const NAME_BYTES_MAX: usize = 60;

/// A Promise that a call gets.
struct Promised<'a> {
    /// The call that returns it, or the list of them.
    call: Span,
    /// The name of the function.
    callee: Span,
    /// The name of an imported function. Whether it is `async`, its module says.
    import: Option<&'a str>,
    /// Whether it is a list of Promises.
    is_list: bool,
}

impl<'a> Script<'_, 'a> {
    /// Reports the first Promise among the arguments of a call to the host.
    pub(super) fn promises(&mut self, node: &AstNode<'a>, path: &str, call: &'a CallExpression<'a>) {
        let own = CALLS.iter().find(|(name, _)| *name == path).map(|(_, count)| *count);
        let Some(count) = own.or_else(|| Call::named(path).map(|_| 1)) else { return };
        let search = Search { script: self, values: Cell::new(0) };
        let arguments = (0..count).filter_map(|index| self.argument(&call.arguments, index));
        let found =
            arguments.filter_map(|argument| Some((argument.span(), search.value(argument, 0)?))).next();
        let Some((argument, promised)) = found else { return };
        let finding = self.missing_await(node, path, argument, &promised);
        match promised.import {
            Some(import) => self.facts.imported.push(Imported { local: import.to_owned(), finding }),
            None => self.facts.findings.push(finding),
        }
    }

    fn missing_await(
        &self,
        node: &AstNode<'a>,
        path: &str,
        argument: Span,
        promised: &Promised<'a>,
    ) -> Finding {
        let name = self.source(promised.callee);
        let shown = match name.len() <= NAME_BYTES_MAX && !name.contains('\n') {
            true => format!("{name}(…)"),
            false => "the call".to_owned(),
        };
        let (message, remedy) = match promised.is_list {
            true => (
                format!("`{path}` gets a list of Promises, because `await` is missing"),
                format!("write `await Promise.all({shown})`"),
            ),
            false => (
                format!("`{path}` gets a Promise, because `await` is missing"),
                format!("write `await {shown}`"),
            ),
        };
        let help = match self.can_await(node) {
            true => remedy,
            false => format!("{remedy}, and `async` before the function around it"),
        };
        let is_inside = argument.start <= promised.call.start && promised.call.end <= argument.end;
        let at = if is_inside { promised.call } else { argument };
        Finding { rule: Rule::MissingAwait, span: range(at), message, help: Some(help) }
    }

    /// Whether `await` is allowed at a node.
    fn can_await(&self, node: &AstNode<'a>) -> bool {
        let around = self.ancestors(node.id()).find_map(|parent| match parent {
            AstKind::Function(function) => Some(function.r#async),
            AstKind::ArrowFunctionExpression(function) => Some(function.r#async),
            _ => None,
        });
        around.unwrap_or(true)
    }

    /// The name, if it is imported.
    fn imported(&self, name: &'a IdentifierReference<'a>) -> Option<&'a str> {
        let scoping = self.semantic.scoping();
        let symbol = scoping.get_reference(name.reference_id.get()?).symbol_id()?;
        scoping.symbol_flags(symbol).is_import().then(|| name.name.as_str())
    }

    /// Whether an expression is an `async` function, or the name of one that is never replaced.
    fn is_async_function(&self, expression: &'a Expression<'a>) -> bool {
        if let Expression::Identifier(name) = expression.get_inner_expression() {
            let scoping = self.semantic.scoping();
            let symbol = name.reference_id.get().and_then(|id| scoping.get_reference(id).symbol_id());
            let Some(symbol) = symbol.filter(|symbol| !scoping.symbol_is_mutated(*symbol)) else {
                return false;
            };
            if let AstKind::Function(function) = self.semantic.symbol_declaration(symbol).kind() {
                return function.r#async && !function.generator;
            }
        }
        match self.constant(expression) {
            Some(Expression::FunctionExpression(function)) => function.r#async && !function.generator,
            Some(Expression::ArrowFunctionExpression(function)) => function.r#async,
            _ => false,
        }
    }

    /// Notes the `async` functions at the top level, which other scripts may import.
    pub(super) fn note_async_functions(&mut self) {
        let scoping = self.semantic.scoping();
        let names = scoping.iter_bindings_in(scoping.root_scope_id()).filter(|symbol| {
            match self.semantic.symbol_declaration(*symbol).kind() {
                AstKind::Function(function) => function.r#async && !function.generator,
                AstKind::VariableDeclarator(variable) => {
                    variable.init.as_ref().is_some_and(|value| self.is_async_function(value))
                }
                _ => false,
            }
        });
        self.facts.async_functions = names.map(|symbol| scoping.symbol_name(symbol).to_owned()).collect();
    }
}

/// Looks for Promises in the arguments of one call.
struct Search<'s, 't, 'a> {
    script: &'s Script<'t, 'a>,
    /// How many values were looked at.
    values: Cell<usize>,
}

impl<'a> Search<'_, '_, 'a> {
    /// The Promise that an expression is or contains.
    fn value(&self, expression: &'a Expression<'a>, depth: usize) -> Option<Promised<'a>> {
        self.values.set(self.values.get() + 1);
        if depth > DEPTH_MAX || self.values.get() > VALUES_MAX {
            return None;
        }
        let inner = |expression: &'a Expression<'a>| self.value(expression, depth + 1);
        match self.script.constant(expression)? {
            Expression::CallExpression(call) => self.call(call, depth),
            Expression::NewExpression(new) => {
                let is_promise = self.script.path(&new.callee).is_some_and(|path| path == "Promise");
                is_promise.then_some(Promised {
                    call: new.span,
                    callee: Span::new(new.span.start, new.callee.span().end),
                    import: None,
                    is_list: false,
                })
            }
            Expression::ConditionalExpression(either) => {
                inner(&either.consequent).or_else(|| inner(&either.alternate))
            }
            Expression::LogicalExpression(both) => inner(&both.right).or_else(|| inner(&both.left)),
            Expression::ObjectExpression(object) => {
                object.properties.iter().find_map(|property| match property {
                    ObjectPropertyKind::ObjectProperty(property) => inner(&property.value),
                    ObjectPropertyKind::SpreadProperty(_) => None,
                })
            }
            Expression::ArrayExpression(array) => {
                array.elements.iter().filter_map(ArrayExpressionElement::as_expression).find_map(inner)
            }
            _ => None,
        }
    }

    /// The Promise that a call returns.
    fn call(&self, call: &'a CallExpression<'a>, depth: usize) -> Option<Promised<'a>> {
        let callee = call.callee.get_inner_expression();
        let promised = |import, is_list| Promised { call: call.span, callee: callee.span(), import, is_list };
        if let Some(path) = self.script.path(callee) {
            let is_async = path.starts_with("crypto.subtle.")
                || path == "Array.fromAsync"
                || path.strip_prefix("Promise.").is_some_and(|name| OF_PROMISE.contains(&name));
            return is_async.then(|| promised(None, false));
        }
        if let Some(member) = callee.as_member_expression() {
            return match member.static_property_name()? {
                "then" | "catch" | "finally" => {
                    self.value(member.object(), depth + 1).map(|_| promised(None, false))
                }
                "map" => {
                    let each = self.script.argument(&call.arguments, 0)?;
                    self.script.is_async_function(each).then(|| promised(None, true))
                }
                _ => None,
            };
        }
        if let Expression::Identifier(name) = callee
            && let Some(import) = self.script.imported(name)
        {
            return Some(promised(Some(import), false));
        }
        self.script.is_async_function(callee).then(|| promised(None, false))
    }
}
