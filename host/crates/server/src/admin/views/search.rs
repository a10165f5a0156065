//! One search over all brands: pages, kinds of failures, jobs and CRM entries. A request looks at a bounded number of
//! brands and rows, and says where the next one goes on.

use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};
use serde_json::Value;
use tokio::time::timeout_at;

use sluice_crm::search::{Filter, Order, Search as EntrySearch, Test};
use sluice_crm::{FieldKey, Slug};
use sluice_runs::execution_log::failures::{FailureFilter, FailureOrder};
use sluice_site::Brand;

use super::crm::{self, BYTES_MAX, EntityView, EntryView};
use super::failures::FailureRow;
use super::marks::Marks;
use super::range::Range;
use super::{jobs, queue, read_log};
use crate::admin::AdminState;
use crate::admin::error::AdminError;

/// Shorter texts match too much.
const TEXT_CHARS_MIN: usize = 2;
const TEXT_CHARS_MAX: usize = 200;
/// Brands whose data one request looks at.
const BRANDS_MAX: usize = 10;
/// A request that took longer looks no further, not even in the brand that it searches.
const TIME_MAX: Duration = Duration::from_secs(2);
/// Pages and brands that are listed.
const PAGES_MAX: usize = 30;
/// Kinds of failures that are looked at, and listed.
const KINDS_SCANNED: usize = 1_000;
const KINDS_MAX: usize = 20;
/// Jobs of a brand that are listed.
const JOBS_MAX: usize = 10;
/// Entities of a brand that are searched, and fields with an index in each.
const ENTITIES_MAX: usize = 20;
const FIELDS_MAX: usize = 8;
/// The newest entries of an entity that are looked at whole, and entries of it that are listed.
const SCANNED: usize = 200;
const ENTRIES_MAX: usize = 10;

/// `?q=lena&after=shop`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    pub(crate) q: String,
    /// Go on after this brand.
    pub(crate) after: Option<String>,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Found {
    pub(crate) brands: Vec<String>,
    pub(crate) pages: Vec<PageHit>,
    pub(crate) failures: Vec<FailureRow>,
    pub(crate) jobs: Vec<JobHit>,
    pub(crate) entries: Vec<EntryHit>,
    /// The brands in whose jobs and entries this request has searched.
    pub(crate) searched: Vec<String>,
    /// Those of them of which it has searched a part only, because its time was over.
    pub(crate) partly: Vec<String>,
    /// There are more brands: the last one that was searched.
    pub(crate) next: Option<String>,
    pub(crate) brands_all: usize,
}

#[derive(Debug, Serialize)]
pub(crate) struct PageHit {
    pub(crate) brand: String,
    pub(crate) path: String,
}

#[derive(Debug, Serialize)]
pub(crate) struct JobHit {
    pub(crate) brand: String,
    pub(crate) id: String,
    pub(crate) what: String,
    pub(crate) state: &'static str,
    pub(crate) is_parked: bool,
    pub(crate) last_error: Option<String>,
}

#[derive(Debug, Serialize)]
pub(crate) struct EntryHit {
    pub(crate) brand: String,
    pub(crate) entity: String,
    pub(crate) id: String,
    pub(crate) reference: String,
    /// `sales/won`
    pub(crate) stage: Option<String>,
    /// The field with the text, and its value.
    pub(crate) field: Option<String>,
    pub(crate) value: Option<Value>,
}

/// The text to search for. None if it is too short.
///
/// # Errors
/// It is too long.
pub(crate) fn text(query: &Query) -> Result<Option<String>, AdminError> {
    let text = query.q.trim();
    match text.chars().count() {
        0..TEXT_CHARS_MIN => Ok(None),
        count if count > TEXT_CHARS_MAX => {
            let said = format!(
                "the text to search for has {count} characters; at most {TEXT_CHARS_MAX} can be given"
            );
            Err(AdminError::InvalidRequest(said))
        }
        _ => Ok(Some(text.to_owned())),
    }
}

/// What has the text.
///
/// # Errors
/// The text is too long, the log cannot be read, or the database does not answer.
pub(crate) async fn search(state: &AdminState, query: &Query, range: Range) -> Result<Found, AdminError> {
    let began = Instant::now();
    let Some(text) = text(query)? else { return Ok(Found::default()) };
    let small = text.to_lowercase();
    let mut brands: Vec<Arc<Brand>> = state.app.live().site.brands().cloned().collect();
    brands.sort_by(|a, b| a.id.cmp(&b.id));
    let mut found = Found { brands_all: brands.len(), ..Found::default() };
    let after = query.after.as_deref().filter(|after| !after.is_empty());
    if after.is_none() {
        named(&mut found, &brands, &small);
        found.failures = failures(state, small.clone(), range).await?;
    }
    for brand in brands.iter().filter(|brand| after.is_none_or(|after| brand.id.as_str() > after)) {
        if found.searched.len() == BRANDS_MAX || (began.elapsed() > TIME_MAX && !found.searched.is_empty()) {
            found.next = found.searched.last().cloned();
            break;
        }
        let of_brand = search_brand(state, &brand.id, (&text, &small), &mut found);
        match timeout_at((began + TIME_MAX).into(), of_brand).await {
            Ok(done) => done?,
            Err(_) => found.partly.push(brand.id.clone()),
        }
        found.searched.push(brand.id.clone());
    }
    Ok(found)
}

/// Adds the jobs and entries of a brand that have the text. What was found stays if its time is over.
async fn search_brand(
    state: &AdminState,
    brand: &str,
    (text, small): (&str, &str),
    found: &mut Found,
) -> Result<(), AdminError> {
    found.jobs.extend(jobs_of(state, brand, small).await?);
    for entity in crm::entities(state, brand).await?.iter().take(ENTITIES_MAX) {
        found.entries.extend(entries_of(state, brand, entity, text).await?);
    }
    Ok(())
}

/// Adds the brands and pages whose names have the text.
fn named(found: &mut Found, brands: &[Arc<Brand>], small: &str) {
    for brand in brands {
        if has(&brand.id, small) && found.brands.len() < PAGES_MAX {
            found.brands.push(brand.id.clone());
        }
        for page in brand.pages.pages() {
            if found.pages.len() < PAGES_MAX && (has(&page.route, small) || has(&page.file, small)) {
                found.pages.push(PageHit { brand: brand.id.clone(), path: page.route.clone() });
            }
        }
    }
}

fn has(text: &str, small: &str) -> bool {
    text.to_lowercase().contains(small)
}

async fn failures(state: &AdminState, small: String, range: Range) -> Result<Vec<FailureRow>, AdminError> {
    let (from_ms, to_ms) = range.bounds();
    let filter = FailureFilter {
        from_ms,
        to_ms,
        parts: 1,
        order: FailureOrder::Latest,
        limit: KINDS_SCANNED,
        ..FailureFilter::default()
    };
    let groups = read_log(state, move |log| Ok(log.failures(&filter)?.groups)).await?;
    let marks = Marks::load(state, None).await;
    let rows = groups.into_iter().map(|group| FailureRow::new(state, group, None, (&marks, to_ms)));
    let is_it =
        |row: &FailureRow| has(&row.message, &small) || has(&row.place, &small) || has(&row.page, &small);
    Ok(rows.filter(is_it).take(KINDS_MAX).collect())
}

async fn jobs_of(state: &AdminState, brand: &str, small: &str) -> Result<Vec<JobHit>, AdminError> {
    let mut hits = Vec::new();
    for job in queue::list(state, brand).await? {
        let what = format!("{}.{}", job.module, job.function);
        let parts = [Some(&job.id), Some(&what), job.tag.as_ref(), job.key.as_ref(), job.last_error.as_ref()];
        let is_it = parts.into_iter().flatten().chain(&job.payload).any(|part| has(part, small));
        if is_it {
            hits.push(JobHit {
                brand: brand.to_owned(),
                id: job.id,
                what,
                state: job.state,
                is_parked: job.is_parked,
                last_error: job.last_error,
            });
        }
    }
    for job in jobs::list(state, brand).await? {
        let id = job.id.to_string();
        if id == small
            || has(&job.what, small)
            || job.last_error.as_ref().is_some_and(|said| has(said, small))
        {
            hits.push(JobHit {
                brand: brand.to_owned(),
                id,
                what: job.what,
                state: job.state,
                is_parked: job.is_parked,
                last_error: job.last_error,
            });
        }
    }
    hits.truncate(JOBS_MAX);
    Ok(hits)
}

/// The entries of an entity: the one with this id, those whose indexed fields begin with the text, and those of the
/// newest that have it anywhere.
async fn entries_of(
    state: &AdminState,
    brand: &str,
    entity: &EntityView,
    text: &str,
) -> Result<Vec<EntryHit>, AdminError> {
    let mut found: Vec<EntryView> = Vec::new();
    let mut add = |entries: Vec<EntryView>| {
        for entry in entries {
            if found.len() < ENTRIES_MAX && !found.iter().any(|known| known.id == entry.id) {
                found.push(entry);
            }
        }
    };
    if crm::parse_id(text).is_ok() {
        match crm::find_entry(state, brand, &entity.slug, text).await {
            Ok(one) => add(vec![one.entry]),
            Err(AdminError::NoEntry(_)) => {}
            Err(error) => return Err(error),
        }
    }
    for field in entity.fields.iter().filter(|field| field.is_indexed).take(FIELDS_MAX) {
        let (Some(slug), Ok(key)) = (Slug::new(&entity.slug), FieldKey::new(&field.key)) else { continue };
        let search = EntrySearch {
            slug,
            reference: None,
            filter: Filter::Field(key, Test::StartsWith(text.to_owned())),
            order: Order { field: None, is_descending: true },
            after: None,
            limit: Some(u32::try_from(ENTRIES_MAX).unwrap_or(u32::MAX)),
            bytes_max: BYTES_MAX,
        };
        // An index that is not built yet answers nothing. The newest entries are looked at below.
        if let Ok(hits) = state.app.store.search_entries(brand, search).await {
            add(hits.entries.into_iter().map(crm::entry).collect());
        }
    }
    add(crm::newest_with(state, brand, entity, text, SCANNED).await?);
    let small = text.to_lowercase();
    Ok(found.into_iter().map(|entry| hit(brand, entity, entry, &small)).collect())
}

fn hit(brand: &str, entity: &EntityView, entry: EntryView, small: &str) -> EntryHit {
    let is_it = |value: &Value| match value {
        Value::String(text) => has(text, small),
        other => has(&other.to_string(), small),
    };
    let (field, value) = entry.values.iter().find(|(_, value)| is_it(value)).unzip();
    EntryHit {
        brand: brand.to_owned(),
        entity: entity.slug.clone(),
        reference: format!("{} {}", entry.reference_type, entry.reference_id),
        stage: entry.place(),
        field: field.cloned(),
        value: value.cloned(),
        id: entry.id,
    }
}
