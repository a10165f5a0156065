//! The import graph of a page: which files a script reaches, read from the
//! brand's `modules/` and `pages/`.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use sha2::{Digest, Sha256};

use sluice_kit::hex::hex;
use sluice_limits::Limits;
use sluice_sandbox::compile::{Compiled, Missing, Unit};
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_text::source::Source;

use super::extract::extract;
use super::failures::ScriptFiles;

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
                return Ok(Graph { bytecode, files: ScriptFiles::new(files), source_hash });
            }
            Compiled::Failed(failure) => {
                return Err(CompileError::Author(ScriptFiles::new(files).in_author_terms(failure)));
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
    let mut imported: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for import in &missing {
        let codes = imported.entry(&import.importer).or_default();
        codes.insert(&import.code);
        if codes.len() > imports_max {
            return Err(at_import(
                files,
                import,
                format!("a module may import at most {imports_max} modules"),
            ));
        }
        // The page itself is the unit without a code.
        if !import.code.is_empty() && units.iter().any(|unit| unit.code == import.code) {
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
    let near = sluice_text::suggest::nearest(code, codes.iter().map(String::as_str));
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
