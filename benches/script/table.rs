//! The table at the end: medians, ratios, and whether the goals are met.

use std::time::Duration;

use sluice_sandbox::Sandbox;
use sluice_sandbox::memory_reset::MemoryReset;

use crate::{programs, side};
use sluice_benches::medians::Medians;

/// How many host calls `pages/calls.html` makes.
const CALLS: u32 = 10_000;
/// The goal for compiling a page from its source until it can run.
const COMPILE_GOAL: Duration = Duration::from_millis(15);

/// A line of the comparison: a script, the way to reset memory, and the goal for the
/// ratio of its time to that of native QuickJS.
struct Line {
    what: &'static str,
    group: &'static str,
    memory_reset: MemoryReset,
    goal: Option<f64>,
}

const fn line(what: &'static str, group: &'static str, memory_reset: MemoryReset, goal: Option<f64>) -> Line {
    Line { what, group, memory_reset, goal }
}

const LINES: [Line; 6] = [
    line("empty script", "empty", MemoryReset::Scan, Some(0.3)),
    line("empty script", "empty", MemoryReset::Remap, Some(0.7)),
    line("session page", "session", MemoryReset::Scan, None),
    line("session page", "session", MemoryReset::Remap, None),
    line("recursive fib(22)", "fib", MemoryReset::Scan, Some(1.8)),
    line("recursive fib(22)", "fib", MemoryReset::Remap, Some(1.8)),
];

pub(crate) fn print(medians: &Medians, sandbox: &Sandbox, start_up: Duration) {
    println!(
        "\nMemory reset on this machine: {:?}, {}.\n",
        sandbox.memory_reset, sandbox.memory_reset_reason
    );
    print_cells(["one run", "native", "sandbox", "ratio", "goal", ""]);
    for line in &LINES {
        compare(medians, line, sandbox.memory_reset);
    }
    one_call(medians, side(sandbox.memory_reset));
    println!();
    print_cells(["a whole program", "native", "sandbox", "ratio", "goal", ""]);
    programs::print(medians, side(sandbox.memory_reset), |what, native, sandboxed, ratio, goal| {
        print_cells([
            what,
            &native.map_or(String::new(), |native| time(Some(native))),
            &sandboxed.map_or(String::new(), |sandboxed| time(Some(sandboxed))),
            &factor(ratio),
            &format!("≤ {goal:.1} ×"),
            ratio.map_or("", |ratio| verdict(ratio <= goal)),
        ]);
    });
    println!();
    compilation(medians, start_up);
}

fn compare(medians: &Medians, line: &Line, memory_reset: MemoryReset) {
    let side = side(line.memory_reset);
    let ratio = medians.ratio(line.group, side, "native");
    let verdict = match ratio.zip(line.goal) {
        _ if line.memory_reset == MemoryReset::Scan && memory_reset != MemoryReset::Scan => "skipped: kernel",
        Some((ratio, goal)) => verdict(ratio <= goal),
        None => "",
    };
    print_cells([
        &format!("{}, {side}", line.what),
        &time(medians.of(line.group, "native")),
        &time(medians.of(line.group, side)),
        &factor(ratio),
        &line.goal.map_or(String::new(), |goal| format!("≤ {goal:.1} ×")),
        verdict,
    ]);
}

fn one_call(medians: &Medians, side: &str) {
    let of = |side| Some(medians.of("calls", side)?.checked_sub(medians.of("empty", side)?)? / CALLS);
    let (native, sandboxed) = (of("native"), of(side));
    let ratio = native.zip(sandboxed).map(|(native, sandboxed)| sandboxed.div_duration_f64(native));
    print_cells(["one session.get in a loop", &time(native), &time(sandboxed), &factor(ratio), "", ""]);
}

fn compilation(medians: &Medians, start_up: Duration) {
    let (build, load) = (medians.of("compile", "build"), medians.of("compile", "load"));
    let both = build.zip(load).map(|(build, load)| build + load);
    let goal = format!("≤ {}", time(Some(COMPILE_GOAL)));
    print_cells(["the session page, compiled", "", "", "", "goal", ""]);
    print_cells(["source to component", "", &time(build), "", "", ""]);
    print_cells(["component to machine code, linked", "", &time(load), "", "", ""]);
    let verdict = both.map_or("", |both| verdict(both <= COMPILE_GOAL));
    print_cells(["both", "", &time(both), "", &goal, verdict]);
    print_cells(["the engine, once at start-up", "", &time(Some(start_up)), "", "", ""]);
}

fn verdict(holds: bool) -> &'static str {
    if holds { "met" } else { "MISSED" }
}

fn time(duration: Option<Duration>) -> String {
    duration.map_or("–".to_owned(), |duration| format!("{duration:.1?}"))
}

fn factor(ratio: Option<f64>) -> String {
    ratio.map_or("–".to_owned(), |ratio| format!("{ratio:.2} ×"))
}

fn print_cells([what, native, sandbox, ratio, goal, verdict]: [&str; 6]) {
    println!("{}", format!("{what:<36}{native:>10}{sandbox:>10}{ratio:>10}{goal:>11}  {verdict}").trim_end());
}
