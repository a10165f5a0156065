//! Runs test262 in the sandbox, interpreted and compiled, and in native QuickJS.
//!
//! `make test262 TEST262=<checkout>` prints the three pass rates, the files with different
//! results in the sandbox and natively, and those that end differently when they are compiled.
//! The exit code is 1 if there are such files.

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
use sluice_sandbox::tier::TierChoice;
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
    let sandboxes = [TierChoice::Interpreter, TierChoice::Compiled].map(sandbox);
    let (mut run, mut skipped, mut passed) = (0u32, 0u32, [0u32; 3]);
    let mut differences = Vec::new();
    for path in &files {
        let Some(case) = Case::read(path, &mut harness) else {
            skipped += 1;
            continue;
        };
        run += 1;
        let [interpreted, compiled] = runtime.block_on(in_sandboxes(&sandboxes, &case));
        let ends = [interpreted, compiled, native::run(&case.source)];
        let passes = ends.each_ref().map(|end| end.passes(case.negative.as_ref()));
        for (passed, passes) in passed.iter_mut().zip(passes) {
            *passed += u32::from(passes);
        }
        let [interpreted, compiled, native] = &ends;
        let name = path.strip_prefix(&checkout).unwrap_or(path).display();
        if passes[0] != passes[2] {
            differences.push(format!("{name}: sandbox {interpreted:?}, native {native:?}"));
        }
        if interpreted != compiled {
            differences.push(format!("{name}: interpreted {interpreted:?}, compiled {compiled:?}"));
        }
    }
    println!("{run} tests ({skipped} skipped: they are not strict modules of one file)");
    for (side, passed) in ["sandbox", "compiled", "native"].into_iter().zip(passed) {
        println!("{side:<9}{passed} passed, {:.2} %", 100.0 * f64::from(passed) / f64::from(run.max(1)));
    }
    for difference in differences.iter().take(DIFFERENCES_SHOWN) {
        println!("differs: {difference}");
    }
    if differences.is_empty() && run > 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn sandbox(tier: TierChoice) -> Sandbox {
    Sandbox::new(&SandboxConfig { tier, ..SandboxConfig::default() }).expect("the engine compiles")
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

/// Compiles a test to bytecode once and runs it in both sandboxes.
async fn in_sandboxes(sandboxes: &[Sandbox; 2], case: &Case) -> [End; 2] {
    let [interpreter, compiler] = sandboxes;
    let source = Source { file: case.path.display().to_string(), text: case.source.clone() };
    let file = ScriptFile { source: Arc::new(source), script: case.source.as_str().into() };
    let mut quota = CompileQuota::new(&limits(), "");
    let both = |end: End| [end.clone(), end];
    let graph = match modules::compile(interpreter, file, &NoModules, &limits(), &mut quota).await {
        Ok(graph) => graph,
        Err(CompileError::Author(failure)) => return both(End::Parse(failure.name)),
        Err(CompileError::Host(error)) => return both(End::Runtime(format!("host: {error}"))),
    };
    [in_sandbox(interpreter, &graph.bytecode).await, in_sandbox(compiler, &graph.bytecode).await]
}

async fn in_sandbox(sandbox: &Sandbox, bytecode: &[u8]) -> End {
    let page = sandbox.page(bytecode, "").expect("a component is made");
    let script = sandbox.load(&page.component).expect("it loads");
    let context = RunContext { limits: limits(), ..RunContext::default() };
    let report = sandbox.run(&script, context).await.expect("a sandbox is free");
    match (report.outcome, report.failure) {
        (Outcome::Ok, _) => End::Fine,
        (_, Some(failure)) => End::Runtime(failure.name),
        (outcome, None) => End::Runtime(outcome.name().to_owned()),
    }
}
