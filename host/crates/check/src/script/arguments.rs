//! Finds constant arguments that a call never accepts.

use oxc_ast::ast::{CallExpression, Expression, ObjectPropertyKind};

use sluice_http::headers::is_refused;
use sluice_http::{cookies, redirect};
use sluice_page::diagnostic::Rule;
use sluice_sandbox::host_api::variables::is_identifier;
use sluice_session as session;

use super::super::facts::Named;
use super::{FINDINGS_MAX, Script, did_you_mean, range, span_of};

impl<'a> Script<'_, 'a> {
    pub(super) fn arguments(&mut self, path: &str, call: &'a CallExpression<'a>) {
        match path {
            "redirect" => self.redirect(call),
            "response.status" => self.status(call),
            "setVariable" => self.variable_name(call),
            "session.get" | "session.set" | "session.delete" => self.session_key(path, call),
            "session.setCustomer" => self.customer(call),
            "cookie.set" | "cookie.delete" => self.cookie(path, call),
            "setHeader" => self.header(call),
            "crypto.subtle.digest" => self.digest(call),
            "fetch" | "http.get" | "http.post" | "http.put" | "http.patch" | "http.delete" => self.url(call),
            "queue.push" => self.push(call),
            _ => self.storage(path, call),
        }
    }

    /// An argument that is a constant string, and its value.
    fn text_argument(
        &self,
        call: &'a CallExpression<'a>,
        index: usize,
    ) -> Option<(&'a Expression<'a>, String)> {
        let argument = self.argument(&call.arguments, index)?;
        Some((argument, self.text_of(argument)?))
    }

    /// An argument that is a constant number, and its value.
    fn number_argument(
        &self,
        call: &'a CallExpression<'a>,
        index: usize,
    ) -> Option<(&'a Expression<'a>, f64)> {
        let argument = self.argument(&call.arguments, index)?;
        Some((argument, self.number_of(argument)?))
    }

    fn bad(&mut self, at: &Expression<'a>, message: String, help: &str) {
        self.report(Rule::BadArgument, span_of(at), message, Some(help.to_owned()));
    }

    /// Notes a constant URL that is called.
    fn url(&mut self, call: &'a CallExpression<'a>) {
        if let Some((at, url)) = self.text_argument(call, 0)
            && self.facts.urls.len() < FINDINGS_MAX
        {
            self.facts.urls.push(Named { name: url, span: range(span_of(at)) });
        }
    }

    fn redirect(&mut self, call: &'a CallExpression<'a>) {
        if call.arguments.is_empty() {
            let help = Some("pass the address: `redirect(\"/login\")`".to_owned());
            return self.report(Rule::BadArgument, call.span, "`redirect` needs an address", help);
        }
        if let Some((at, url)) = self.text_argument(call, 0)
            && let Err(reason) = redirect::check(&url)
        {
            let message = format!("`redirect` does not accept `{url}`: {reason}");
            self.bad(at, message, "pass a path of this site (`/login`) or a complete URL (`https://…`)");
        }
        if let Some((at, status)) = self.number_argument(call, 1)
            && !redirect::STATUSES.iter().any(|known| f64::from(*known) == status)
        {
            let message = format!("`redirect` does not accept the status {status}");
            self.bad(at, message, "use 301, 302, 303, 307 or 308, or leave it out for 302");
        }
    }

    fn status(&mut self, call: &'a CallExpression<'a>) {
        if let Some((at, code)) = self.number_argument(call, 0)
            && !(code.fract() == 0.0 && (200.0..=599.0).contains(&code))
        {
            let message = format!("`response.status` does not accept {code}");
            self.bad(at, message, "a status is a whole number from 200 to 599");
        }
    }

    fn variable_name(&mut self, call: &'a CallExpression<'a>) {
        if let Some((at, name)) = self.text_argument(call, 0)
            && !is_identifier(&name)
        {
            let message = format!("`{name}` cannot be the name of a template variable");
            self.bad(at, message, "use letters, digits and `_`, and do not begin with a digit");
        }
    }

    fn session_key(&mut self, path: &str, call: &'a CallExpression<'a>) {
        if let Some((at, key)) = self.text_argument(call, 0)
            && session::is_reserved(&key)
        {
            let message = format!("`{path}` does not accept the key `{key}`: it is reserved");
            let help = match key.as_str() {
                "customer" | "email" | "customer_id" | "is_customer" | "id" => {
                    "read the global `customer`, change it with `session.setCustomer(fields)`, or use another key"
                }
                _ => "use another key, which does not begin with `_`",
            };
            self.report(Rule::ReservedName, span_of(at), message, Some(help.to_owned()));
        }
    }

    fn customer(&mut self, call: &'a CallExpression<'a>) {
        self.customer_fields(call);
        let Some(at) = self.argument(&call.arguments, 0) else { return };
        let Expression::ObjectExpression(fields) = at.get_inner_expression() else { return };
        let mut email = None;
        for field in &fields.properties {
            match field {
                ObjectPropertyKind::ObjectProperty(field) if !field.computed => {
                    if field.key.static_name().is_some_and(|name| name == "email") {
                        email = Some(&field.value);
                    }
                }
                // A spread or a computed name may add an email.
                _ => return,
            }
        }
        match email {
            None => {
                let message = "`session.setCustomer` needs an email address".to_owned();
                self.bad(at, message, "add `email: …` to the fields");
            }
            Some(value) => {
                if let Some(text) = self.text_of(value).filter(|text| !text.contains('@')) {
                    self.bad(
                        value,
                        format!("`{text}` is not an email address"),
                        "an email address contains `@`",
                    );
                }
            }
        }
    }

    fn cookie(&mut self, path: &str, call: &'a CallExpression<'a>) {
        let Some((at, name)) = self.text_argument(call, 0) else { return };
        if cookies::is_reserved(&name) {
            let message = format!("`{path}` does not accept the name `{name}`: it is reserved");
            let help = "use a name that does not begin with `sluice_`, `__Host-` or `__Secure-`".to_owned();
            self.report(Rule::ReservedName, span_of(at), message, Some(help));
        } else if !cookies::is_token(&name) {
            let message = format!("`{name}` cannot be the name of a cookie");
            self.bad(at, message, "use letters, digits, `-` and `_`");
        }
        let options = if path == "cookie.set" { 2 } else { 1 };
        if let Some(Expression::ObjectExpression(object)) =
            self.argument(&call.arguments, options).map(Expression::get_inner_expression)
        {
            for property in &object.properties {
                if let ObjectPropertyKind::ObjectProperty(property) = property
                    && let Some(name) = property.key.static_name()
                {
                    self.cookie_option(&name, &property.value);
                }
            }
        }
    }

    fn cookie_option(&mut self, name: &str, value: &'a Expression<'a>) {
        const OPTIONS: [&str; 5] = ["path", "maxAge", "sameSite", "httpOnly", "secure"];
        let text = self.text_of(value);
        match (name, text.as_deref()) {
            ("path", Some(path)) if !path.starts_with('/') => {
                self.bad(value, format!("`{path}` is not a path"), "a cookie's path begins with `/`");
            }
            ("sameSite", Some(site))
                if !["strict", "lax", "none"].contains(&site.to_ascii_lowercase().as_str()) =>
            {
                self.bad(value, format!("`sameSite` cannot be `{site}`"), "use Strict, Lax or None");
            }
            ("maxAge", _)
                if text.is_some() || self.number_of(value).is_some_and(|age| age.fract() != 0.0) =>
            {
                self.bad(
                    value,
                    "`maxAge` is not a whole number".to_owned(),
                    "pass a whole number of seconds",
                );
            }
            (name, _) if !OPTIONS.contains(&name) => {
                let help = did_you_mean(name, OPTIONS)
                    .unwrap_or_else(|| format!("the options are {}", OPTIONS.join(", ")));
                self.bad(value, format!("cookies have no option `{name}`"), &help);
            }
            _ => {}
        }
    }

    fn header(&mut self, call: &'a CallExpression<'a>) {
        let Some((at, name)) = self.text_argument(call, 0) else { return };
        let lower = name.to_ascii_lowercase();
        if !cookies::is_token(&name) {
            let message = format!("`{name}` cannot be the name of a header");
            return self.bad(at, message, "use letters, digits and `-`, without a colon");
        }
        if is_refused(&lower) {
            let help = match lower.as_str() {
                "set-cookie" => "use `cookie.set(name, value)`",
                "location" | "refresh" => "use `redirect(url)`",
                "strict-transport-security" => "set it in `[headers]` of brand.toml",
                _ => "remove the call; the host sets this header itself, or never sends it",
            };
            let message = format!("`setHeader` does not accept `{name}`: it is reserved");
            self.report(Rule::ReservedName, span_of(at), message, Some(help.to_owned()));
        }
    }

    fn digest(&mut self, call: &'a CallExpression<'a>) {
        if let Some((at, name)) = self.text_argument(call, 0)
            && !["SHA-256", "SHA-384", "SHA-512"].contains(&name.to_ascii_uppercase().as_str())
        {
            let message = format!("there is no digest `{name}`");
            self.bad(at, message, "use SHA-256, SHA-384 or SHA-512");
        }
    }
}
