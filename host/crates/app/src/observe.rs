//! Observers of requests. The journey notifies one [`Observation`] of what happened. The journey
//! does not know which observers there are: trace and metrics, the log, the execution log,
//! `sluice dev`, tools for authors.

mod executions;
mod run_log;
mod trace;

use std::sync::Arc;

use sluice_page::{Page, PageScript};
use sluice_page_cache::Dependence;
use sluice_sandbox::RunReport;
use sluice_sandbox::observer::RunObserver;
use sluice_sandbox::outcome::Failure;
use sluice_site::Brand;
use sluice_telemetry::trace::Trace;

use crate::request::PageRequest;
use crate::response::Reply;
pub(crate) use executions::ExecutionObserver;
pub(crate) use run_log::RunLogObserver;
pub(crate) use trace::job_ended;

/// Observes requests as long as the process lives.
pub trait Observer: Send + Sync {
    /// Starts to observe one request. `trace` is the request's trace.
    fn begin(&self, request: &PageRequest, trace: &Trace) -> Box<dyn RequestObserver>;
}

/// Observes one request.
pub trait RequestObserver: Send + Sync {
    /// Something happened to the request.
    fn notice(&mut self, event: &Event<'_>);

    /// Whether the observer shows the visitor's session, so that it is loaded although nothing else asks
    /// for it.
    fn shows_session(&self) -> bool {
        false
    }

    /// The observer of the run, if this one wants to be notified of the run's host calls.
    fn run_observer(&self) -> Option<Arc<dyn RunObserver>> {
        None
    }

    /// The reply is complete, but not compressed yet. `sluice dev` adds its script here; other
    /// observers do not change the reply.
    fn finish(&mut self, _request: &PageRequest, _reply: &mut Reply) {}
}

/// What happens to a request. Events occur in this order, and each at most once.
#[derive(Clone, Copy)]
#[non_exhaustive]
pub enum Event<'a> {
    /// No brand has the request's host.
    BrandUnknown {
        /// The host, as the request names it.
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
        /// `rate` or `overload`, the label of the metric.
        reason: &'static str,
    },
    /// The page's script ended, or the page has none that can run.
    RunEnded {
        /// The page's brand.
        brand: &'a Arc<Brand>,
        /// The page.
        page: &'a Page,
        /// The request, as the script saw it.
        request: &'a PageRequest,
        /// The page's script.
        script: &'a PageScript,
        /// What the script did.
        report: &'a RunReport,
    },
    /// The template replaced URLs that could run scripts, or a call of it was refused.
    TemplateWarned {
        /// A sentence for each.
        warnings: &'a [String],
    },
    /// The template could not be rendered.
    TemplateFailed {
        /// The reason, in the author's terms.
        failure: &'a Failure,
    },
    /// The database did not save the session.
    SessionNotSaved,
    /// The page asks for a cache, and this is what came of it.
    PageCache {
        /// The page's brand.
        brand: &'a Arc<Brand>,
        /// What came of it.
        used: CacheUse<'a>,
    },
    /// The page's reply is complete, and the session is saved or could not be.
    PageAnswered {
        /// What the visitor gets.
        reply: &'a Reply,
    },
}

/// What the page cache has to do with a request.
#[derive(Debug, Clone, Copy)]
pub enum CacheUse<'a> {
    /// A kept answer is fresh.
    Hit,
    /// A kept answer is old, and a new one is made, or that failed.
    Stale,
    /// The answer of this request is kept.
    Miss,
    /// An old answer was replaced in the background. No visitor waited for that.
    Refreshed,
    /// The answer of this request, or the one that was made in the background, is not kept.
    Refused(&'a Dependence),
}

impl CacheUse<'_> {
    /// Its label in metrics and traces.
    pub fn label(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Stale => "stale",
            Self::Miss => "miss",
            Self::Refreshed => "refreshed",
            Self::Refused(_) => "refused",
        }
    }
}

/// The observers of one request: its trace, and the observers that were added.
#[derive(Default)]
pub struct Observation {
    trace: Trace,
    /// The run's part of the trace.
    run: Trace,
    observers: Vec<Box<dyn RequestObserver>>,
    run_observer: Option<Arc<dyn RunObserver>>,
}

impl Observation {
    /// An observation with `trace`. The trace of the default observation records nothing.
    pub fn of_trace(trace: Trace) -> Self {
        Self { trace, ..Self::default() }
    }

    /// Adds an observer of this request. Only one of them can also observe the run.
    pub fn add(&mut self, observer: Box<dyn RequestObserver>) {
        self.run_observer = self.run_observer.take().or_else(|| observer.run_observer());
        self.observers.push(observer);
    }

    /// The request's trace.
    pub fn trace(&self) -> &Trace {
        &self.trace
    }

    /// Notifies every observer.
    pub fn tell(&mut self, event: Event<'_>) {
        trace::notice(&self.trace, &self.run, &event);
        for observer in &mut self.observers {
            observer.notice(&event);
        }
    }

    /// Whether an observer shows the visitor's session.
    pub fn shows_session(&self) -> bool {
        self.observers.iter().any(|observer| observer.shows_session())
    }

    /// Starts the run's part of the trace.
    pub fn begin_run(&mut self) -> Trace {
        self.run = self.trace.child("run");
        self.run.clone()
    }

    /// The observer of the run.
    pub fn run_observer(&self) -> Option<Arc<dyn RunObserver>> {
        self.run_observer.clone()
    }

    /// Lets every observer see and change the complete reply.
    pub fn finish(&mut self, request: &PageRequest, reply: &mut Reply) {
        for observer in &mut self.observers {
            observer.finish(request, reply);
        }
    }
}
