//! Finds pages that only a script protects.

use std::collections::HashSet;

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::{OnError, has_markup};

use super::context::{Brand, canonical_of, path_of};
use super::facts::{Act, Facts, Step, module_code};
use super::imports::ByCode;
use super::scripts::Scripted;

/// How many functions are followed from a call to what answers the visitor.
const DEPTH_MAX: usize = 4;

/// How a script keeps visitors away.
struct Guard<'a> {
    /// The constant address to which it redirects them.
    redirect: Option<&'a str>,
    is_redirect: bool,
}

/// Finds the call by which a script protects its page, if nothing else protects it.
pub(crate) fn unguarded<'a>(
    brand: &Brand<'_>,
    page: &'a Scripted,
    html: &str,
    by_code: &ByCode<'a>,
) -> Option<Diagnostic> {
    let path = path_of(&page.file.source.file);
    let own = brand.config.page.iter().find(|known| known.path == path);
    let on_error = own.and_then(|known| known.on_error).unwrap_or(brand.config.on_error);
    let is_covered = canonical_of(&path).is_some_and(|canonical| brand.config.access.cover(&canonical));
    if on_error == OnError::Error || is_covered || !has_markup(html) {
        return None;
    }
    let steps = page.facts.steps.iter().filter(|step| step.function.is_none());
    let mut search = Search { by_code, visited: HashSet::new() };
    let (step, guard) =
        steps.filter_map(|step| Some((step, search.guard(step, false, &page.facts, 0)?))).next()?;
    let message = match on_error {
        OnError::Page => {
            "only this call protects the page: visitors who make the script fail before it see the page"
        }
        _ => "only this call protects the page: if the script throws before it, visitors see the page",
    };
    let help = format!(
        "add an [[access]] rule to brand.toml with path = \"{path}\", require = \"customer\" and {}, \
         or a [[page]] with path = \"{path}\" and on_error = \"error\"",
        guard.answer(&path)
    );
    Some(Diagnostic::at(Rule::UnguardedPage, &page.file.source, step.span.clone(), message).help(help))
}

impl Guard<'_> {
    /// The setting with which an access rule answers as the script does.
    fn answer(&self, page: &str) -> String {
        let target = self.redirect.and_then(|target| target.split(['?', '#']).next());
        match target.filter(|target| target.starts_with('/') && *target != page) {
            Some(target) => format!("redirect = \"{target}\""),
            None if self.is_redirect && page != "/login" => "redirect = \"/login\"".to_owned(),
            None => "status = 403".to_owned(),
        }
    }
}

/// Follows calls to what answers the visitor.
struct Search<'a, 's> {
    by_code: &'s ByCode<'a>,
    /// The functions that were looked into: their script, their name, and whether a caller depends
    /// on who the visitor is.
    visited: HashSet<(*const Facts, &'a str, bool)>,
}

impl<'a> Search<'a, '_> {
    /// How a step keeps visitors away, by itself or in the function that it calls. `turns_away`
    /// says whether one of its callers depends on who the visitor is.
    fn guard(
        &mut self,
        step: &'a Step,
        turns_away: bool,
        facts: &'a Facts,
        depth: usize,
    ) -> Option<Guard<'a>> {
        let turns_away = turns_away || step.turns_away;
        let name = match &step.act {
            Act::Denies => return Some(Guard { redirect: None, is_redirect: false }),
            Act::Redirects(target) => {
                return turns_away.then_some(Guard { redirect: target.as_deref(), is_redirect: true });
            }
            Act::Calls(_) if depth > DEPTH_MAX => return None,
            Act::Calls(name) => name.as_str(),
        };
        let Some(import) = facts.imports.iter().find(|import| import.local == name) else {
            return self.inside(facts, name, turns_away, depth);
        };
        let module = *self.by_code.get(module_code(&import.specifier))?;
        let exported = import.name.as_ref().map(|(name, _)| name.as_str());
        let (_, local) = module.exports.names.iter().find(|(known, _)| Some(known.as_str()) == exported)?;
        self.inside(module, local, turns_away, depth)
    }

    fn inside(
        &mut self,
        facts: &'a Facts,
        function: &'a str,
        turns_away: bool,
        depth: usize,
    ) -> Option<Guard<'a>> {
        if !self.visited.insert((std::ptr::from_ref(facts), function, turns_away)) {
            return None;
        }
        let mut steps = facts.steps.iter().filter(|step| step.function.as_deref() == Some(function));
        steps.find_map(|step| self.guard(step, turns_away, facts, depth + 1))
    }
}
