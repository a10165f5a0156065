//! What is wrong with a brand as its files are now: files that cannot be loaded, and pages that do not compile.

use serde::Serialize;

use sluice_app::load::Live;
use sluice_app::reload::{FailedPart, PastReload};
use sluice_site::Brand;
use sluice_site::load::PageProblem;
use sluice_site::table::url_path;

/// Pages in `broken` of one brand.
const BROKEN_MAX: usize = 100;

/// What is wrong with a brand.
#[derive(Debug, Serialize)]
pub(crate) struct BrandState {
    pub(crate) brand: String,
    pub(crate) fault: Option<FaultView>,
    /// At most 100.
    pub(crate) broken: Vec<BrokenPage>,
    /// How many pages are broken, those that are not listed included.
    pub(crate) broken_all: usize,
    /// Those that are not listed.
    pub(crate) broken_more: usize,
    pub(crate) has_one: bool,
}

impl BrandState {
    /// Lists no more broken pages than this.
    pub(crate) fn truncate(mut self, broken_max: usize) -> Self {
        self.broken.truncate(broken_max);
        self.broken_more = self.broken_all.saturating_sub(self.broken.len());
        self
    }
}

/// Why the files of a brand are not in use.
#[derive(Debug, Serialize)]
pub(crate) struct FaultView {
    pub(crate) reason: Reason,
    /// Visitors get status 503.
    pub(crate) unavailable: bool,
    /// The files are in use, except for Hosts that another brand claims, too.
    pub(crate) contested: bool,
    /// The start or reload that found it first, if it is remembered.
    pub(crate) since_ms: Option<i64>,
}

/// A reason with the lines that point into a file, if it has some.
#[derive(Debug, Serialize)]
pub(crate) struct Reason {
    pub(crate) said: String,
    pub(crate) lines: Option<String>,
}

impl From<&str> for Reason {
    fn from(text: &str) -> Self {
        let (said, lines) = text.trim_end().split_once('\n').unwrap_or((text, ""));
        Self { said: said.to_owned(), lines: (!lines.trim().is_empty()).then(|| lines.to_owned()) }
    }
}

/// A page that cannot be served as its files are now.
#[derive(Debug, Serialize)]
pub(crate) struct BrokenPage {
    pub(crate) brand: String,
    pub(crate) path: String,
    pub(crate) reason: String,
    /// Whether an earlier version of the page is served.
    pub(crate) is_kept: bool,
    /// The start or reload that found it first, if it is remembered.
    pub(crate) since_ms: Option<i64>,
    /// Where the mistake is, if it is known: file, line and column.
    #[serde(skip)]
    pub(crate) place: Option<(String, u32, u32)>,
}

/// What is wrong with the brand. `reloads` are all that are remembered, oldest first.
pub(crate) fn of(live: &Live, brand: &Brand, reloads: &[PastReload]) -> BrandState {
    let fault = live.faults.get(&brand.id).map(|fault| FaultView {
        reason: fault.reason.as_str().into(),
        unavailable: brand.outage.is_some(),
        contested: fault.is_contested,
        since_ms: since(reloads, |part| part.brand.as_ref() == Some(&brand.id) && part.page.is_none()),
    });
    let broken = brand.problems.iter().take(BROKEN_MAX).map(|problem| row(brand, problem, reloads)).collect();
    let broken_all = brand.problems.len();
    BrandState {
        brand: brand.id.clone(),
        fault,
        broken,
        broken_all,
        broken_more: 0,
        has_one: broken_all == 1,
    }
}

/// One word for what is wrong with the brand: `outdated`, or how many of its pages cannot be loaded.
pub(crate) fn word(live: &Live, brand: &Brand) -> Option<String> {
    match (live.faults.get(&brand.id), brand.problems.len()) {
        (Some(fault), _) if fault.is_contested => Some("contested".to_owned()),
        (Some(_), _) if brand.outage.is_some() => Some("unavailable".to_owned()),
        (Some(_), _) => Some("outdated".to_owned()),
        (None, 0) => None,
        (None, 1) => Some("1 page not loaded".to_owned()),
        (None, count) => Some(format!("{count} pages not loaded")),
    }
}

/// The page with this file, if it is broken.
pub(crate) fn broken_page(brand: &Brand, file: &str, reloads: &[PastReload]) -> Option<BrokenPage> {
    brand.problems.iter().find(|problem| problem.page == file).map(|problem| row(brand, problem, reloads))
}

fn row(brand: &Brand, problem: &PageProblem, reloads: &[PastReload]) -> BrokenPage {
    let is_it = |part: &FailedPart| {
        part.brand.as_ref() == Some(&brand.id) && part.page.as_ref() == Some(&problem.page)
    };
    let at = &problem.failure;
    BrokenPage {
        brand: brand.id.clone(),
        path: problem.page.strip_prefix("pages/").map(url_path).unwrap_or_default(),
        reason: problem.reason.clone(),
        is_kept: problem.kept,
        since_ms: since(reloads, is_it),
        place: (at.line > 0 && !at.file.is_empty()).then(|| (at.file.clone(), at.line, at.column)),
    }
}

/// The first of the newest loads that all had this problem.
fn since(reloads: &[PastReload], is_it: impl Fn(&FailedPart) -> bool) -> Option<i64> {
    let had_it = reloads.iter().rev().take_while(|reload| reload.parts.iter().any(&is_it));
    had_it.last().map(|reload| reload.at_ms)
}

#[cfg(test)]
mod tests {
    use sluice_app::reload::ReloadCause;

    use super::*;

    #[test]
    fn a_problem_is_as_old_as_the_loads_that_had_it_without_a_break() {
        let part = FailedPart { brand: Some("shop".to_owned()), page: None, reason: String::new() };
        let load = |at_ms: i64, is_broken: bool| PastReload {
            at_ms,
            cause: ReloadCause::Files,
            limit: None,
            pages_compiled: 0,
            pages: Vec::new(),
            problems: usize::from(is_broken),
            parts: if is_broken { vec![part.clone()] } else { Vec::new() },
            changes: Vec::new(),
            changes_all: 0,
        };
        let loads = [load(1, true), load(2, false), load(3, true), load(4, true)];
        assert_eq!(since(&loads, |one| one.brand == part.brand), Some(3));
        assert_eq!(since(&loads, |one| one.brand.is_none()), None);
    }

    #[test]
    fn reason_keeps_the_lines_that_point_into_a_file() {
        let reason = Reason::from("brand.toml: wrong\n  |\n2 | a = \"\n  |     ^");
        assert_eq!(
            (reason.said.as_str(), reason.lines.as_deref()),
            ("brand.toml: wrong", Some("  |\n2 | a = \"\n  |     ^"))
        );
        assert!(Reason::from("one line").lines.is_none());
    }
}
