//! What watches requests. The journey tells one [`Observation`] what happened; which
//! observers listen (trace and metrics, the log, the execution log, development mode,
//! authors' tools) is not the journey's business.

mod executions;
mod run_log;
mod trace;

use std::sync::Arc;

use sluice_page::{Page, PageScript};
use sluice_sandbox::RunReport;
use sluice_sandbox::observer::RunObserver;
use sluice_sandbox::outcome::Failure;
use sluice_site::Brand;
use sluice_telemetry::trace::Trace;

use crate::request::PageRequest;
use crate::response::Reply;
pub(crate) use executions::ExecutionObserver;
pub(crate) use run_log::RunLogObserver;

/// Watches requests, for as long as the process lives.
pub trait Observer: Send + Sync {
    /// Begins to watch one request. `trace` is the request's.
    fn begin(&self, request: &PageRequest, trace: &Trace) -> Box<dyn RequestObserver>;
}

/// Watches one request.
pub trait RequestObserver: Send + Sync {
    /// Something happened to the request.
    fn notice(&mut self, event: &Event<'_>);

    /// The reply is complete, but not compressed yet. Development mode adds its half of the
    /// browser; other observers leave the reply as it is.
    fn finish(&mut self, _request: &PageRequest, _reply: &mut Reply) {}
}

/// What happens to a request, in this order; every event at most once.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// No brand answers to the request's host.
    BrandUnknown {
        /// As the request names it.
        host: &'a str,
    },
    /// The host belongs to a brand.
    BrandFound {
        /// The brand.
        brand: &'a Arc<Brand>,
    },
    /// A page answers.
    PageFound {
        /// The page's brand.
        brand: &'a Arc<Brand>,
        /// The page.
        page: &'a Page,
    },
    /// A file of `public/` answers.
    FileFound {
        /// The file's brand.
        brand: &'a Arc<Brand>,
    },
    /// The request is rejected without a run.
    Rejected {
        /// `rate` or `overload`, as the metric names it.
        reason: &'static str,
    },
    /// The page's script ended, or the page has none that can run.
    RunEnded {
        /// The page's brand.
        brand: &'a Arc<Brand>,
        /// The page.
        page: &'a Page,
        /// As the script saw it.
        request: &'a PageRequest,
        /// What the page has for a script.
        script: &'a PageScript,
        /// What the script did.
        report: &'a RunReport,
    },
    /// The template replaced URLs that could run scripts.
    UrlsBlocked {
        /// One sentence for each.
        warnings: &'a [String],
    },
    /// The template could not be rendered.
    TemplateFailed {
        /// Why, in the author's terms.
        failure: &'a Failure,
    },
    /// The database did not take what the request changed in the session.
    SessionNotSaved,
    /// The page's reply is complete, and the session is saved or could not be.
    PageAnswered {
        /// What the visitor gets.
        reply: &'a Reply,
    },
}

/// One request under observation: its trace, and who else is told what happens to it.
#[derive(Default)]
pub struct Observation {
    trace: Trace,
    /// The run's part of the trace.
    run: Trace,
    observers: Vec<Box<dyn RequestObserver>>,
    run_observer: Option<Arc<dyn RunObserver>>,
}

impl Observation {
    /// An observation with a trace; the default has one that records nothing.
    pub fn of_trace(trace: Trace) -> Self {
        Self { trace, ..Self::default() }
    }

    /// Adds an observer of this request.
    pub fn add(&mut self, observer: Box<dyn RequestObserver>) {
        self.observers.push(observer);
    }

    /// Sets the observer that is told what the run asks of the host.
    pub fn set_run_observer(&mut self, observer: Arc<dyn RunObserver>) {
        self.run_observer = Some(observer);
    }

    /// The request's trace.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Tells every observer.
    pub(crate) fn tell(&mut self, event: Event<'_>) {
        trace::notice(&self.trace, &self.run, &event);
        for observer in &mut self.observers {
            observer.notice(&event);
        }
    }

    /// Begins the run's part of the trace.
    pub(crate) fn begin_run(&mut self) -> Trace {
        self.run = self.trace.child("run");
        self.run.clone()
    }

    /// Who is told what the run asks of the host.
    pub(crate) fn run_observer(&self) -> Option<Arc<dyn RunObserver>> {
        self.run_observer.clone()
    }

    /// Shows the reply to every observer.
    pub(crate) fn finish(&mut self, request: &PageRequest, reply: &mut Reply) {
        for observer in &mut self.observers {
            observer.finish(request, reply);
        }
    }
}
