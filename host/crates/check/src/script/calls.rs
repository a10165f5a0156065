//! Finds calls of Sluice's own functions, and notes what the checks need to know of them.

use oxc_ast::AstKind;
use oxc_ast::ast::{CallExpression, Expression};
use oxc_semantic::AstNode;

use super::{Script, span_of};

/// Calls that end the run.
const STOP_CALLS: [&str; 3] = ["redirect", "response.json", "response.send"];

impl<'a> Script<'_, 'a> {
    pub(super) fn call(&mut self, node: &AstNode<'a>, call: &'a CallExpression<'a>) {
        self.schema_method(call);
        self.matcher(call);
        if let Some(path) = self.path(&call.callee) {
            self.promises(node, &path, call);
            self.arguments(&path, call);
            self.extra_argument(&path, call);
            self.options_of_tests(&path, call);
            self.crm_call(&path, call);
            self.variable(&path, call);
        }
        self.step(node, call);
    }

    /// Whether an expression is a call that ends the run.
    pub(super) fn is_stop(&self, expression: &'a Expression<'a>) -> bool {
        let expression = match expression.get_inner_expression() {
            Expression::AwaitExpression(awaited) => awaited.argument.get_inner_expression(),
            other => other,
        };
        let Expression::CallExpression(call) = expression else { return false };
        self.path(&call.callee).is_some_and(|path| STOP_CALLS.contains(&path.as_str()))
    }

    fn variable(&mut self, path: &str, call: &'a CallExpression<'a>) {
        if path != "setVariable" {
            return;
        }
        match self.argument(&call.arguments, 0).and_then(|name| self.text_of(name)) {
            Some(name) => self.facts.variables.push(name),
            None => self.facts.sets_others = true,
        }
    }

    /// Notes a use of `setVariable` that is not a call: code that receives the function may set
    /// any variable.
    pub(super) fn passed_on(&mut self, node: &AstNode<'a>) {
        let AstKind::IdentifierReference(name) = node.kind() else { return };
        if name.name != "setVariable" || !self.is_global(name) {
            return;
        }
        let is_called = self.ancestors(node.id()).next().is_some_and(|parent| match parent {
            AstKind::CallExpression(call) => span_of(&call.callee) == name.span,
            _ => false,
        });
        self.facts.sets_others |= !is_called;
    }
}
