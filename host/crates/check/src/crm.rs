//! Compares the CRM calls of scripts with what the brand's `crm.toml` declares.

use std::collections::HashSet;

use sluice_crm::{Call, CrmSchema, EntityMode, EntitySpec};
use sluice_page::diagnostic::Rule;

use sluice_template::CrmCallUse;

use super::facts::{CrmUse, Facts, Finding, Named};

/// The entities of a brand.
pub(crate) struct Declared<'a> {
    /// `crm.toml`.
    schema: &'a CrmSchema,
    /// Entities that scripts create with `ensureCrmEntity`.
    ensured: HashSet<&'a str>,
    /// Whether a script creates entities under names that are not known before it runs.
    ensures_any: bool,
}

impl<'a> Declared<'a> {
    pub(crate) fn new(schema: &'a CrmSchema, scripts: impl Iterator<Item = &'a Facts>) -> Self {
        let uses = scripts.flat_map(|facts| &facts.crm);
        let (mut ensured, mut ensures_any) = (HashSet::new(), false);
        for used in uses.filter(|used| used.call == Call::EnsureEntity) {
            match &used.slug {
                Some(slug) => drop(ensured.insert(slug.name.as_str())),
                None => ensures_any = true,
            }
        }
        Self { schema, ensured, ensures_any }
    }

    /// Finds mistakes in the CRM calls of one template. Templates may create entities, too.
    pub(crate) fn findings_in_template(&self, calls: &[CrmCallUse]) -> Vec<Finding> {
        let used: Vec<CrmUse> = calls.iter().filter_map(of_template).collect();
        if used.iter().any(|used| used.call == Call::EnsureEntity) {
            return Vec::new();
        }
        self.findings(&used)
    }

    /// Finds mistakes in the CRM calls of one file.
    pub(crate) fn findings(&self, uses: &[CrmUse]) -> Vec<Finding> {
        let mut found = Vec::new();
        for used in uses.iter().filter(|used| used.call != Call::EnsureEntity) {
            let from = used.slug.as_ref().and_then(|slug| self.entity(slug, &mut found));
            let to = used.to_slug.as_ref().and_then(|slug| self.entity(slug, &mut found));
            undeclared(from, &used.keys, &mut found);
            undeclared(to, &used.to_keys, &mut found);
            let target = if used.call == Call::MoveToEntity { to } else { from };
            if let Some(entity) = target {
                place(entity, used, &mut found);
            }
        }
        found
    }

    /// The declaration of an entity. `None` if it is missing, or if a script may change it.
    fn entity(&self, slug: &Named, found: &mut Vec<Finding>) -> Option<&'a EntitySpec> {
        if self.ensured.contains(slug.name.as_str()) {
            return None;
        }
        let entities = &self.schema.entities;
        let declared = entities.iter().find(|entity| entity.slug == slug.name);
        if declared.is_none() && !self.ensures_any {
            let slugs = entities.iter().map(|entity| entity.slug.as_str());
            let help = match entities.is_empty() {
                true => format!("declare it in crm.toml as [[entity]] with slug = \"{}\"", slug.name),
                false => missing(&slug.name, slugs, "[[entity]]"),
            };
            let message = format!("crm.toml declares no entity `{}`", slug.name);
            found.push(finding(Rule::UnknownEntity, slug, message, help));
        }
        declared
    }
}

/// A CRM call of a template.
fn of_template(call: &CrmCallUse) -> Option<CrmUse> {
    let mut used = CrmUse::unknown(Call::named(call.name)?);
    for (option, text, at) in &call.texts {
        let named = Named { name: text.clone(), span: *at..*at + text.len() };
        match option.as_str() {
            "slug" | "crmEntitySlug" | "crm_entity_slug" | "fromSlug" | "from_slug" => {
                used.slug = Some(named)
            }
            "toSlug" | "to_slug" => used.to_slug = Some(named),
            "fieldKey" | "field_key" => used.keys.push(named),
            _ => {}
        }
    }
    Some(used)
}

/// Finds undeclared fields of an entity. An entity without any declared field accepts every
/// field.
fn undeclared(entity: Option<&EntitySpec>, keys: &[Named], found: &mut Vec<Finding>) {
    let Some(entity) = entity.filter(|entity| !entity.fields.is_empty()) else { return };
    for key in keys {
        let names = || entity.fields.iter().map(|field| field.key.as_str());
        if !names().any(|name| name == key.name) {
            let message = format!("crm.toml declares no field `{}` of `{}`", key.name, entity.slug);
            let help = missing(&key.name, names(), "[[entity.field]]");
            found.push(finding(Rule::UndeclaredField, key, message, help));
        }
    }
}

/// Finds unknown pipelines and stages in a call that moves an entry.
fn place(entity: &EntitySpec, used: &CrmUse, found: &mut Vec<Finding>) {
    let named = used.pipeline.as_ref().or(used.stage.as_ref());
    if let (EntityMode::Data, Some(named)) = (entity.mode, named) {
        let message = format!("the entity `{}` has no pipelines", entity.slug);
        let help =
            "declare [[entity.pipeline]] in crm.toml; only entities with mode = \"crm\" have pipelines";
        found.push(finding(Rule::UnknownStage, named, message, help.to_owned()));
        return;
    }
    let pipelines = || entity.pipelines.iter();
    let mut within: Vec<_> = pipelines().collect();
    if let Some(pipeline) = &used.pipeline {
        within.retain(|known| known.slug == pipeline.name);
        if within.is_empty() {
            let message = format!("the entity `{}` has no pipeline `{}`", entity.slug, pipeline.name);
            let help =
                missing(&pipeline.name, pipelines().map(|known| known.slug.as_str()), "[[entity.pipeline]]");
            found.push(finding(Rule::UnknownStage, pipeline, message, help));
            return;
        }
    }
    let Some(stage) = &used.stage else { return };
    let stages = || within.iter().flat_map(|pipeline| &pipeline.stages).map(|stage| stage.slug.as_str());
    if stages().any(|known| known == stage.name) {
        return;
    }
    let message = match &used.pipeline {
        Some(pipeline) => format!("the pipeline `{}` has no stage `{}`", pipeline.name, stage.name),
        None => format!("no pipeline of `{}` has a stage `{}`", entity.slug, stage.name),
    };
    found.push(finding(Rule::UnknownStage, stage, message, missing(&stage.name, stages(), "`stages`")));
}

/// Suggests a similar name, or lists the known names and says where to declare a new one.
fn missing<'a>(name: &str, names: impl Iterator<Item = &'a str> + Clone, section: &str) -> String {
    match sluice_text::suggest::nearest(name, names.clone()) {
        Some(near) => format!("did you mean `{near}`?"),
        None => {
            let known: Vec<&str> = names.take(10).collect();
            format!("crm.toml declares {}; add `{name}` there under {section}", known.join(", "))
        }
    }
}

fn finding(rule: Rule, at: &Named, message: String, help: String) -> Finding {
    Finding { rule, span: at.span.clone(), message, help: Some(help) }
}
