//! What `sluice dev` adds to serving: browsers reload when the site changes, pages show their
//! mistakes, and the terminal shows a line for each run. `sluice serve` uses none of this.

pub mod check;
mod csp;
pub(crate) mod inject;
mod mistake;
mod observer;
mod report;
pub(crate) mod runs;
mod snapshot;
pub mod watch;

use std::collections::{HashMap, HashSet};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;

use sluice_app::load::ReloadReport;
use sluice_app::reload::ReloadError;
use sluice_check as checks;
use sluice_page::diagnostic::{self, Diagnostic};
use sluice_site::{Brand, Site, TEST_SUFFIX, files};

use mistake::Mistake;
use report::Reporter;
use runs::LastRuns;

/// The path of the script that runs in the browser. No page can have this path, because files
/// whose names start with a dot are not served.
pub const CLIENT_PATH: &str = "/.sluice/client.js";
/// The path from which the script receives server-sent events.
pub const EVENTS_PATH: &str = "/.sluice/events";
/// The path below which a page finds its run.
pub const RUNS_PATH: &str = "/.sluice/runs";
/// The path below which a page finds the files that it is made of.
pub const SOURCES_PATH: &str = "/.sluice/sources";
/// The script that runs in the browser.
pub const CLIENT_JS: &str = include_str!("dev/client.js");

/// A browser that has more unread events than this is told to reload instead.
const EVENTS_WAITING_MAX: usize = 16;

/// How many findings of a brand are kept for its pages.
const FINDINGS_MAX: usize = 100;

/// What a browser is told.
#[derive(Debug, Clone)]
pub enum Event {
    /// The site changed.
    Reload,
    /// A request that a script in the browser made has failed.
    Failed {
        /// The id of the brand that served the request. Only its pages show the mistakes.
        brand: String,
        /// A JSON array on one line.
        mistakes: String,
    },
    /// A check of the site has ended.
    Checked {
        /// The id of a brand. Only its pages show the findings.
        brand: String,
        /// All findings of the brand: a JSON array on one line.
        findings: String,
    },
}

/// The state of development mode. It lives as long as the process.
pub struct Dev {
    /// Identifies the process and how often the site has changed since it started.
    generation: AtomicU64,
    /// Mistakes in the settings. Every page shows them.
    site_mistakes: Mutex<Vec<Mistake>>,
    /// What the last check found in the files of each brand. Pages show what concerns them.
    findings: Mutex<HashMap<String, Vec<Mistake>>>,
    /// What the last check found. The entries have no line numbers, so that a finding stays
    /// known when lines are added above it.
    known_findings: Mutex<HashSet<String>>,
    events: broadcast::Sender<Event>,
    /// What the last runs did.
    runs: LastRuns,
    /// Cancelled when the server stops. It ends the streams that browsers listen to.
    pub stopping: CancellationToken,
    reporter: Reporter,
    /// The names and addresses, besides loopback, under which browsers reach the site.
    pub hosts: Vec<String>,
}

impl Dev {
    /// With `quiet`, only mistakes are printed.
    pub fn new(quiet: bool, hosts: Vec<String>) -> Arc<Self> {
        let mut start = [0; 4];
        if getrandom::fill(&mut start).is_err() {
            tracing::warn!(
                "the system returned no random numbers: pages that were open before the start may not reload"
            );
        }
        Arc::new(Self {
            // 32 random bits and 20 bits to count with: JavaScript's numbers hold 53 bits.
            generation: AtomicU64::new(u64::from(u32::from_le_bytes(start)) << 20),
            site_mistakes: Mutex::default(),
            findings: Mutex::default(),
            known_findings: Mutex::default(),
            events: broadcast::Sender::new(EVENTS_WAITING_MAX),
            runs: LastRuns::new(runs::RUNS_MAX),
            stopping: CancellationToken::new(),
            reporter: Reporter::new(quiet),
            hosts,
        })
    }

    /// The observer that the host notifies about each request.
    pub fn observer(self: &Arc<Self>) -> Arc<dyn sluice_app::observe::Observer> {
        Arc::new(observer::DevObserver(Arc::clone(self)))
    }

    /// A number that changes with each change of the site and each start of the process.
    pub fn generation(&self) -> u64 {
        self.generation.load(Ordering::Relaxed)
    }

    /// What a run of the brand did, as JSON, if it is one of the last runs.
    pub fn run(&self, brand: &str, id: &str) -> Option<Arc<str>> {
        self.runs.find(brand, id)
    }

    /// The text of a page, module, layout or component of the brand.
    pub fn source(&self, brand: &Brand, file: &str) -> Option<String> {
        if !runs::is_source(file) {
            return None;
        }
        files::read(&brand.dir, file).ok().map(|source| source.text)
    }

    /// Subscribes a browser to the events that follow.
    pub fn listen(&self) -> broadcast::Receiver<Event> {
        self.events.subscribe()
    }

    /// Prints the result of the start.
    pub fn started(&self, site: &Site, took: Duration) {
        let compiled = site
            .brands()
            .flat_map(|brand| brand.compiled.iter().map(|file| (brand.id.clone(), file.clone())));
        let pages = site.brands().map(|brand| brand.pages.pages().count()).sum();
        let report = ReloadReport { pages, compiled: compiled.collect(), ..ReloadReport::default() };
        self.reporter.loaded(&[], &report, &broken(site), took);
        self.report_pages(site);
    }

    /// Prints the result of a reload, keeps its mistakes, and tells the browsers to reload.
    pub fn loaded(
        &self,
        changed: &[String],
        site_dir: &Path,
        site: &Site,
        report: &ReloadReport,
        took: Duration,
    ) {
        let problems = report.site_problems().map(|one| (one.settings_file(), one.to_string()));
        let of_site = settings_mistakes(problems.collect(), site_dir);
        self.reporter.loaded(changed, report, &broken(site), took);
        of_site.iter().for_each(|mistake| self.reporter.mistake(mistake));
        self.report_pages(site);
        self.advance(of_site);
    }

    /// Prints the mistakes of pages that do not compile. A mistake that several pages share, for
    /// example in a layout, is printed once.
    fn report_pages(&self, site: &Site) {
        for brand in site.brands() {
            let mut printed: Vec<Mistake> = Vec::new();
            for problem in &brand.problems {
                let mistake = Mistake::of_page(problem, &brand.dir);
                if !printed.iter().any(|known| known.is_same(&mistake)) {
                    self.reporter.mistake(&mistake);
                    printed.push(mistake);
                }
            }
        }
    }

    /// Prints why a reload failed, keeps the mistakes, and tells the browsers to reload, so that
    /// they show them.
    pub fn not_loaded(&self, changed: &[String], site_dir: &Path, error: &ReloadError) {
        let mistakes = settings_mistakes(vec![(error.settings_file(), error.to_string())], site_dir);
        self.reporter.not_loaded(changed);
        mistakes.iter().for_each(|mistake| self.reporter.mistake(mistake));
        self.advance(mistakes);
    }

    /// Prints the findings that the previous check did not have. Leaves out mistakes that the
    /// load has printed already: those in settings and in pages that do not compile.
    fn checked(&self, all: &[Diagnostic], site: &Site, site_dir: &Path) {
        let printed: HashSet<(String, u32)> = site
            .brands()
            .flat_map(|brand| brand.problems.iter().map(move |problem| (brand, &problem.failure)))
            .map(|(brand, failure)| (brand, checks::explained(failure.clone(), &brand.dir)))
            .map(|(brand, failure)| (format!("brands/{}/{}", brand.id, failure.file), failure.line))
            .chain(checks::settings_mistakes(site_dir).into_iter().map(|one| (one.file, one.line)))
            .collect();
        let found = || all.iter().filter(|one| !printed.contains(&(one.file.clone(), one.line)));
        self.show_findings(found(), site, site_dir);
        let mut known = self.known_findings.lock().unwrap_or_else(PoisonError::into_inner);
        let before = std::mem::take(&mut *known);
        for one in found() {
            // Without the line number: a line that is added above a finding does not make it new.
            let line = one.excerpt.iter().flat_map(|excerpt| excerpt.lines()).next().unwrap_or_default();
            let finding = [one.rule.code(), &one.file, &one.message, line].join("\n");
            if !before.contains(&finding) {
                self.reporter.finding(&diagnostic::human(one));
            }
            known.insert(finding);
        }
    }

    /// Keeps the findings of a check for the pages of each brand, and shows them in the open ones.
    fn show_findings<'a>(&self, found: impl Iterator<Item = &'a Diagnostic>, site: &Site, site_dir: &Path) {
        let mut by_brand: HashMap<String, Vec<Mistake>> =
            site.brands().map(|brand| (brand.id.clone(), Vec::new())).collect();
        for one in found {
            let place = one.file.strip_prefix("brands/").and_then(|file| file.split_once('/'));
            let Some((brand, file)) = place.filter(|(_, file)| !file.ends_with(TEST_SUFFIX)) else {
                continue;
            };
            if let Some(findings) = by_brand.get_mut(brand).filter(|known| known.len() < FINDINGS_MAX) {
                findings.push(Mistake::of_finding(one, file, site_dir));
            }
        }
        for (brand, findings) in &by_brand {
            let event = Event::Checked { brand: brand.clone(), findings: Mistake::to_json(findings) };
            // Sending fails if no browser listens.
            let _ = self.events.send(event);
        }
        *self.findings.lock().unwrap_or_else(PoisonError::into_inner) = by_brand;
    }

    /// What the last check found in a page and in the files that pages share.
    fn findings_of(&self, brand: &str, page: &str) -> Vec<Mistake> {
        let findings = self.findings.lock().unwrap_or_else(PoisonError::into_inner);
        let of_brand = findings.get(brand).into_iter().flatten();
        of_brand.filter(|one| one.file == page || !one.file.starts_with("pages/")).cloned().collect()
    }

    /// Starts the next generation, and tells the browsers to reload.
    fn advance(&self, site_mistakes: Vec<Mistake>) {
        *self.site_mistakes.lock().unwrap_or_else(PoisonError::into_inner) = site_mistakes;
        self.generation.fetch_add(1, Ordering::Relaxed);
        // Sending fails if no browser listens.
        let _ = self.events.send(Event::Reload);
    }
}

/// The mistakes in settings with their positions, and then the problems that are about something
/// else. A problem is the settings file in which it is, if it is in one, and its sentence.
fn settings_mistakes(problems: Vec<(Option<String>, String)>, site_dir: &Path) -> Vec<Mistake> {
    if problems.is_empty() {
        return Vec::new();
    }
    let found = checks::settings_mistakes(site_dir);
    let is_found = |file: &Option<String>| found.iter().any(|one| file.as_ref() == Some(&one.file));
    let others = problems.iter().filter(|(file, _)| !is_found(file));
    let placed = found.iter().map(|one| Mistake::of_diagnostic(one, site_dir));
    placed.chain(others.map(|(_, sentence)| Mistake::of_sentence(sentence))).collect()
}

/// Brands and files of pages that do not compile.
fn broken(site: &Site) -> HashSet<(String, String)> {
    let of_brand = |brand: &Arc<Brand>| {
        let id = brand.id.clone();
        brand.problems.iter().map(move |problem| (id.clone(), problem.page.clone())).collect::<Vec<_>>()
    };
    site.brands().flat_map(of_brand).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shows_a_problem_once_and_none_less() {
        let site = tempfile::tempdir().unwrap();
        let brand = site.path().join("brands/demo");
        std::fs::create_dir_all(&brand).unwrap();
        std::fs::write(brand.join("brand.toml"), "variabels = 1\n").unwrap();
        let file = "brands/demo/brand.toml".to_owned();
        let other = format!("the secrets cannot be read, although {file} is mentioned here");
        let problems = vec![(Some(file.clone()), "in other words".to_owned()), (None, other.clone())];
        let shown = settings_mistakes(problems, site.path());
        let shown: Vec<_> = shown.iter().map(|one| (one.file.as_str(), one.line)).collect();
        assert_eq!(shown, [(file.as_str(), 1), ("", 0)]);
    }
}
