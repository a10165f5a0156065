//! Finds keys of `t` that no language of the brand has.

use std::collections::BTreeSet;

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_site::languages::flat;
use sluice_template::Outline;
use sluice_text::source::Source;
use sluice_text::suggest;

use super::MISTAKES_MAX;
use super::context::Brand;

pub(crate) fn unknown_keys(source: &Source, shown: &Outline, brand: &Brand<'_>) -> Vec<Diagnostic> {
    if shown.translations.is_empty() {
        return Vec::new();
    }
    let texts = brand.config.translations.values().map(flat);
    let known: BTreeSet<String> = texts.flat_map(|texts| texts.into_iter().map(|(key, _)| key)).collect();
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for (key, at, has_default) in &shown.translations {
        if known.contains(key) || *has_default || !seen.insert(key) {
            continue;
        }
        if found.len() == MISTAKES_MAX {
            break;
        }
        let help = match suggest::nearest(key, known.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None => format!("add \"{key}\" to a table like [translations.en] in brand.toml"),
        };
        let message = format!("no language of the brand has the text `{key}`, so it prints nothing");
        let found_at = *at..*at + key.len();
        found.push(Diagnostic::at(Rule::UnknownVariable, source, found_at, message).help(help));
    }
    found
}
