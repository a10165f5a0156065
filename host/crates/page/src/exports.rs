//! The names that a module exports, read from its text. QuickJS decides what is exported, but does not
//! list it.

/// What a module exports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Exports {
    /// In the order of the text, without those that `export *` passes on.
    pub names: Vec<String>,
    /// Whether it passes on the names of other modules with `export *`.
    pub passes_on: bool,
}

impl Exports {
    /// Whether it exports `name`. What `export *` passes on is not known here, and counts as exported.
    pub fn has(&self, name: &str) -> bool {
        self.passes_on || self.names.iter().any(|known| known == name)
    }
}

/// What a script exports.
pub fn exports(script: &str) -> Exports {
    let tokens = tokens(script);
    let passes_on = tokens.windows(3).any(|three| {
        matches!(three, [one, two, three]
        if one == "export" && two == "*" && three != "as")
    });
    Exports { names: exported_names(script), passes_on }
}

/// Keywords that stand before the name that they declare.
const DECLARES: [&str; 5] = ["function", "class", "var", "let", "const"];

/// Exported names in the order of the text. Names that `export *` passes on are missing.
pub(crate) fn exported_names(script: &str) -> Vec<String> {
    let tokens = tokens(script);
    let mut names = Vec::new();
    let mut depth = 0usize;
    for (index, token) in tokens.iter().enumerate() {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            "export" if depth == 0 => collect(tokens.get(index + 1..).unwrap_or_default(), &mut names),
            _ => {}
        }
    }
    names
}

/// Collects the names of one export; `rest` is what follows the word `export`.
fn collect(rest: &[String], names: &mut Vec<String>) {
    let word = |index: usize| rest.get(index).map_or("", String::as_str);
    match word(0) {
        "default" => names.push("default".to_owned()),
        "*" if word(1) == "as" => names.push(word(2).to_owned()),
        "{" => list(rest.get(1..).unwrap_or_default(), names),
        "async" | "function" | "class" => {
            let named = rest.iter().find(|token| is_name(token) && !is_keyword(token));
            names.extend(named.cloned());
        }
        "var" | "let" | "const" => declared(rest.get(1..).unwrap_or_default(), names),
        _ => {}
    }
}

/// Collects the names of `{ a, b as c }`.
fn list(rest: &[String], names: &mut Vec<String>) {
    let mut last = None;
    for token in rest {
        match token.as_str() {
            "}" | "," => names.extend(last.take()),
            _ => last = Some(token.clone()),
        }
        if token == "}" {
            return;
        }
    }
}

/// Collects the names of `a = 1, b = f(2, 3)`.
fn declared(rest: &[String], names: &mut Vec<String>) {
    let (mut depth, mut expects_name) = (0usize, true);
    for token in rest {
        match token.as_str() {
            "{" | "(" | "[" => depth += 1,
            "}" | ")" | "]" => depth = depth.saturating_sub(1),
            "," if depth == 0 => expects_name = true,
            ";" | "export" | "import" if depth == 0 => return,
            name if expects_name && depth == 0 && is_name(name) => {
                names.push(name.to_owned());
                expects_name = false;
            }
            name if depth == 0 && is_keyword(name) => return,
            _ => {}
        }
    }
}

fn is_keyword(token: &str) -> bool {
    token == "async" || DECLARES.contains(&token)
}

fn is_name(token: &str) -> bool {
    token.starts_with(|c: char| c.is_alphabetic() || matches!(c, '_' | '$'))
}

/// The words and punctuation of a script, without comments and strings.
fn tokens(script: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = script;
    while let Some(c) = rest.chars().next() {
        let length = if rest.starts_with("//") {
            rest.find('\n').unwrap_or(rest.len())
        } else if rest.starts_with("/*") {
            rest.find("*/").map_or(rest.len(), |end| end + 2)
        } else if matches!(c, '"' | '\'' | '`') {
            quoted(rest, c)
        } else if c.is_whitespace() {
            c.len_utf8()
        } else {
            let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
            let word = rest.find(|c| !is_word(c)).unwrap_or(rest.len());
            let length = if word == 0 { c.len_utf8() } else { word };
            tokens.extend(rest.get(..length).map(str::to_owned));
            length
        };
        rest = rest.get(length..).unwrap_or_default();
    }
    tokens
}

/// The length of the quoted string at the beginning of `rest`, in bytes.
fn quoted(rest: &str, quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if is_escaped => is_escaped = false,
            '\\' => is_escaped = true,
            _ if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_form_of_export() {
        let script = r#"
            // export const comment = 1;
            import { x } from "export";
            export function plain() { const inner = "export let no"; }
            export async function* later() {}
            export class Thing { export() {} }
            export const a = f(1, 2), b = { c, d }, $e = `export ${1}`;
            export let f
            export var g = 1
            export { x as renamed, a as default };
            export * as all from "other"; export * from "other";
            /* export const no = 1; */
        "#;
        let expected = ["plain", "later", "Thing", "a", "b", "$e", "f", "g", "renamed", "default", "all"];
        assert_eq!(exported_names(script), expected);
    }

    #[test]
    fn reads_incomplete_text_to_its_end() {
        for text in
            ["", "export", "export {", "export { a", "export const", "'", "/*", "export default", "ü`\\"]
        {
            let _ = exported_names(text);
        }
    }
}
