//! Looks into one script with oxc.

mod arguments;
mod body;
mod calls;
mod crm;
mod extra;
mod guard;
mod names;
mod of_tests;
mod promises;
mod queue;
mod schema;
mod storage;
mod syntax;
mod unreachable;

use std::ops::Range;

use oxc_allocator::Allocator;
use oxc_ast::AstKind;
use oxc_ast::ast::{Argument, Expression, IdentifierReference};
use oxc_parser::Parser;
use oxc_semantic::{AstNode, NodeId, Semantic, SemanticBuilder, SymbolFlags};
use oxc_span::{GetSpan as _, LabeledSpan, SourceType, Span};

use sluice_page::diagnostic::Rule;

use super::facts::{Facts, Finding};
use super::{imports, nesting};

/// The stack of the thread that parses. More than twice what oxc needs for any script that
/// [`nesting::is_bounded`] accepts.
const STACK_BYTES: usize = 64 << 20;
/// How many mistakes of one kind are reported in one script at most.
const FINDINGS_MAX: usize = 50;
/// Larger scripts are only parsed by QuickJS.
const SCRIPT_BYTES_MAX: usize = 4 << 20;

/// What a script is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It runs when visitors request a page.
    Page,
    /// It tests pages, so it has further globals.
    Test,
}

/// Finds out what can be known about `script`. Never fails: if oxc cannot parse the script,
/// less is known.
pub(crate) fn facts(script: &str, purpose: Purpose) -> Facts {
    if !can_be_parsed(script) {
        let finding = Finding {
            rule: Rule::Nesting,
            span: 0..0,
            message: "this script is too large or too deeply nested to be checked".into(),
            help: Some("only its syntax was checked; split it into modules or functions".into()),
        };
        return Facts { findings: vec![finding], ..Facts::default() };
    }
    // If there is no thread, or oxc panics, QuickJS still decides about the syntax.
    on_own_stack(|| look(script, purpose)).unwrap_or_default()
}

fn can_be_parsed(script: &str) -> bool {
    script.len() <= SCRIPT_BYTES_MAX && nesting::is_bounded(script)
}

/// Runs `look` on a thread with a large stack, because oxc recurses for each level. `None`
/// if there is no thread, or if `look` panics.
fn on_own_stack<T: Send>(look: impl FnOnce() -> T + Send) -> Option<T> {
    std::thread::scope(|scope| {
        let builder = std::thread::Builder::new().name("check".into()).stack_size(STACK_BYTES);
        builder.spawn_scoped(scope, look).ok()?.join().ok()
    })
}

/// The names that a script uses and declares. `None` if it cannot be parsed.
pub(crate) fn names(script: &str) -> Option<Names> {
    if !can_be_parsed(script) {
        return None;
    }
    on_own_stack(|| names_here(script))?
}

/// The names in a script.
#[derive(Debug, Default)]
pub(crate) struct Names {
    /// Names that the script uses but does not declare, with their bytes, in the order of
    /// the text.
    pub(crate) unresolved: Vec<(String, usize)>,
    /// Names that the script declares at its top level.
    pub(crate) declared: Vec<String>,
    pub(crate) has_imports: bool,
}

fn names_here(script: &str) -> Option<Names> {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, script, SourceType::mjs()).parse();
    let built = SemanticBuilder::new().with_build_nodes(true).build(&parsed.program);
    if parsed.panicked || parsed.diagnostics.errors().next().is_some() {
        return None;
    }
    let scoping = built.semantic.scoping();
    let mut unresolved = Vec::new();
    for (name, references) in scoping.root_unresolved_references() {
        let places = references.iter().map(|id| scoping.get_reference(*id));
        let places = places.map(|reference| built.semantic.reference_span(reference).start as usize);
        unresolved.extend(places.map(|at| (name.to_string(), at)));
    }
    unresolved.sort_by_key(|(_, at)| *at);
    let declared =
        scoping.iter_bindings_in(scoping.root_scope_id()).map(|id| scoping.symbol_name(id).to_owned());
    let has_imports = !imports::of_record(&parsed.module_record).0.is_empty();
    Some(Names { unresolved, declared: declared.collect(), has_imports })
}

fn look(script: &str, purpose: Purpose) -> Facts {
    let allocator = Allocator::default();
    let parsed = Parser::new(&allocator, script, SourceType::mjs()).parse();
    let built =
        SemanticBuilder::new().with_check_syntax_error(true).with_build_nodes(true).build(&parsed.program);
    let complaints = parsed.diagnostics.errors().chain(built.diagnostics.errors());
    let mut syntax: Vec<Finding> = complaints
        .take(FINDINGS_MAX)
        .map(|complaint| {
            let place =
                |label: &LabeledSpan| label.offset() as usize..(label.offset() + label.len()) as usize;
            let places: Vec<Range<usize>> = complaint.labels.iter().map(place).collect();
            syntax::finding(script, &complaint.message, complaint.help.as_deref(), &places)
        })
        .collect();
    // Of several complaints about one place, the first says most.
    syntax.dedup_by_key(|finding| finding.span.start);
    if parsed.panicked {
        return Facts { syntax, ..Facts::default() };
    }
    let (imports, exports) = imports::of_record(&parsed.module_record);
    let mut script = Script {
        semantic: &built.semantic,
        text: script,
        purpose,
        facts: Facts { syntax, is_parsed: true, imports, exports, ..Facts::default() },
        body_reads: 0,
    };
    script.look();
    script.facts
}

/// A parsed script, and what was found in it so far.
struct Script<'s, 'a> {
    semantic: &'s Semantic<'a>,
    text: &'s str,
    purpose: Purpose,
    facts: Facts,
    /// How many members of `request.body` were looked at.
    body_reads: usize,
}

impl<'s, 'a> Script<'s, 'a> {
    fn look(&mut self) {
        self.unresolved_names();
        self.note_async_functions();
        let semantic = self.semantic;
        for node in semantic.nodes().iter() {
            match node.kind() {
                AstKind::CallExpression(call) => self.call(node, call),
                AstKind::ImportExpression(import) => self.dynamic_import(import.span),
                AstKind::StaticMemberExpression(_) | AstKind::ComputedMemberExpression(_) => {
                    self.member(node);
                    self.null_body(node);
                }
                AstKind::VariableDeclarator(declarator) => {
                    self.destructured(declarator);
                    self.null_body_taken_apart(node, declarator);
                }
                AstKind::IdentifierReference(name) => {
                    self.assigned(name);
                    self.passed_on(node);
                }
                AstKind::Program(program) => self.unreachable(&program.body),
                AstKind::FunctionBody(body) => self.unreachable(&body.statements),
                AstKind::BlockStatement(block) => self.unreachable(&block.body),
                AstKind::SwitchCase(case) => self.unreachable(&case.consequent),
                _ => {}
            }
        }
        self.facts.findings.sort_by_key(|finding| finding.span.start);
    }

    fn report(&mut self, rule: Rule, span: Span, message: impl Into<String>, help: Option<String>) {
        if self.facts.findings.len() < 2 * FINDINGS_MAX {
            let finding = Finding { rule, span: range(span), message: message.into(), help };
            self.facts.findings.push(finding);
        }
    }

    fn dynamic_import(&mut self, span: Span) {
        let help = "write `import … from \"…\"` at the top of the script".to_owned();
        self.report(Rule::DynamicImport, span, "`import()` always fails here", Some(help));
    }

    /// Whether nothing in the script declares this name.
    fn is_global(&self, name: &IdentifierReference<'a>) -> bool {
        let scoping = self.semantic.scoping();
        name.reference_id.get().is_some_and(|id| scoping.get_reference(id).symbol_id().is_none())
    }

    /// The path of an expression that begins with a global: `session.get`. `None` if it
    /// begins with anything else, or if a member has no constant name.
    fn path(&self, expression: &'a Expression<'a>) -> Option<String> {
        let mut members = Vec::new();
        let mut at = expression.get_inner_expression();
        loop {
            if let Expression::ChainExpression(chain) = at {
                let member = chain.expression.as_member_expression()?;
                members.push(member.static_property_name()?);
                at = member.object().get_inner_expression();
                continue;
            }
            if let Some(member) = at.as_member_expression() {
                members.push(member.static_property_name()?);
                at = member.object().get_inner_expression();
                continue;
            }
            let Expression::Identifier(name) = at else { return None };
            if !self.is_global(name) {
                return None;
            }
            if name.name != "globalThis" || members.is_empty() {
                members.push(name.name.as_str());
            }
            members.reverse();
            return Some(members.join("."));
        }
    }

    /// The string that an expression is: a literal, or a name to which the script assigns a
    /// literal only once.
    fn text_of(&self, expression: &'a Expression<'a>) -> Option<String> {
        match self.constant(expression)? {
            Expression::StringLiteral(text) => Some(text.value.to_string()),
            Expression::TemplateLiteral(text) => {
                let only = text.quasis.first().filter(|_| text.expressions.is_empty())?;
                only.value.cooked.map(|text| text.to_string())
            }
            _ => None,
        }
    }

    /// The number that an expression is, as for [`Self::text_of`].
    fn number_of(&self, expression: &'a Expression<'a>) -> Option<f64> {
        match self.constant(expression)? {
            Expression::NumericLiteral(number) => Some(number.value),
            Expression::UnaryExpression(unary) if unary.operator.as_str() == "-" => match &unary.argument {
                Expression::NumericLiteral(number) => Some(-number.value),
                _ => None,
            },
            _ => None,
        }
    }

    /// The value of a variable that the script assigns only once. Any other expression is
    /// returned as it is.
    fn constant(&self, expression: &'a Expression<'a>) -> Option<&'a Expression<'a>> {
        let expression = expression.get_inner_expression();
        let Expression::Identifier(name) = expression else { return Some(expression) };
        let scoping = self.semantic.scoping();
        let symbol = scoping.get_reference(name.reference_id.get()?).symbol_id()?;
        let flags = scoping.symbol_flags(symbol);
        let is_plain = flags.intersects(SymbolFlags::Variable) && !scoping.symbol_is_mutated(symbol);
        if !is_plain || !scoping.symbol_redeclarations(symbol).is_empty() {
            return None;
        }
        match self.semantic.symbol_declaration(symbol).kind() {
            AstKind::VariableDeclarator(declarator) if declarator.id.is_binding_identifier() => {
                declarator.init.as_ref().map(|init| init.get_inner_expression())
            }
            _ => None,
        }
    }

    /// The argument at `index`. `None` after a spread, which may stand for any number.
    fn argument(&self, arguments: &'a [Argument<'a>], index: usize) -> Option<&'a Expression<'a>> {
        let is_plain = arguments.iter().take(index + 1).all(|argument| !argument.is_spread());
        arguments.get(index).filter(|_| is_plain)?.as_expression()
    }

    fn ancestors(&self, id: NodeId) -> impl Iterator<Item = AstKind<'a>> + use<'s, 'a> {
        let semantic = self.semantic;
        semantic.nodes().ancestors(id).map(AstNode::kind)
    }

    fn source(&self, span: Span) -> &'s str {
        self.text.get(range(span)).unwrap_or_default()
    }
}

fn range(span: Span) -> Range<usize> {
    span.start as usize..span.end as usize
}

/// The bytes of an expression.
fn span_of(expression: &Expression<'_>) -> Span {
    expression.span()
}

/// The help text that suggests a similar name.
fn did_you_mean<'n>(name: &str, names: impl IntoIterator<Item = &'n str>) -> Option<String> {
    sluice_text::suggest::nearest(name, names).map(|near| format!("did you mean `{near}`?"))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Parts of scripts. With them a random text gets further than its first character.
    const PARTS: [&str; 24] = [
        "const a = 1;",
        "session.get(",
        "\"x\"",
        ")",
        "{",
        "}",
        "=>",
        "`${",
        "`",
        "/",
        "import a from \"b\";",
        "export ",
        "function f() ",
        "redirect(\"/\");",
        "setCrmField({ slug: \"a\", ",
        "if (",
        " else ",
        "class A ",
        "async ",
        "await ",
        "ü",
        "\\u{",
        "?.",
        "/*",
    ];

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]
        #[test]
        fn looks_into_any_text_without_panicking(text in ".{0,80}", parts in prop::collection::vec(prop::sample::select(&PARTS[..]), 0..24)) {
            for script in [text.clone(), parts.concat(), format!("{}{text}", parts.concat())] {
                for finding in facts(&script, Purpose::Page).findings {
                    prop_assert!(script.get(finding.span).is_some());
                }
            }
        }
    }

    #[test]
    fn survives_a_megabyte_of_any_repeated_token() {
        for unit in [
            "(",
            "[",
            "{",
            "x=`${",
            "!",
            "a=>",
            "a?b:",
            "a+",
            "a**",
            "a.b",
            "a=",
            "if(a)",
            "if(a)b;else ",
            "a;",
            "l:",
            "new ",
            "async(",
            "(a=",
            "class{a=",
            "/(/.a(",
            "\\",
            "\"",
            "/",
            "a,",
            "b\n",
            "for(;;)",
            "a``",
        ] {
            let found = facts(&unit.repeat((1 << 20) / unit.len()), Purpose::Page);
            assert!(found.syntax.len() <= FINDINGS_MAX && found.findings.len() <= 2 * FINDINGS_MAX, "{unit}");
        }
    }

    #[test]
    fn ignores_names_that_the_script_declares_or_asks_for() {
        let script =
            "const session = { gett: 1 }; session.gett; function f(request) { request.bdoy = 1; } f({});";
        assert_eq!(facts(script, Purpose::Page).findings, []);
        let asked = "if (typeof window !== \"undefined\") window.alert(1);";
        assert_eq!(facts(asked, Purpose::Page).findings, []);
    }
}
