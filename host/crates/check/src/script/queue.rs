//! Finds constant arguments that `queue.push` never accepts, and notes which functions are to be jobs.

use oxc_ast::ast::{CallExpression, Expression, ObjectPropertyKind};

use sluice_page::diagnostic::Rule;
use sluice_queue::{DELAY_SECONDS_MAX, PUSH_OPTIONS};

use super::{FINDINGS_MAX, Script, did_you_mean, range, span_of};
use crate::facts::{Named, Push};

impl<'a> Script<'_, 'a> {
    pub(super) fn push(&mut self, call: &'a CallExpression<'a>) {
        let function = self.push_options(call);
        let Some(at) = self.argument(&call.arguments, 0) else { return };
        if let Some(name) = self.text_of(at)
            && self.facts.pushes.len() < FINDINGS_MAX
        {
            let span = range(span_of(at));
            let function = match function {
                Function::Default => Some(Named { name: "default".to_owned(), span: span.clone() }),
                Function::Named(function) => Some(function),
                Function::Unknown => None,
            };
            self.facts.pushes.push(Push { module: Named { name, span }, function });
        }
    }

    fn push_options(&mut self, call: &'a CallExpression<'a>) -> Function {
        if call.arguments.iter().any(|argument| argument.is_spread()) {
            return Function::Unknown;
        }
        let Some(at) = self.argument(&call.arguments, 2) else { return Function::Default };
        let Expression::ObjectExpression(object) = at.get_inner_expression() else {
            return Function::Unknown;
        };
        let mut function = Function::Default;
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else {
                function = Function::Unknown;
                continue;
            };
            let Some(name) = property.key.static_name() else {
                function = Function::Unknown;
                continue;
            };
            match &*name {
                "fn" => {
                    function = match self.text_of(&property.value) {
                        Some(name) => Function::Named(Named { name, span: range(span_of(&property.value)) }),
                        None => Function::Unknown,
                    };
                }
                "delay" => {
                    let seconds = self.number_of(&property.value);
                    let is_wrong = |seconds: &f64| {
                        !(0.0..=DELAY_SECONDS_MAX).contains(seconds) || seconds.fract() != 0.0
                    };
                    if seconds.as_ref().is_some_and(is_wrong) {
                        let help = "pass whole seconds, at most 2,592,000 (30 days)".to_owned();
                        let message = "`queue.push` does not accept this delay";
                        self.report(Rule::BadArgument, span_of(&property.value), message, Some(help));
                    }
                }
                name if !PUSH_OPTIONS.contains(&name) => {
                    let help = did_you_mean(name, PUSH_OPTIONS.iter().copied())
                        .unwrap_or_else(|| format!("the options are {}", PUSH_OPTIONS.join(", ")));
                    let message = format!("`queue.push` has no option `{name}`");
                    self.report(Rule::BadArgument, span_of(&property.value), message, Some(help));
                }
                _ => {}
            }
        }
        function
    }
}

/// The function of a job, as far as it is known.
enum Function {
    Default,
    Named(Named),
    Unknown,
}
