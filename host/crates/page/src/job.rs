//! The page that runs the functions of a module as jobs.

use sluice_limits::Limits;
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::outcome::Failure;
use sluice_sandbox::{JOB_CALL, Sandbox, SandboxError};
use sluice_template::{Includes, Template};
use sluice_text::source::Source;

use crate::modules::{self, CompileError, ModuleSource, ScriptFile};
use crate::{PageContent, PageScript, template_failure};

/// The name of the page. The engine knows by it that a run is a job.
const FILE: &str = JOB_CALL;

/// Compiles the page for a module. `limits` are those of the job.
///
/// # Errors
/// The host has no room for the compilation at the moment, or its engine failed. The author can do nothing about it.
pub async fn compile<F>(
    sandbox: &Sandbox,
    module: &str,
    files: &F,
    limits: &Limits,
    brand: &str,
) -> Result<PageContent, SandboxError>
where
    F: ModuleSource + Includes + Sync,
{
    let text = format!(
        "import * as module from {module:?};\nconst {{ name, payload, job }} = getVariable({JOB_CALL:?});\n\
         const run = module[name];\nif (typeof run !== \"function\") {{\n\
         throw new TypeError(`modules/{module} exports no function \\`${{name}}\\``);\n}}\nawait run(payload, job);\n"
    );
    let source = Source { file: FILE.to_owned(), text: text.clone() };
    let page = ScriptFile { source: source.into(), script: text.into() };
    // The page adds one level of imports above the author's file.
    let limits = Limits { import_depth_max: limits.import_depth_max + 1, ..limits.clone() };
    let mut quota = CompileQuota::new(&limits, brand);
    let graph = match modules::compile(sandbox, page, files, &limits, &mut quota).await {
        Ok(graph) => graph,
        Err(CompileError::Author(failure)) => return Ok(broken(in_author_terms(failure))),
        Err(CompileError::Host(error)) => return Err(error),
    };
    let component = sandbox.page(&graph.bytecode, &graph.source_hash)?.component;
    Ok(PageContent {
        script: PageScript::Ready { script: sandbox.load(&component)?, files: graph.files },
        template: Template::compile(FILE, "", files).map_err(template_failure),
        has_markup: false,
    })
}

/// A page that cannot run, for this reason.
pub fn broken(failure: Failure) -> PageContent {
    let template = Err(failure.clone());
    PageContent { script: PageScript::Broken(failure), template, has_markup: false }
}

/// A failure of a job without the page, which its author does not know.
pub fn in_author_terms(mut failure: Failure) -> Failure {
    let frames = failure.stack.lines().filter(|frame| !frame.contains(FILE));
    failure.stack = frames.collect::<Vec<_>>().join("\n");
    if failure.file == FILE {
        failure.file.clear();
        (failure.line, failure.column) = (0, 0);
    }
    failure
}
