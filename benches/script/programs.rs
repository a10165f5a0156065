//! Sixteen programs of a few milliseconds each: what single parts of the engine cost next to native
//! QuickJS.

use std::fmt;
use std::time::Duration;

use sluice_benches::medians::Medians;

use crate::COMPILED;
use crate::page::Page;

/// The parts of the engine that a program measures. They have their own goals.
#[derive(Clone, Copy)]
enum Kind {
    Computes,
    Text,
    Json,
}

impl Kind {
    fn goal(self) -> Goal {
        match self {
            Self::Computes => Goal::Each { interpreted: 1.3, compiled: 0.4 },
            Self::Text => Goal::Better(1.0),
            Self::Json => Goal::Better(0.8),
        }
    }
}

/// The greatest ratios to native QuickJS.
#[derive(Clone, Copy)]
pub(crate) enum Goal {
    Each {
        interpreted: f64,
        compiled: f64,
    },
    /// For the better one of both tiers: the time is spent in the runtime, which both share.
    Better(f64),
    Compiled(f64),
}

impl Goal {
    pub(crate) fn is_met(self, ratios: [f64; 2]) -> bool {
        let [interpreted, compiled] = ratios;
        match self {
            Self::Each { interpreted: most, compiled: most_compiled } => {
                interpreted <= most && compiled <= most_compiled
            }
            Self::Better(most) => interpreted.min(compiled) <= most,
            Self::Compiled(most) => compiled <= most,
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Each { interpreted, compiled } => write!(f, "≤ {interpreted:.1}, ≤ {compiled:.1} ×"),
            Self::Better(most) => write!(f, "one ≤ {most:.1} ×"),
            Self::Compiled(most) => write!(f, "≤ {most:.1} ×"),
        }
    }
}

/// The goal for the geometric mean of all ratios.
const MEAN_GOAL: Goal = Goal::Compiled(0.6);

/// A line of the table. The ratios to native QuickJS are of both tiers.
pub(crate) struct Line {
    pub what: &'static str,
    pub native: Option<Duration>,
    pub sandboxed: Option<Duration>,
    pub ratios: [Option<f64>; 2],
    pub goal: Goal,
}

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

/// What each program does, and its page.
pub(crate) fn named_pages() -> impl Iterator<Item = (&'static str, &'static Page)> {
    const { &PROGRAMS }.iter().map(|program| (program.what, &program.page))
}

/// The lines of the programs, and one with the means. `side` has the runs of the interpreter.
pub(crate) fn lines(medians: &Medians, side: &str) -> Vec<Line> {
    let line = |program: &'static Program| {
        let group = program.page.name;
        Line {
            what: program.what,
            native: medians.of(group, "native"),
            sandboxed: medians.of(group, side),
            ratios: [side, COMPILED].map(|side| medians.ratio(group, side, "native")),
            goal: program.kind.goal(),
        }
    };
    let mut lines: Vec<Line> = const { &PROGRAMS }.iter().map(line).collect();
    let mean = |ratio: fn(&Line) -> Option<f64>| {
        let logarithms: Option<Vec<f64>> = lines.iter().map(|line| Some(ratio(line)?.ln())).collect();
        logarithms.map(|logarithms| (logarithms.iter().sum::<f64>() / PROGRAMS.len() as f64).exp())
    };
    let ratios = [mean(|line| line.ratios[0]), mean(|line| line.ratios[1])];
    lines.push(Line { what: "geometric mean", native: None, sandboxed: None, ratios, goal: MEAN_GOAL });
    lines
}
