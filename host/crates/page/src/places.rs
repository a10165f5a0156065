//! Finds where an exception was thrown. QuickJS records positions of calls and of few other
//! operations. For a property of `null`, a loop over a value that is not iterable or an
//! assignment to a constant it reports the last recorded position, which may be many lines
//! up. So this module searches the script from there for what the message is about.

use sluice_text::lexical::{quoted, regex_end};

/// How much of a script is searched, in bytes. The search costs the run no fuel, so it must
/// be bounded.
const WINDOW_BYTES: usize = 64 << 10;

/// The byte of `script` that `message` is about; `from` is the byte that QuickJS reports.
/// `None` if the search finds no better place.
pub(super) fn find(script: &str, from: usize, message: &str) -> Option<usize> {
    if let Some(name) = property_of(message) {
        return Code::of(script, from).first(|code, at| code.is_member(at, name));
    }
    if let Some(name) = message.strip_suffix(" is not defined") {
        return Code::of(script, from).first(|code, at| code.is_variable(at, name));
    }
    if let Some(name) = message.strip_suffix("' is read-only").and_then(|rest| rest.strip_prefix('\'')) {
        // The reported position may come after the assignment.
        let assigned = |from| Code::of(script, from).first(|code, at| code.is_assigned(at, name));
        let first = assigned(0)?;
        let is_only = || assigned(first + name.len()).is_none();
        return if first >= from || is_only() { Some(first) } else { assigned(from).or(Some(first)) };
    }
    match message {
        "value is not iterable" => Code::of(script, from).first_after(Code::takes_list),
        "Cannot convert undefined or null to object" => {
            let code = Code::of(script, from);
            // If `Object.keys` and the like reject their argument, QuickJS reports the call
            // itself.
            let is_call = code.word_end(from).is_some_and(|end| code.text(end).starts_with('('));
            let is_of_object = script.get(..from).is_some_and(|before| before.ends_with("Object."))
                || script.get(from..).is_some_and(|rest| rest.starts_with("Object."));
            if is_call && is_of_object { None } else { code.first_after(Code::takes_apart) }
        }
        _ => None,
    }
}

/// The property `b` of a message `cannot read property 'b' of undefined`.
fn property_of(message: &str) -> Option<&str> {
    let (_, rest) = message.split_once("property '")?;
    let (name, rest) = rest.split_once('\'')?;
    (rest.starts_with(" of ") && !name.is_empty()).then_some(name)
}

/// A part of a script with comments, strings and regular expressions blanked.
struct Code {
    /// The byte of the script at which the part begins.
    start: usize,
    /// The blanked text. It has as many bytes as the part of the script.
    plain: String,
}

impl Code {
    fn of(script: &str, from: usize) -> Self {
        let start = script.floor_char_boundary(from);
        let end = script.floor_char_boundary(start.saturating_add(WINDOW_BYTES));
        Self { start, plain: without_texts(script.get(start..end).unwrap_or_default()) }
    }

    /// The code from a byte of the script to the end of the part.
    fn text(&self, at: usize) -> &str {
        at.checked_sub(self.start).and_then(|at| self.plain.get(at..)).unwrap_or_default()
    }

    fn before(&self, at: usize) -> &str {
        at.checked_sub(self.start).and_then(|at| self.plain.get(..at)).unwrap_or_default()
    }

    /// The first byte of the script for which `is_meant` holds.
    fn first(&self, is_meant: impl Fn(&Self, usize) -> bool) -> Option<usize> {
        let starts = self.plain.char_indices().map(|(at, _)| self.start + at);
        starts.into_iter().find(|at| is_meant(self, *at))
    }

    /// The first code after the match that `end_of` finds first.
    fn first_after(&self, end_of: impl Fn(&Self, usize) -> Option<usize>) -> Option<usize> {
        let starts = self.plain.char_indices().map(|(at, _)| self.start + at);
        let end = starts.into_iter().find_map(|at| end_of(self, at))?;
        let rest = self.text(end);
        Some(end + (rest.len() - rest.trim_start().len()))
    }

    /// The end of the word that begins at a byte.
    fn word_end(&self, at: usize) -> Option<usize> {
        let rest = self.text(at);
        let length = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
        (length > 0 && !self.before(at).ends_with(is_word)).then_some(at + length)
    }

    fn is_word_at(&self, at: usize, name: &str) -> bool {
        self.text(at).starts_with(name) && self.word_end(at) == Some(at + name.len())
    }

    /// Whether `name` stands at a byte as a member: `.name`, or `name` of `{ name } = …`.
    fn is_member(&self, at: usize, name: &str) -> bool {
        if !self.is_word_at(at, name) {
            return false;
        }
        let before = self.before(at).trim_end();
        let after = self.text(at + name.len()).trim_start();
        before.ends_with('.') || before.ends_with(['{', ',']) && after.starts_with([',', '}', ':', '='])
    }

    fn is_variable(&self, at: usize, name: &str) -> bool {
        self.is_word_at(at, name) && !self.before(at).trim_end().ends_with('.')
    }

    fn is_assigned(&self, at: usize, name: &str) -> bool {
        if !self.is_variable(at, name) {
            return false;
        }
        let before = self.before(at).trim_end();
        let after = self.text(at + name.len()).trim_start();
        let is_declared = ["const", "let", "var"].iter().any(|word| before.ends_with(word));
        let operator = after.trim_start_matches(['+', '-', '*', '/', '%', '<', '>', '&', '|', '^', '?']);
        let is_set = operator.starts_with('=') && !operator.starts_with("==") && !operator.starts_with("=>");
        // `a <= b` and `a >= b` compare.
        let compares = after.starts_with("<=") || after.starts_with(">=");
        let steps = ["++", "--"].iter().any(|step| after.starts_with(step) || before.ends_with(step));
        !is_declared && (is_set && !compares || steps)
    }

    /// The end of an operator that needs a list: `of`, `...` or `[a] =`.
    fn takes_list(&self, at: usize) -> Option<usize> {
        let (before, rest) = (self.before(at), self.text(at));
        if self.is_word_at(at, "of") && before.ends_with(char::is_whitespace) {
            return Some(at + 2);
        }
        if rest.starts_with("...") {
            return Some(at + 3);
        }
        self.behind_pattern(at, ']')
    }

    /// The end of `{ a } =`, which needs an object.
    fn takes_apart(&self, at: usize) -> Option<usize> {
        self.behind_pattern(at, '}')
    }

    fn behind_pattern(&self, at: usize, close: char) -> Option<usize> {
        let rest = self.text(at).strip_prefix(close)?;
        let value = rest.trim_start().strip_prefix('=').filter(|value| !value.starts_with(['=', '>']))?;
        Some(self.start + self.plain.len() - value.len())
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '$' | '#')
}

/// Blanks comments, strings and regular expressions in `code`. Expressions in `${ }` stay.
fn without_texts(code: &str) -> String {
    let mut out = String::with_capacity(code.len());
    let mut rest = code;
    // The number of open brackets within each `${`.
    let mut templates: Vec<usize> = Vec::new();
    // The last character before this one, without white space and comments. A quote stands
    // for a whole string.
    let mut last = ';';
    // Set if a slash began no regular expression: then the rest of the line is not searched
    // for the end of another one.
    let mut divides = false;
    while let Some(c) = rest.chars().next() {
        let regex = if c == '/' && !divides && begins_regex(last) { regex_end(rest) } else { None };
        let skipped = match c {
            '/' if rest.starts_with("//") => rest.find('\n').unwrap_or(rest.len()),
            '/' if rest.starts_with("/*") => {
                rest.get(2..).and_then(|body| body.find("*/")).map_or(rest.len(), |at| at + 4)
            }
            '/' => {
                divides |= begins_regex(last) && regex.is_none();
                regex.unwrap_or(0)
            }
            '"' | '\'' => quoted(rest, c),
            '`' => template_length(rest, 1, &mut templates),
            '}' if templates.last() == Some(&0) => {
                templates.pop();
                template_length(rest, 1, &mut templates)
            }
            '{' | '}' => {
                if let Some(open) = templates.last_mut() {
                    *open = if c == '{' { *open + 1 } else { open.saturating_sub(1) };
                }
                0
            }
            _ => 0,
        };
        let is_comment = rest.starts_with("//") || rest.starts_with("/*");
        let length = skipped.max(c.len_utf8());
        let (taken, after) = rest.split_at(rest.ceil_char_boundary(length));
        divides &= !taken.contains('\n');
        if skipped == 0 {
            out.push_str(taken);
        } else {
            // Bytes and line breaks keep their places.
            out.extend(taken.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        }
        if !is_comment && !c.is_whitespace() {
            // After `${` an operand follows.
            last = if skipped == 0 || taken.ends_with('{') { taken.chars().last().unwrap_or(c) } else { '"' };
        }
        rest = after;
    }
    out
}

/// Whether a slash after this character begins a regular expression.
fn begins_regex(before: char) -> bool {
    matches!(before, '(' | ',' | '=' | ':' | '[' | '!' | '&' | '|' | '?' | '{' | '}' | ';' | '+' | '>')
}

/// The length up to the end of a template literal, or to the end of its next `${`.
fn template_length(rest: &str, from: usize, templates: &mut Vec<usize>) -> usize {
    let mut is_escaped = false;
    let body = rest.get(from..).unwrap_or_default();
    for (at, c) in body.char_indices() {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            '`' => return from + at + 1,
            '$' if body.get(at + 1..).is_some_and(|next| next.starts_with('{')) => {
                templates.push(0);
                return from + at + 2;
            }
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `¦` in `marked` is the position that QuickJS reports, `†` the one to be found.
    fn check(marked: &str, message: &str) {
        let reported = marked.replace('†', "").find('¦').unwrap();
        let expected = marked.replace('¦', "").find('†');
        let script = marked.replace(['¦', '†'], "");
        assert_eq!(find(&script, reported, message), expected, "{marked}: {message}");
    }

    #[test]
    fn finds_what_a_message_is_about() {
        let read = "cannot read property 'b' of null";
        check("¦f(1);\n'x.b'; // x.b\nab.ab; a.†b.b", read);
        check("¦o.a.†b.c", read);
        check("¦f(`${x.†b}`)", read);
        check("¦f(); let { a, †b } = g", read);
        check("¦b; a = { b: 1 }; c.a", "cannot read property 'x' of null");
        check("¦f(); x = a / 2; y = /.b/; z.†b", "cannot set property 'b' of undefined");
        check("¦log(1); if (o.name) †nam = 1", "nam is not defined");
        check("const a = 1;\nif (a == 2 || a <= 3) x.a = 1;\n†a += 2;\n¦log(a)", "'a' is read-only");
        check("const a = 1; ¦f(); †a++;", "'a' is read-only");
        check("¦log(1);\nfor (const x of †request.query) {}", "value is not iterable");
        check("¦log(1);\nconst [a, b] = †o;", "value is not iterable");
        check("¦log(1);\nf(...†o)", "value is not iterable");
        let convert = "Cannot convert undefined or null to object";
        check("¦log({});\nconst { a, b } = †request.body;", convert);
        check("Object.¦keys(a); const { b } = c", convert);
        check("¦f()", "anything else");
    }

    proptest! {
        #[test]
        fn searches_any_text_without_panicking(parts in prop::collection::vec(
            prop::sample::select(&["`", "${", "}", "{", "'", "\"", "/", "*", "\\", "\n", "ü", "a", ".a", " of ", "...", "] =", "//", "/*", "="][..]),
            0..40,
        ), from in 0_usize..50) {
            let script = parts.concat();
            prop_assert_eq!(without_texts(&script).len(), script.len());
            for message in [
                "cannot read property 'a' of null",
                "a is not defined",
                "'a' is read-only",
                "value is not iterable",
                "Cannot convert undefined or null to object",
            ] {
                if let Some(at) = find(&script, from, message) {
                    prop_assert!(script.is_char_boundary(at));
                }
            }
        }
    }

    #[test]
    fn takes_linear_time_for_unclosed_regular_expressions() {
        for unit in ["=/[", "=/a/ ", "=/[^/]\\", "`${", "'/"] {
            let script = unit.repeat((1 << 20) / unit.len());
            // If each slash searched to the end, these hundred failures would take minutes.
            for _ in 0..100 {
                let _ = find(&script, 0, "'a' is read-only");
            }
        }
    }
}
