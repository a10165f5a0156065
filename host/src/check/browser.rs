//! Scripts that run in the browser and call what only backend scripts have: mostly
//! `scope="backend"` was forgotten.

use super::globals;
use crate::diagnostic::{Diagnostic, Rule};
use crate::page::extract::browser_scripts;
use crate::page::source::Source;

/// Sluice's functions that browsers have, too, or whose names others use.
const SHARED: [&str; 5] = ["atob", "btoa", "redirect", "setHeader", "structuredClone"];

/// The first such call of each script of a page.
pub(super) fn findings(source: &Source) -> Vec<Diagnostic> {
    let scripts = browser_scripts(&source.text);
    scripts.into_iter().filter_map(|script| finding(source, script.start, source.text.get(script)?)).collect()
}

fn finding(source: &Source, start: usize, script: &str) -> Option<Diagnostic> {
    let (at, name) = called(script)?;
    let message = format!("this script runs in the browser, where there is no `{name}`");
    let help = "write `<script scope=\"backend\">` where it is to run on the server";
    let span = start + at..start + at + name.len();
    Some(Diagnostic::at(Rule::BrowserScript, source, span, message).help(help))
}

/// Where one of Sluice's own calls is made that the script does not define.
fn called(script: &str) -> Option<(usize, String)> {
    let functions =
        globals::FUNCTIONS.iter().filter(|name| !SHARED.contains(name)).map(|name| (*name).to_owned());
    let of_session =
        globals::members("session").unwrap_or_default().iter().map(|name| format!("session.{name}"));
    let calls = functions.chain(of_session).filter_map(|name| Some((call_of(script, &name)?, name)));
    calls.filter(|(_, name)| !is_defined(script, name.split('.').next().unwrap_or(name))).min()
}

/// The byte at which `name(` stands as a word.
fn call_of(script: &str, name: &str) -> Option<usize> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.' | '"' | '\'' | '`' | '/');
    script.match_indices(name).map(|(at, _)| at).find(|at| {
        let before = script.get(..*at).unwrap_or_default();
        let after = script.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(is_part) && after.trim_start().starts_with('(')
    })
}

fn is_defined(script: &str, name: &str) -> bool {
    ["function", "const", "let", "var", "window."].iter().any(|word| {
        script.match_indices(word).any(|(at, _)| {
            let rest = script.get(at + word.len()..).unwrap_or_default().trim_start();
            rest.strip_prefix(name)
                .is_some_and(|rest| !rest.starts_with(|c: char| c.is_alphanumeric() || c == '_'))
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(script: &str) -> Option<String> {
        let text = format!("<p>\n<script>{script}</script>");
        let found = findings(&Source { file: "pages/x.html".into(), text });
        found.first().map(|one| format!("{}:{}", one.line, one.column))
    }

    #[test]
    fn a_forgotten_scope_is_seen() {
        assert_eq!(found("session.set('a', 1)").as_deref(), Some("2:9"));
        assert_eq!(found("let a = 1;\n  setVariable ('a', a)").as_deref(), Some("3:3"));
    }

    #[test]
    fn what_browsers_can_run_is_left_alone() {
        for script in [
            "response.json()",
            "btoa('a')",
            "my.setVariable('a')",
            "function setVariable(a) {} setVariable(1)",
            "const session = open(); session.get('a')",
            "let text = 'session.get'; sessionStorage.getItem('a')",
            "",
        ] {
            assert_eq!(found(script), None, "{script}");
        }
        let text = "<script scope=\"backend\">session.get('a')</script><script type=\"text/plain\">session.get('a')</script>";
        assert_eq!(findings(&Source { file: "pages/x.html".into(), text: text.into() }), []);
    }
}
