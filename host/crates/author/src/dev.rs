//! What `sluice dev` adds to serving: browsers that reload when the site changes, mistakes
//! shown in the page, and a line in the terminal for each run. None of it exists under
//! `sluice serve`.

pub mod check;
mod csp;
mod inject;
mod mistake;
mod observer;
mod report;
mod snapshot;
pub mod watch;

use std::collections::HashSet;
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use sluice_app::load::ReloadReport;
use sluice_check as checks;
use sluice_page::diagnostic::{self, Diagnostic};
use sluice_site::{Brand, Site};

use mistake::Mistake;
use report::Reporter;

/// Where the browser's half comes from, and listens. No page can be here: a file whose
/// name starts with a dot is left out.
pub const CLIENT_PATH: &str = "/.sluice/client.js";
pub const EVENTS_PATH: &str = "/.sluice/events";
pub const CLIENT_JS: &str = include_str!("dev/client.js");

/// Browsers that have fallen so far behind are told to reload.
const EVENTS_WAITING_MAX: usize = 16;

/// What a browser is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The site changed.
    Reload,
    /// A request that a script of the page made has failed; of one brand, as JSON.
    Failed { brand: String, mistakes: String },
}

/// Lives as long as the process.
pub struct Dev {
    /// Tells this process and this state of the site from all others.
    generation: AtomicU64,
    /// What is wrong with the site as a whole.
    site_mistakes: Mutex<Vec<Mistake>>,
    /// What the last check found, wherever it stood.
    found: Mutex<HashSet<String>>,
    events: broadcast::Sender<Event>,
    /// Ends what browsers listen to, so that the server can stop.
    pub stopping: CancellationToken,
    reporter: Reporter,
}

impl Dev {
    /// `quiet`: only mistakes are printed.
    pub fn new(quiet: bool) -> Arc<Self> {
        let mut start = [0; 4];
        // Without random numbers, browsers that were open before a restart may not reload.
        if getrandom::fill(&mut start).is_err() {
            tracing::warn!("the system gives no random numbers");
        }
        Arc::new(Self {
            // Half of it is left for counting; JavaScript's numbers hold 53 bits.
            generation: AtomicU64::new(u64::from(u32::from_le_bytes(start)) << 20),
            site_mistakes: Mutex::default(),
            found: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_WAITING_MAX),
            stopping: CancellationToken::new(),
            reporter: Reporter::new(quiet),
        })
    }

    /// Development mode as the host's observer of requests.
    pub fn observer(self: &Arc<Self>) -> Arc<dyn sluice_app::observe::Observer> {
        Arc::new(observer::DevObserver(Arc::clone(self)))
    }

    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Prints what came of the start.
    pub fn started(&self, site: &Site, took: Duration) {
        let compiled = site
            .brands()
            .flat_map(|brand| brand.compiled.iter().map(|file| (brand.id.clone(), file.clone())));
        let pages = site.brands().map(|brand| brand.pages.pages().count()).sum();
        let report = ReloadReport { pages, compiled: compiled.collect(), ..ReloadReport::default() };
        self.reporter.loaded(&[], &report, &broken(site), took);
        self.report_pages(site);
    }

    /// Notes what came of a reload and tells the browsers.
    pub fn loaded(
        &self,
        changed: &[String],
        site_dir: &Path,
        site: &Site,
        report: &ReloadReport,
        took: Duration,
    ) {
        let of_site = of_settings(&report.site_problems, site_dir);
        self.reporter.loaded(changed, report, &broken(site), took);
        of_site.iter().for_each(|mistake| self.reporter.mistake(mistake));
        self.report_pages(site);
        self.turn(of_site);
    }

    /// What several pages have in common, a layout's mistake perhaps, is told once.
    fn report_pages(&self, site: &Site) {
        for brand in site.brands() {
            let mut told: Vec<Mistake> = Vec::new();
            for problem in &brand.problems {
                let mistake = Mistake::of_page(problem, &brand.dir);
                if !told.iter().any(|known| known.is_same(&mistake)) {
                    self.reporter.mistake(&mistake);
                    told.push(mistake);
                }
            }
        }
    }

    /// Notes that nothing could be taken over, and why.
    pub fn not_loaded(&self, changed: &[String], site_dir: &Path, reason: String) {
        let mistakes = of_settings(&[reason], site_dir);
        self.reporter.not_loaded(changed);
        mistakes.iter().for_each(|mistake| self.reporter.mistake(mistake));
        self.turn(mistakes);
    }

    /// Prints what a check found that the one before had not, but for what is printed of
    /// pages that do not compile.
    fn checked(&self, all: &[Diagnostic], site: &Site, site_dir: &Path) {
        let told: HashSet<(String, u32)> = site
            .brands()
            .flat_map(|brand| brand.problems.iter().map(move |problem| (brand, &problem.failure)))
            .map(|(brand, failure)| (brand, checks::explained(failure.clone(), &brand.dir)))
            .map(|(brand, failure)| (format!("brands/{}/{}", brand.id, failure.file), failure.line))
            .chain(checks::settings_mistakes(site_dir).into_iter().map(|one| (one.file, one.line)))
            .collect();
        let mut known = self.found.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        for one in all.iter().filter(|one| !told.contains(&(one.file.clone(), one.line))) {
            // A line more above it makes nothing new of it.
            let line = one.excerpt.iter().flat_map(|excerpt| excerpt.lines()).next().unwrap_or_default();
            let what = [one.rule.code(), &one.file, &one.message, line].join("\n");
            if !before.contains(&what) {
                self.reporter.found(&diagnostic::human(one));
            }
            known.insert(what);
        }
    }

    fn turn(&self, site_mistakes: Vec<Mistake>) {
        *self.site_mistakes.lock().unwrap_or_else(PoisonError::into_inner) = site_mistakes;
        self.generation.fetch_add(1, Ordering::Relaxed);
        // Nobody may be listening.
        let _ = self.events.send(Event::Reload);
    }
}

/// Settings that cannot be used, with their places; whatever else is wrong, as it was said.
fn of_settings(sentences: &[String], site_dir: &Path) -> Vec<Mistake> {
    if sentences.is_empty() {
        return Vec::new();
    }
    let found = checks::settings_mistakes(site_dir);
    let others = sentences.iter().filter(|sentence| !found.iter().any(|one| sentence.contains(&one.file)));
    let placed = found.iter().map(|one| Mistake::of_diagnostic(one, site_dir));
    placed.chain(others.map(|sentence| Mistake::of_sentence(sentence))).collect()
}

/// Brands and files of pages that do not compile.
fn broken(site: &Site) -> HashSet<(String, String)> {
    let of_brand = |brand: &Arc<Brand>| {
        let id = brand.id.clone();
        brand.problems.iter().map(move |problem| (id.clone(), problem.page.clone())).collect::<Vec<_>>()
    };
    site.brands().flat_map(of_brand).collect()
}
