//! Writes a run to the log: its outcome, its console lines, and where it failed. Queries, bodies
//! and cookies are never logged.

use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLine, Failure};
use sluice_text::bounded::printable_within;

/// The most bytes of a message or of a stack in the log. JSON can double them; a record has at most
/// 64 KiB.
const TEXT_BYTES_MAX: usize = 8 << 10;
/// The most bytes of a console line in the log.
const LINE_BYTES_MAX: usize = 24 << 10;
/// The most bytes of a path in the log.
const PATH_BYTES_MAX: usize = 2 << 10;
/// The most warnings about blocked URLs of one page that are logged.
const WARNINGS_MAX: usize = 20;

/// Logs one run of a page. `method` and `path` are those of the request; `path` does not contain
/// the query.
pub fn record(brand: &str, page: &str, method: &str, path: &str, report: &RunReport) {
    for ConsoleLine { level, text } in &report.effects.console.lines {
        tracing::info!(
            brand,
            page,
            level = level.name(),
            "console: {}",
            printable_within(text, LINE_BYTES_MAX)
        );
    }
    if report.effects.console.dropped > 0 {
        let dropped = report.effects.console.dropped;
        tracing::warn!(brand, page, dropped, "console: lines over the limit were dropped");
    }
    let outcome = report.outcome.name();
    let (fuel, memory_bytes) = (report.fuel, report.memory_bytes_peak);
    let wall_us = u64::try_from(report.wall.as_micros()).unwrap_or(u64::MAX);
    let path = printable_within(path, PATH_BYTES_MAX);
    match &report.failure {
        Some(failure) => {
            let stack = printable_within(&failure.stack, TEXT_BYTES_MAX);
            let failure = shown(failure);
            tracing::warn!(
                brand,
                page,
                method,
                path,
                outcome,
                fuel,
                memory_bytes,
                wall_us,
                stack,
                "{failure}"
            );
        }
        None => tracing::debug!(brand, page, method, path, outcome, fuel, memory_bytes, wall_us, "run"),
    }
}

/// Logs that the template of a page failed after the run.
pub fn template_failed(brand: &str, page: &str, failure: &Failure) {
    tracing::warn!(brand, page, outcome = "template", "{}", shown(failure));
}

/// Logs that the template replaced URLs that could run scripts. Each warning is one sentence.
pub fn template_warned(brand: &str, page: &str, warnings: &[String]) {
    for warning in warnings.iter().take(WARNINGS_MAX) {
        tracing::warn!(brand, page, "{}", printable_within(warning, TEXT_BYTES_MAX));
    }
}

fn shown(failure: &Failure) -> String {
    printable_within(&failure.bounded().to_string(), TEXT_BYTES_MAX)
}
