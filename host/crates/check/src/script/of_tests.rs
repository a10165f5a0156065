//! What only tests have, the files `*.test.js`: their globals, the options of `visit` and
//! `visitor`, and the matchers of `expect`.

use oxc_ast::ast::{CallExpression, Expression, ObjectPropertyKind};
use oxc_span::GetSpan as _;

use sluice_page::diagnostic::Rule;

use super::{Purpose, Script, did_you_mean};

/// The globals of tests.
pub(super) const GLOBALS: [&str; 7] = ["beforeEach", "clock", "crm", "expect", "test", "visit", "visitor"];

/// The index of the options among the arguments of each call, and their names.
const OPTIONS: [(&str, usize, &[&str]); 3] = [
    ("crm.entries", 1, &["referenceType", "referenceId"]),
    (
        "visit",
        1,
        &["method", "json", "form", "files", "body", "query", "headers", "cookies", "customer", "session"],
    ),
    ("visitor", 0, &["customer", "session", "https"]),
];

/// What `expect(…)` has.
const MATCHERS: [&str; 22] = [
    "not",
    "toBe",
    "toBeCloseTo",
    "toBeDefined",
    "toBeFalsy",
    "toBeGreaterThan",
    "toBeGreaterThanOrEqual",
    "toBeInstanceOf",
    "toBeLessThan",
    "toBeLessThanOrEqual",
    "toBeNull",
    "toBeTruthy",
    "toBeUndefined",
    "toContain",
    "toContainEqual",
    "toEqual",
    "toHaveLength",
    "toHaveProperty",
    "toMatch",
    "toMatchObject",
    "toThrow",
    "toUseFuelBelow",
];

impl<'a> Script<'_, 'a> {
    /// Reports options that a call of the test library refuses.
    pub(super) fn options_of_tests(&mut self, path: &str, call: &'a CallExpression<'a>) {
        if self.purpose != Purpose::Test {
            return;
        }
        // The second argument of a visitor's own `visit` is checked when the test runs.
        let Some((_, index, known)) = OPTIONS.iter().find(|(name, ..)| *name == path) else { return };
        let options = self.argument(&call.arguments, *index).and_then(|options| self.constant(options));
        let Some(Expression::ObjectExpression(object)) = options else { return };
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else { continue };
            let Some(name) = property.key.static_name().filter(|_| !property.computed) else { continue };
            if !known.contains(&name.as_ref()) {
                let help = did_you_mean(&name, known.iter().copied())
                    .unwrap_or_else(|| format!("its options are {}", known.join(", ")));
                let message = format!("`{path}` has no option `{name}`");
                self.report(Rule::BadArgument, property.key.span(), message, Some(help));
            }
        }
    }

    /// Reports a matcher that does not exist: `expect(a).toEquals(b)`.
    pub(super) fn matcher(&mut self, call: &'a CallExpression<'a>) {
        if self.purpose != Purpose::Test {
            return;
        }
        let Some(member) = call.callee.get_inner_expression().as_member_expression() else { return };
        let mut of = member.object().get_inner_expression();
        if let Some(negated) = of.as_member_expression().filter(|of| of.static_property_name() == Some("not"))
        {
            of = negated.object().get_inner_expression();
        }
        let Expression::CallExpression(expectation) = of else { return };
        let is_expectation = self.path(&expectation.callee).is_some_and(|path| path == "expect");
        let Some((span, name)) = member.static_property_info().filter(|_| is_expectation) else { return };
        if !MATCHERS.contains(&name) {
            let help = did_you_mean(name, MATCHERS)
                .unwrap_or_else(|| "docs/testing.md lists the matchers".to_owned());
            self.report(Rule::UnknownMember, span, format!("`expect(…)` has no `{name}`"), Some(help));
        }
    }
}
