//! Failures in groups: those of one page that end in the same way, with messages that differ only in
//! their numbers.

use std::cmp::Reverse;
use std::collections::{BTreeMap, HashMap};

use rusqlite::{OptionalExtension as _, Row, params};
use serde::Serialize;

use super::Execution;
use super::query::{LogError, LogReader};

/// Which failures are grouped. They must match every field that is set.
#[derive(Debug, Clone, Default)]
pub struct FailureFilter {
    /// Only failures of this brand.
    pub brand: Option<String>,
    /// Only failures of this page's file.
    pub page: Option<String>,
    /// The first moment, in Unix milliseconds.
    pub from_ms: i64,
    /// The moment after the last one.
    pub to_ms: i64,
    /// The number of parts of the time of which [`FailureGroup::trend`] has counts.
    pub parts: u32,
    /// Which groups come first.
    pub order: FailureOrder,
    /// The moment from which [`FailureGroup::since`] counts.
    pub since_ms: Option<i64>,
    /// The most groups.
    pub limit: usize,
}

/// Which groups come first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum FailureOrder {
    /// Those with the most failures.
    #[default]
    Most,
    /// Those with the fewest failures.
    Rarest,
    /// Those that failed last.
    Latest,
    /// Those whose first failure was last.
    Newest,
}

/// What failures of the same kind have in common. It is the same on every host.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FailureKind {
    /// The brand's id.
    pub brand: String,
    /// The page's file, or the module of a job.
    pub page: String,
    /// How the runs ended.
    pub outcome: String,
    /// Name and message of the error, without numbers. Empty if there is none.
    pub message: String,
}

/// The stored failures of one page that are of the same kind.
#[derive(Debug, Clone)]
pub struct FailureGroup {
    /// Their kind.
    pub kind: FailureKind,
    /// How many of them are stored.
    pub count: u64,
    /// When the first of them was recorded, in Unix milliseconds.
    pub first_ms: i64,
    /// When the last of them was recorded.
    pub last_ms: i64,
    /// How many of them were recorded since [`FailureFilter::since_ms`]. 0 if that is not set.
    pub since: u64,
    /// How many there were in each part of the time.
    pub trend: Vec<u64>,
    /// The newest of them.
    pub last: Execution,
}

/// How many runs ended with one outcome.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct OutcomeCount {
    /// The outcome, such as `fuel`.
    pub outcome: String,
    /// How many there were.
    pub runs: u64,
    /// The same by brand, the most first.
    pub brands: Vec<(String, u64)>,
}

/// All groups that match a filter, and those of them that come first.
#[derive(Debug, Clone, Default)]
pub struct Failures {
    /// The groups that come first.
    pub groups: Vec<FailureGroup>,
    /// The number of all groups.
    pub groups_all: usize,
    /// How many runs ended with each outcome, the most frequent first.
    pub outcomes: Vec<OutcomeCount>,
}

struct Counted {
    count: u64,
    first_ms: i64,
    last_ms: i64,
    last_id: i64,
    since: u64,
    trend: Vec<u64>,
}

/// The stored failures of one kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct KindCount {
    /// How many there are.
    pub count: u64,
    /// When the first one was recorded, in Unix milliseconds.
    pub first_ms: i64,
    /// When the last one was recorded.
    pub last_ms: i64,
}

/// How many runs ended with each outcome, the most frequent first.
fn count_outcomes(counted: &[(FailureKind, Counted)]) -> Vec<OutcomeCount> {
    let mut outcomes: BTreeMap<&str, BTreeMap<&str, u64>> = BTreeMap::new();
    for (kind, group) in counted {
        *outcomes.entry(&kind.outcome).or_default().entry(&kind.brand).or_default() += group.count;
    }
    let count = |(outcome, brands): (&str, BTreeMap<&str, u64>)| {
        let runs = brands.values().sum();
        let brands = brands.into_iter().map(|(brand, runs)| (brand.to_owned(), runs));
        let mut brands: Vec<(String, u64)> = brands.collect();
        brands.sort_by_key(|(_, runs)| Reverse(*runs));
        OutcomeCount { outcome: outcome.to_owned(), runs, brands }
    };
    let mut outcomes: Vec<OutcomeCount> = outcomes.into_iter().map(count).collect();
    outcomes.sort_by_key(|one| Reverse(one.runs));
    outcomes
}

impl LogReader {
    /// The stored failures that match the filter, in groups.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn failures(&self, filter: &FailureFilter) -> Result<Failures, LogError> {
        self.failures_if(filter, |_, _, _| true)
    }

    /// The same without the groups that `is_shown` rejects, which knows their kind, how many they are, and when the
    /// last of them was recorded. [`Failures::outcomes`] counts all.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn failures_if(
        &self,
        filter: &FailureFilter,
        mut is_shown: impl FnMut(&FailureKind, u64, i64) -> bool,
    ) -> Result<Failures, LogError> {
        let mut counted: Vec<(FailureKind, Counted)> = self.count_failures(filter)?.into_iter().collect();
        let outcomes = count_outcomes(&counted);
        counted.retain(|(kind, group)| is_shown(kind, group.count, group.last_ms));
        let by = |group: &Counted| match filter.order {
            FailureOrder::Most => Reverse((group.count, group.last_id)),
            FailureOrder::Rarest => Reverse((u64::MAX - group.count, group.last_id)),
            FailureOrder::Latest => Reverse((group.last_ms.unsigned_abs(), group.last_id)),
            FailureOrder::Newest => Reverse((group.first_ms.unsigned_abs(), group.last_id)),
        };
        counted.sort_by_key(|(_, group)| by(group));
        let groups_all = counted.len();
        let mut groups = Vec::new();
        for (kind, group) in counted.into_iter().take(filter.limit) {
            let Counted { count, first_ms, last_ms, last_id, since, trend } = group;
            // The run may have been deleted since.
            if let Some(last) = self.find(last_id)? {
                groups.push(FailureGroup { kind, count, first_ms, last_ms, since, trend, last });
            }
        }
        Ok(Failures { groups, groups_all, outcomes })
    }

    /// The newest failures that are of the same kind as the run `id`, without this run.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn like(&self, id: i64, limit: u32) -> Result<Vec<Execution>, LogError> {
        let sql = "SELECT other.id FROM execution AS this JOIN execution AS other
                   ON other.brand = this.brand AND other.page = this.page
                   WHERE this.id = ?1 AND other.id <> ?1 AND other.has_failed
                     AND other.outcome = this.outcome AND other.kind IS this.kind
                   ORDER BY other.id DESC LIMIT ?2";
        let read = || {
            let mut statement = self.conn().prepare_cached(sql)?;
            statement.query_map(params![id, limit], |row| row.get(0))?.collect::<rusqlite::Result<Vec<i64>>>()
        };
        let found = self.with_path(read())?;
        let runs: Result<Vec<_>, _> = found.into_iter().map(|id| self.find(id)).collect();
        Ok(runs?.into_iter().flatten().collect())
    }

    /// How many stored failures are of the same kind as the run `id`, itself included. None if it is not stored.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn count_like(&self, id: i64) -> Result<Option<KindCount>, LogError> {
        let sql = "SELECT count(*), min(other.at_ms), max(other.at_ms)
                   FROM execution AS this JOIN execution AS other
                   ON other.brand = this.brand AND other.page = this.page
                   WHERE this.id = ?1 AND other.has_failed
                     AND other.outcome = this.outcome AND other.kind IS this.kind";
        let read = |row: &Row<'_>| {
            let count: i64 = row.get(0)?;
            let (first_ms, last_ms): (Option<i64>, Option<i64>) = (row.get(1)?, row.get(2)?);
            let count = u64::try_from(count).unwrap_or(0);
            Ok(first_ms.zip(last_ms).map(|(first_ms, last_ms)| KindCount { count, first_ms, last_ms }))
        };
        let found = self.conn().prepare_cached(sql).and_then(|mut sql| sql.query_row([id], read));
        self.with_path(found)
    }

    /// The kind of the run `id`. None if it is not stored or has not failed.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kind_of(&self, id: i64) -> Result<Option<FailureKind>, LogError> {
        let sql =
            "SELECT brand, page, outcome, coalesce(kind, '') FROM execution WHERE id = ?1 AND has_failed";
        let found = self.conn().query_row(sql, [id], kind).optional();
        self.with_path(found)
    }

    /// Every kind of failure that is stored, of one brand if it is given, and when it was recorded last.
    ///
    /// # Errors
    /// The file cannot be read.
    pub fn kinds(&self, brand: Option<&str>) -> Result<Vec<(FailureKind, i64)>, LogError> {
        let sql = "SELECT brand, page, outcome, coalesce(kind, ''), max(at_ms) FROM execution
                   WHERE has_failed AND (?1 IS NULL OR brand = ?1) GROUP BY 1, 2, 3, 4";
        let read = || {
            let mut statement = self.conn().prepare_cached(sql)?;
            let found = statement.query_map([brand], |row| Ok((kind(row)?, row.get(4)?)))?;
            found.collect::<rusqlite::Result<Vec<_>>>()
        };
        self.with_path(read())
    }

    fn count_failures(&self, filter: &FailureFilter) -> Result<HashMap<FailureKind, Counted>, LogError> {
        let parts = i64::from(filter.parts.max(1));
        let part_ms = ((filter.to_ms - filter.from_ms) / parts).max(1);
        let sql = "SELECT brand, page, outcome, coalesce(kind, ''), (at_ms - ?3) / ?5 AS part,
                          count(*), min(at_ms), max(at_ms), max(id), total(at_ms >= ?6)
                   FROM execution
                   WHERE has_failed AND at_ms >= ?3 AND at_ms < ?4
                     AND (?1 IS NULL OR brand = ?1) AND (?2 IS NULL OR page = ?2)
                   GROUP BY 1, 2, 3, 4, 5";
        let mut counted: HashMap<FailureKind, Counted> = HashMap::new();
        let mut statement = self.with_path(self.conn().prepare_cached(sql))?;
        let asked =
            params![filter.brand, filter.page, filter.from_ms, filter.to_ms, part_ms, filter.since_ms];
        let mut rows = self.with_path(statement.query(asked))?;
        while let Some(row) = self.with_path(rows.next())? {
            let read = || -> rusqlite::Result<(FailureKind, i64, i64, i64, i64, i64, f64)> {
                Ok((kind(row)?, row.get(4)?, row.get(5)?, row.get(6)?, row.get(7)?, row.get(8)?, row.get(9)?))
            };
            let (kind, part, count, first_ms, last_ms, last_id, since) = self.with_path(read())?;
            let count = u64::try_from(count).unwrap_or(0);
            let group = counted.entry(kind).or_insert_with(|| Counted {
                count: 0,
                first_ms,
                last_ms,
                last_id,
                since: 0,
                trend: vec![0; usize::try_from(parts).unwrap_or(1)],
            });
            group.count += count;
            group.since += since as u64;
            group.first_ms = group.first_ms.min(first_ms);
            group.last_ms = group.last_ms.max(last_ms);
            group.last_id = group.last_id.max(last_id);
            let part = usize::try_from(part.clamp(0, parts - 1)).unwrap_or(0);
            if let Some(known) = group.trend.get_mut(part) {
                *known += count;
            }
        }
        Ok(counted)
    }
}

/// From the first four columns.
fn kind(row: &Row<'_>) -> rusqlite::Result<FailureKind> {
    Ok(FailureKind { brand: row.get(0)?, page: row.get(1)?, outcome: row.get(2)?, message: row.get(3)? })
}
