//! What `sluice dev` prints: a line for each run and each reload, and mistakes with the lines
//! around them.

use std::collections::HashSet;
use std::io::Write as _;
use std::time::Duration;

use sluice_app::load::ReloadReport;
use sluice_app::response::Reply;
use sluice_kit::terminal::{Style, Tone};
use sluice_runs::execution_log::{FinishedRun, RequestInfo};
use sluice_sandbox::outcome::{ConsoleLine, Level};
use sluice_text::printable::printable;

use super::mistake::Mistake;

/// How many names are listed. Further ones are only counted.
const NAMES_MAX: usize = 3;

/// Writes to standard output.
pub(super) struct Reporter {
    style: Style,
    /// Print mistakes only.
    quiet: bool,
}

impl Reporter {
    pub(super) fn new(quiet: bool) -> Self {
        Self { style: Style::of(&std::io::stdout()), quiet }
    }

    /// Prints a run, such as `200 GET /weight/checkin  ok, 1.2 M fuel, 0.4 ms`, and then the lines
    /// that it logged.
    pub(super) fn run(
        &self,
        asked: RequestInfo<'_>,
        run: &FinishedRun,
        reply: &Reply,
        failed: Option<&Mistake>,
    ) {
        if self.quiet && failed.is_none() {
            return;
        }
        say(&self.run_line(asked, run, reply));
        for ConsoleLine { level, text } in &run.console.lines {
            let tone = match level {
                Level::Error => Tone::Bad,
                Level::Warn => Tone::Warning,
                Level::Debug | Level::Info | Level::Log => Tone::Quiet,
            };
            say(&format!("    {}  {}", self.style.paint(tone, level.name()), printable(text)));
        }
        if run.console.dropped > 0 {
            say(&format!("    {} more lines were dropped", run.console.dropped));
        }
        if let Some(failed) = failed {
            self.mistake(failed);
        }
    }

    /// Prints something about a run that may explain its result.
    pub(super) fn warning(&self, text: &str) {
        if !self.quiet {
            say(&format!("    {}", self.style.paint(Tone::Warning, text)));
        }
    }

    fn run_line(&self, asked: RequestInfo<'_>, run: &FinishedRun, reply: &Reply) -> String {
        let tone = match reply.status {
            ..400 => Tone::Good,
            400..500 => Tone::Warning,
            500.. => Tone::Bad,
        };
        let status = self.style.paint(tone, &reply.status.to_string());
        let cost = match run.has_run {
            true => {
                format!("{}, {} fuel, {}", run.outcome, fuel(run.cost.fuel), milliseconds(run.cost.wall_us))
            }
            false if run.outcome == "ok" => "no script".to_owned(),
            false => format!("{}, did not run", run.outcome),
        };
        let outcome = if run.failure.is_some() { Tone::Bad } else { Tone::Quiet };
        let request = format!("{} {}", asked.method, printable(asked.path));
        let target = reply.header("location").map(|target| format!(", to {}", printable(target)));
        let cost = self.style.paint(outcome, &cost);
        format!("{status} {request:<32} {cost}{}", target.unwrap_or_default())
    }

    /// Prints that the site was loaded. `changed` are the files that changed; it is empty at
    /// start. `broken` are the brands and files of the pages that do not compile.
    pub(super) fn loaded(
        &self,
        changed: &[String],
        report: &ReloadReport,
        broken: &HashSet<(String, String)>,
        took: Duration,
    ) {
        if self.quiet {
            return;
        }
        let names = |is_broken: bool| -> Vec<String> {
            let these = report.compiled.iter().filter(|page| broken.contains(*page) == is_broken);
            these.map(|(_, file)| file.clone()).collect()
        };
        let results = [("compiled", names(false)), ("mistakes in", names(true))];
        let results = results.iter().filter(|(_, files)| !files.is_empty());
        let mut parts: Vec<String> = results.map(|(what, files)| format!("{what} {}", list(files))).collect();
        if parts.is_empty() && !changed.is_empty() && report.site_problems().next().is_none() {
            parts.push("applied".to_owned());
        }
        parts.push(milliseconds(u64::try_from(took.as_micros()).unwrap_or(u64::MAX)));
        let parts = parts.join(", ");
        let line = match changed {
            [] => format!("{} pages, {parts}", report.pages),
            changed => format!("{} changed: {parts}", list(changed)),
        };
        say(&self.style.paint(Tone::Strong, &line));
        for change in &report.crm_changes {
            say(&format!("    crm: {}", printable(change)));
        }
        for problem in report.restarts() {
            let sentence = problem.to_string();
            say(&self.style.paint(Tone::Warning, &format!("    {}", printable(&sentence))));
        }
    }

    /// Prints a finding of the check.
    pub(super) fn finding(&self, text: &str) {
        for line in text.lines() {
            say(&format!("    {line}"));
        }
    }

    /// Prints that the site could not be loaded.
    pub(super) fn not_loaded(&self, changed: &[String]) {
        let line = format!("{} changed, but the site cannot be loaded:", list(changed));
        say(&self.style.paint(Tone::Strong, &line));
    }

    /// Prints a mistake with its place and the lines around it.
    pub(super) fn mistake(&self, mistake: &Mistake) {
        for line in self.mistake_lines(mistake) {
            say(&format!("    {line}"));
        }
    }

    fn mistake_lines(&self, mistake: &Mistake) -> Vec<String> {
        let parts = [mistake.place(), mistake.name.clone(), mistake.message.clone()];
        let sentence = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ");
        let mut lines: Vec<String> =
            sentence.lines().map(|line| self.style.paint(Tone::Bad, &printable(line))).collect();
        for line in &mistake.excerpt {
            let number = self.style.paint(Tone::Quiet, &format!("{:>5} |", line.number));
            lines.push(format!("{number} {}", printable(&line.text)));
            if let Some(mark) = line.mark {
                let under =
                    " ".repeat(printable(&line.text.chars().take(mark).collect::<String>()).chars().count());
                lines.push(format!(
                    "{} {under}{}",
                    self.style.paint(Tone::Quiet, "      |"),
                    self.style.paint(Tone::Bad, "^")
                ));
            }
        }
        lines.extend(mistake.stack.lines().map(|frame| self.style.paint(Tone::Quiet, &printable(frame))));
        if !mistake.note.is_empty() {
            lines.push(printable(&mistake.note));
        }
        lines
    }
}

/// Prints a line. The server goes on if standard output is closed.
fn say(line: &str) {
    let _ = writeln!(std::io::stdout().lock(), "{line}");
}

/// `a, b and 3 more`.
fn list(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(NAMES_MAX).map(|name| printable(name)).collect();
    match names.len().saturating_sub(NAMES_MAX) {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

/// `870`, `34 k`, `1.2 M`.
fn fuel(count: u64) -> String {
    match count {
        ..1_000 => count.to_string(),
        1_000..1_000_000 => format!("{} k", count / 1_000),
        _ => format!("{}.{} M", count / 1_000_000, count / 100_000 % 10),
    }
}

fn milliseconds(microseconds: u64) -> String {
    match microseconds {
        ..100_000 => format!("{}.{} ms", microseconds / 1_000, microseconds / 100 % 10),
        _ => format!("{} ms", microseconds / 1_000),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dev::mistake::ExcerptLine;

    #[test]
    fn abbreviates_fuel_and_times() {
        let shown = [999, 1_000, 34_567, 1_250_000, 2_500_000_000].map(fuel);
        assert_eq!(shown, ["999", "1 k", "34 k", "1.2 M", "2500.0 M"]);
        assert_eq!([450, 12_340, 1_234_567].map(milliseconds), ["0.4 ms", "12.3 ms", "1234 ms"]);
    }

    #[test]
    fn shows_a_mistake_with_its_line_and_without_control_characters() {
        let reporter = Reporter { style: Style::plain(), quiet: false };
        let mistake = Mistake {
            name: "TypeError".into(),
            message: "not\u{1b}[31m a function".into(),
            file: "pages/a.html".into(),
            line: 2,
            column: 3,
            excerpt: vec![ExcerptLine { number: 2, text: "  nope()".into(), mark: Some(2) }],
            stack: "at f (pages/a.html:2:3)".into(),
            ..Mistake::default()
        };
        let lines = reporter.mistake_lines(&mistake);
        assert_eq!(
            lines,
            [
                "pages/a.html:2:3: TypeError: not\\u{1b}[31m a function",
                "    2 |   nope()",
                "      |   ^",
                "at f (pages/a.html:2:3)",
            ]
        );
    }
}
