//! A test file as a page component: a runner imports the library, then the file.

use sluice_limits::Limits;
use sluice_page::failures::ScriptFiles;
use sluice_page::modules::{self, CompileError, ModuleSource, ScriptFile, UnreadableModule};
use sluice_sandbox::{Sandbox, SandboxError, Script};
use sluice_site::BrandFolder;
use sluice_text::source::Source;

use super::outcome::FileProblem;

/// The library under the name by which test files may import it, too.
pub const LIBRARY: &str = "sluice:testing";
const LIBRARY_SOURCE: &str = include_str!("library.js");
const TEST_FILE: &str = "sluice:test-file";
const RUNNER: &str = "sluice:test-runner";
const RUNNER_SOURCE: &str =
    "import { run } from \"sluice:testing\";\nimport \"sluice:test-file\";\nawait run();\n";
const RUNNER_IMPORTS: usize = 2;

/// What a test file can import: what pages can, and the library.
struct TestModules<'a> {
    folder: &'a BrandFolder,
    test: Source,
}

impl ModuleSource for TestModules<'_> {
    fn module(&self, code: &str) -> Option<Result<Source, UnreadableModule>> {
        match code {
            LIBRARY => Some(Ok(Source { file: LIBRARY.into(), text: LIBRARY_SOURCE.into() })),
            TEST_FILE => Some(Ok(self.test.clone())),
            code => self.folder.module(code),
        }
    }

    fn module_codes(&self) -> Vec<String> {
        self.folder.module_codes()
    }
}

/// # Errors
/// The author's mistakes, in the author's terms, or the host's own.
pub async fn compile(
    sandbox: &Sandbox,
    test: Source,
    folder: &BrandFolder,
    limits: &Limits,
) -> Result<(Script, ScriptFiles), FileProblem> {
    let runner = Source { file: RUNNER.into(), text: RUNNER_SOURCE.into() };
    let runner = ScriptFile { source: runner.into(), script: RUNNER_SOURCE.into() };
    let modules = TestModules { folder, test };
    // The runner is one level above what the author wrote.
    let (import_depth_max, imports_max) =
        (limits.import_depth_max + 1, limits.imports_max.max(RUNNER_IMPORTS));
    let limits = Limits { import_depth_max, imports_max, ..limits.clone() };
    let graph = match modules::compile(sandbox, runner, &modules, &limits).await {
        Ok(graph) => graph,
        Err(CompileError::Author(failure)) => return Err(failure.into()),
        Err(CompileError::Host(error)) => return Err(FileProblem::Host(error.into())),
    };
    let component = sandbox.parts.page(&graph.bytecode, &graph.source_hash).map_err(SandboxError::from);
    let script = component.and_then(|component| sandbox.load(&component)).map_err(anyhow::Error::from)?;
    Ok((script, graph.files))
}
