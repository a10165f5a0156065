//! The import graph of a page: the files of the brand's `modules/` and `pages/` that its
//! script imports, directly or indirectly.

use std::collections::{BTreeMap, BTreeSet};

use sha2::{Digest, Sha256};

use sluice_kit::hex::hex;
use sluice_limits::Limits;
use sluice_sandbox::compile::{CompileQuota, Compiled, Missing, Unit};
use sluice_sandbox::outcome::{Failure, ImportFault};
use sluice_sandbox::{Sandbox, SandboxError};
use sluice_text::source::Source;

use super::failures::ScriptFiles;
pub use super::script_file::{ScriptFile, ScriptFileError, script_file};

/// Provides the modules that a page can import. The site implements it.
pub trait ModuleSource {
    /// The file of module `code`, or why it cannot be read. `None` if there is no such
    /// module.
    fn module(&self, code: &str) -> Option<Result<Source, UnreadableModule>>;
    /// The code of every module, for suggestions.
    fn module_codes(&self) -> Vec<String>;
}

/// Why the file of a module cannot be read.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{file}: {reason}")]
pub struct UnreadableModule {
    /// Relative to the brand's folder.
    pub file: String,
    /// A sentence that does not name the file.
    pub reason: String,
}

/// A page that was compiled together with everything that it imports.
pub struct Graph {
    /// QuickJS bytecode.
    pub bytecode: Vec<u8>,
    /// The files that a failure of the script can point into.
    pub files: ScriptFiles,
    /// SHA-256 over every source, in hexadecimal.
    pub source_hash: String,
}

/// Why a page has no bytecode.
#[derive(Debug, thiserror::Error)]
pub enum CompileError {
    /// A mistake in the author's files, with the position in them.
    #[error("{0}")]
    Author(Failure),
    /// The host failed.
    #[error(transparent)]
    Host(#[from] SandboxError),
}

/// Compiles `page` and the modules that it imports, within `quota`.
///
/// # Errors
/// [`CompileError::Author`] for a mistake in the author's files, with file, line and column
/// if they are known; [`CompileError::Host`] if the host fails.
pub async fn compile(
    sandbox: &Sandbox,
    page: ScriptFile,
    modules: &(dyn ModuleSource + Sync),
    limits: &Limits,
    quota: &mut CompileQuota,
) -> Result<Graph, CompileError> {
    let mut units = vec![unit("", &page)];
    let mut files = BTreeMap::from([(page.source.file.clone(), page)]);
    for _ in 0..=limits.import_depth_max {
        match sandbox.compile(&units, quota).await? {
            Compiled::Bytecode(bytecode) => {
                let source_hash = hash(&units);
                return Ok(Graph { bytecode, files: ScriptFiles::new(files), source_hash });
            }
            Compiled::Failed(failure) => {
                return Err(CompileError::Author(ScriptFiles::new(files).compiling_in_author_terms(failure)));
            }
            Compiled::Incomplete(missing) => {
                add(&mut units, &mut files, modules, missing, limits.imports_max)?
            }
        }
    }
    let message = format!("imports are nested deeper than {} modules", limits.import_depth_max);
    let failure = Failure { import: Some(ImportFault::TooDeep), ..Failure::new("ImportError", message) };
    Err(CompileError::Author(failure))
}

/// Adds the missing modules to the units that are compiled next.
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
            let message = format!("a module may import at most {imports_max} modules");
            return Err(at_import(files, import, ImportFault::TooMany, message));
        }
        // The unit without a code is the page itself.
        if !import.code.is_empty() && units.iter().any(|unit| unit.code == import.code) {
            continue;
        }
        let source = match modules.module(&import.code) {
            Some(Ok(source)) => source,
            Some(Err(error)) => {
                return Err(at_import(files, import, ImportFault::Unusable, error.to_string()));
            }
            None => {
                let message = no_such_module(&import.code, modules);
                return Err(at_import(files, import, ImportFault::Unusable, message));
            }
        };
        let file = script_file(source)
            .map_err(|error| at_import(files, import, ImportFault::Unusable, error.to_string()))?;
        units.push(unit(&import.code, &file));
        files.insert(file.source.file.clone(), file);
    }
    Ok(())
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
fn at_import(
    files: &BTreeMap<String, ScriptFile>,
    import: &Missing,
    fault: ImportFault,
    message: String,
) -> CompileError {
    let mut failure = Failure { import: Some(fault), ..Failure::new("ImportError", message) };
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
