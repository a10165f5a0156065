//! Finds code after a call that ends the run.

use oxc_ast::ast::Statement;
use oxc_span::GetSpan as _;

use sluice_page::diagnostic::Rule;

use super::Script;

impl<'a> Script<'_, 'a> {
    /// Reports the first statement of a list that is never reached.
    pub(super) fn unreachable(&mut self, statements: &'a [Statement<'a>]) {
        let Some(stop) = statements.iter().position(|statement| self.stops(statement, 0)) else { return };
        let behind = statements.iter().skip(stop + 1);
        let Some(first) = behind.filter(|statement| runs(statement)).map(|statement| statement.span()).next()
        else {
            return;
        };
        let help = match self.stop_name(statements.get(stop)) {
            Some(name) => {
                format!("`{name}` ends the run: move this code before it, or put the call into an `if`")
            }
            None => "every branch before it ends the run: move this code before them".to_owned(),
        };
        self.report(Rule::UnreachableCode, first, "this code never runs", Some(help));
    }

    /// Whether a statement always ends the run.
    fn stops(&self, statement: &'a Statement<'a>, depth: usize) -> bool {
        // Deeper nesting is rare and not worth the stack.
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

    /// The name of the call that ends the run, if the statement is one.
    fn stop_name(&self, statement: Option<&'a Statement<'a>>) -> Option<String> {
        let call = match statement? {
            Statement::ExpressionStatement(statement) => Some(&statement.expression),
            Statement::ReturnStatement(statement) => statement.argument.as_ref(),
            _ => None,
        };
        let text = self.source(call?.span());
        let name = text.split('(').next().unwrap_or_default().trim();
        Some(name.trim_start_matches("await ").trim().to_owned())
    }
}

/// Whether it matters that a statement does not run.
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
        // Many authors end each `case` with `break`, even after a stop call.
        Statement::BreakStatement(_) | Statement::ReturnStatement(_) => false,
        _ => true,
    }
}
