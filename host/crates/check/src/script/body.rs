//! Finds `request.body.name` at places that a GET request reaches: its body is `null`.

use oxc_ast::AstKind;
use oxc_ast::ast::{BindingPattern, Expression, Statement, VariableDeclarator};
use oxc_semantic::AstNode;
use oxc_span::{GetSpan as _, Span};
use oxc_syntax::scope::ScopeId;

use sluice_page::diagnostic::Rule;

use super::{Purpose, Script, guard};

/// Words of a condition that tells requests with a body from others.
const TELLING: [&str; 3] = ["body", "bodies", "method"];
/// How many variables are followed from a condition to what they were set to.
const VARIABLES_MAX: usize = 3;
/// How much of a condition is looked at.
const CONDITION_BYTES_MAX: usize = 1_024;
/// How many members of `request.body` are looked at in a script.
const READS_MAX: usize = 100;
/// How deep statements within statements are looked at.
const DEPTH_MAX: usize = 16;

impl<'a> Script<'_, 'a> {
    /// Checks a member of `request.body`. Only the first one of a script is reported, because all
    /// of them have the same remedy.
    pub(super) fn null_body(&mut self, node: &AstNode<'a>) {
        let (object, name, is_optional) = match node.kind() {
            AstKind::StaticMemberExpression(member) => {
                (&member.object, Some(member.property.name.as_str()), member.optional)
            }
            AstKind::ComputedMemberExpression(member) => {
                (&member.object, member.static_property_info().map(|(_, name)| name), member.optional)
            }
            _ => return,
        };
        if is_optional || !self.reads_null(node, object) {
            return;
        }
        let read = name.map_or_else(|| "[…]".to_owned(), |name| format!(".{name}"));
        let optional = name.map_or_else(|| "?.[…]".to_owned(), |name| format!("?.{name}"));
        let written = self.source(object.span()).to_owned();
        let message = format!(
            "a GET request has no body: `request.body` is `null`, so reading `{read}` throws a TypeError"
        );
        let help = format!(
            "write `{written}{optional}`, or put this into `if (request.method === \"POST\") {{ … }}`"
        );
        self.report(Rule::NullBody, object.span(), message, Some(help));
    }

    /// Checks `const { name } = request.body`.
    pub(super) fn null_body_taken_apart(
        &mut self,
        node: &AstNode<'a>,
        declarator: &'a VariableDeclarator<'a>,
    ) {
        let BindingPattern::ObjectPattern(_) = &declarator.id else { return };
        let Some(value) = &declarator.init else { return };
        if !self.reads_null(node, value) {
            return;
        }
        let written = self.source(value.span()).to_owned();
        let message =
            "a GET request has no body: `request.body` is `null`, so taking it apart throws a TypeError";
        let help =
            format!("write `{written} ?? {{}}`, or put this into `if (request.method === \"POST\") {{ … }}`");
        self.report(Rule::NullBody, value.span(), message, Some(help));
    }

    /// Whether a node reads from `body`, this is `request.body`, and nothing guards it.
    fn reads_null(&mut self, node: &AstNode<'a>, body: &'a Expression<'a>) -> bool {
        if self.purpose == Purpose::Test || !self.is_body(body) {
            return false;
        }
        self.body_reads += 1;
        let is_reported = self.facts.findings.iter().any(|finding| finding.rule == Rule::NullBody);
        self.body_reads <= READS_MAX && !is_reported && !self.is_guarded(node)
    }

    /// Whether an expression is `request.body`, or a variable that was set to it once.
    fn is_body(&self, expression: &'a Expression<'a>) -> bool {
        let value = self.constant(expression);
        value.and_then(|value| self.path(value)).is_some_and(|path| path == "request.body")
    }

    /// Whether something around or before a node may keep GET requests away from it.
    fn is_guarded(&self, node: &AstNode<'a>) -> bool {
        let (at, scope) = (node.kind().span(), node.scope_id());
        let within = |outer: Span| guard::contains(outer, at);
        self.ancestors(node.id()).any(|parent| match parent {
            // Who calls it, and when, is not known.
            AstKind::Function(_) | AstKind::ArrowFunctionExpression(_) | AstKind::Class(_) => true,
            AstKind::TryStatement(attempt) => attempt.handler.is_some() && within(attempt.block.span),
            AstKind::IfStatement(either) => {
                !within(either.test.span()) && self.tells(either.test.span(), scope)
            }
            AstKind::ConditionalExpression(either) => {
                !within(either.test.span()) && self.tells(either.test.span(), scope)
            }
            AstKind::LogicalExpression(both) => {
                within(both.right.span()) && self.tells(both.left.span(), scope)
            }
            AstKind::SwitchStatement(switch) => {
                !within(switch.discriminant.span()) && self.tells(switch.discriminant.span(), scope)
            }
            AstKind::WhileStatement(repeat) => self.tells(repeat.test.span(), scope),
            AstKind::ForOfStatement(repeat) => self.tells(repeat.right.span(), scope),
            AstKind::Program(program) => self.is_decided_before(&program.body, at, scope),
            AstKind::BlockStatement(block) => self.is_decided_before(&block.body, at, scope),
            AstKind::SwitchCase(case) => self.is_decided_before(&case.consequent, at, scope),
            _ => false,
        })
    }

    /// Whether a statement before a place may end the run for GET requests.
    fn is_decided_before(&self, statements: &'a [Statement<'a>], at: Span, scope: ScopeId) -> bool {
        let mut before = statements.iter().take_while(|statement| statement.span().end <= at.start);
        before.any(|statement| self.decides(statement, scope, 0))
    }

    fn decides(&self, statement: &'a Statement<'a>, scope: ScopeId, depth: usize) -> bool {
        if depth > DEPTH_MAX {
            return true;
        }
        let inside = |list: &'a [Statement<'a>]| list.iter().any(|one| self.decides(one, scope, depth + 1));
        match statement {
            Statement::IfStatement(either) => self.tells(either.test.span(), scope),
            Statement::SwitchStatement(switch) => self.tells(switch.discriminant.span(), scope),
            Statement::BlockStatement(block) => inside(&block.body),
            Statement::TryStatement(attempt) => inside(&attempt.block.body),
            Statement::ExpressionStatement(statement) => self.may_turn_away(&statement.expression, scope),
            Statement::VariableDeclaration(variables) => {
                let mut values = variables.declarations.iter().filter_map(|variable| variable.init.as_ref());
                values.any(|value| self.may_turn_away(value, scope))
            }
            _ => false,
        }
    }

    /// Whether an expression may end the run, because of a condition or in a function that it calls.
    fn may_turn_away(&self, expression: &'a Expression<'a>, scope: ScopeId) -> bool {
        match expression.get_inner_expression() {
            Expression::LogicalExpression(both) => self.tells(both.left.span(), scope),
            Expression::ConditionalExpression(either) => self.tells(either.test.span(), scope),
            Expression::AwaitExpression(awaited) => self.may_turn_away(&awaited.argument, scope),
            Expression::CallExpression(call) => {
                self.path(&call.callee).is_none() && self.may_end(&call.callee, scope)
            }
            _ => false,
        }
    }

    /// Whether a function may end the run. True if the function is not in this script.
    fn may_end(&self, callee: &'a Expression<'a>, scope: ScopeId) -> bool {
        let Expression::Identifier(name) = callee.get_inner_expression() else {
            // A method of a value: most of them belong to JavaScript.
            return false;
        };
        let Some(symbol) = self.semantic.scoping().find_binding(scope, name.name) else { return false };
        let declared = self.semantic.symbol_declaration(symbol).kind();
        match declared {
            AstKind::Function(_) | AstKind::VariableDeclarator(_) => {
                let text = self.source(declared.span());
                ["redirect(", "response.", "throw "].iter().any(|call| text.contains(call))
            }
            _ => true,
        }
    }

    /// Whether a condition tells requests with a body from others.
    fn tells(&self, condition: Span, scope: ScopeId) -> bool {
        self.tells_text(self.source(condition), scope, 0)
    }

    fn tells_text(&self, text: &str, scope: ScopeId, variables: usize) -> bool {
        let end = text.floor_char_boundary(CONDITION_BYTES_MAX);
        let text = text.get(..end).unwrap_or_default();
        let mut words = text.split(|c: char| !c.is_alphanumeric() && !matches!(c, '_' | '$'));
        words.any(|word| {
            if TELLING.contains(&word) {
                return true;
            }
            let is_declared = self.semantic.scoping().find_binding(scope, word.into()).is_some();
            match self.value_of(word, scope) {
                Some(value) if variables < VARIABLES_MAX => self.tells_text(value, scope, variables + 1),
                Some(_) => true,
                // A function, an import, or a variable that is set later.
                None => is_declared,
            }
        })
    }
}
