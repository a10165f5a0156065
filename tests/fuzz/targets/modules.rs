//! Checks that every set of modules either compiles or gives an error whose place exists, without a panic of
//! the host.
//!
//! The input consists of the page and the modules `a`, `b` and `c`, separated by lines of `---`.

#![no_main]

use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use sluice_limits::Limits;
use sluice_page::modules::{CompileError, ModuleSource, UnreadableModule, compile};
use sluice_page::modules::{ScriptFile, script_file};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::{Sandbox, SandboxConfig};
use sluice_text::source::Source;

static HOST: LazyLock<(tokio::runtime::Runtime, Sandbox)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let config = SandboxConfig { concurrent_runs_max: 2, ..SandboxConfig::default() };
    let sandbox = runtime.block_on(async { Sandbox::new(&config) }).expect("a sandbox");
    (runtime, sandbox)
});

const CODES: [&str; 3] = ["a", "b", "c"];

struct Modules<'a>(Vec<&'a str>);

impl ModuleSource for Modules<'_> {
    fn module(&self, code: &str) -> Option<Result<Source, UnreadableModule>> {
        let at = CODES.iter().position(|name| *name == code)?;
        let text = self.0.get(at)?;
        Some(Ok(Source { file: format!("modules/{code}.js"), text: (*text).to_owned() }))
    }

    fn module_codes(&self) -> Vec<String> {
        CODES.map(str::to_owned).to_vec()
    }
}

fuzz_target!(|text: &str| {
    let mut parts = text.split("\n---\n");
    let page = Source { file: "pages/p.html".into(), text: parts.next().unwrap_or_default().to_owned() };
    let modules = Modules(parts.collect());
    let Ok(page): Result<ScriptFile, _> = script_file(page) else { return };
    let (runtime, sandbox) = &*HOST;
    let limits = Limits { compile_fuel: 20_000_000, ..Limits::default() };
    let mut quota = CompileQuota::new(&limits, "demo");
    let lines = |file: &str| match file {
        "pages/p.html" => Some(page.source.text.split('\n').count()),
        other => {
            let code = other.strip_prefix("modules/")?.strip_suffix(".js")?;
            let at = CODES.iter().position(|name| *name == code)?;
            Some(modules.0.get(at)?.split('\n').count())
        }
    };
    let sources = page.clone();
    match runtime.block_on(compile(sandbox, sources, &modules, &limits, &mut quota)) {
        Ok(graph) => assert!(!graph.bytecode.is_empty()),
        Err(CompileError::Author(failure)) => {
            assert!(!failure.message.is_empty());
            if !failure.file.is_empty() {
                let count = lines(&failure.file).expect("the file is one of the input's");
                assert!(failure.line as usize <= count, "{failure:?} has only {count} lines");
            }
        }
        Err(error) => panic!("the host failed: {error}"),
    }
});
