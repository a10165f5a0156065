//! The start of the process and its last reloads, as operators look back at them: when they were, what they changed,
//! and what they could not load.

use std::collections::HashSet;
use std::sync::Arc;

use parking_lot::Mutex;
use serde::Serialize;

use sluice_kit::clock::now_ms;

use crate::load::{Problem, ReloadReport};
use crate::site_changes::SiteChange;

/// The past reloads that are remembered. Older ones are forgotten.
const PAST_MAX: usize = 200;
/// The pages, and the parts that could not be loaded, of which one reload remembers the names.
const NAMES_MAX: usize = 20;
/// The changes of which the newest reload remembers the names.
pub(crate) const CHANGES_MAX: usize = 200;
/// What a reload changed, and how many changes there were.
pub(crate) type SiteChanges = (Vec<SiteChange>, usize);
/// Longer reasons are cut.
const REASON_CHARS_MAX: usize = 400;

/// Why the site was loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum ReloadCause {
    /// The process started.
    Start,
    /// Its files had changed, or an operator asked for it.
    Files,
    /// An operator set a limit in the console or by the API.
    Limit,
}

/// A limit of a page that an operator set or removed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LimitChange {
    /// The id of the page's brand.
    pub brand: String,
    /// The page's path, such as `/cart`.
    pub path: String,
    /// The name of the limit.
    pub limit: String,
    /// The value that was in force before.
    pub from: u64,
    /// The value in `brand.toml`. `None` if it was removed there.
    pub to: Option<u64>,
}

/// A time at which the site was loaded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PastReload {
    /// When what was loaded began to be served, in Unix milliseconds.
    pub at_ms: i64,
    /// Why it was loaded.
    pub cause: ReloadCause,
    /// What an operator has changed, if that was the cause.
    pub limit: Option<LimitChange>,
    /// How many pages were compiled because their scripts had changed, without those that have a mistake. 0 for a
    /// start.
    pub pages_compiled: usize,
    /// These pages, at most 20 of them.
    pub pages: Vec<ReloadedPage>,
    /// How many parts could not be loaded.
    pub problems: usize,
    /// These parts, at most 20 of them.
    pub parts: Vec<FailedPart>,
    /// What it changed in the site, at most 200 changes of the newest reload and 20 of earlier ones. None for a start.
    pub changes: Vec<SiteChange>,
    /// How many changes there were.
    pub changes_all: usize,
}

/// A page that a reload compiled.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ReloadedPage {
    /// The brand's id.
    pub brand: String,
    /// The page's file, such as `pages/cart.html`.
    pub page: String,
}

/// A part of the site that a reload could not load.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FailedPart {
    /// The id of its brand. `None` if it belongs to no brand.
    pub brand: Option<String>,
    /// The page's file, if the part is a page.
    pub page: Option<String>,
    /// What is wrong, and what is served instead.
    pub reason: String,
}

impl FailedPart {
    fn of(problem: &Problem) -> Self {
        let (brand, page) = match problem {
            Problem::Restart { .. } => (None, None),
            Problem::Brand { brand, .. } | Problem::Contested { brand, .. } => (Some(brand), None),
            Problem::Page { brand, problem } => (Some(brand), Some(problem.page.clone())),
        };
        let reason = problem.to_string().chars().take(REASON_CHARS_MAX).collect();
        Self { brand: brand.cloned(), page, reason }
    }
}

impl PastReload {
    fn of(cause: ReloadCause, report: &ReloadReport) -> Self {
        let is_start = cause == ReloadCause::Start;
        let broken: HashSet<(&str, &str)> = report
            .problems
            .iter()
            .filter_map(|problem| match problem {
                Problem::Page { brand, problem } => Some((brand.as_str(), problem.page.as_str())),
                _ => None,
            })
            .collect();
        // At a start, all pages are new.
        let compiled = if is_start { &[] } else { report.compiled.as_slice() };
        let page = |(brand, page): &(String, String)| {
            let is_good = !broken.contains(&(brand.as_str(), page.as_str()));
            is_good.then(|| ReloadedPage { brand: brand.clone(), page: page.clone() })
        };
        let mut pages: Vec<ReloadedPage> = compiled.iter().filter_map(page).collect();
        let pages_compiled = pages.len();
        pages.truncate(NAMES_MAX);
        Self {
            at_ms: now_ms(),
            cause,
            limit: None,
            pages_compiled,
            pages,
            problems: report.problems.len(),
            parts: report.problems.iter().take(NAMES_MAX).map(FailedPart::of).collect(),
            changes: Vec::new(),
            changes_all: 0,
        }
    }
}

/// Oldest first. It begins with the start, until that is forgotten.
pub(crate) struct PastReloads(Mutex<Arc<Vec<PastReload>>>);

impl PastReloads {
    /// Begins with the start, of which `report` is.
    pub(crate) fn since(report: &ReloadReport) -> Self {
        Self(Mutex::new(Arc::new(vec![PastReload::of(ReloadCause::Start, report)])))
    }

    /// Remembers a reload that has just ended.
    pub(crate) fn remember(
        &self,
        cause: ReloadCause,
        limit: Option<LimitChange>,
        report: &ReloadReport,
        (changes, changes_all): SiteChanges,
    ) {
        let mut done = PastReload { limit, changes, changes_all, ..PastReload::of(cause, report) };
        let mut past = self.0.lock();
        let past = Arc::make_mut(&mut past);
        // The newest reload of files keeps all of its names until another one follows.
        if cause == ReloadCause::Files {
            past.iter_mut().for_each(|earlier| earlier.changes.truncate(NAMES_MAX));
        } else {
            done.changes.truncate(NAMES_MAX);
        }
        if past.len() >= PAST_MAX {
            past.remove(0);
        }
        past.push(done);
    }

    /// The start and the reloads, oldest first.
    pub(crate) fn all(&self) -> Arc<Vec<PastReload>> {
        Arc::clone(&self.0.lock())
    }
}

#[cfg(test)]
mod tests {
    use sluice_site::config::Change;

    use crate::site_changes::SitePart;

    use super::*;

    fn compiled(pages: usize) -> ReloadReport {
        let compiled = (0..pages).map(|page| ("shop".to_owned(), format!("pages/{page}.html"))).collect();
        ReloadReport { pages_compiled: pages, compiled, ..ReloadReport::default() }
    }

    fn changes(count: usize) -> Vec<SiteChange> {
        let change = SiteChange {
            brand: None,
            part: SitePart::Setting,
            name: "limits.fuel".to_owned(),
            change: Change::Changed,
        };
        vec![change; count]
    }

    #[test]
    fn remembers_the_start_and_the_newest_reloads() {
        let reloads = PastReloads::since(&compiled(3));
        assert_eq!((reloads.all()[0].cause, reloads.all()[0].pages_compiled), (ReloadCause::Start, 0));
        for pages in 0..PAST_MAX + 5 {
            reloads.remember(ReloadCause::Files, None, &compiled(pages), (changes(30), 30));
        }
        let past = reloads.all();
        assert_eq!((past.len(), past[0].pages_compiled), (PAST_MAX, 5));
        assert_eq!(past[PAST_MAX - 1].pages_compiled, PAST_MAX + 4);
        assert_eq!((past[PAST_MAX - 1].changes.len(), past[PAST_MAX - 2].changes.len()), (30, NAMES_MAX));
        assert_eq!(past[PAST_MAX - 2].changes_all, 30);
    }

    #[test]
    fn remembers_the_names_of_twenty_pages_and_parts() {
        let problems = (0..30).map(|_| Problem::Restart { setting: "server" }).collect();
        let report = ReloadReport { problems, ..compiled(30) };
        let past = PastReload::of(ReloadCause::Files, &report);
        assert_eq!((past.pages_compiled, past.pages.len()), (30, NAMES_MAX));
        assert_eq!((past.problems, past.parts.len()), (30, NAMES_MAX));
        assert!(past.parts[0].reason.contains("server changed") && past.parts[0].brand.is_none());
    }
}
