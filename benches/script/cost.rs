//! What the compiled tier costs and saves besides time: fuel, machine code and the time until a page can run.

use std::time::{Duration, Instant};

use sluice_sandbox::{RunContext, Sandbox};
use tokio::runtime::Runtime;

use crate::page::Page;
use crate::{programs, returning_visitor};

/// The shortest of so many times counts.
const LOADS: u32 = 3;

/// One program in one tier.
struct Cost {
    fuel: u64,
    machine_code_bytes: usize,
    load: Duration,
}

/// Prints a line for each program.
pub(crate) fn print(runtime: &Runtime, tiers: [&Sandbox; 2]) {
    println!();
    println!("{:<36}{:>10}{:>22}{:>22}", "compiled", "fuel", "machine code", "component to code");
    for (what, page) in programs::named_pages() {
        let [interpreted, compiled] = tiers.map(|sandbox| of(runtime, sandbox, page));
        println!(
            "{what:<36}{:>8.2} ×{:>22}{:>22}",
            compiled.fuel as f64 / interpreted.fuel as f64,
            format!("{} → {} KB", interpreted.machine_code_bytes / 1000, compiled.machine_code_bytes / 1000),
            format!("{:.1?} → {:.1?}", interpreted.load, compiled.load),
        );
    }
}

fn of(runtime: &Runtime, sandbox: &Sandbox, page: &Page) -> Cost {
    let component = runtime.block_on(page.component(sandbox));
    let mut load = Duration::MAX;
    for _ in 0..LOADS {
        let begun = Instant::now();
        sandbox.load(&component).expect("the component loads");
        load = load.min(begun.elapsed());
    }
    let script = sandbox.load(&component).expect("the component loads");
    let context = RunContext { session: returning_visitor().into(), ..RunContext::default() };
    let report = runtime.block_on(sandbox.run(&script, context)).expect("a sandbox is free");
    Cost { fuel: report.fuel, machine_code_bytes: script.machine_code_bytes, load }
}
