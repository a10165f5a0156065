//! Pages that ask for a cache whose answers are never kept.

use serde::Deserialize;
use toml::Spanned;

use sluice_kit::toml_text;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::page_cache::template_dependence;
use sluice_template::Template;
use sluice_text::source::Source;

use super::context::{Brand, path_of};
use super::scripts::Scripts;

/// The paths of pages in `brand.toml`, with their positions.
#[derive(Deserialize, Default)]
#[serde(default)]
struct Written {
    page: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: Spanned<String>,
}

/// Checks `cache` of pages in `brand.toml`, which must be valid.
pub(crate) fn findings(source: &Source, brand: &Brand<'_>, scripts: &Scripts) -> Vec<Diagnostic> {
    let written: Written = toml_text::parse(&source.text).unwrap_or_default();
    let at = |rule: Rule, path: &str, message: String| {
        let entry = written.page.iter().find(|entry| entry.path.get_ref() == path);
        Diagnostic::at(rule, source, entry.map_or(0..0, |entry| entry.path.span()), message)
    };
    let mut found = Vec::new();
    if let Some(fault) = brand.config.cache_fault() {
        found.push(
            at(Rule::Settings, &fault.path, fault.to_string()).help("remove `cache`, or what excludes it"),
        );
    }
    for page in &brand.config.page {
        let Some(rules) = page.cache_rules() else { continue };
        let scripted =
            scripts.all.iter().find(|one| one.html.is_some() && path_of(&one.file.source.file) == page.path);
        let html = scripted.and_then(|scripted| Some((&scripted.file.source.file, scripted.html.as_ref()?)));
        let Some((file, html)) = html else { continue };
        // A template that does not compile is reported elsewhere.
        let Ok(template) = Template::compile(file, html, brand.folder) else { continue };
        if let Some(dependence) = template_dependence(&template, &rules) {
            let message = format!("the page is never answered from its cache: {dependence}");
            let help = "pass only what is the same for all visitors to the template, or remove `cache`";
            found.push(at(Rule::UncachedPage, &page.path, message).help(help));
        }
    }
    found
}
