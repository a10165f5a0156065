//! The import graph of a page: which files a script reaches, read from the
//! brand's `modules/` and `pages/`.

use std::collections::BTreeMap;
use std::sync::Arc;

use sha2::{Digest, Sha256};

use super::extract::extract;
use super::source::{Position, Source};
use crate::limits::Limits;
use crate::script::compile::{Compiled, Missing, Unit};
use crate::script::component::hex;
use crate::script::outcome::Failure;
use crate::script::{Sandbox, SandboxError};

/// Where modules come from; implemented by the site.
pub trait ModuleSource {
    /// The file of module `code`, or why it cannot be read. None: no such module.
    fn module(&self, code: &str) -> Option<Result<Source, String>>;
    /// Every code that can be imported, for suggestions.
    fn module_codes(&self) -> Vec<String>;
}

/// A script file, ready to compile: the author's text and the JavaScript in it.
#[derive(Debug, Clone)]
pub struct ScriptFile {
    pub source: Arc<Source>,
    pub script: Arc<str>,
}

/// What came out of compiling a page with everything it imports.
pub struct Graph {
    pub bytecode: Vec<u8>,
    /// Files by the name that QuickJS knows them by.
    pub files: ScriptFiles,
    /// SHA-256 over every source, hexadecimal.
    pub source_hash: String,
}

/// The files that a failure can point into.
#[derive(Debug, Clone, Default)]
pub struct ScriptFiles(Arc<BTreeMap<String, ScriptFile>>);

impl ScriptFiles {
    /// By the names that QuickJS knows them by.
    pub fn all(files: Arc<BTreeMap<String, ScriptFile>>) -> Self {
        Self(files)
    }

    /// The files of a script that imports nothing.
    pub fn of(file: ScriptFile) -> Self {
        Self(Arc::new(BTreeMap::from([(file.source.file.clone(), file)])))
    }

    /// `failure` with every position made the author's.
    pub fn in_author_terms(&self, mut failure: Failure) -> Failure {
        if let Some(at) = self.missing_export(&failure.message) {
            return at;
        }
        if let Some(file) = self.0.get(&failure.file) {
            let position = match (failure.name.as_str(), failure.column) {
                ("SyntaxError", 0..=1) => file.syntax_error(failure.line, &failure.message),
                _ => file.source.author_position(&file.script, failure.line, failure.column),
            };
            (failure.line, failure.column) = (position.line, position.column);
        }
        failure.stack =
            failure.stack.lines().map(|frame| self.author_frame(frame)).collect::<Vec<_>>().join("\n");
        failure
    }

    /// QuickJS says which export is missing where, but not who asked for it.
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
        let mut failure = Failure::new("SyntaxError", format!("module \"{code}\" has no export `{export}`"));
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
    /// Where a syntax error is. QuickJS knows the line but often not the column:
    /// then it is the token that the message quotes, if the line has it once,
    /// else the start of the line's code.
    fn syntax_error(&self, line: u32, message: &str) -> Position {
        let start = self.source.author_position(&self.script, line, 1);
        let Some(text) = self.source.line(start) else { return start };
        let token = message.rsplit_once(": '").and_then(|(_, token)| token.strip_suffix('\''));
        let unique = token.filter(|token| !token.is_empty() && text.matches(token).count() == 1);
        let at = unique.and_then(|token| text.find(token)).unwrap_or(text.len() - text.trim_start().len());
        let before = text.get(..at).unwrap_or_default().chars().count();
        Position { line: start.line, column: u32::try_from(before + 1).unwrap_or(u32::MAX) }
    }
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

/// Why a page has no bytecode.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// The author's mistake, in the author's terms.
    #[error("{0}")]
    Author(Failure),
    #[error(transparent)]
    Host(#[from] SandboxError),
}

/// Compiles `page` and what it imports.
///
/// # Errors
/// [`CompileError::Author`] with file, line and column wherever they are known.
pub async fn compile(
    sandbox: &Sandbox,
    page: ScriptFile,
    modules: &(dyn ModuleSource + Sync),
    limits: &Limits,
) -> Result<Graph, CompileError> {
    let mut units = vec![unit("", &page)];
    let mut files = BTreeMap::from([(page.source.file.clone(), page)]);
    for _ in 0..=limits.import_depth_max {
        match sandbox.compile(&units, limits).await? {
            Compiled::Bytecode(bytecode) => {
                let source_hash = hash(&units);
                return Ok(Graph { bytecode, files: ScriptFiles(Arc::new(files)), source_hash });
            }
            Compiled::Failed(failure) => {
                return Err(CompileError::Author(ScriptFiles(Arc::new(files)).in_author_terms(failure)));
            }
            Compiled::Incomplete(missing) => {
                add(&mut units, &mut files, modules, missing, limits.imports_max)?
            }
        }
    }
    let message = format!("imports are nested deeper than {} modules", limits.import_depth_max);
    Err(CompileError::Author(Failure::new("ImportError", message)))
}

fn add(
    units: &mut Vec<Unit>,
    files: &mut BTreeMap<String, ScriptFile>,
    modules: &(dyn ModuleSource + Sync),
    missing: Vec<Missing>,
    imports_max: usize,
) -> Result<(), CompileError> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for import in &missing {
        let count = counts.entry(&import.importer).or_default();
        *count += 1;
        if *count > imports_max {
            return Err(at_import(
                files,
                import,
                format!("a module may import at most {imports_max} modules"),
            ));
        }
        if units.iter().any(|unit| unit.code == import.code) {
            continue;
        }
        let source = match modules.module(&import.code) {
            Some(Ok(source)) => source,
            Some(Err(reason)) => return Err(at_import(files, import, reason)),
            None => return Err(at_import(files, import, no_such_module(&import.code, modules))),
        };
        let file = script_file(source).map_err(|reason| at_import(files, import, reason))?;
        units.push(unit(&import.code, &file));
        files.insert(file.source.file.clone(), file);
    }
    Ok(())
}

/// The script of a file: all of a `.js` file, the backend scripts of an `.html`
/// file.
///
/// # Errors
/// The file cannot hold a script; a sentence.
pub fn script_file(source: Source) -> Result<ScriptFile, String> {
    let script = if source.file.ends_with(".html") {
        let extracted = extract(&source.text)?;
        if let Some((offset, message)) = extracted.misplaced {
            let position = source.position(offset);
            return Err(format!("{}:{}:{}: {message}", source.file, position.line, position.column));
        }
        source.script(&extracted.blocks)
    } else {
        source.text.clone()
    };
    Ok(ScriptFile { source: Arc::new(source), script: script.into() })
}

fn unit(code: &str, file: &ScriptFile) -> Unit {
    Unit { code: code.to_owned(), file: file.source.file.clone(), source: file.script.to_string() }
}

fn no_such_module(code: &str, modules: &(dyn ModuleSource + Sync)) -> String {
    let codes = modules.module_codes();
    let near = crate::suggest::nearest(code, codes.iter().map(String::as_str));
    match near {
        Some(near) => format!("there is no module \"{code}\"; did you mean \"{near}\"?"),
        None => format!("there is no module \"{code}\" in modules/ or pages/"),
    }
}

/// A failure at the import statement that caused it.
fn at_import(files: &BTreeMap<String, ScriptFile>, import: &Missing, message: String) -> CompileError {
    let mut failure = Failure::new("ImportError", message);
    if let Some(file) = files.get(&import.importer) {
        failure.file = import.importer.clone();
        let quoted = ['"', '\''].map(|quote| format!("{quote}{}{quote}", import.specifier));
        let offset = quoted.iter().filter_map(|text| file.script.find(text.as_str())).min();
        let position = file.source.position(offset.unwrap_or(0));
        (failure.line, failure.column) = (position.line, position.column);
    }
    CompileError::Author(failure)
}

fn hash(units: &[Unit]) -> String {
    let mut hasher = Sha256::new();
    for unit in units {
        for part in [&unit.code, &unit.file, &unit.source] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
    }
    hex(&hasher.finalize())
}
