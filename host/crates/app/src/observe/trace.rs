//! Records what happened in the request's trace and in the metrics.

use opentelemetry::KeyValue;

use sluice_page::PageScript;
use sluice_sandbox::RunReport;
use sluice_sandbox::tier::Tier;
use sluice_telemetry::trace::Trace;

use super::{CacheUse, Event};

/// `run` is the part of `trace` that belongs to the page's run.
pub(super) fn notice(trace: &Trace, run: &Trace, event: &Event<'_>) {
    match event {
        Event::PageFound { brand, page } => trace.page_matched(&brand.id, &page.route),
        Event::FileFound { brand } => trace.page_matched(&brand.id, "/public"),
        Event::Rejected { reason } => trace.rejected(reason),
        Event::RunEnded { brand, script, report, .. } => {
            if matches!(script, PageScript::Ready { .. }) {
                end_run(run, &brand.id, report);
            }
            if let Some(metrics) = trace.metrics()
                && !matches!(script, PageScript::None)
            {
                metrics.run_outcome(&brand.id, report.outcome.name());
            }
        }
        Event::SessionNotSaved => {
            if let Some(metrics) = trace.metrics() {
                metrics.session_not_saved();
            }
        }
        Event::PageCache { brand, used } => {
            trace.note(|| [KeyValue::new("sluice.page_cache", used.label())]);
            if let Some(metrics) = trace.metrics() {
                let reason = match used {
                    CacheUse::Refused(dependence) => Some(dependence.label()),
                    _ => None,
                };
                metrics.page_cache_used(&brand.id, used.label(), reason);
            }
        }
        Event::BrandUnknown { .. }
        | Event::BrandFound { .. }
        | Event::TemplateWarned { .. }
        | Event::TemplateFailed { .. }
        | Event::PageAnswered { .. } => {}
    }
}

/// Records the run of a job in its trace and in the metrics.
pub(crate) fn job_ended(trace: &Trace, run: &Trace, brand: &str, report: &RunReport) {
    end_run(run, brand, report);
    if let Some(metrics) = trace.metrics() {
        metrics.run_outcome(brand, report.outcome.name());
    }
    if report.outcome.is_failure() {
        trace.failed(report.outcome.name());
    }
    trace.end();
}

/// Ends the run's part of the trace and counts the run.
fn end_run(run: &Trace, brand: &str, report: &RunReport) {
    if let Some(metrics) = run.metrics() {
        metrics.run_ended(brand, &report.cost(), report.waited, report.cpu_wait);
        if report.tier == Tier::Compiled {
            metrics.compiled_run_ended(brand);
        }
    }
    run.note(|| {
        [
            KeyValue::new("sluice.run.outcome", report.outcome.name()),
            KeyValue::new("sluice.run.tier", report.tier.name()),
            KeyValue::new("sluice.run.fuel", i64::try_from(report.fuel).unwrap_or(i64::MAX)),
            KeyValue::new("sluice.run.memory", i64::try_from(report.memory_bytes_peak).unwrap_or(i64::MAX)),
        ]
    });
    if report.outcome.is_failure() {
        run.failed(report.outcome.name());
    }
    run.end();
}
