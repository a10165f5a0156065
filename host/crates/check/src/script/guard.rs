//! Finds where a script answers with 401 or 403 to every request method.

use oxc_ast::AstKind;
use oxc_ast::ast::{CallExpression, Expression};
use oxc_semantic::AstNode;
use oxc_span::GetSpan as _;

use super::{Script, range};
use crate::facts::Step;

impl<'a> Script<'_, 'a> {
    /// Notes a call that may guard the page.
    pub(super) fn step(&mut self, node: &AstNode<'a>, call: &'a CallExpression<'a>) {
        let calls = match &call.callee {
            Expression::Identifier(name) => Some(name.name.to_string()),
            callee if self.path(callee).as_deref() == Some("response.status") => {
                let code = self.argument(&call.arguments, 0).and_then(|code| self.number_of(code));
                if !matches!(code, Some(401.0 | 403.0)) {
                    return;
                }
                None
            }
            _ => return,
        };
        let mut function = None;
        for parent in self.ancestors(node.id()) {
            match parent {
                // A check that only runs for POST does not protect what GET shows.
                AstKind::IfStatement(either)
                    if self.source(either.test.span()).contains("request.method") =>
                {
                    return;
                }
                AstKind::Function(declared) => function = Some(declared.name().map(|name| name.to_string())),
                AstKind::VariableDeclarator(variable) if function == Some(None) => {
                    function = Some(variable.id.get_identifier_name().map(|name| name.to_string()));
                }
                AstKind::ArrowFunctionExpression(_) => function = Some(None),
                _ => {}
            }
        }
        let function = function.map(Option::unwrap_or_default);
        self.facts.steps.push(Step { function, calls, span: range(call.span) });
    }
}
