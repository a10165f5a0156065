//! Runs scripts interpreted and compiled, and compares what they did.
//!
//! `--differences EVERY SKIP STRESS PATH…`: every so many of the files in the folders, without the first ones. `.html`
//! files are pages, `.js` files are tests of test262 (the folder `test` beside its `harness`) or modules.

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use sluice_aot::Stress;
use sluice_kit::clock::Clock;
use sluice_limits::Limits;
use sluice_page::PageSource;
use sluice_page::modules::{self, ModuleSource, ScriptFile, UnreadableModule};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::component::bytecode_of;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};
use sluice_text::source::Source;
use tokio::runtime::{Builder, Runtime};

use crate::case::{Case, Harness};

struct NoModules;

impl ModuleSource for NoModules {
    fn module(&self, _code: &str) -> Option<Result<Source, UnreadableModule>> {
        None
    }

    fn module_codes(&self) -> Vec<String> {
        Vec::new()
    }
}

fn limits() -> Limits {
    Limits { fuel: 20_000_000_000, heap_bytes_max: 40 << 20, ..Limits::default() }
}

pub(crate) fn main() {
    let arguments: Vec<String> =
        std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    let number = |index: usize| arguments.get(index).and_then(|n| n.parse().ok()).expect("a number");
    let (every, skip, one_of): (usize, usize, u32) = (number(0), number(1), number(2) as u32);
    let mut files = Vec::new();
    for path in &arguments[3..] {
        collect(Path::new(path), &mut files);
    }
    files.sort();
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let sandbox = Sandbox::new(&SandboxConfig::default()).expect("the engine compiles");
    let mut harnesses = HashMap::new();
    let (mut run, mut different, mut left, mut functions, mut of_functions) = (0, 0, 0, 0, 0);
    let mut ends: HashMap<String, u32> = HashMap::new();
    for (index, path) in files.iter().enumerate().skip(skip).step_by(every) {
        let Some(bytecode) = runtime.block_on(bytecode(&sandbox, path, &mut harnesses)) else { continue };
        let stress = Stress { one_of, seed: index as u32 };
        let compiled = sandbox.parts.compiled_page(&bytecode, "", stress).expect("the page is not too large");
        let Some(compiled) = compiled else {
            left += 1;
            continue;
        };
        functions += compiled.compiled.map_or(0, |compiled| compiled.functions);
        of_functions += compiled.compiled.map_or(0, |compiled| compiled.of_functions);
        run += 1;
        let component = sandbox.parts.page(&bytecode, "").expect("the page is not too large");
        let interpreted = end(&runtime, &sandbox, &component);
        let compiled = end(&runtime, &sandbox, &compiled.component);
        *ends.entry(interpreted.chars().take(12).collect()).or_default() += 1;
        if interpreted != compiled {
            different += 1;
            println!("DIFFERENT {}\n  interpreted {interpreted}\n  compiled    {compiled}", path.display());
        }
    }
    println!(
        "{run} scripts run, {left} left to the interpreter, {different} different; {functions} of {of_functions} functions compiled; {ends:?}"
    );
}

async fn bytecode(
    sandbox: &Sandbox,
    path: &Path,
    harnesses: &mut HashMap<PathBuf, Harness>,
) -> Option<Vec<u8>> {
    let file = path.display().to_string();
    if path.extension()? == "html" {
        let text = std::fs::read_to_string(path).ok()?;
        let page = PageSource::new(Source { file, text }).ok()?;
        let built = page.build(sandbox, &NoModules, &limits(), "").await.ok()??;
        return bytecode_of(&built.component).map(<[u8]>::to_vec);
    }
    let root = path.ancestors().find(|folder| folder.join("harness").is_dir());
    let text = match root {
        Some(root) => {
            let harness = Harness { dir: root.join("harness"), files: HashMap::new() };
            Case::read(path, harnesses.entry(root.to_owned()).or_insert(harness))?.source
        }
        None => std::fs::read_to_string(path).ok()?,
    };
    let source = Source { file, text: text.clone() };
    let file = ScriptFile { source: Arc::new(source), script: text.as_str().into() };
    let mut quota = CompileQuota::new(&limits(), "");
    let graph = modules::compile(sandbox, file, &NoModules, &limits(), &mut quota).await.ok()?;
    Some(graph.bytecode)
}

/// What a run did. The clock and random numbers are the same in each.
fn end(runtime: &Runtime, sandbox: &Sandbox, component: &[u8]) -> String {
    let script = match sandbox.load(component) {
        Ok(script) => script,
        Err(error) => return format!("not loaded: {error:?}"),
    };
    let context = RunContext {
        limits: limits(),
        clock: Clock::Fixed(1_700_000_000_000),
        seed: Some(1),
        ..RunContext::default()
    };
    let report = runtime.block_on(sandbox.run(&script, context)).expect("a sandbox is free");
    let effects = report.effects;
    format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        report.outcome, report.failure, effects.status, effects.variables, effects.stop, effects.console
    )
}

fn collect(path: &Path, files: &mut Vec<PathBuf>) {
    if path.is_file() {
        files.push(path.to_owned());
    }
    let Ok(entries) = std::fs::read_dir(path) else { return };
    for path in entries.filter_map(|entry| Some(entry.ok()?.path())) {
        if path.is_dir() {
            collect(&path, files);
        } else if path.extension().is_some_and(|extension| extension == "js" || extension == "html") {
            files.push(path);
        }
    }
}
