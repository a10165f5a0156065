//! Compares compiled pages with interpreted ones and with native QuickJS: time, fuel, sizes. The sides take turns;
//! the shortest time counts.

#![allow(clippy::expect_used, clippy::print_stdout, reason = "a bench ends at the first failure and prints")]

#[allow(dead_code, reason = "shared with another bench")]
#[path = "../script/native.rs"]
mod native;
#[allow(dead_code, reason = "shared with another bench")]
#[path = "../script/page.rs"]
mod page;
#[allow(dead_code, reason = "shared with another bench")]
#[path = "../script/programs.rs"]
mod programs;

use std::time::{Duration, Instant};

use page::Page;
use sluice_aot::Stress;
use sluice_sandbox::component::bytecode_of;
use sluice_sandbox::{RunContext, Sandbox, SandboxConfig, Script};
use tokio::runtime::{Builder, Runtime};

const PAGES: [Page; 4] = [
    Page { name: "empty", html: include_str!("../pages/empty.html") },
    Page { name: "session", html: include_str!("../pages/session.html") },
    Page { name: "fib", html: include_str!("../pages/fib.html") },
    Page {
        name: "function",
        html: "<script scope=\"backend\">const f = (a) => a + 1; let x = f(1);</script>",
    },
];

fn main() {
    let mut arguments = std::env::args().skip(1).filter(|argument| !argument.starts_with('-'));
    let rounds: u32 = arguments.next().and_then(|rounds| rounds.parse().ok()).unwrap_or(3);
    let only = arguments.next().unwrap_or_default();
    let runtime = Builder::new_current_thread().enable_time().build().expect("a runtime starts");
    let sandbox = Sandbox::new(&SandboxConfig::default()).expect("the engine compiles");
    println!(
        "page native_us interpreted_us compiled_us i/n c/n c/i fuel_i fuel_c functions bytecode component_i component_c machine_i machine_c compile_ms"
    );
    let mut logs = [0.0_f64; 2];
    let mut count = 0.0;
    for page in PAGES.iter().chain(programs::pages()) {
        if !only.is_empty() && !only.split(',').any(|name| page.name.contains(name)) {
            continue;
        }
        let component = runtime.block_on(page.component(&sandbox));
        let bytecode = bytecode_of(&component).expect("a page has bytecode");
        let interpreted = sandbox.load(&component).expect("the component loads");
        let compiled_page =
            sandbox.parts.compiled_page(bytecode, "", Stress::default()).expect("the page is not too large");
        let Some(compiled_page) = compiled_page else {
            println!("{}: nothing is compiled", page.name);
            continue;
        };
        let begun = Instant::now();
        let compiled = sandbox.load(&compiled_page.component).expect("the compiled component loads");
        let compile = begun.elapsed();
        let javascript = page.javascript();
        if let Some(runs) = std::env::var("SLUICE_AOT_RUNS").ok().and_then(|runs| runs.parse().ok()) {
            for _ in 0..runs {
                run(&runtime, &sandbox, &compiled);
            }
            continue;
        }
        let mut best = [Duration::MAX; 3];
        let mut fuel = [0; 2];
        let mut answers = [String::new(), String::new()];
        for _ in 0..rounds {
            for _ in 0..5 {
                // What ran before must not decide how warm the caches are.
                run(&runtime, &sandbox, &compiled);
                native::run(&javascript);
                best[0] = best[0].min(time(|| {
                    native::run(&javascript);
                }));
                for (index, script) in [&interpreted, &compiled].into_iter().enumerate() {
                    run(&runtime, &sandbox, script);
                    let (spent, used, answer) = run(&runtime, &sandbox, script);
                    best[index + 1] = best[index + 1].min(spent);
                    fuel[index] = used;
                    answers[index] = answer;
                }
            }
        }
        if answers[0] != answers[1] {
            println!("{}: DIFFERENT: {} and {}", page.name, answers[0], answers[1]);
        }
        let us = best.map(|best| best.as_secs_f64() * 1e6);
        let info = compiled_page.compiled.as_ref().expect("functions are compiled");
        println!(
            "{} {:.1} {:.1} {:.1} {:.2} {:.2} {:.2} {} {} {}/{} {} {} {} {} {} {:.1}",
            page.name,
            us[0],
            us[1],
            us[2],
            us[1] / us[0],
            us[2] / us[0],
            us[2] / us[1],
            fuel[0],
            fuel[1],
            info.functions,
            info.of_functions,
            bytecode.len(),
            component.len(),
            compiled_page.component.len(),
            interpreted.machine_code_bytes,
            compiled.machine_code_bytes,
            compile.as_secs_f64() * 1e3,
        );
        if page.name.starts_with("program") {
            logs[0] += (us[1] / us[0]).ln();
            logs[1] += (us[2] / us[0]).ln();
            count += 1.0;
        }
    }
    println!(
        "geometric mean: interpreted {:.2}, compiled {:.2}",
        (logs[0] / count).exp(),
        (logs[1] / count).exp()
    );
}

fn time(work: impl FnOnce()) -> Duration {
    let begun = Instant::now();
    work();
    begun.elapsed()
}

fn run(runtime: &Runtime, sandbox: &Sandbox, script: &Script) -> (Duration, u64, String) {
    let context = RunContext::default();
    let begun = Instant::now();
    let report = runtime.block_on(sandbox.run(script, context)).expect("a sandbox is free");
    let spent = begun.elapsed();
    let answer = format!(
        "{:?} {:?} {:?}",
        report.outcome,
        report.failure,
        (report.effects.variables, report.effects.stop)
    );
    (spent, report.fuel, answer)
}
