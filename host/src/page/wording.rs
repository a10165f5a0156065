//! Better words for what QuickJS reports. It decides whether something is wrong; where it
//! knows no more than a token or `not a function`, the author's text says what was meant.

use crate::check::{self, globals};
use crate::suggest;

use super::modules::ScriptFile;
use super::source::Position;
use crate::script::outcome::Failure;

/// Why a script does not parse: where, and a sentence that says what to do. None where the
/// checker finds nothing wrong with it.
pub(super) fn syntax(file: &ScriptFile) -> Option<(Position, String)> {
    let (at, message) = check::syntax_mistake(&file.script)?;
    Some((file.source.position(at), message))
}

/// The message of an exception that was thrown at its line and column, if there is a
/// better one.
pub(super) fn thrown(failure: &Failure, file: &ScriptFile) -> Option<String> {
    if let Some(name) = failure.message.strip_suffix(" is not defined") {
        let help = match globals::elsewhere(name) {
            Some(help) => help.to_owned(),
            None => format!("did you mean `{}`?", suggest::nearest(name, globals::all())?),
        };
        return Some(format!("{}; {help}", failure.message));
    }
    // Of a built-in function it is the argument that is no function.
    let is_native = failure.stack.lines().next().is_some_and(|frame| frame.contains("(native)"));
    if failure.message != "not a function" || is_native {
        return None;
    }
    let line = file.source.line(Position { line: failure.line, column: failure.column })?;
    let callee = callee(line, (failure.column as usize).checked_sub(1)?)?;
    let Some((path, member)) = callee.rsplit_once('.') else {
        return (!globals::is_known(callee)).then(|| format!("`{callee}` is not a function"));
    };
    if globals::members(path).is_some() && globals::has_member(path, member) {
        return None;
    }
    let members = globals::members(path).unwrap_or_default();
    let near = suggest::nearest(member, members.iter().copied());
    let help = near.map(|near| format!("; did you mean `{path}.{near}`?")).unwrap_or_default();
    Some(format!("`{callee}` is not a function{help}"))
}

/// The names that are called at a character of a line: `a.b.c` for any of them, if `(`
/// follows.
fn callee(line: &str, column: usize) -> Option<&str> {
    let is_part = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$' | '.');
    let at = line.char_indices().nth(column)?.0;
    let (before, after) = line.split_at(at);
    let start = before.trim_end_matches(is_part).len();
    let length = after.find(|c| !is_part(c)).unwrap_or(after.len());
    let called = line.get(start..at + length)?;
    let is_call = line.get(at + length..)?.trim_start().starts_with('(');
    let begins = called.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'));
    (is_call && begins && !called.ends_with('.')).then_some(called)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::page::source::Source;

    fn file(text: &str) -> ScriptFile {
        let source = Source { file: "pages/x.html".into(), text: text.into() };
        ScriptFile { source: Arc::new(source), script: text.into() }
    }

    #[test]
    fn what_is_called_is_named() {
        let cases = [
            (
                "  session.gett('a')",
                10,
                Some("`session.gett` is not a function; did you mean `session.get`?"),
            ),
            ("  o.deep.x (1)", 9, Some("`o.deep.x` is not a function")),
            ("q(1)", 0, Some("`q` is not a function")),
            ("new o.a()", 4, Some("`o.a` is not a function")),
            ("o['a']()", 0, None),
            ("f()()", 3, None),
            ("throw new TypeError('not a function')", 10, None),
            ("o.?", 2, None),
            ("ü.b()", 2, Some("`ü.b` is not a function")),
            ("", 3, None),
        ];
        for (text, column, expected) in cases {
            let mut failure = Failure::new("TypeError", "not a function");
            (failure.line, failure.column) = (1, column + 1);
            assert_eq!(thrown(&failure, &file(text)).as_deref(), expected, "{text}");
            failure.stack = "at map (native)\nat f (pages/x.html:1:1)".into();
            assert_eq!(thrown(&failure, &file(text)), None, "{text}");
        }
    }

    #[test]
    fn names_of_other_platforms_and_misspelt_ones_are_explained() {
        let told =
            |name: &str| thrown(&Failure::new("ReferenceError", format!("{name} is not defined")), &file(""));
        assert!(told("fetch").unwrap().starts_with("fetch is not defined; scripts cannot reach the network"));
        assert_eq!(told("sesion").unwrap(), "sesion is not defined; did you mean `session`?");
        assert_eq!(told("myOwn"), None);
    }
}
