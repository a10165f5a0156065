//! Checks templates and the variables that they print.

use std::collections::{BTreeSet, HashSet};

use sluice_crm::CrmSchema;
use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::globals;
use sluice_template::{self as template, Includes, Outline, Template, TemplateError};
use sluice_text::excerpt::excerpt;
use sluice_text::source::Source;

use super::MISTAKES_MAX;
use super::context::Brand;
use super::facts::{Facts, module_code};
use super::forms::Forms;
use super::imports::ByCode;
use super::scripts::{Scripts, diagnostic};
use super::{blocks, browser, guards, translations};

/// Finds mistakes in the pages of a brand, except for those in their scripts. `is_known` says
/// whether all settings of the brand could be read.
pub(crate) fn findings(
    brand: &Brand<'_>,
    scripts: &Scripts,
    crm: Option<&CrmSchema>,
    is_known: bool,
) -> Vec<Diagnostic> {
    let declared = scripts.declared(crm);
    let of_crm = |source: &Source, shown: &Outline| -> Vec<Diagnostic> {
        let found = declared.iter().flat_map(|declared| declared.findings_in_template(&shown.crm_calls));
        found.map(|finding| diagnostic(&finding, source)).collect()
    };
    let by_code = scripts.by_code();
    let forms = Forms::of_brand(brand, scripts, is_known);
    let mut found = Vec::new();
    let mut of_all = Known::of_brand(brand, is_known);
    let of_layouts = SetNames::of_layouts(brand);
    let mut of_both = of_layouts.clone();
    let extended = extended_pages(scripts);
    for page in &scripts.all {
        let Some(html) = &page.html else { continue };
        let file = &page.file.source.file;
        let mistakes = template_mistakes(file, html, brand.folder);
        let mut known = Known::of_brand(brand, is_known);
        known.add(&page.facts, &by_code, &mut HashSet::new());
        of_all.join(&known);
        // Pages that extend this page may set any variables and names.
        let is_extended = extended.contains(stem_of(file));
        known.is_open |= is_extended;
        found.extend(browser::findings(&page.file.source));
        // Every character of `html` has the position that it has in the file.
        let source = Source { file: file.clone(), text: html.clone() };
        let shown = template::outline(html);
        found.extend(of_crm(&source, &shown));
        found.extend(unknown_variables(&source, &shown, &known));
        found.extend(unknown_properties(&source, &shown));
        found.extend(blocks::unknown_directives(&source));
        found.extend(blocks::unshown_blocks(&source, &shown, brand));
        found.extend(forms.findings(&source));
        // A template that does not compile may set any names.
        if mistakes.is_empty() {
            let mut own = of_layouts.with(&shown);
            own.is_open |= is_extended;
            own.add_bases(&shown, brand);
            found.extend(unknown_names(&source, &shown, &known, &own));
        }
        of_both.join(&shown, !mistakes.is_empty());
        // The access rules of an invalid brand.toml are not known.
        if is_known {
            found.extend(translations::unknown_keys(&source, &shown, brand));
            found.extend(guards::unguarded(brand, page, html, &by_code));
        }
        found.extend(mistakes);
    }
    // These files have mistakes that are reported elsewhere.
    let unusable: HashSet<String> = brand.folder.include_problems().into_iter().map(|one| one.file).collect();
    for (folder, directive, name) in included(brand) {
        let file = format!("{folder}/{name}.html");
        if unusable.contains(&file) {
            continue;
        }
        // Each file is compiled by itself, because maybe no page uses it.
        let mistakes = template_mistakes("", &format!("{directive}(\"{name}\")"), brand.folder);
        found.extend(mistakes.into_iter().map(|mut mistake| {
            if mistake.file.is_empty() {
                mistake.file.clone_from(&file);
            }
            mistake
        }));
        if let Ok(source) = brand.folder.source(&file) {
            let shown = template::outline(&source.text);
            found.extend(of_crm(&source, &shown));
            if is_known {
                found.extend(translations::unknown_keys(&source, &shown, brand));
            }
            found.extend(unknown_variables(&source, &shown, &of_all));
            found.extend(unknown_properties(&source, &shown));
            found.extend(blocks::unknown_directives(&source));
            // A component gets its other names as arguments.
            if folder == "layouts" {
                found.extend(unknown_names(&source, &shown, &of_all, &of_both));
            }
        }
    }
    found
}

/// How many files that extend one another are followed.
const BASES_MAX: usize = 32;

/// The name by which other pages can extend the page of a file.
fn stem_of(file: &str) -> &str {
    let file = file.strip_prefix("pages/").unwrap_or(file);
    file.strip_suffix(".html").unwrap_or(file)
}

/// The names in the `@extends` of all pages.
fn extended_pages(scripts: &Scripts) -> HashSet<String> {
    let pages = scripts.all.iter().filter_map(|page| page.html.as_deref());
    pages.filter_map(|html| template::outline(html).extends).collect()
}

/// Every layout and component: its folder, the directive that includes it, and its name.
fn included(brand: &Brand<'_>) -> Vec<(&'static str, &'static str, String)> {
    let layouts = brand.folder.layout_names().into_iter().map(|name| ("layouts", "@extends", name));
    let components =
        brand.folder.component_names().into_iter().map(|name| ("components", "@component", name));
    layouts.chain(components).collect()
}

/// Finds the mistakes because of which a template does not compile. A `{{ … }}` with a
/// mistake is blanked, so that the next mistake is found, too.
fn template_mistakes(file: &str, html: &str, includes: &dyn Includes) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut text = html.to_owned();
    while let Err(error) = Template::compile(file, &text, includes) {
        let rest = (error.file == file).then(|| without_output(&text, &error)).flatten();
        let mut mistake = Diagnostic::of_template(&error);
        // The excerpt shows the author's line, without any blanking.
        let line =
            html.lines().nth(error.line.saturating_sub(1)).filter(|_| error.file == file && text != html);
        if let Some(line) = line {
            mistake.excerpt = Some(excerpt(line.trim_end_matches('\r'), error.column));
        }
        found.push(mistake);
        match rest {
            Some(rest) if found.len() < MISTAKES_MAX => text = rest,
            _ => break,
        }
    }
    found
}

/// Blanks the `{{ … }}` that contains the mistake.
fn without_output(text: &str, error: &TemplateError) -> Option<String> {
    let line_start: usize = text.split_inclusive('\n').take(error.line.checked_sub(1)?).map(str::len).sum();
    let line = text.get(line_start..)?;
    let within = line.char_indices().nth(error.column.checked_sub(1)?).map_or(line.len(), |(at, _)| at);
    let at = line_start + within;
    let start = text.get(..text.len().min(at + 2)).and_then(|before| before.rfind("{{"))?;
    if text.get(start..at).is_some_and(|between| between.contains("}}")) {
        return None;
    }
    // If it is not closed, the next `}}` belongs to another one.
    let closed = text.get(at..)?.find("}}").map(|end| at + end + 2);
    let closed = closed.filter(|end| text.get(start + 2..*end).is_some_and(|inside| !inside.contains("{{")));
    let end = closed.unwrap_or(start + 2);
    let blank: String = text.get(start..end)?.chars().map(|c| if c == '\n' { c } else { ' ' }).collect();
    Some(format!("{}{blank}{}", text.get(..start)?, text.get(end..)?))
}

/// The template variables that a page can have.
#[derive(Default)]
struct Known {
    names: HashSet<String>,
    /// Whether there may be others.
    is_open: bool,
}

impl Known {
    /// The variables of a brand. There may be others if not all of its settings are known.
    fn of_brand(brand: &Brand<'_>, is_known: bool) -> Self {
        Self { names: brand.config.variables.keys().cloned().collect(), is_open: !is_known }
    }

    /// Adds the variables that a script and its imports set.
    fn add(&mut self, facts: &Facts, by_code: &ByCode<'_>, seen: &mut HashSet<String>) {
        self.names.extend(facts.variables.iter().cloned());
        // A script that oxc has not parsed may set any variable.
        self.is_open |= facts.sets_others || !facts.is_parsed;
        for import in &facts.imports {
            let code = module_code(&import.specifier);
            if !seen.insert(code.to_owned()) {
                continue;
            }
            match by_code.get(code) {
                Some(module) => self.add(module, by_code, seen),
                None => self.is_open = true,
            }
        }
    }

    fn join(&mut self, other: &Self) {
        self.names.extend(other.names.iter().cloned());
        self.is_open |= other.is_open;
    }
}

fn unknown_variables(source: &Source, shown: &Outline, known: &Known) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for used in &shown.variables {
        if found.len() == MISTAKES_MAX {
            break;
        }
        if known.names.contains(&used.name) || !seen.insert(used.name.clone()) {
            continue;
        }
        let near = sluice_text::suggest::nearest(&used.name, known.names.iter().map(String::as_str));
        let help = match near {
            Some(near) => format!("did you mean `{near}`?"),
            // Something else may set the variable, or the template expects that it is unset.
            None if known.is_open || used.has_default => continue,
            None => format!(
                "call `setVariable(\"{0}\", …)`, or set `{0}` in [variables] of brand.toml",
                used.name
            ),
        };
        let message = format!("nothing sets the template variable `{}`", used.name);
        let span = used.at..used.at + used.name.len();
        found.push(Diagnostic::at(Rule::UnknownVariable, source, span, message).help(help));
    }
    found
}

/// Finds misspelled properties of `customer` and `request`: `{{ customer.fisrt_name }}`.
fn unknown_properties(source: &Source, shown: &Outline) -> Vec<Diagnostic> {
    let found = shown.properties.iter().filter_map(|used| {
        let known = match used.of.as_str() {
            "customer" => globals::CUSTOMER,
            "request" => globals::members("request").unwrap_or_default(),
            _ => return None,
        };
        if known.contains(&used.name.as_str()) {
            return None;
        }
        let near = sluice_text::suggest::nearest(&used.name, known.iter().copied())?;
        let message = format!("`{}` has no `{}`", used.of, used.name);
        let found =
            Diagnostic::at(Rule::UnknownProperty, source, used.at..used.at + used.name.len(), message);
        Some(found.help(format!("did you mean `{near}`?")))
    });
    found.take(MISTAKES_MAX).collect()
}

/// Names that `@set` defines. A page sees the names of its layouts, and they see the names
/// of the page.
#[derive(Clone, Default)]
struct SetNames {
    names: BTreeSet<String>,
    /// Whether there may be others, because a file does not compile.
    is_open: bool,
}

impl SetNames {
    fn of_layouts(brand: &Brand<'_>) -> Self {
        let mut out = Self::default();
        for name in brand.folder.layout_names() {
            let text = brand.folder.layout(&name).map(|(_, text)| text).unwrap_or_default();
            let is_broken = Template::compile("", &format!("@extends(\"{name}\")"), brand.folder).is_err();
            out.join(&template::outline(&text), is_broken);
        }
        out
    }

    fn join(&mut self, shown: &Outline, is_broken: bool) {
        self.names.extend(shown.set_names.iter().cloned());
        self.is_open |= is_broken;
    }

    /// Adds the names of the files that a page extends.
    fn add_bases(&mut self, shown: &Outline, brand: &Brand<'_>) {
        let mut next = shown.extends.clone();
        for _ in 0..BASES_MAX {
            let base = next.take().and_then(|name| brand.folder.layout(&name));
            let Some((_, text)) = base else { break };
            let outline = template::outline(&text);
            self.join(&outline, false);
            next = outline.extends;
        }
    }

    fn with(&self, shown: &Outline) -> Self {
        let mut out = self.clone();
        out.join(shown, false);
        out
    }
}

/// Finds names that are not defined: `{{ vra.name }}`, or `{{ name }}` for `{{ var.name }}`.
fn unknown_names(source: &Source, shown: &Outline, known: &Known, set: &SetNames) -> Vec<Diagnostic> {
    let mut found = Vec::new();
    let mut seen = HashSet::new();
    for unknown in &shown.unknown {
        let name = &unknown.name;
        if set.names.contains(name) || !seen.insert(name.clone()) {
            continue;
        }
        if found.len() == MISTAKES_MAX {
            break;
        }
        let mut names: Vec<&str> = template::names().collect();
        names.extend(set.names.iter().map(String::as_str));
        let help = match sluice_text::suggest::nearest(name, names) {
            _ if known.names.contains(name) => format!("write `var.{name}`"),
            Some(near) => format!("did you mean `{near}`?"),
            // Something else may define the name, or the template expects that it is missing.
            None if unknown.is_optional || set.is_open => continue,
            None => format!(
                "write `var.{name}` for a script's variable; other names come from `@set` and `@foreach`"
            ),
        };
        let message = format!("`{name}` is not defined in this template");
        let span = unknown.at..unknown.at + name.len();
        found.push(Diagnostic::at(Rule::UnknownVariable, source, span, message).help(help));
    }
    found
}
