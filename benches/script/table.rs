//! The table at the end: medians, ratios, and whether the goals are met.

use std::time::Duration;

use sluice_sandbox::Sandbox;
use sluice_sandbox::memory_reset::MemoryReset;

use crate::{COMPILED, programs, side};
use sluice_benches::medians::Medians;

/// How many host calls `pages/calls.html` makes.
const CALLS: u32 = 10_000;
/// The goal for compiling a page from its source until it can run.
const COMPILE_GOAL: Duration = Duration::from_millis(15);

/// The group of `pages/fib.html`.
pub(crate) const FIB: &str = "fib";

/// A line of the comparison: a script, the side of the sandbox, and the goal for the
/// ratio of its time to that of native QuickJS.
struct Line {
    what: &'static str,
    group: &'static str,
    side: Side,
    goal: Option<f64>,
}

/// The way to reset memory, or compiled with the way that the machine has.
#[derive(Clone, Copy)]
enum Side {
    Interpreted(MemoryReset),
    Compiled,
}

const SCAN: Side = Side::Interpreted(MemoryReset::Scan);
const REMAP: Side = Side::Interpreted(MemoryReset::Remap);

const fn line(what: &'static str, group: &'static str, side: Side, goal: Option<f64>) -> Line {
    Line { what, group, side, goal }
}

const LINES: [Line; 7] = [
    line("empty script", "empty", SCAN, Some(0.3)),
    line("empty script", "empty", REMAP, Some(0.7)),
    line("session page", "session", SCAN, None),
    line("session page", "session", REMAP, None),
    line("recursive fib(22)", FIB, SCAN, Some(1.8)),
    line("recursive fib(22)", FIB, REMAP, Some(1.8)),
    line("recursive fib(22)", FIB, Side::Compiled, Some(0.4)),
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
    print_program(["a whole program", "native", "sandbox", "ratio", "compiled", "goals", ""]);
    for line in programs::lines(medians, side(sandbox.memory_reset)) {
        let [interpreted, compiled] = line.ratios;
        let is_met = interpreted.zip(compiled).map(|(one, other)| line.goal.is_met([one, other]));
        print_program([
            line.what,
            &line.native.map_or(String::new(), |native| time(Some(native))),
            &line.sandboxed.map_or(String::new(), |sandboxed| time(Some(sandboxed))),
            &factor(interpreted),
            &factor(compiled),
            &line.goal.to_string(),
            is_met.map_or("", verdict),
        ]);
    }
    println!();
    compilation(medians, start_up);
}

fn compare(medians: &Medians, line: &Line, memory_reset: MemoryReset) {
    let side = match line.side {
        Side::Interpreted(memory_reset) => side(memory_reset),
        Side::Compiled => COMPILED,
    };
    let ratio = medians.ratio(line.group, side, "native");
    let verdict = match ratio.zip(line.goal) {
        _ if side == self::side(MemoryReset::Scan) && memory_reset != MemoryReset::Scan => "skipped: kernel",
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

fn print_program([what, native, sandbox, ratio, compiled, goals, verdict]: [&str; 7]) {
    let line = format!("{what:<36}{native:>10}{sandbox:>10}{ratio:>10}{compiled:>10}{goals:>17}  {verdict}");
    println!("{}", line.trim_end());
}
