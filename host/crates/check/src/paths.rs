//! Paths in `brand.toml` that match no page or file, and limits above the host's maximum.

use serde::Deserialize;
use toml::Spanned;

use sluice_kit::toml_text;
use sluice_limits::policy::{BrandLayers, EffectiveLimit, Origin};
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_site::limit_layers;
use sluice_site::pattern::PathPattern;
use sluice_site::public::PublicFiles;
use sluice_text::source::Source;

use super::context::{Brand, canonical_of, path_of};

/// The paths in `brand.toml`, with their positions.
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

/// Checks the paths and limits in `brand.toml`, which must be valid.
pub(crate) fn findings(source: &Source, brand: &Brand<'_>, public: &PublicFiles) -> Vec<Diagnostic> {
    // The file is known to be valid, so this cannot fail.
    let written: Written = toml_text::parse(&source.text).unwrap_or_default();
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
                .unwrap_or_else(|| "the path of a page is its file below pages/ without .html".to_owned());
            unmatched(entry, "page", Some(help));
        }
    }
    for entry in &written.access {
        let path = entry.path.get_ref();
        if !meets(path, pages.iter().map(String::as_str)) && !meets(path, files.iter().copied()) {
            let help =
                near(path).unwrap_or_else(|| "this rule protects nothing; correct its path".to_owned());
            unmatched(entry, "page and no file of public/", Some(help));
        }
    }
    for entry in &written.public {
        if !meets(entry.path.get_ref(), files.iter().copied()) {
            let help = "correct the path, or remove the entry: it has no effect".to_owned();
            unmatched(entry, "file of public/", Some(help));
        }
    }
    found.extend(limits(brand));
    found
}

/// Whether a pattern of `brand.toml` can match any of these paths, which may contain
/// `{name}`.
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

/// Limits of `brand.toml` above the host's maximum.
fn limits(brand: &Brand<'_>) -> Vec<Diagnostic> {
    let own = BrandLayers { brand: brand.id, own: &brand.config.limits.own, page: None };
    let of_brand =
        brand.policy.explain(own).into_iter().filter(|limit| matches!(limit.origin, Origin::Brand(_)));
    let of_pages = brand.config.page.iter().flat_map(|page| {
        let layers = limit_layers(brand.id, brand.config, &page.path);
        brand.policy.explain(layers).into_iter().filter(|limit| matches!(limit.origin, Origin::Page { .. }))
    });
    of_brand.chain(of_pages).filter_map(|limit| ineffective(&limit)).collect()
}

fn ineffective(limit: &EffectiveLimit) -> Option<Diagnostic> {
    let (asked, name, value) = (limit.asked?, limit.kind.name, limit.value);
    let message = format!("{name} = {asked} is more than the host allows, so {value} applies instead");
    let found = Diagnostic::of_file(Rule::IneffectiveLimit, "brand.toml", message);
    Some(found.help("ask the operator of the host to raise [limits.max] in sluice.toml"))
}
