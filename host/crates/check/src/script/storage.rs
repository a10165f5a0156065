//! Finds constant arguments that `storage` and `cache` never accept.

use oxc_ast::ast::{CallExpression, Expression, ObjectPropertyKind};

use sluice_page::diagnostic::Rule;
use sluice_storage::{Area, CACHE_TTL_SECONDS_MAX, Key, LIST_OPTIONS, OPTIONS, TTL_SECONDS_MAX};

use super::{Script, did_you_mean, span_of};

impl<'a> Script<'_, 'a> {
    pub(super) fn storage(&mut self, path: &str, call: &'a CallExpression<'a>) {
        let (area, name) = match path.split_once('.') {
            Some(("storage", name)) => (Area::Storage, name),
            Some(("cache", name)) => (Area::Cache, name),
            _ => return,
        };
        // Any text can be a tag of a page.
        if name == "purge" {
            return;
        }
        if name == "list" {
            return self.storage_options(path, call, 0, LIST_OPTIONS);
        }
        self.storage_key(path, area, call);
        let last = match name {
            "get" | "del" | "has" => 1,
            "compareAndSet" => 3,
            _ => 2,
        };
        match area {
            Area::Storage => self.storage_options(path, call, last, OPTIONS),
            Area::Cache => self.lifetime(path, area, self.argument(&call.arguments, last)),
        }
    }

    fn storage_key(&mut self, path: &str, area: Area, call: &'a CallExpression<'a>) {
        let Some(at) = self.argument(&call.arguments, 0) else { return };
        if let Some(key) = self.text_of(at)
            && let Err(error) = Key::new(area, &key)
        {
            let message = format!("`{path}` does not accept the key `{key}`");
            self.bad_storage(at, message, format!("a key {error}"));
        }
    }

    fn storage_options(
        &mut self,
        path: &str,
        call: &'a CallExpression<'a>,
        index: usize,
        names: &[&'static str],
    ) {
        let Some(at) = self.argument(&call.arguments, index) else { return };
        if self.number_of(at).is_some() || self.text_of(at).is_some() {
            let message = format!("the options of `{path}` are not an object");
            return self.bad_storage(at, message, format!("the options are {}", names.join(", ")));
        }
        let Expression::ObjectExpression(object) = at.get_inner_expression() else { return };
        for property in &object.properties {
            let ObjectPropertyKind::ObjectProperty(property) = property else { continue };
            match property.key.static_name() {
                Some(name) if !names.contains(&&*name) => {
                    let help = did_you_mean(&name, names.iter().copied())
                        .unwrap_or_else(|| format!("the options are {}", names.join(", ")));
                    self.bad_storage(&property.value, format!("`{path}` has no option `{name}`"), help);
                }
                Some(name) if name == "ttl" => self.lifetime(path, Area::Storage, Some(&property.value)),
                _ => {}
            }
        }
    }

    fn lifetime(&mut self, path: &str, area: Area, at: Option<&Expression<'a>>) {
        let Some(at) = at else { return };
        let (max, help) = match area {
            Area::Storage => (TTL_SECONDS_MAX, "pass seconds, at most 31,536,000 (a year)"),
            Area::Cache => (CACHE_TTL_SECONDS_MAX, "pass seconds, at most 86,400 (a day)"),
        };
        if self.number_of(at).is_some_and(|seconds| seconds <= 0.0 || seconds > max) {
            self.bad_storage(at, format!("`{path}` does not accept this lifetime"), help.to_owned());
        }
    }

    fn bad_storage(&mut self, at: &Expression<'a>, message: String, help: String) {
        self.report(Rule::BadArgument, span_of(at), message, Some(help));
    }
}
