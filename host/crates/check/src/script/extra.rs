//! Finds arguments and fields that a call ignores.

use oxc_ast::ast::{CallExpression, Expression, ObjectPropertyKind};
use oxc_span::GetSpan as _;

use sluice_page::diagnostic::Rule;

use super::{Script, did_you_mean};

/// How many arguments a call takes.
const ARGUMENTS: [(&str, usize); 26] = [
    ("cookie.delete", 2),
    ("cookie.set", 3),
    ("fetch", 2),
    ("getCustomer", 0),
    ("getUser", 0),
    ("getVariable", 1),
    ("http.delete", 3),
    ("http.get", 2),
    ("http.patch", 3),
    ("http.post", 3),
    ("http.put", 3),
    ("redirect", 2),
    ("response.json", 1),
    ("response.send", 1),
    ("response.status", 1),
    ("request.text", 0),
    ("secrets.get", 1),
    ("secrets.ref", 1),
    ("session.clearCustomer", 0),
    ("session.delete", 1),
    ("session.get", 1),
    ("session.set", 2),
    ("session.setCustomer", 1),
    ("session.setFromToken", 1),
    ("setHeader", 2),
    ("setVariable", 2),
];
/// The fields of `session.setCustomer`.
const CUSTOMER: [&str; 5] = ["email", "first_name", "id", "last_name", "name"];

impl<'a> Script<'_, 'a> {
    /// Reports the first argument that a call ignores: `response.json(data, 404)`.
    pub(super) fn extra_argument(&mut self, path: &str, call: &'a CallExpression<'a>) {
        let Some((_, count)) = ARGUMENTS.iter().find(|(name, _)| *name == path) else { return };
        let Some(extra) = self.argument(&call.arguments, *count) else { return };
        let taken = match count {
            0 => "no argument".to_owned(),
            1 => "one argument".to_owned(),
            2 => "two arguments".to_owned(),
            several => format!("{several} arguments"),
        };
        let written = self.source(extra.span());
        let help = match path {
            "response.json" | "response.send" => match self.number_of(extra) {
                Some(code) => format!("call `response.status({code})` before it"),
                None => "set a status with `response.status(code)` and headers with `setHeader` before it"
                    .to_owned(),
            },
            "session.get" | "getVariable" | "secrets.get" if written.len() <= 40 => {
                format!("for a default, write `{path}(…) ?? {written}`")
            }
            _ => "remove it".to_owned(),
        };
        self.report(
            Rule::UnknownOption,
            extra.span(),
            format!("`{path}` takes {taken} and ignores this one"),
            Some(help),
        );
    }

    /// Reports fields that `session.setCustomer` ignores.
    pub(super) fn customer_fields(&mut self, call: &'a CallExpression<'a>) {
        let fields = self.argument(&call.arguments, 0).and_then(|fields| self.constant(fields));
        let Some(Expression::ObjectExpression(fields)) = fields else { return };
        for field in &fields.properties {
            let ObjectPropertyKind::ObjectProperty(field) = field else { continue };
            let Some(name) = field.key.static_name().filter(|_| !field.computed) else { continue };
            if !CUSTOMER.contains(&name.as_ref()) {
                let help = did_you_mean(&name, CUSTOMER).unwrap_or_else(|| {
                    format!(
                        "it stores {}; keep other values with `session.set(key, value)`",
                        CUSTOMER.join(", ")
                    )
                });
                let message = format!("`session.setCustomer` ignores the field `{name}`");
                self.report(Rule::UnknownOption, field.key.span(), message, Some(help));
            }
        }
    }
}
