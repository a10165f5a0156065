//! Finds unknown methods in chains of schema calls: `Schema.string().requird()`.

use oxc_ast::ast::{CallExpression, Expression};

use sluice_page::diagnostic::Rule;
use sluice_page::globals::SCHEMA_METHODS;

use super::{Script, did_you_mean};

impl<'a> Script<'_, 'a> {
    pub(super) fn schema_method(&mut self, call: &'a CallExpression<'a>) {
        let Some(member) = call.callee.get_inner_expression().as_member_expression() else { return };
        let (Some((span, method)), Some(kind)) =
            (member.static_property_info(), self.schema_kind(member.object()))
        else {
            return;
        };
        match SCHEMA_METHODS.iter().find(|(name, _)| *name == method) {
            Some((_, kinds)) if kinds.is_empty() || kinds.contains(&kind) => {}
            Some((_, kinds)) => {
                let message = format!("`Schema.{kind}()` has no `{method}()`");
                let owners: Vec<String> = kinds.iter().map(|kind| format!("`Schema.{kind}()`")).collect();
                let help = format!("only {} has it", owners.join(" or "));
                self.report(Rule::UnknownMember, span, message, Some(help));
            }
            None => {
                let fit =
                    SCHEMA_METHODS.iter().filter(|(_, kinds)| kinds.is_empty() || kinds.contains(&kind));
                let names: Vec<&str> = fit.map(|(name, _)| *name).collect();
                let help = did_you_mean(method, names.iter().copied())
                    .unwrap_or_else(|| format!("it has {}", names.join(", ")));
                let message = format!("`Schema.{kind}()` has no `{method}()`");
                self.report(Rule::UnknownMember, span, message, Some(help));
            }
        }
    }

    /// The kind of a schema: `number` for an expression that begins with `Schema.number()` and
    /// continues with calls.
    fn schema_kind(&self, expression: &'a Expression<'a>) -> Option<&'a str> {
        let mut at = expression.get_inner_expression();
        while let Expression::CallExpression(call) = at {
            let member = call.callee.get_inner_expression().as_member_expression()?;
            let object = member.object().get_inner_expression();
            if self.path(object).as_deref() == Some("Schema") {
                return member.static_property_name();
            }
            at = object;
        }
        None
    }
}
