//! Checks that a script does the same whether it is interpreted or compiled. The input says which program is
//! generated; an input that begins with `//` is a script itself.

#![no_main]

mod program;

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use sluice_aot::Stress;
use sluice_kit::clock::Clock;
use sluice_limits::Limits;
use sluice_page::modules::{ModuleSource, ScriptFile, UnreadableModule, compile};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig};
use sluice_text::source::Source;

static HOST: LazyLock<(tokio::runtime::Runtime, Sandbox)> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let config = SandboxConfig { concurrent_runs_max: 2, ..SandboxConfig::default() };
    let sandbox = runtime.block_on(async { Sandbox::new(&config) }).expect("a sandbox");
    (runtime, sandbox)
});

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
    Limits { fuel: 1_000_000_000, wall_ms_max: 60_000, compile_fuel: 1_000_000_000, ..Limits::default() }
}

/// Bytecode, if the program has no syntax error.
fn bytecode(program: String) -> Option<Vec<u8>> {
    let (runtime, sandbox) = &*HOST;
    let source = Source { file: "pages/p.html".into(), text: program };
    let script: Arc<str> = source.text.as_str().into();
    let file = ScriptFile { source: Arc::new(source), script };
    let mut quota = CompileQuota::new(&limits(), "demo");
    Some(runtime.block_on(compile(sandbox, file, &NoModules, &limits(), &mut quota)).ok()?.bytecode)
}

/// What a run did, one fact a line. `None` if it was ended by a limit: fuel and memory differ between the tiers.
fn end(component: &[u8]) -> Option<String> {
    let (runtime, sandbox) = &*HOST;
    let script = sandbox.load(component).expect("the component loads");
    let (clock, seed) = (Clock::Fixed(1_700_000_000_000), Some(1));
    let context = RunContext { limits: limits(), clock, seed, ..RunContext::default() };
    let report = runtime.block_on(sandbox.run(&script, context)).expect("a run ends with a report");
    if matches!(report.outcome, Outcome::Fuel | Outcome::Memory | Outcome::Timeout) {
        return None;
    }
    let effects = report.effects;
    let facts = format!(
        "{:?} {:?} {:?} {:?} {:?} {:?}",
        report.outcome, report.failure, effects.status, effects.stop, effects.console, effects.variables
    );
    Some(facts.replace("\", ", "\",\n"))
}

fuzz_target!(|bytes: &[u8]| {
    let (_, sandbox) = &*HOST;
    let stress = match bytes {
        [first, second, ..] => Stress { one_of: u32::from(first % 12), seed: u32::from(*second) },
        _ => Stress::default(),
    };
    let program = program::program(bytes);
    let Some(bytecode) = bytecode(program.clone()) else { return };
    let interpreted = end(&sandbox.parts.page(&bytecode, "").expect("the page is not too large"));
    for stress in [Stress::default(), stress] {
        let page = sandbox.parts.compiled_page(&bytecode, "", stress).expect("the page is not too large");
        let Some(page) = page else { continue };
        let (Some(interpreted), Some(compiled)) = (&interpreted, end(&page.component)) else { continue };
        assert!(*interpreted == compiled, "{stress:?} {program}\n{interpreted}\nCOMPILED\n{compiled}");
    }
});
