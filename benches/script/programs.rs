//! Sixteen programs of a few milliseconds each: what single parts of the engine cost next to native
//! QuickJS.

use std::time::Duration;

use sluice_benches::medians::Medians;

use crate::page::Page;

/// The parts of the engine that a program measures. They have their own goals.
#[derive(Clone, Copy)]
enum Kind {
    Computes,
    Text,
    Json,
}

impl Kind {
    /// The greatest ratio to native QuickJS.
    fn goal(self) -> f64 {
        match self {
            Self::Computes => 1.3,
            Self::Text => 1.0,
            Self::Json => 0.8,
        }
    }
}

/// The goal for the geometric mean of all ratios.
const MEAN_GOAL: f64 = 0.6;

struct Program {
    what: &'static str,
    kind: Kind,
    page: Page,
}

macro_rules! program {
    ($kind:ident, $name:literal, $what:literal) => {
        Program {
            what: $what,
            kind: Kind::$kind,
            page: Page {
                name: concat!("program_", $name),
                html: concat!(
                    "<script scope=\"backend\">\n",
                    include_str!(concat!("../programs/", $name, ".js")),
                    "</script>"
                ),
            },
        }
    };
}

const PROGRAMS: [Program; 16] = [
    program!(Computes, "fib", "recursive fib(24)"),
    program!(Computes, "integers", "loop over integers"),
    program!(Computes, "floats", "floating-point numbers"),
    program!(Computes, "sieve", "sieve of Eratosthenes"),
    program!(Computes, "sort", "sort with a callback"),
    program!(Computes, "quicksort", "quicksort in JavaScript"),
    program!(Computes, "methods", "methods and properties"),
    program!(Computes, "callbacks", "filter, map, reduce"),
    program!(Computes, "map", "Map"),
    Program {
        what: "page that computes",
        kind: Kind::Computes,
        page: Page { name: "program_cpu", html: include_str!("../compare/pages/cpu.html") },
    },
    program!(Text, "append", "text with +="),
    program!(Text, "join", "list of HTML, joined"),
    program!(Text, "regex", "replace with a regex"),
    program!(Text, "split", "split, map, join"),
    program!(Text, "text_page", "page of text"),
    program!(Json, "json", "JSON there and back"),
];

/// The pages of the programs, in the order of the table.
pub(crate) fn pages() -> impl Iterator<Item = &'static Page> {
    const { &PROGRAMS }.iter().map(|program| &program.page)
}

/// Prints the lines of the programs that were measured. `print_line` gets a line's title, the time in native
/// QuickJS, the time in a sandbox, the ratio and its goal.
pub(crate) fn print(
    medians: &Medians,
    side: &str,
    print_line: impl Fn(&str, Option<Duration>, Option<Duration>, Option<f64>, f64),
) {
    let mut ratios = Vec::new();
    for program in const { &PROGRAMS } {
        let group = program.page.name;
        let ratio = medians.ratio(group, side, "native");
        ratios.extend(ratio);
        let goal = program.kind.goal();
        print_line(program.what, medians.of(group, "native"), medians.of(group, side), ratio, goal);
    }
    let mean = (ratios.len() == PROGRAMS.len())
        .then(|| (ratios.iter().map(|ratio| ratio.ln()).sum::<f64>() / PROGRAMS.len() as f64).exp());
    print_line("geometric mean", None, None, mean, MEAN_GOAL);
}
