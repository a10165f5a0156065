//! Better messages for exceptions of a run. Where QuickJS says no more than `not a
//! function`, the author's text tells what was called. The messages that are matched here
//! are QuickJS's own.

use sluice_sandbox::outcome::Failure;
use sluice_text::source::Position;
use sluice_text::suggest;

use super::script_file::ScriptFile;
use crate::globals;

/// How much of a script is searched for names, in bytes. The search costs the run no fuel,
/// so it must be bounded.
const NAMES_BYTES: usize = 64 << 10;

/// The class of an exception that QuickJS throws, a part of its message, and what to do about it.
const REMEDIES: [(&str, &str, &str); 10] = [
    ("TypeError", "cannot read property", "check the value first, or read it with `?.`"),
    ("TypeError", "cannot set property", "make sure that the object exists before this line"),
    (
        "TypeError",
        "Cannot convert undefined or null to object",
        "the value is missing: give it a default, such as `value ?? {}`",
    ),
    (
        "TypeError",
        "value is not iterable",
        "only lists, texts, maps and sets can be iterated: use `Object.entries(value)` for an object, or \
         `value ?? []` if it may be missing",
    ),
    ("TypeError", " is read-only", "declare it with `let` if it should change, or use another name"),
    ("TypeError", "` is not a function", "check its name, and what it was set to"),
    ("TypeError", "is not a function", "check both, and what they were set to"),
    ("ReferenceError", " is not defined", "declare it, or import it from a module"),
    (
        "InternalError",
        "out of memory",
        "keep less data at once, or ask the operator for a higher heap_bytes_max",
    ),
    (
        "RangeError",
        "Maximum call stack size exceeded",
        "end the recursion, or use a loop for data that is nested deeply",
    ),
];

/// A better message for an exception, if there is one. Its line and column must be right.
pub(super) fn thrown(failure: &Failure, file: &ScriptFile) -> Option<String> {
    let worded = match (failure.name.as_str(), failure.message.as_str()) {
        ("ReferenceError", message) => undefined(message, &file.script),
        ("TypeError", "not a function") => not_a_function(failure, file),
        _ => None,
    };
    let message = worded.as_deref().unwrap_or(&failure.message);
    let is_known = |(name, part, _): &&(&str, &str, &str)| failure.name == *name && message.contains(part);
    match REMEDIES.iter().find(is_known) {
        Some((_, _, remedy)) if !message.contains("; ") => Some(format!("{message}; {remedy}")),
        _ => worded,
    }
}

fn undefined(message: &str, script: &str) -> Option<String> {
    let name = message.strip_suffix(" is not defined")?;
    let help = match globals::elsewhere(name) {
        Some(help) => help.to_owned(),
        None => {
            let mut names: Vec<&str> = declared(script).collect();
            for name in globals::all() {
                names.push(name);
            }
            let near = suggest::nearest(name, names)?;
            format!("did you mean `{near}`?")
        }
    };
    Some(format!("{message}; {help}"))
}

/// Names that follow a keyword such as `const` in the script. Function parameters and
/// destructured names are missing.
fn declared(script: &str) -> impl Iterator<Item = &str> {
    let script = script.get(..script.floor_char_boundary(NAMES_BYTES)).unwrap_or(script);
    let words = script.split(|c: char| !is_word(c)).filter(|word| !word.is_empty());
    let pairs = words.clone().zip(words.skip(1));
    pairs
        .filter(|(word, _)| matches!(*word, "const" | "let" | "var" | "function" | "class"))
        .map(|(_, name)| name)
}

fn not_a_function(failure: &Failure, file: &ScriptFile) -> Option<String> {
    let line = file.source.line(Position { line: failure.line, column: failure.column })?;
    let Called { name, is_without_arguments } = called(line, (failure.column as usize).checked_sub(1)?)?;
    let of_global =
        name.rsplit_once('.').and_then(|(path, member)| Some((path, member, globals::members(path)?)));
    if let Some((path, member, members)) = of_global
        && !globals::has_member(path, member)
        && !declared(&file.script).any(|own| own == path)
    {
        let near = suggest::nearest(member, members.iter().copied());
        let help = near.map(|near| format!("; did you mean `{path}.{near}`?")).unwrap_or_default();
        return Some(format!("`{name}` is not a function{help}"));
    }
    // QuickJS reports the same if a built-in function is given something else than a
    // function.
    Some(match is_without_arguments {
        true => format!("`{name}` is not a function"),
        false => format!("`{name}`, or an argument that is passed to it, is not a function"),
    })
}

/// A call in a line.
#[derive(Debug, PartialEq)]
struct Called<'a> {
    /// What is called: `a.b.c`.
    name: &'a str,
    is_without_arguments: bool,
}

/// The call at a character of a line. The character may be in any of the names of `a.b.c`;
/// a `(` must follow.
fn called(line: &str, column: usize) -> Option<Called<'_>> {
    let is_part = |c: char| is_word(c) || c == '.';
    let at = line.char_indices().nth(column)?.0;
    let (before, after) = line.split_at(at);
    let start = before.trim_end_matches(is_part).len();
    let length = after.find(|c| !is_part(c)).unwrap_or(after.len());
    // In `f().b()` the name is `b`.
    let name = line.get(start..at + length)?.trim_start_matches('.');
    let arguments = line.get(at + length..)?.trim_start().strip_prefix('(')?;
    let is_name = name.starts_with(|c: char| is_word(c) && !c.is_numeric()) && !name.ends_with('.');
    let is_new = before.get(..start)?.trim_end().ends_with("new") && globals::is_known(name);
    (is_name && !is_new)
        .then(|| Called { name, is_without_arguments: arguments.trim_start().starts_with(')') })
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$')
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use sluice_text::source::Source;

    fn told(name: &str, message: &str, text: &str, column: u32) -> Option<String> {
        let source = Source { file: "pages/x.html".into(), text: text.into() };
        let file = ScriptFile { source: Arc::new(source), script: text.into() };
        thrown(&Failure { line: 1, column, ..Failure::new(name, message) }, &file)
    }

    #[test]
    fn names_what_is_not_a_function() {
        let cases = [
            (
                "  session.gett('a')",
                11,
                Some("`session.gett` is not a function; did you mean `session.get`?"),
            ),
            ("let session = a; session.gett()", 26, Some("`session.gett` is not a function")),
            ("  o.deep.x ( )", 10, Some("`o.deep.x` is not a function")),
            (
                "items.sort(5)",
                7,
                Some("`items.sort`, or an argument that is passed to it, is not a function"),
            ),
            ("q()", 1, Some("`q` is not a function")),
            ("new o.a()", 5, Some("`o.a` is not a function")),
            ("o['a']()", 1, None),
            ("f()()", 4, None),
            ("throw new TypeError('not a function')", 11, None),
            ("expect(1).toEquals()", 11, Some("`toEquals` is not a function")),
            ("o.?", 3, None),
            ("ü.b()", 3, Some("`ü.b` is not a function")),
            ("", 4, None),
        ];
        for (text, column, expected) in cases {
            let told = told("TypeError", "not a function", text, column);
            let told = told.as_deref().map(|told| told.split("; check").next().unwrap());
            assert_eq!(told, expected, "{text}");
        }
        assert_eq!(told("Error", "not a function", "q()", 1), None, "the author's own message stays");
    }

    #[test]
    fn says_what_to_do_about_exceptions_of_the_engine() {
        let null = told("TypeError", "cannot read property 'name' of null", "a.name", 3).unwrap();
        assert_eq!(null, "cannot read property 'name' of null; check the value first, or read it with `?.`");
        assert_eq!(told("Error", "cannot read property 'name' of null", "a.name", 3), None);
        assert_eq!(told("TypeError", "no property", "a.name", 3), None);
    }

    #[test]
    fn explains_names_of_other_platforms_and_misspelled_names() {
        let undefined =
            |name: &str, text: &str| told("ReferenceError", &format!("{name} is not defined"), text, 1);
        let request = undefined("XMLHttpRequest", "").unwrap();
        assert!(request.starts_with("XMLHttpRequest is not defined; call other servers with"), "{request}");
        assert_eq!(undefined("sesion", "").unwrap(), "sesion is not defined; did you mean `session`?");
        assert_eq!(
            undefined("dates", "const date = 1").unwrap(),
            "dates is not defined; did you mean `date`?"
        );
        assert_eq!(
            undefined("myOwn", "").unwrap(),
            "myOwn is not defined; declare it, or import it from a module"
        );
        assert_eq!(told("Error", "name is not defined", "", 1), None);
    }
}
