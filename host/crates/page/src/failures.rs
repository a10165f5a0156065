//! Translates what QuickJS reports into the author's terms: file, line and column of the
//! author's file, and names that QuickJS does not give. The sentences that are parsed here
//! are QuickJS's own; it has no error codes.

use std::collections::BTreeMap;
use std::sync::Arc;

use sluice_sandbox::outcome::{Failure, ImportFault};
use sluice_text::source::Position;

use super::exports::exported_names;
use super::script_file::ScriptFile;
use super::{places, wording};

/// How many names a message about a missing export lists at most.
const NAMES_SHOWN: usize = 10;

/// The files that a failure can point into.
#[derive(Debug, Clone, Default)]
pub struct ScriptFiles(Arc<BTreeMap<String, ScriptFile>>);

impl ScriptFiles {
    /// Files by the names that QuickJS reports.
    pub(crate) fn new(files: BTreeMap<String, ScriptFile>) -> Self {
        Self(Arc::new(files))
    }

    /// The files of a script that imports nothing.
    pub fn of(file: ScriptFile) -> Self {
        Self(Arc::new(BTreeMap::from([(file.source.file.clone(), file)])))
    }

    /// The same as [`in_author_terms`](Self::in_author_terms) for a failure of compiling. Only then
    /// QuickJS links modules. A script that runs could throw an error with the same message.
    pub fn compiling_in_author_terms(&self, failure: Failure) -> Failure {
        self.missing_export(&failure.message).unwrap_or_else(|| self.in_author_terms(failure))
    }

    /// Translates every position of `failure` to the author's files, and improves the
    /// message where the author's text says more than QuickJS.
    pub fn in_author_terms(&self, mut failure: Failure) -> Failure {
        if let Some(file) = self.0.get(&failure.file) {
            let position = match (failure.name.as_str(), failure.column) {
                ("SyntaxError", column) => file.syntax_error(failure.line, column, &failure.message),
                _ => file.thrown_at(failure.line, failure.column, &failure.message),
            };
            let reported = (failure.line, failure.column);
            (failure.line, failure.column) = (position.line, position.column);
            // The first frame is the place that was just corrected.
            let [reported, found] = [reported, (position.line, position.column)]
                .map(|(line, column)| format!("{}:{line}:{column}", failure.file));
            let mut frames = failure.stack.lines();
            let first = frames.next().unwrap_or_default().replace(&reported, &found);
            let rest = frames.map(|frame| self.author_frame(frame));
            failure.stack = std::iter::once(first).chain(rest).collect::<Vec<_>>().join("\n");
            failure.message = wording::thrown(&failure, file).unwrap_or(failure.message);
            return failure;
        }
        failure.stack =
            failure.stack.lines().map(|frame| self.author_frame(frame)).collect::<Vec<_>>().join("\n");
        failure
    }

    /// Finds the import of an export that does not exist. QuickJS names the export and the
    /// module that lacks it, but not the script that imports it.
    fn missing_export(&self, message: &str) -> Option<Failure> {
        let (export, rest) = message.strip_prefix("Could not find export '")?.split_once("' in module '")?;
        let module = rest.strip_suffix('\'')?;
        let code = module.trim_start_matches("modules/").trim_start_matches("pages/");
        let code = code.rsplit_once('.').map_or(code, |(stem, _)| stem);
        let (name, file, offset) = self.0.iter().find_map(|(name, file)| {
            let offset = import_of(&file.script, export, code)?;
            Some((name, file, offset))
        })?;
        let position = file.source.position(offset);
        let names = self.0.get(module).map(|file| exported_names(&file.script)).unwrap_or_default();
        let message =
            format!("module \"{code}\" has no export `{export}`; {}", what_there_is(export, &names));
        let mut failure = Failure::new("SyntaxError", message);
        failure.import = Some(ImportFault::UnknownExport);
        (failure.file, failure.line, failure.column) = (name.clone(), position.line, position.column);
        Some(failure)
    }

    fn author_frame(&self, frame: &str) -> String {
        let (head, place, tail) = match frame.strip_suffix(')').and_then(|open| open.rsplit_once('(')) {
            Some((head, place)) => (format!("{head}("), place, ")"),
            None => match frame.strip_prefix("at ") {
                Some(place) => ("at ".to_owned(), place, ""),
                None => return frame.to_owned(),
            },
        };
        let mapped = (|| {
            let (rest, column) = place.rsplit_once(':')?;
            let (name, line) = rest.rsplit_once(':')?;
            let file = self.0.get(name)?;
            let position =
                file.source.author_position(&file.script, line.parse().ok()?, column.parse().ok()?);
            Some(format!("{head}{name}:{}:{}{tail}", position.line, position.column))
        })();
        mapped.unwrap_or_else(|| frame.to_owned())
    }
}

impl ScriptFile {
    /// Where an exception was thrown.
    fn thrown_at(&self, line: u32, column: u32, message: &str) -> Position {
        let from = self.source.author_offset(&self.script, line, column);
        self.source.position(places::find(&self.script, from, message).unwrap_or(from))
    }

    /// Where a syntax error is. QuickJS reports the line, but often no column. Then the
    /// column is that of the token that the message quotes, if the line contains it once,
    /// and otherwise the start of the line's code.
    fn syntax_error(&self, line: u32, column: u32, message: &str) -> Position {
        let code_end = self.script.trim_end().len();
        if self.source.author_offset(&self.script, line, column) >= code_end {
            // The code ended although QuickJS expected more.
            return self.source.position(code_end);
        }
        if column > 1 {
            return self.source.author_position(&self.script, line, column);
        }
        let start = self.source.author_position(&self.script, line, 1);
        let Some(text) = self.source.line(start) else { return start };
        let token = message.rsplit_once(": '").and_then(|(_, token)| token.strip_suffix('\''));
        let unique = token.filter(|token| !token.is_empty() && text.matches(token).count() == 1);
        let at = unique.and_then(|token| text.find(token)).unwrap_or(text.len() - text.trim_start().len());
        let before = text.get(..at).unwrap_or_default().chars().count();
        Position { line: start.line, column: u32::try_from(before + 1).unwrap_or(u32::MAX) }
    }
}

/// Suggests the most similar of `names`, or lists a few of them.
fn what_there_is(export: &str, names: &[String]) -> String {
    if let Some(near) = sluice_text::suggest::nearest(export, names.iter().map(String::as_str)) {
        return format!("did you mean `{near}`?");
    }
    if names.is_empty() {
        return "it exports nothing".to_owned();
    }
    if export == "default" {
        let first = names.first().map(String::as_str).unwrap_or_default();
        return format!("import its names in braces: import {{ {first} }} from …");
    }
    let shown: Vec<String> = names.iter().take(NAMES_SHOWN).map(|name| format!("`{name}`")).collect();
    let more = if names.len() > NAMES_SHOWN { ", …" } else { "" };
    format!("it exports {}{more}", shown.join(", "))
}

/// Where `script` imports `export` from module `code`.
fn import_of(script: &str, export: &str, code: &str) -> Option<usize> {
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    for (from, _) in script.match_indices("import") {
        let clause = script.get(from..)?;
        let Some((names, rest)) = clause.split_once("from") else { break };
        let specifier = rest.trim_start();
        let Some(quote) = specifier.chars().next().filter(|quote| matches!(quote, '"' | '\'')) else {
            continue;
        };
        let named = specifier.split(quote).nth(1).unwrap_or_default();
        let named = named.trim_start_matches("./").trim_start_matches("../");
        if named.strip_suffix(".js").unwrap_or(named) != code {
            continue;
        }
        // A default export is imported under any name that the author chose.
        let given = names.get("import".len()..).unwrap_or_default();
        let name = given.trim_start();
        if export == "default" && name.starts_with(is_word) {
            return Some(from + "import".len() + (given.len() - name.len()));
        }
        let whole_word = |(at, _): &(usize, &str)| {
            let before = names.get(..*at).unwrap_or_default();
            let after = names.get(at + export.len()..).unwrap_or_default();
            !before.ends_with(is_word) && !after.starts_with(is_word)
        };
        if let Some((at, _)) = names.match_indices(export).find(whole_word) {
            return Some(from + at);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use sluice_text::source::Source;

    fn file(script: &str) -> ScriptFile {
        let source = Source { file: "pages/x.html".into(), text: script.into() };
        ScriptFile { source: Arc::new(source), script: script.into() }
    }

    fn failure(name: &str, message: &str, line: u32, column: u32) -> Failure {
        let stack = format!("at f (pages/x.html:{line}:{column})");
        Failure { file: "pages/x.html".into(), line, column, stack, ..Failure::new(name, message) }
    }

    #[test]
    fn finds_the_place_of_an_exception_by_the_name_in_its_message() {
        let files = ScriptFiles::of(file("function f(o) {\n  o.undeep;\n  return o.missing.deep;\n}"));
        let message = "cannot read property 'deep' of undefined";
        let found = files.in_author_terms(failure("TypeError", message, 1, 1));
        assert_eq!((found.line, found.column), (3, 20));
        assert_eq!(found.stack, "at f (pages/x.html:3:20)");
        let nowhere = files.in_author_terms(failure("TypeError", "not a function", 2, 1));
        assert_eq!((nowhere.line, nowhere.column), (2, 1));
    }

    #[test]
    fn only_linking_reports_a_missing_export() {
        let files = ScriptFiles::of(file("import { a } from 'b';\nthrow new SyntaxError(request.query.q)"));
        let message = "Could not find export 'a' in module 'modules/b.js'";
        let linking = files.compiling_in_author_terms(failure("SyntaxError", message, 1, 1));
        assert_eq!((linking.import, linking.column), (Some(ImportFault::UnknownExport), 10));
        let thrown = files.in_author_terms(failure("SyntaxError", message, 2, 7));
        assert_eq!((thrown.import, thrown.line, thrown.message.as_str()), (None, 2, message));
    }

    #[test]
    fn reports_incomplete_code_at_its_end() {
        let files = ScriptFiles::of(file("function half() {\n\n\n"));
        let found = files.in_author_terms(failure("SyntaxError", "unexpected token: ''", 4, 1));
        assert_eq!((found.line, found.column), (1, 18));
    }
}
