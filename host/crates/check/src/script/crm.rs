//! Checks the options of CRM calls, as far as they are constant.

use oxc_ast::ast::{
    ArrayExpressionElement, CallExpression, Expression, ObjectExpression, ObjectPropertyKind,
};
use oxc_span::{GetSpan as _, Span};

use sluice_crm::search::FILTER_DEPTH_MAX;
use sluice_crm::{Call, FieldKey};
use sluice_page::diagnostic::Rule;

use super::{Script, did_you_mean, range, span_of};
use crate::facts::{CrmUse, Finding, Named};

/// One option of a call.
struct Given<'a> {
    /// The name in camelCase.
    name: String,
    span: Span,
    value: &'a Expression<'a>,
}

impl<'a> Script<'_, 'a> {
    pub(super) fn crm_call(&mut self, path: &str, call: &'a CallExpression<'a>) {
        let Some(kind) = Call::named(path) else { return };
        let only = match call.arguments.as_slice() {
            [only] => only.as_expression(),
            several if several.iter().any(|argument| argument.is_spread()) => return,
            _ => return self.not_one_object(kind, call.span),
        };
        match only.map(Expression::get_inner_expression) {
            Some(Expression::ObjectExpression(object)) => self.crm_options(kind, call.span, object),
            Some(
                other @ (Expression::StringLiteral(_)
                | Expression::NumericLiteral(_)
                | Expression::NullLiteral(_)
                | Expression::BooleanLiteral(_)
                | Expression::ArrayExpression(_)),
            ) => self.not_one_object(kind, other.span()),
            _ => self.facts.crm.push(CrmUse::unknown(kind)),
        }
    }

    fn not_one_object(&mut self, call: Call, span: Span) {
        let (required, _) = call.options();
        let shown: Vec<String> = required.iter().map(|name| format!("{name}: …")).collect();
        let help = format!("write `{}({{ {} }})`", call.name(), shown.join(", "));
        self.report(
            Rule::CrmOptions,
            span,
            format!("`{}` takes one options object", call.name()),
            Some(help),
        );
    }

    fn crm_options(&mut self, call: Call, span: Span, object: &'a ObjectExpression<'a>) {
        let (required, others) = call.options();
        let mut given = Vec::new();
        let mut is_complete = true;
        for property in &object.properties {
            match property {
                ObjectPropertyKind::ObjectProperty(property) => match property.key.static_name() {
                    Some(name) if !property.computed => {
                        let name = canonical(&name);
                        given.push(Given { name, span: property.key.span(), value: &property.value });
                    }
                    _ => is_complete = false,
                },
                ObjectPropertyKind::SpreadProperty(_) => is_complete = false,
            }
        }
        let known = required.iter().chain(others).copied();
        for option in &given {
            if known.clone().any(|name| name == option.name) {
                continue;
            }
            let message = format!("`{}` has no option `{}`", call.name(), option.name);
            if let Some(help) = did_you_mean(&option.name, known.clone()) {
                self.report(Rule::CrmOptions, option.span, message, Some(help));
                is_complete = false;
            } else if call != Call::EnsureEntity {
                // `ensureCrmEntity` also takes settings of other programs.
                let names: Vec<&str> = known.clone().collect();
                let help = format!("remove it, or use one of its options: {}", names.join(", "));
                self.report(
                    Rule::UnknownOption,
                    option.span,
                    format!("{message}, and ignores it"),
                    Some(help),
                );
            }
        }
        for name in required.iter().filter(|name| !given.iter().any(|option| option.name == **name)) {
            if is_complete {
                let message = format!("`{}` needs `{name}`", call.name());
                self.report(Rule::CrmOptions, span, message, Some(format!("add `{name}: …` to its options")));
            }
        }
        self.note_use(call, &given);
    }

    /// Notes the entity, fields and stage that a call names.
    fn note_use(&mut self, call: Call, given: &[Given<'a>]) {
        let text = |name: &str| {
            let option = given.iter().find(|option| option.name == name)?;
            Some(Named { name: self.text_of(option.value)?, span: range(span_of(option.value)) })
        };
        let mut used = CrmUse {
            call,
            slug: text("slug").or_else(|| text("fromSlug")),
            to_slug: text("toSlug"),
            keys: text("fieldKey").into_iter().collect(),
            to_keys: Vec::new(),
            pipeline: text("pipelineSlug"),
            stage: text("stageSlug"),
        };
        for option in given {
            match option.name.as_str() {
                "fieldKeys" if call != Call::EnsureEntity => used.keys.extend(self.items(option.value)),
                "fields" if matches!(call, Call::CreateEntry | Call::UpdateEntry) => {
                    used.keys.extend(self.keys_of(option.value));
                }
                "fields" if call != Call::EnsureEntity => used.keys.extend(self.field_items(option.value)),
                "where" => self.filter_keys(option.value, &mut used.keys, 0),
                "orderBy" => {
                    let keys = self.keys_of(option.value).into_iter();
                    used.keys.extend(keys.filter(|key| key.name != "created_at"));
                }
                "fieldMap" => self.field_map(option.value, &mut used),
                _ => {}
            }
        }
        for key in used.keys.iter().chain(&used.to_keys) {
            if let Err(reason) = FieldKey::new(&key.name) {
                self.facts.findings.push(Finding {
                    rule: Rule::CrmOptions,
                    span: key.span.clone(),
                    message: format!("this is not a field key: {reason}"),
                    help: Some("use at most 128 letters, digits, `_`, `.` and `-`".to_owned()),
                });
            }
        }
        self.facts.crm.push(used);
    }

    /// The constant strings of a list.
    fn items(&self, list: &'a Expression<'a>) -> Vec<Named> {
        let items = self.elements(list).into_iter();
        items
            .filter_map(|item| Some(Named { name: self.text_of(item)?, span: range(span_of(item)) }))
            .collect()
    }

    /// The field keys of `[{ fieldKey: "a", value: 1 }]`.
    fn field_items(&self, list: &'a Expression<'a>) -> Vec<Named> {
        let mut keys = Vec::new();
        for item in self.elements(list) {
            let Expression::ObjectExpression(object) = item.get_inner_expression() else { continue };
            for property in &object.properties {
                if let ObjectPropertyKind::ObjectProperty(property) = property
                    && property.key.static_name().is_some_and(|name| canonical(&name) == "fieldKey")
                    && let Some(name) = self.text_of(&property.value)
                {
                    keys.push(Named { name, span: range(span_of(&property.value)) });
                }
            }
        }
        keys
    }

    /// The constant keys of an object.
    fn keys_of(&self, object: &'a Expression<'a>) -> Vec<Named> {
        let properties = self.properties(object);
        properties.map(|(name, span, _)| Named { name, span: range(span) }).collect()
    }

    fn properties(
        &self,
        object: &'a Expression<'a>,
    ) -> impl Iterator<Item = (String, Span, &'a Expression<'a>)> {
        let properties = match self.constant(object) {
            Some(Expression::ObjectExpression(object)) => object.properties.as_slice(),
            _ => &[],
        };
        properties.iter().filter_map(|property| match property {
            ObjectPropertyKind::ObjectProperty(property) if !property.computed => {
                let name = property.key.static_name()?.to_string();
                Some((name, property.key.span(), &property.value))
            }
            _ => None,
        })
    }

    /// The fields of a filter, also those within `and` and `or`.
    fn filter_keys(&self, filter: &'a Expression<'a>, keys: &mut Vec<Named>, depth: usize) {
        if depth > FILTER_DEPTH_MAX {
            return;
        }
        for (name, span, value) in self.properties(filter) {
            let is_group = matches!(name.as_str(), "and" | "or")
                && matches!(self.constant(value), Some(Expression::ArrayExpression(_)));
            match is_group {
                true => {
                    for part in self.elements(value) {
                        self.filter_keys(part, keys, depth + 1);
                    }
                }
                false => keys.push(Named { name, span: range(span) }),
            }
        }
    }

    fn elements(&self, list: &'a Expression<'a>) -> Vec<&'a Expression<'a>> {
        match self.constant(list) {
            Some(Expression::ArrayExpression(array)) => {
                array.elements.iter().filter_map(ArrayExpressionElement::as_expression).collect()
            }
            _ => Vec::new(),
        }
    }

    /// Notes the fields of a `fieldMap`: `{ oldField: "newField" }`.
    fn field_map(&self, map: &'a Expression<'a>, used: &mut CrmUse) {
        let Some(Expression::ObjectExpression(object)) = self.constant(map) else { return };
        for property in &object.properties {
            if let ObjectPropertyKind::ObjectProperty(property) = property
                && let Some(name) = property.key.static_name().filter(|_| !property.computed)
            {
                used.keys.push(Named { name: name.to_string(), span: range(property.key.span()) });
                if let Some(name) = self.text_of(&property.value) {
                    used.to_keys.push(Named { name, span: range(span_of(&property.value)) });
                }
            }
        }
    }
}

/// The canonical name of an option: `fieldKey` for `field_key`, `slug` for `crmEntitySlug`.
fn canonical(name: &str) -> String {
    let mut parts = name.split('_');
    let mut out = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let mut chars = part.chars();
        out.extend(chars.next().into_iter().flat_map(char::to_uppercase));
        out.push_str(chars.as_str());
    }
    match out.as_str() {
        "crmEntitySlug" => "slug".to_owned(),
        _ => out,
    }
}
