//! Paths that `brand.toml` names and that nothing answers.

use serde::Deserialize;
use toml::Spanned;

use sluice_limits::policy::{BrandLayers, Origin};
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_site::limit_layers;
use sluice_site::pattern::PathPattern;
use sluice_site::public::PublicFiles;
use sluice_text::source::Source;

use super::brand::{Brand, canonical_of, path_of};

#[derive(Deserialize, Default)]
#[serde(default)]
struct Written {
    page: Vec<Entry>,
    access: Vec<Entry>,
    public: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    path: Spanned<String>,
}

pub(super) fn findings(source: &Source, brand: &Brand<'_>, public: &PublicFiles) -> Vec<Diagnostic> {
    // It was read once before, so there is nothing left to be wrong with it.
    let written: Written = toml::from_str(&source.text).unwrap_or_default();
    let pages: Vec<String> = brand.folder.pages.iter().map(|file| path_of(file)).collect();
    let files: Vec<&str> = public.paths().collect();
    let mut found = Vec::new();
    let mut unmatched = |entry: &Entry, what: &str, help: Option<String>| {
        let message = format!("no {what} has the path `{}`", entry.path.get_ref());
        found.push(Diagnostic::at(Rule::UnmatchedPath, source, entry.path.span(), message).maybe_help(help));
    };
    let near = |path: &str| {
        let near = sluice_text::suggest::nearest(path, pages.iter().map(String::as_str));
        near.map(|near| format!("did you mean `{near}`?"))
    };
    for entry in &written.page {
        if !pages.contains(entry.path.get_ref()) {
            let help = near(entry.path.get_ref())
                .unwrap_or_else(|| "a page's path is its file below pages/, without .html".to_owned());
            unmatched(entry, "page", Some(help));
        }
    }
    for entry in &written.access {
        let path = entry.path.get_ref();
        if !meets(path, pages.iter().map(String::as_str)) && !meets(path, files.iter().copied()) {
            let help = near(path).unwrap_or_else(|| "the rule protects nothing; correct its path".to_owned());
            unmatched(entry, "page and no file of public/", Some(help));
        }
    }
    for entry in &written.public {
        if !meets(entry.path.get_ref(), files.iter().copied()) {
            unmatched(entry, "file of public/", None);
        }
    }
    found.extend(limits(brand));
    found
}

/// Whether a pattern of `brand.toml` can mean any of these paths, which may have `{name}`.
fn meets<'a>(pattern: &str, mut paths: impl Iterator<Item = &'a str>) -> bool {
    let Ok(parsed) = PathPattern::try_from(pattern.to_owned()) else { return true };
    let is_wild = |segment: &str| segment.starts_with('{') || segment == "*";
    paths.any(|path| {
        let covered = canonical_of(path).is_some_and(|path| parsed.covers(&path));
        let mut both = pattern.split('/').zip(path.split('/'));
        let same_length = pattern.split('/').count() == path.split('/').count();
        covered || (same_length && both.all(|(a, b)| a == b || is_wild(a) || is_wild(b)))
    })
}

/// Limits that are more than the host allows.
fn limits(brand: &Brand<'_>) -> Vec<Diagnostic> {
    let own = BrandLayers { brand: brand.id, own: &brand.config.limits, page: None };
    let mut clamped = brand.policy.clamped(own);
    clamped.retain(|limit| matches!(limit.origin, Origin::Brand(_)));
    for page in &brand.config.page {
        let layers = limit_layers(brand.id, brand.config, &page.path);
        let of_page = brand.policy.clamped(layers).into_iter();
        clamped.extend(of_page.filter(|limit| matches!(limit.origin, Origin::Page { .. })));
    }
    let found = clamped.iter().map(|limit| {
        Diagnostic::of_file(Rule::IneffectiveLimit, "brand.toml", limit.to_string())
            .help("ask whoever runs the host to raise [limits.max] in sluice.toml")
    });
    found.collect()
}
