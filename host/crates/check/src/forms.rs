//! Finds forms whose fields never reach the script: `request.body` is `null` for them.

use std::collections::{HashMap, HashSet};

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_template::Includes as _;
use sluice_text::source::Source;

use super::MISTAKES_MAX;
use super::context::{Brand, path_of};
use super::facts::{Facts, module_code};
use super::imports::ByCode;
use super::scripts::Scripts;

/// How many forms of a page are looked at.
const FORMS_MAX: usize = 500;

/// What decides whether the fields of a form reach a script.
pub(crate) struct Forms {
    /// Whether the script of each page reads bodies, by the page's path.
    reads_body: HashMap<String, bool>,
    /// Whether scripts get the fields of ordinary forms. Also set if a script of the browser may
    /// send them as JSON, or if the setting is not known.
    takes_fields: bool,
    /// The paths of the pages that take files.
    takes_files: HashSet<String>,
}

impl Forms {
    pub(crate) fn of_brand(brand: &Brand<'_>, scripts: &Scripts, is_known: bool) -> Self {
        let by_code = scripts.by_code();
        let pages = scripts.all.iter().filter(|page| page.html.is_some());
        let reads_body = pages.map(|page| {
            let reads = reads_body(&page.facts, &by_code, &mut HashSet::new());
            (path_of(&page.file.source.file), reads)
        });
        let folder = brand.folder;
        let layouts = folder.layout_names().into_iter().filter_map(|name| folder.layout(&name));
        let components = folder.component_names().into_iter().filter_map(|name| folder.component(&name));
        let has_browser_code = layouts.chain(components).any(|(_, text)| has_browser_code(&text));
        let takes_files = brand.config.page.iter().filter(|page| page.uploads.is_some());
        Self {
            takes_files: takes_files.map(|page| page.path.clone()).collect(),
            reads_body: reads_body.collect(),
            takes_fields: !is_known || brand.config.form_bodies || has_browser_code,
        }
    }

    /// Finds the forms of a page.
    pub(crate) fn findings(&self, source: &Source) -> Vec<Diagnostic> {
        let own = path_of(&source.file);
        let takes_fields = self.takes_fields || has_browser_code(&source.text);
        let forms = forms(&source.text).take(FORMS_MAX);
        forms
            .filter_map(|(at, tag)| self.finding(source, &own, takes_fields, at, tag))
            .take(MISTAKES_MAX)
            .collect()
    }

    fn finding(
        &self,
        source: &Source,
        own: &str,
        takes_fields: bool,
        at: usize,
        tag: &str,
    ) -> Option<Diagnostic> {
        let is_post = attribute(tag, "method").is_some_and(|method| method.eq_ignore_ascii_case("post"));
        let action = attribute(tag, "action").unwrap_or_default();
        let target = action.split(['?', '#']).next().unwrap_or_default();
        let target = if target.is_empty() { own } else { target };
        if !is_post || !self.reads_body.get(target).copied().unwrap_or(false) {
            return None;
        }
        let encoding = attribute(tag, "enctype").map(str::to_ascii_lowercase);
        let is_known = match encoding.as_deref() {
            Some("multipart/form-data") if self.takes_files.contains(target) => return None,
            Some(other @ ("multipart/form-data" | "text/plain")) => Err(other),
            None | Some("application/x-www-form-urlencoded") => Ok(()),
            // A template decides.
            Some(_) => return None,
        };
        let (message, help) = match is_known {
            Err(encoding) => {
                let setting = if takes_fields { "" } else { " and set `form_bodies = true` in brand.toml" };
                (
                    format!("the script does not get this form: `request.body` is `null` for {encoding}"),
                    format!(
                        "remove `enctype`{setting}; if the page takes files, write `uploads` into its `[[page]]` in \
                         brand.toml"
                    ),
                )
            }
            Ok(()) if takes_fields => return None,
            Ok(()) => (
                "the script does not get this form: `request.body` is `null` for HTML forms".to_owned(),
                "set `form_bodies = true` at the top of brand.toml".to_owned(),
            ),
        };
        Some(Diagnostic::at(Rule::FormEncoding, source, at..at + "<form".len(), message).help(help))
    }
}

/// Whether a script or what it imports reads the body of a request.
fn reads_body(facts: &Facts, by_code: &ByCode<'_>, seen: &mut HashSet<String>) -> bool {
    facts.reads_body
        || facts.imports.iter().any(|import| {
            let code = module_code(&import.specifier);
            seen.insert(code.to_owned())
                && by_code.get(code).is_some_and(|module| reads_body(module, by_code, seen))
        })
}

/// Whether a script of the browser may send a form in another way.
fn has_browser_code(html: &str) -> bool {
    let lower = html.to_ascii_lowercase();
    lower.contains("<script") || lower.contains("onsubmit") || lower.contains("onclick")
}

/// The start tags of forms, and where they begin.
fn forms(html: &str) -> impl Iterator<Item = (usize, &str)> {
    let starts = html.match_indices('<').map(|(at, _)| at);
    starts.filter_map(|at| {
        let rest = html.get(at..)?;
        let name = rest.get(..6)?;
        let is_form =
            name.get(..5)?.eq_ignore_ascii_case("<form") && name.ends_with(|c: char| c.is_whitespace());
        if !is_form || is_within(html, at, "<!--", "-->") {
            return None;
        }
        Some((at, rest.get(..rest.find('>')?)?))
    })
}

/// Whether a place comes after `open` without a `close` in between.
pub(crate) fn is_within(html: &str, at: usize, open: &str, close: &str) -> bool {
    let before = html.get(..at).unwrap_or_default();
    before.rfind(open).is_some_and(|opened| before.rfind(close).is_none_or(|closed| closed < opened))
}

/// The value of an attribute, without its quotes.
fn attribute<'a>(tag: &'a str, name: &str) -> Option<&'a str> {
    let lower = tag.to_ascii_lowercase();
    let mut places = lower.match_indices(name).map(|(at, _)| at);
    places.find_map(|at| {
        let is_name = lower.get(..at)?.ends_with(|c: char| c.is_whitespace());
        let value = tag.get(at + name.len()..)?.trim_start().strip_prefix('=')?.trim_start();
        if !is_name {
            return None;
        }
        match value.chars().next()? {
            quote @ ('"' | '\'') => value.get(1..)?.split(quote).next(),
            _ => value.split(char::is_whitespace).next(),
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str, takes_fields: bool) -> Vec<String> {
        let reads_body =
            HashMap::from([("/a".to_owned(), true), ("/b".to_owned(), false), ("/files".to_owned(), true)]);
        let source = Source { file: "pages/a.html".into(), text: html.into() };
        let takes_files = HashSet::from(["/files".to_owned()]);
        let found = Forms { reads_body, takes_fields, takes_files }.findings(&source);
        found
            .iter()
            .map(|one| format!("{}:{} {}", one.line, one.column, one.help.as_deref().unwrap_or("")))
            .collect()
    }

    #[test]
    fn finds_encodings_that_scripts_do_not_get() {
        let multipart = "<p>\n <FORM METHOD=post enctype='multipart/form-data'>";
        let help = "if the page takes files, write `uploads` into its `[[page]]` in brand.toml";
        assert_eq!(found(multipart, true), [format!("2:2 remove `enctype`; {help}")]);
        assert!(found(multipart, false)[0].contains("form_bodies"));
        assert_eq!(found("<form method=\"post\" action=\"/a?x=1\">", false).len(), 1);
    }

    #[test]
    fn ignores_forms_that_no_script_reads_or_the_browser_sends() {
        for html in [
            "<form method=\"post\" enctype=\"multipart/form-data\" action=\"/b\">",
            "<form method=\"post\" enctype=\"multipart/form-data\" action=\"https://other.example/a\">",
            "<form method=\"post\" enctype=\"multipart/form-data\" action=\"/files\">",
            "<form enctype=\"multipart/form-data\">",
            "<!-- <form method=\"post\"> -->",
            "<form method=\"post\"></form><script>send()</script>",
            "<form method=\"post\" onsubmit=\"send()\">",
            "<form",
            "<formal method=\"post\">",
        ] {
            assert_eq!(found(html, false), [""; 0], "{html}");
        }
        assert_eq!(found("<form method=\"post\">", true), [""; 0]);
    }
}
