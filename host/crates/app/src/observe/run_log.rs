//! Writes what runs did to the log.

use sluice_runs::run_log;
use sluice_telemetry::trace::Trace;

use super::{Event, Observer, RequestObserver};
use crate::request::PageRequest;

/// Logs every request that a page answers.
pub(crate) struct RunLogObserver;

/// Brand and file of the page that answers.
#[derive(Default)]
struct RunLog {
    brand: String,
    page: String,
}

impl Observer for RunLogObserver {
    fn begin(&self, _request: &PageRequest, _trace: &Trace) -> Box<dyn RequestObserver> {
        Box::new(RunLog::default())
    }
}

impl RequestObserver for RunLog {
    fn notice(&mut self, event: &Event<'_>) {
        match event {
            Event::RunEnded { brand, page, request, report, .. } => {
                self.brand.clone_from(&brand.id);
                self.page.clone_from(&page.file);
                run_log::record(&brand.id, &page.file, request.method.name(), &request.raw_path, report);
            }
            Event::TemplateWarned { warnings } => run_log::template_warned(&self.brand, &self.page, warnings),
            Event::TemplateFailed { failure } => run_log::template_failed(&self.brand, &self.page, failure),
            _ => {}
        }
    }
}
