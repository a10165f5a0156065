//! Finds scripts for the browser that call functions which only backend scripts have. Their
//! author probably forgot `scope="backend"`.

use std::collections::HashSet;

use sluice_page::diagnostic::{Diagnostic, Rule};
use sluice_page::extract::{BrowserScripts, browser_scripts};
use sluice_page::globals;
use sluice_text::source::Source;

use super::script::{self, Names};

/// Functions of Sluice that browsers have, too, or whose names other libraries use.
const SHARED: [&str; 6] = ["atob", "btoa", "fetch", "redirect", "setHeader", "structuredClone"];

/// Finds the first such call of each script of a page.
pub(crate) fn findings(source: &Source) -> Vec<Diagnostic> {
    let BrowserScripts { inline, has_files } = browser_scripts(&source.text);
    // A script file may declare the names.
    if has_files {
        return Vec::new();
    }
    let scripts: Vec<(usize, &str, Names)> = inline
        .into_iter()
        .filter_map(|range| {
            let (start, script) = (range.start, source.text.get(range)?);
            Some((start, script, script::names(script)?))
        })
        .collect();
    if scripts.iter().any(|(_, _, names)| names.has_imports) {
        return Vec::new();
    }
    let declared: HashSet<&String> = scripts.iter().flat_map(|(_, _, names)| &names.declared).collect();
    let mut found = Vec::new();
    for (start, script, names) in &scripts {
        let unknown = names.unresolved.iter().filter(|(name, _)| !declared.contains(name));
        let first = unknown.filter_map(|(name, at)| Some((*at, called(script, *at, name)?))).next();
        found.extend(first.map(|(at, call)| finding(source, start + at, &call)));
    }
    found
}

fn finding(source: &Source, at: usize, call: &str) -> Diagnostic {
    let message = format!("this script runs in the browser, where there is no `{call}`");
    let help = "write `<script scope=\"backend\">` if it should run on the server";
    Diagnostic::at(Rule::BrowserScript, source, at..at + call.len(), message).help(help)
}

/// The call that begins at a byte, if it calls a function of Sluice.
fn called(script: &str, at: usize, name: &str) -> Option<String> {
    let rest = script.get(at..)?.strip_prefix(name)?;
    if globals::FUNCTIONS.contains(&name) && !SHARED.contains(&name) {
        return rest.trim_start().starts_with('(').then(|| name.to_owned());
    }
    let members = globals::members(name).filter(|_| name == "session")?;
    let rest = rest.strip_prefix('.')?;
    let end = rest.find(|c: char| !c.is_alphanumeric()).unwrap_or(rest.len());
    let (member, rest) = rest.split_at(end);
    (members.contains(&member) && rest.trim_start().starts_with('(')).then(|| format!("{name}.{member}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(html: &str) -> Option<String> {
        let found = findings(&Source { file: "pages/x.html".into(), text: html.into() });
        found.first().map(|one| format!("{}:{}", one.line, one.column))
    }

    #[test]
    fn finds_calls_of_the_host_in_scripts_without_scope() {
        assert_eq!(found("<p>\n<script>session.set('a', 1)</script>").as_deref(), Some("2:9"));
        assert_eq!(found("<script>let a = 1;\n  setVariable ('a', a)</script>").as_deref(), Some("2:3"));
    }

    #[test]
    fn ignores_scripts_that_browsers_can_run() {
        for script in [
            "response.json()",
            "btoa('a')",
            "my.setVariable('a')",
            "function setVariable(a) {} setVariable(1)",
            "const session = open(); session.get('a')",
            "sessions.forEach((session) => session.get('x'))",
            "class A { getCustomer() {} }",
            "const { getVariable } = window.api; getVariable('x')",
            "import { getUser } from '/js/api.js'; getUser()",
            "// used to call setVariable('a')\nlet text = \"call getUser() now\"; sessionStorage.getItem('a')",
            "let broken = ; setVariable('a')",
            "",
        ] {
            assert_eq!(found(&format!("<script>{script}</script>")), None, "{script}");
        }
        for html in [
            "<script src=\"/a.js\"></script><script>getUser()</script>",
            "<script>function getUser() {}</script><script>getUser()</script>",
            "<script scope=\"backend\">session.get('a')</script><script type=\"text/plain\">session.get('a')</script>",
        ] {
            assert_eq!(found(html), None, "{html}");
        }
    }
}
