//! Runs test262 in the sandbox and in native QuickJS.
//!
//! `make test262 TEST262=<checkout>` prints both pass rates and the files with different
//! results. The exit code is 1 if there are such files.

#![allow(
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a tool that ends at the first failure and prints"
)]

mod case;
mod native;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

use sluice_limits::Limits;
use sluice_page::modules::{self, CompileError, ModuleSource, ScriptFile, UnreadableModule};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};
use sluice_text::source::Source;

use case::{Case, Harness};

/// The folders to run by default: the core language.
const FOLDERS: [&str; 1] = ["test/language"];
const DIFFERENCES_SHOWN: usize = 40;

/// How a test ended: without an exception, or with one of this class in this phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum End {
    /// The test ended without an exception.
    Fine,
    /// The class of an exception while parsing.
    Parse(String),
    /// The class of an exception while running.
    Runtime(String),
}

impl End {
    fn passes(&self, negative: Option<&(String, String)>) -> bool {
        match (self, negative) {
            (Self::Fine, None) => true,
            (Self::Parse(class), Some((phase, wanted))) => phase != "runtime" && class == wanted,
            (Self::Runtime(class), Some((phase, wanted))) => phase == "runtime" && class == wanted,
            _ => false,
        }
    }
}

struct NoModules;

impl ModuleSource for NoModules {
    fn module(&self, _code: &str) -> Option<Result<Source, UnreadableModule>> {
        None
    }

    fn module_codes(&self) -> Vec<String> {
        Vec::new()
    }
}

fn main() -> ExitCode {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let Some(checkout) = arguments.next().map(PathBuf::from) else {
        eprintln!("usage: make test262 TEST262=<a checkout of test262> [FOLDERS=\"test/language …\"]");
        return ExitCode::from(2);
    };
    let named: Vec<String> = arguments.collect();
    let folders = if named.is_empty() { FOLDERS.map(str::to_owned).to_vec() } else { named };
    let mut harness = Harness { dir: checkout.join("harness"), files: HashMap::new() };
    let mut files = Vec::new();
    for folder in folders {
        collect(&checkout.join(folder), &mut files);
    }
    files.sort();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let sandbox = Sandbox::new(&SandboxConfig::default()).expect("the engine compiles");
    let (mut run, mut skipped, mut passed, mut passed_natively) = (0u32, 0u32, 0u32, 0u32);
    let mut differences = Vec::new();
    for path in &files {
        let Some(case) = Case::read(path, &mut harness) else {
            skipped += 1;
            continue;
        };
        run += 1;
        let [here, there] = [runtime.block_on(in_sandbox(&sandbox, &case)), native::run(&case.source)];
        let [ours, theirs] = [&here, &there].map(|end| end.passes(case.negative.as_ref()));
        passed += u32::from(ours);
        passed_natively += u32::from(theirs);
        if ours != theirs {
            let name = path.strip_prefix(&checkout).unwrap_or(path).display().to_string();
            differences.push(format!("{name}: sandbox {here:?}, native {there:?}"));
        }
    }
    let rate = |passed: u32| 100.0 * f64::from(passed) / f64::from(run.max(1));
    println!("{run} tests ({skipped} skipped: they are not strict modules of one file)");
    println!("sandbox  {passed} passed, {:.2} %", rate(passed));
    println!("native   {passed_natively} passed, {:.2} %", rate(passed_natively));
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        println!("differs: {difference}");
    }
    if differences.is_empty() && run > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(folder) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "js") {
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if !name.contains("_FIXTURE") {
                files.push(path);
            }
        }
    }
}

/// Tests of test262 need more than pages.
fn limits() -> Limits {
    Limits { fuel: 20_000_000_000, heap_bytes_max: 40 << 20, ..Limits::default() }
}

async fn in_sandbox(sandbox: &Sandbox, case: &Case) -> End {
    let source = Source { file: case.path.display().to_string(), text: case.source.clone() };
    let file = ScriptFile { source: Arc::new(source), script: case.source.as_str().into() };
    let mut quota = CompileQuota::new(&limits(), "");
    let graph = match modules::compile(sandbox, file, &NoModules, &limits(), &mut quota).await {
        Ok(graph) => graph,
        Err(CompileError::Author(failure)) => return End::Parse(failure.name),
        Err(CompileError::Host(error)) => return End::Runtime(format!("host: {error}")),
    };
    let component = sandbox.parts.page(&graph.bytecode, "").expect("a component is made");
    let script = sandbox.load(&component).expect("it loads");
    let context = RunContext { limits: limits(), ..RunContext::default() };
    let report = sandbox.run(&script, context).await.expect("a sandbox is free");
    match (report.outcome, report.failure) {
        (Outcome::Ok, _) => End::Fine,
        (_, Some(failure)) => End::Runtime(failure.name),
        (outcome, None) => End::Runtime(outcome.name().to_owned()),
    }
}
