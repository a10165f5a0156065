//! Runs in the sandbox: their costs, their limits, and that each is fresh.

use sluice_limits::Limits;
use sluice_page::PageSource;
use sluice_page::modules::{self, ModuleSource, ScriptFile, UnreadableModule};
use sluice_sandbox::compile::CompileQuota;
use sluice_sandbox::component::EngineParts;
use sluice_sandbox::engine::ENGINE_WASM;
use sluice_sandbox::outcome::Outcome;
use sluice_sandbox::{RunContext, RunReport, Sandbox, SandboxConfig, Script};
use sluice_text::source::Source;

use crate::harness::sandbox;

struct NoModules;

impl ModuleSource for NoModules {
    fn module(&self, _code: &str) -> Option<Result<Source, UnreadableModule>> {
        None
    }

    fn module_codes(&self) -> Vec<String> {
        Vec::new()
    }
}

pub(crate) fn block_on<F: Future>(future: F) -> F::Output {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

/// Compiles a script to its bytecode and its component.
pub(crate) async fn build(sandbox: &Sandbox, source: &str) -> (Vec<u8>, Vec<u8>) {
    let file = ScriptFile {
        source: Source { file: "pages/test.html".into(), text: source.into() }.into(),
        script: source.into(),
    };
    let limits = Limits::default();
    let mut quota = CompileQuota::new(&limits, "");
    let graph = modules::compile(sandbox, file, &NoModules, &limits, &mut quota).await.unwrap();
    let component = sandbox.parts.page(&graph.bytecode, &graph.source_hash).unwrap();
    (graph.bytecode, component)
}

async fn script(sandbox: &Sandbox, source: &str) -> Script {
    sandbox.load(&build(sandbox, source).await.1).unwrap()
}

async fn run(sandbox: &Sandbox, script: &Script) -> RunReport {
    sandbox.run(script, RunContext::default()).await.unwrap()
}

#[test]
fn compilation_counts_toward_the_memory_of_the_process() {
    block_on(async {
        // Less than the compilation can take. It must not wait, but runs do meanwhile.
        let config = SandboxConfig { process_bytes_max: 80 << 20, ..SandboxConfig::default() };
        let sandbox = sandbox(&config);
        let other = script(&sandbox, "").await;
        let long = "setVariable('a', 'some text');\n".repeat(20_000);
        let mut compiling = std::pin::pin!(build(&sandbox, &long));
        let mut running = std::pin::pin!(run(&sandbox, &other));
        let first = std::future::poll_fn(|context| {
            std::task::Poll::Ready(compiling.as_mut().poll(context).is_pending())
        });
        assert!(first.await, "it pauses");
        let reserved = sandbox.memory.usage().reserved;
        assert!(reserved >= Limits::default().compile_memory_bytes_max, "{reserved}");
        let second = std::future::poll_fn(|context| {
            std::task::Poll::Ready(running.as_mut().poll(context).is_pending())
        });
        assert!(second.await, "there is no memory for a run");
        compiling.await;
        assert_eq!(running.await.outcome, Outcome::Ok);
        assert_eq!(sandbox.memory.usage().reserved, 0);
    });
}

#[test]
fn pages_are_small() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        for source in ["", &"setVariable('a', 'some text');\n".repeat(500)] {
            let (bytecode, component) = build(&sandbox, source).await;
            let machine_code = sandbox.load(&component).unwrap().machine_code_bytes;
            let over = component.len() - bytecode.len();
            assert!(over <= 24 << 10, "the component is {over} bytes larger than its bytecode");
            let over = machine_code.saturating_sub(bytecode.len());
            assert!(over <= 64 << 10, "the machine code is {over} bytes larger than the bytecode");
        }
    });
}

#[test]
fn each_run_has_its_own_random_numbers_and_the_right_time() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let script = script(
            &sandbox,
            "setVariable('random', Array.from({ length: 4 }, Math.random)); setVariable('now', Date.now());",
        )
        .await;
        let before = sluice_kit::clock::now_ms();
        let (first, second) = (run(&sandbox, &script).await, run(&sandbox, &script).await);
        let after = sluice_kit::clock::now_ms();
        let (first, second) = (first.effects.variables, second.effects.variables);
        assert_ne!(first["random"], second["random"]);
        for number in first["random"].as_array().unwrap() {
            assert!((0.0..1.0).contains(&number.as_f64().unwrap()), "{number}");
        }
        for now in [&first["now"], &second["now"]] {
            assert!((before..=after).contains(&now.as_i64().unwrap()), "{now}");
        }
    });
}

#[test]
fn runs_share_no_state() {
    block_on(async {
        let config = SandboxConfig { concurrent_runs_max: 1, ..SandboxConfig::default() };
        let sandbox = sandbox(&config);
        let script = script(
            &sandbox,
            "setVariable('seen', [globalThis.leak, ({}).leak, [].leak, Math.leak, typeof Array.prototype.map]);
             globalThis.leak = 1; Object.prototype.leak = 2; Array.prototype.leak = 3; Math.leak = 4;
             delete Array.prototype.map;",
        )
        .await;
        for _ in 0..3 {
            let seen = run(&sandbox, &script).await.effects.variables["seen"].to_string();
            assert_eq!(seen, r#"[null,null,null,null,"function"]"#);
        }
    });
}

#[test]
fn same_run_uses_the_same_fuel() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let script =
            script(&sandbox, "let s = 0; for (let i = 0; i < 1000; i++) s += i; setVariable('s', s);").await;
        let fuel = run(&sandbox, &script).await.fuel;
        assert!(fuel > 0);
        for _ in 0..3 {
            assert_eq!(run(&sandbox, &script).await.fuel, fuel);
        }
    });
}

#[test]
fn host_calls_use_fuel() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let fuel = async |source: &str| run(&sandbox, &script(&sandbox, source).await).await.fuel;
        let one = fuel("session.get('a')").await;
        let more = fuel("for (let i = 0; i < 100; i++) session.get('a')").await;
        assert!(more - one > 99 * 10_000, "99 further calls cost {}", more - one);
        let short = fuel("session.get('a'.repeat(10))").await;
        let long = fuel("session.get('a'.repeat(10_010))").await;
        assert!(long - short > 10_000 * 10, "10,000 further bytes cost {}", long - short);
        let now = fuel("for (let i = 0; i < 101; i++) Date.now()").await
            - fuel("for (let i = 0; i < 1; i++) Date.now()").await;
        assert!(now > 100 * 10_000, "reading the clock 100 times cost {now}");
    });
}

#[test]
fn loop_of_host_calls_runs_out_of_fuel() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let mut context = RunContext::default();
        context.limits.fuel = 10_000_000;
        let script = script(&sandbox, "while (true) session.get('a')").await;
        let report = sandbox.run(&script, context).await.unwrap();
        assert_eq!(report.outcome, Outcome::Fuel);
        assert_eq!(report.fuel, 10_000_000);
    });
}

#[test]
fn stops_a_run_at_its_time_limit() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let mut context = RunContext::default();
        context.limits.fuel = u64::MAX / 2;
        context.limits.wall_ms_max = 50;
        let script = script(&sandbox, "setVariable('before', 1); while (true) {}").await;
        let report = sandbox.run(&script, context).await.unwrap();
        assert_eq!(report.outcome, Outcome::Timeout);
        assert_eq!(report.effects.variables["before"], 1);
    });
}

#[test]
fn deep_recursion_ends_only_its_run() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let thrown = script(&sandbox, "setVariable('before', 1);\nfunction f() { f() }\nf();").await;
        let report = run(&sandbox, &thrown).await;
        let failure = report.failure.unwrap();
        assert_eq!((report.outcome, failure.name.as_str()), (Outcome::Stack, "RangeError"));
        assert_eq!((failure.file.as_str(), failure.line), ("pages/test.html", 2), "{failure}");
        assert_eq!(report.effects.variables["before"], 1);
        // A script cannot catch the recursion of the parser, which uses another stack.
        let parsed =
            script(&sandbox, "setVariable('before', 1); try { JSON.parse('['.repeat(1e5)) } catch {}").await;
        let report = run(&sandbox, &parsed).await;
        assert_eq!(report.outcome, Outcome::Stack);
        assert_eq!(report.effects.variables["before"], 1);
        let next = script(&sandbox, "setVariable('fine', 1)").await;
        assert_eq!(run(&sandbox, &next).await.outcome, Outcome::Ok);
    });
}

#[test]
fn busy_scripts_take_turns() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let loops = ["while (true) {}", "while (true) session.get('a')"];
        let quick = script(&sandbox, "setVariable('done', 1)").await;
        for source in loops {
            let endless = script(&sandbox, source).await;
            let mut context = RunContext::default();
            context.limits.fuel = u64::MAX / 2;
            tokio::select! {
                biased;
                _ = sandbox.run(&endless, context) => panic!("an endless loop ended"),
                report = run(&sandbox, &quick) => assert_eq!(report.outcome, Outcome::Ok, "next to {source}"),
            }
        }
    });
}

#[test]
fn components_are_valid_and_name_their_engine() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let (_, component) = build(&sandbox, "setVariable('a', 1)").await;
        wasmparser::Validator::new().validate_all(&component).unwrap();

        let mut other = EngineParts::new(ENGINE_WASM).unwrap();
        other.version = "0".repeat(64);
        let foreign = other.page(b"", "").unwrap();
        let refused = sandbox.load(&foreign).err().unwrap().to_string();
        assert!(refused.contains("built for engine 000000000000"), "{refused}");
        assert!(refused.contains(&sandbox.parts.version[..12]), "{refused}");
        assert!(refused.contains("sluice build"), "{refused}");
    });
}

#[test]
fn script_blocks_of_a_page_share_one_quota() {
    block_on(async {
        let sandbox = sandbox(&SandboxConfig::default());
        let built = async |blocks: usize, compile_fuel: u64| {
            let text = "<script scope=\"backend\">f()</script>".repeat(blocks);
            let parts = PageSource::new(Source { file: "pages/test.html".into(), text }).unwrap();
            let limits = Limits { compile_fuel, ..Limits::default() };
            parts.build(&sandbox, &NoModules, &limits, "demo").await.map(|_| ())
        };
        // The least fuel, but for a factor of two, with which a page of two blocks compiles.
        let mut fuel = 1_000;
        while built(2, fuel).await.is_err() {
            fuel *= 2;
        }
        let error = built(100, 8 * fuel).await.unwrap_err().to_string();
        assert!(error.contains("while compiling") && error.contains("fuel"), "{error}");
        built(100, 200 * fuel).await.unwrap();
    });
}
