//! Compiles a test file to a page component. The component's page is a runner, which imports
//! the library and then the test file.

use sluice_limits::Limits;
use sluice_page::failures::ScriptFiles;
use sluice_page::modules::{self, CompileError, ModuleSource, ScriptFile, UnreadableModule};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::{Sandbox, SandboxError, Script};
use sluice_site::BrandFolder;
use sluice_text::source::Source;

use super::outcome::{FileProblem, HostError};

/// The library's module name. Test files may import it under the same name.
const LIBRARY: &str = "sluice:testing";
const LIBRARY_SOURCE: &str = include_str!("library.js");
const TEST_FILE: &str = "sluice:test-file";
const RUNNER: &str = "sluice:test-runner";
const RUNNER_SOURCE: &str =
    "import { run } from \"sluice:testing\";\nimport \"sluice:test-file\";\nawait run();\n";
const RUNNER_IMPORTS: usize = 2;

/// The modules that a test file can import: those of pages, and the library.
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

/// Compiles and loads a test file.
///
/// # Errors
/// [`FileProblem::Author`] with the position in the author's file, or [`FileProblem::Host`].
pub(super) async fn compile(
    sandbox: &Sandbox,
    test: Source,
    folder: &BrandFolder,
    limits: &Limits,
) -> Result<(Script, ScriptFiles), FileProblem> {
    let runner = Source { file: RUNNER.into(), text: RUNNER_SOURCE.into() };
    let runner = ScriptFile { source: runner.into(), script: RUNNER_SOURCE.into() };
    let modules = TestModules { folder, test };
    // The runner adds one level of imports above the author's file.
    let (import_depth_max, imports_max) =
        (limits.import_depth_max + 1, limits.imports_max.max(RUNNER_IMPORTS));
    let limits = Limits { import_depth_max, imports_max, ..limits.clone() };
    let mut quota = CompileQuota::new(&limits, "");
    let graph = match modules::compile(sandbox, runner, &modules, &limits, &mut quota).await {
        Ok(graph) => graph,
        Err(CompileError::Author(failure)) => return Err(failure.into()),
        Err(CompileError::Host(error)) => return Err(HostError::from(error).into()),
    };
    let page = sandbox.page(&graph.bytecode, &graph.source_hash).map_err(SandboxError::from);
    let script = page.and_then(|page| sandbox.load(&page.component)).map_err(HostError::from)?;
    Ok((script, graph.files))
}
