//! Code behind a call that ends the run.

use oxc_ast::ast::Statement;
use oxc_span::GetSpan as _;

use super::Script;
use crate::diagnostic::Rule;

impl<'a> Script<'_, 'a> {
    /// Reports the first statement of a list that is never reached.
    pub(super) fn unreachable(&mut self, statements: &'a [Statement<'a>]) {
        let Some(stop) = statements.iter().position(|statement| self.stops(statement, 0)) else { return };
        let behind = statements.iter().skip(stop + 1);
        let Some(first) = behind.filter(|statement| runs(statement)).map(|statement| statement.span()).next()
        else {
            return;
        };
        let name = self.stop_name(statements.get(stop));
        let help = format!("`{name}` ends the run: put this in front of it, or the call into an `if`");
        self.report(Rule::UnreachableCode, first, "this never runs", Some(help));
    }

    /// Whether a statement always ends the run.
    fn stops(&self, statement: &'a Statement<'a>, depth: usize) -> bool {
        // Deeper ones are rare, and not worth the stack.
        if depth > 16 {
            return false;
        }
        let stops = |statement: &'a Statement<'a>| self.stops(statement, depth + 1);
        match statement {
            Statement::ExpressionStatement(statement) => self.is_stop(&statement.expression),
            Statement::ReturnStatement(statement) => {
                statement.argument.as_ref().is_some_and(|argument| self.is_stop(argument))
            }
            Statement::BlockStatement(block) => block.body.iter().any(stops),
            Statement::IfStatement(either) => {
                stops(&either.consequent) && either.alternate.as_ref().is_some_and(stops)
            }
            _ => false,
        }
    }

    fn stop_name(&self, statement: Option<&'a Statement<'a>>) -> String {
        let call = match statement {
            Some(Statement::ExpressionStatement(statement)) => Some(&statement.expression),
            Some(Statement::ReturnStatement(statement)) => statement.argument.as_ref(),
            _ => None,
        };
        let text = call.map(|call| self.source(call.span())).unwrap_or("the call");
        let name = text.split('(').next().unwrap_or_default().trim();
        name.trim_start_matches("await ").trim().to_owned()
    }
}

/// Whether anything is lost where a statement does not run.
fn runs(statement: &Statement<'_>) -> bool {
    match statement {
        Statement::EmptyStatement(_)
        | Statement::FunctionDeclaration(_)
        | Statement::ImportDeclaration(_)
        | Statement::ExportNamedDeclaration(_)
        | Statement::ExportDefaultDeclaration(_)
        | Statement::ExportAllDeclaration(_) => false,
        Statement::VariableDeclaration(variables) => {
            variables.declarations.iter().any(|variable| variable.init.is_some())
        }
        // `case` ends with it out of habit.
        Statement::BreakStatement(_) | Statement::ReturnStatement(_) => false,
        _ => true,
    }
}
