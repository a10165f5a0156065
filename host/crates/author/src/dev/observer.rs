//! Observes each request under `sluice dev`: prints its run, and adds the page's mistakes to the
//! reply.

use std::sync::{Arc, PoisonError};

use sluice_app::observe::{self, RequestObserver};
use sluice_app::request::{Method, PageRequest};
use sluice_app::response::Reply;
use sluice_check as checks;
use sluice_limits::Limits;
use sluice_runs::execution_log::{FinishedRun, RequestInfo};
use sluice_sandbox::observer::RunObserver;
use sluice_sandbox::outcome::Outcome;
use sluice_site::Brand;
use sluice_telemetry::trace::Trace;
use sluice_text::printable::printable;

use super::mistake::Mistake;
use super::runs::Asked;
use super::{Dev, Event, inject};
use crate::watch::Watch;

/// Creates an observer for each request.
pub(super) struct DevObserver(pub(super) Arc<Dev>);

struct DevRequest {
    dev: Arc<Dev>,
    method: Method,
    path: String,
    brand: Option<Arc<Brand>>,
    /// The file of the page that answers.
    page: Option<String>,
    run: Option<PageRun>,
    mistakes: Vec<Mistake>,
    /// Records what the page's script does.
    watch: Arc<Watch>,
    notes: Box<dyn RequestObserver>,
    limits: Option<Limits>,
    /// The id under which the page's run is kept.
    kept: Option<String>,
}

struct PageRun {
    page: String,
    run: FinishedRun,
    /// Why the script did not get the request's body.
    unread: Option<&'static str>,
}

impl observe::Observer for DevObserver {
    fn begin(&self, request: &PageRequest, _trace: &Trace) -> Box<dyn RequestObserver> {
        let watch = Arc::new(Watch::default());
        Box::new(DevRequest {
            notes: watch.observer(),
            watch,
            limits: None,
            kept: None,
            dev: Arc::clone(&self.0),
            method: request.method,
            path: request.raw_path.clone(),
            brand: None,
            page: None,
            run: None,
            mistakes: Vec::new(),
        })
    }
}

impl RequestObserver for DevRequest {
    fn run_observer(&self) -> Option<Arc<dyn RunObserver>> {
        self.notes.run_observer()
    }

    fn notice(&mut self, event: &observe::Event<'_>) {
        self.notes.notice(event);
        match event {
            observe::Event::BrandUnknown { host } => {
                // The author may just have written the wrong host into `brand.toml`.
                let host = printable(host);
                self.mistakes = vec![Mistake::of_sentence(&format!(
                    "no brand serves the host {host}: a brand.toml needs `default = true`, or `domains = [\"{host}\"]`"
                ))];
            }
            observe::Event::BrandFound { brand } => self.brand = Some(Arc::clone(brand)),
            observe::Event::RunEnded { brand, page, request, script, report } => {
                let has_run = script.is_ready();
                let run = FinishedRun::new(report, has_run, String::new());
                let unread = request.body_unread(brand.form_bodies, page.raw_body);
                self.page = Some(page.file.clone());
                self.run = Some(PageRun { page: page.file.clone(), run, unread });
            }
            observe::Event::TemplateFailed { failure } => {
                if let Some(PageRun { run, .. }) = &mut self.run {
                    run.template_failed(failure);
                }
            }
            observe::Event::PageFound { page, .. } => self.limits = Some(page.limits.clone()),
            observe::Event::PageAnswered { reply } => {
                self.keep(reply);
                self.answered(reply);
            }
            _ => {}
        }
    }

    /// Adds the browser's script and the mistakes to an HTML page. A reply to a script in the
    /// browser is not changed; the open pages of the brand show its mistakes.
    fn finish(&mut self, request: &PageRequest, reply: &mut Reply) {
        let dev = &self.dev;
        let mut mistakes = dev.site_mistakes.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let of_reply = std::mem::take(&mut self.mistakes);
        if inject::is_shown(reply, request) {
            mistakes.extend(of_reply);
            let page = self.page.as_deref();
            let findings = match (&self.brand, page) {
                (Some(brand), Some(page)) => dev.findings_of(&brand.id, page),
                _ => Vec::new(),
            };
            let run = self.kept.as_deref();
            let shown = inject::Shown { page, run, mistakes: &mistakes, findings: &findings };
            inject::inject(reply, request.method, dev.generation(), &shown);
        } else if !of_reply.is_empty() {
            let mistakes = Mistake::to_json(&of_reply);
            let brand = self.brand.as_ref().map(|brand| brand.id.clone()).unwrap_or_default();
            // Sending fails if no browser listens.
            let _ = dev.events.send(Event::Failed { brand, mistakes });
        }
    }
}

impl DevRequest {
    /// Keeps what the page's run did, so that the page can show it.
    fn keep(&mut self, reply: &Reply) {
        let Some(limits) = &self.limits else { return };
        let asked = Asked { method: self.method, path: &self.path, status: reply.status, limits };
        self.kept = self.dev.runs.keep(&asked, self.watch.take());
    }

    /// Prints the run, and keeps the page's mistakes.
    fn answered(&mut self, reply: &Reply) {
        let (Some(brand), Some(PageRun { page, run, unread })) = (&self.brand, self.run.take()) else {
            return;
        };
        let problems = || brand.problems.iter().filter(|problem| problem.page == page);
        let mut mistakes: Vec<Mistake> =
            problems().map(|problem| Mistake::of_page(problem, &brand.dir)).collect();
        let is_kept = problems().any(|problem| problem.kept);
        let failed = run.failure.as_ref().map(|failure| match is_kept {
            true => Mistake::of_kept(failure),
            false if run.outcome == Outcome::Compile.name() => {
                Mistake::of_failure(&checks::explained(failure.clone(), &brand.dir), &brand.dir)
            }
            false => Mistake::of_failure(failure, &brand.dir),
        });
        // If the page does not compile, its failure is among the problems already.
        let failed = failed.filter(|failed| !mistakes.iter().any(|known| known.is_same(failed)));
        let asked = RequestInfo {
            brand: &brand.id,
            page: &page,
            method: self.method.name(),
            path: &self.path,
            job: None,
        };
        self.dev.reporter.run(asked, &run, reply, failed.as_ref());
        unread.iter().for_each(|why| self.dev.reporter.warning(why));
        mistakes.extend(failed);
        self.mistakes = mistakes;
    }
}
