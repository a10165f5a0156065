//! The stored runs of one brand.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use sluice_runs::execution_log::Execution;
use sluice_runs::execution_log::query::Filter;

use sluice_site::{Brand, files};
use sluice_text::suggest;

use super::pages::is_of_jobs;
use super::read_log;
use crate::admin::AdminState;
use crate::admin::error::AdminError;
use crate::admin::templates::encode_query;

/// Runs that one response contains at most.
const RUNS_MAX: u32 = 200;

/// `?page=/cart&failed&before=17&limit=50`: which runs to list.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    /// A page's path, or `modules/mail` for the jobs whose functions are in that module.
    pub(crate) page: Option<String>,
    /// Only failed runs, if present and not `false`.
    pub(crate) failed: Option<String>,
    /// Only runs that ended in this way.
    pub(crate) outcome: Option<String>,
    /// Only runs with this HTTP status. `5` stands for all from 500 to 599.
    pub(crate) status: Option<String>,
    /// Only runs that have this text in their path, error or console lines, in capitals or not, or as their trace or
    /// job.
    pub(crate) text: Option<String>,
    /// Only runs that are older than the one with this id.
    pub(crate) before: Option<i64>,
    pub(crate) limit: Option<u32>,
    /// Only runs that were recorded from the first of these moments until before the second one.
    #[serde(skip)]
    pub(crate) within: Option<(i64, i64)>,
}

impl Query {
    /// Whether the list contains failed runs only.
    pub(crate) fn only_failed(&self) -> bool {
        self.failed.as_deref().is_some_and(|text| text != "false")
    }
}

/// How runs can end, for the choice in the form.
pub(crate) const OUTCOMES: [&str; 10] =
    ["ok", "stopped", "error", "compile", "fuel", "memory", "timeout", "stack", "template", "host"];

/// Runs that a search for a status or a text looks at for one response.
const SCANNED_MAX: usize = 5_000;

/// The runs that match a query.
#[derive(Default)]
pub(crate) struct Found {
    /// Newest first.
    pub(crate) runs: Vec<Execution>,
    /// The id before which older runs begin. None if there are no more.
    pub(crate) next: Option<i64>,
    /// How many runs were looked at, if the search stopped before the response was full.
    pub(crate) scanned: Option<usize>,
}

impl Query {
    fn given(&self) -> impl Iterator<Item = (&'static str, &str)> {
        let all = [
            ("page", &self.page),
            ("failed", &self.failed),
            ("outcome", &self.outcome),
            ("status", &self.status),
            ("text", &self.text),
        ];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value.as_deref()?)));
        given.filter(|(_, value)| !value.is_empty())
    }

    /// The query without its cursor, for links: `page=/cart&failed=true`.
    pub(crate) fn asked(&self) -> String {
        let given = self.given().map(|(name, value)| format!("{name}={}", encode_query(value)));
        given.collect::<Vec<_>>().join("&")
    }

    /// The same as hidden fields of another form.
    pub(crate) fn fields(&self) -> Vec<Value> {
        super::fields(self.given())
    }

    /// # Errors
    /// No run can match the query.
    fn check(&self) -> Result<(), AdminError> {
        let invalid = |text: String| Err(AdminError::InvalidRequest(text));
        let status = self.status.as_deref().unwrap_or_default();
        if status.len() > 3 || !status.bytes().all(|b| b.is_ascii_digit()) {
            return invalid(format!("{status:?} is not a status such as 404, or 5 for all from 500 to 599"));
        }
        let outcome = self.outcome.as_deref().unwrap_or_default();
        if !outcome.is_empty() && !OUTCOMES.contains(&outcome) {
            let hint = suggest::hint(outcome, OUTCOMES);
            return invalid(format!("{outcome:?} is not an outcome{hint}"));
        }
        if self.only_failed() && matches!(outcome, "ok" | "stopped") {
            return invalid(format!("no failed run has the outcome {outcome}"));
        }
        Ok(())
    }

    /// Whether a run has the status and the text.
    fn admits(&self, run: &Execution) -> bool {
        let status = self.status.as_deref().unwrap_or_default();
        let text = self.text.as_deref().unwrap_or_default().to_lowercase();
        let has = |part: &str| part.to_lowercase().contains(&text);
        let error =
            || run.error.iter().any(|error| has(&error.name) || has(&error.message) || has(&error.file));
        run.status.to_string().starts_with(status)
            && (text.is_empty()
                || run.trace_id == text
                || run.job.as_deref() == Some(&*text)
                || has(&run.path)
                || error()
                || run.console.iter().any(|line| has(&line.text)))
    }

    fn searches(&self) -> bool {
        [&self.status, &self.text].iter().any(|given| given.as_deref().is_some_and(|text| !text.is_empty()))
    }
}

/// The runs that match `query`, newest first.
///
/// # Errors
/// There is no such brand or page, or the execution log cannot be read.
pub(crate) async fn search(state: &AdminState, brand: &str, query: &Query) -> Result<Found, AdminError> {
    let brand = super::find_brand(state, brand)?;
    query.check()?;
    let page = match query.page.as_deref().filter(|page| !page.is_empty()) {
        Some(module) if is_of_jobs(module) => Some(module.to_owned()),
        Some(path) => Some(super::find_page(&brand, path)?.file.clone()),
        None => None,
    };
    let limit = query.limit.unwrap_or(50).clamp(1, RUNS_MAX);
    let filter = Filter {
        brand: Some(brand.id.clone()),
        page,
        only_failed: query.only_failed(),
        outcome: query.outcome.clone().filter(|outcome| !outcome.is_empty()),
        before: query.before,
        from_ms: query.within.map(|(from_ms, _)| from_ms),
        to_ms: query.within.map(|(_, to_ms)| to_ms),
        // One more shows whether there are older ones.
        limit: if query.searches() { RUNS_MAX } else { limit + 1 },
        ..Filter::default()
    };
    let (query, limit) = (query.clone(), limit as usize);
    read_log(state, move |log| {
        let mut filter = filter;
        let mut found = Found { runs: Vec::new(), next: None, scanned: None };
        let mut scanned = 0;
        loop {
            let batch = log.list(&filter)?;
            let is_last = batch.len() < filter.limit as usize;
            for run in batch {
                if found.runs.len() == limit {
                    found.next = found.runs.last().map(|run| run.id);
                    return Ok(found);
                }
                scanned += 1;
                filter.before = Some(run.id);
                if query.admits(&run) {
                    found.runs.push(run);
                }
            }
            if is_last {
                return Ok(found);
            }
            if scanned >= SCANNED_MAX {
                found.next = filter.before;
                found.scanned = Some(scanned);
                return Ok(found);
            }
        }
    })
    .await
}

/// The newest runs that match `query`.
///
/// # Errors
/// As [`search`].
pub(crate) async fn list(
    state: &AdminState,
    brand: &str,
    query: &Query,
) -> Result<Vec<Execution>, AdminError> {
    Ok(search(state, brand, query).await?.runs)
}

/// The newest stored run of each of these jobs of a brand, by the job's id.
///
/// # Errors
/// The execution log cannot be read.
pub(crate) async fn of_jobs(
    state: &AdminState,
    brand: &str,
    jobs: Vec<String>,
) -> Result<HashMap<String, i64>, AdminError> {
    if jobs.is_empty() {
        return Ok(HashMap::new());
    }
    let brand = brand.to_owned();
    Ok(read_log(state, move |log| log.last_runs_of_jobs(&brand, &jobs)).await?.into_iter().collect())
}

/// A line of a file around the place of a failure.
#[derive(Debug, Serialize)]
pub(crate) struct SourceLine {
    number: u32,
    text: String,
    is_meant: bool,
    /// The text before the place, at it and after it, if the column is known.
    parts: Option<(String, String, String)>,
}

/// The lines around the place where a run failed, as they are in the file now.
pub(crate) fn source(brand: &Brand, run: &Execution) -> Vec<SourceLine> {
    let place = run.error.as_ref().filter(|error| error.line > 0 && !error.file.is_empty());
    let Some(error) = place else { return Vec::new() };
    source_at(brand, &error.file, (error.line, error.column))
}

/// The lines around a line of a file, as they are now. None if the file cannot be read.
pub(crate) fn source_at(brand: &Brand, file: &str, (line, column): (u32, u32)) -> Vec<SourceLine> {
    let Ok(source) = files::read(&brand.dir, file) else { return Vec::new() };
    let near = line.saturating_sub(3)..=line.saturating_add(3);
    let lines = (1_u32..).zip(source.text.lines()).filter(|(number, _)| near.contains(number));
    let shown = |(number, text): (u32, &str)| SourceLine {
        number,
        text: text.chars().take(LINE_CHARS_MAX).collect(),
        is_meant: number == line,
        parts: (number == line).then(|| parts(text, column)).flatten(),
    };
    lines.map(shown).collect()
}

/// A line before its column, the word or sign at it, and the rest. None if the line has no such column.
fn parts(line: &str, column: u32) -> Option<(String, String, String)> {
    let at = usize::try_from(column.checked_sub(1)?).ok()?;
    let first = line.chars().nth(at)?;
    let is_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '$');
    let length = match is_word(first) {
        true => line.chars().skip(at).take_while(|c| is_word(*c)).count(),
        false => 1,
    };
    // A place far to the right is shown with what is near it.
    let skipped = at.saturating_sub(LINE_CHARS_MAX / 2);
    let begin = if skipped > 0 { "…" } else { "" };
    let before: String = line.chars().skip(skipped).take(at.saturating_sub(skipped)).collect();
    let after = line.chars().skip(at.saturating_add(length)).take(LINE_CHARS_MAX / 2);
    Some((
        format!("{begin}{before}"),
        line.chars().skip(at).take(length.min(LINE_CHARS_MAX)).collect(),
        after.collect(),
    ))
}

/// Longer lines of a source are cut.
const LINE_CHARS_MAX: usize = 300;

/// One run of the brand.
///
/// # Errors
/// There is no such brand, the run is not stored or belongs to another brand, or the log cannot be
/// read.
pub(crate) async fn find(state: &AdminState, brand: &str, id: i64) -> Result<Execution, AdminError> {
    let brand = &super::find_brand(state, brand)?.id;
    let found = read_log(state, move |log| log.find(id)).await?;
    let own = found.filter(|run| run.brand == *brand);
    own.ok_or_else(|| AdminError::NoRun { brand: brand.clone(), id })
}
