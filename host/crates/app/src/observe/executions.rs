//! Records runs in the execution log.

use std::sync::Arc;

use sluice_runs::execution_log::{ExecutionLog, FinishedRun, RequestInfo};
use sluice_telemetry::trace::Trace;

use super::{Event, Observer, RequestObserver};
use crate::request::{Method, PageRequest};

/// Records every request that a page answers.
pub(crate) struct ExecutionObserver(pub(crate) Arc<ExecutionLog>);

struct Execution {
    log: Arc<ExecutionLog>,
    trace_id: String,
    method: Method,
    path: String,
    run: Option<PageRun>,
}

struct PageRun {
    brand: String,
    page: String,
    run: FinishedRun,
}

impl Observer for ExecutionObserver {
    fn begin(&self, request: &PageRequest, trace: &Trace) -> Box<dyn RequestObserver> {
        Box::new(Execution {
            log: Arc::clone(&self.0),
            trace_id: trace.id(),
            method: request.method,
            path: request.raw_path.clone(),
            run: None,
        })
    }
}

impl RequestObserver for Execution {
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::RunEnded { brand, page, script, report, .. } => {
                let trace_id = std::mem::take(&mut self.trace_id);
                let run = FinishedRun::new(report, script.is_ready(), trace_id);
                self.run = Some(PageRun { brand: brand.id.clone(), page: page.file.clone(), run });
            }
            Event::Rejected { reason } => self.log.count_rejected(*reason == "rate"),
            Event::TemplateFailed { failure } => {
                if let Some(PageRun { run, .. }) = &mut self.run {
                    run.template_failed(failure);
                }
            }
            Event::PageAnswered { reply } => {
                let Some(PageRun { brand, page, run }) = self.run.take() else { return };
                let (method, path) = (self.method.name(), self.path.as_str());
                self.log.record(
                    RequestInfo { brand: &brand, page: &page, method, path, job: None },
                    run,
                    reply.status,
                );
            }
            _ => {}
        }
    }
}
