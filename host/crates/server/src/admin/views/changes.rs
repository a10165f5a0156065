//! Who changed what, the newest first.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use sluice_kit::clock::iso_utc;
use sluice_limits::KINDS;
use sluice_store::changes::{ChangeFilter, KeptChange};

use super::find_brand;
use super::range::Range;
use crate::admin::error::AdminError;
use crate::admin::templates::amount::exact;
use crate::admin::{AdminState, DATABASE_WAIT};

/// Changes on one page.
const CHANGES: u32 = 100;
/// Changes of one page or entry that are looked through for the last one of each limit or stage.
const OF_TARGET: u32 = 200;
/// Two changes of an entry never have the same time, so a move can be noted a bit later than it happened.
const SLACK_MS: i64 = 100;

/// What each action is called: as a name, and in words.
const ACTIONS: [(&str, &str); 19] = [
    ("limit.set", "set a limit"),
    ("limit.remove", "remove a limit"),
    ("failure.resolve", "resolve a kind of failure"),
    ("failure.mute", "mute a kind of failure"),
    ("failure.reopen", "reopen a kind of failure"),
    ("entry.create", "create an entry"),
    ("entry.change", "change an entry"),
    ("entry.delete", "delete entries"),
    ("entry.import", "import entries"),
    ("job.retry", "retry jobs"),
    ("job.drop", "drop jobs"),
    ("job.push", "run a function as a job"),
    ("write.retry", "retry background writes"),
    ("write.drop", "drop background writes"),
    ("schedule.run", "run a schedule"),
    ("cache.purge", "drop cached answers"),
    ("site.reload", "reload the site"),
    ("login.in", "log in"),
    ("login.out", "log out"),
];

/// The groups of actions that can be chosen: what their names begin with, and in words.
pub(crate) const GROUPS: [(&str, &str); 9] = [
    ("limit.", "limits"),
    ("failure.", "kinds of failures"),
    ("entry.", "CRM entries"),
    ("job.", "jobs of scripts"),
    ("write.", "background writes"),
    ("schedule.", "schedules"),
    ("cache.", "cached answers"),
    ("site.", "reloads"),
    ("login.", "logins"),
];

pub(crate) const OUTCOMES: [&str; 3] = ["done", "refused", "failed"];

/// `?brand=shop&action=limit.&outcome=refused&operator=token&target=/cart&text=fuel&before=17`
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Query {
    pub(crate) brand: Option<String>,
    /// What the action begins with.
    pub(crate) action: Option<String>,
    pub(crate) outcome: Option<String>,
    pub(crate) operator: Option<String>,
    pub(crate) target: Option<String>,
    /// Only changes with this text in one of their parts.
    pub(crate) text: Option<String>,
    /// Only changes of this time.
    #[serde(skip)]
    pub(crate) within: Option<(i64, i64)>,
    /// Only changes that are older than the one with this number.
    pub(crate) before: Option<i64>,
}

impl Query {
    /// The same for the time of the range, if one is given.
    pub(crate) fn within(mut self, range: Range) -> Self {
        self.within = range.is_given().then(|| range.of_any_length());
        self
    }

    /// Names and values without the number, for links and other forms. `of_host` leaves the brand in.
    pub(crate) fn given(&self, of_host: bool) -> Vec<(&'static str, &str)> {
        let all = [
            ("brand", self.brand.as_deref().filter(|_| of_host)),
            ("action", self.action.as_deref()),
            ("outcome", self.outcome.as_deref()),
            ("operator", self.operator.as_deref()),
            ("target", self.target.as_deref()),
            ("text", self.text.as_deref()),
        ];
        let given = all.into_iter().filter_map(|(name, value)| Some((name, value?)));
        given.filter(|(_, value)| !value.is_empty()).collect()
    }
}

/// A change.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct ChangeView {
    pub(crate) id: i64,
    pub(crate) at_ms: i64,
    pub(crate) took_ms: i64,
    /// The name of an operator, `token`, the name of a console session, or `command line`.
    pub(crate) operator: String,
    /// The address of the client, or the name of the user who ran a command.
    pub(crate) client: String,
    /// Null if it is of no brand.
    pub(crate) brand: Option<String>,
    pub(crate) action: String,
    /// The same in words.
    pub(crate) what: String,
    pub(crate) target: String,
    pub(crate) item: String,
    pub(crate) was: String,
    pub(crate) becomes: String,
    /// `done`, `refused` or `failed`.
    pub(crate) outcome: String,
    pub(crate) status: u16,
    /// Why it was refused, or why it failed.
    pub(crate) said: String,
}

impl From<KeptChange> for ChangeView {
    fn from(KeptChange { id, change }: KeptChange) -> Self {
        let words = ACTIONS.iter().find(|(action, _)| *action == change.action);
        Self {
            id,
            at_ms: change.at_ms,
            took_ms: change.took_ms,
            operator: change.operator,
            client: change.client,
            brand: Some(change.brand).filter(|brand| !brand.is_empty()),
            what: words.map_or_else(|| change.action.clone(), |(_, words)| (*words).to_owned()),
            action: change.action,
            target: change.target,
            item: change.item,
            was: change.was,
            becomes: change.becomes,
            outcome: change.outcome,
            status: change.status,
            said: change.said,
        }
    }
}

impl ChangeView {
    /// A value before or after, with the unit of the limit if it is one.
    pub(crate) fn value(&self, value: &str) -> String {
        let kind = KINDS.iter().find(|kind| self.action.starts_with("limit.") && kind.name == self.item);
        match kind.zip(value.parse().ok()) {
            Some((kind, number)) => exact(number, kind.unit),
            None => value.to_owned(),
        }
    }
}

/// The changes that match, newest first, and the number before which older ones begin.
///
/// # Errors
/// There is no such brand or outcome, or the database does not answer.
pub(crate) async fn list(
    state: &AdminState,
    query: &Query,
) -> Result<(Vec<ChangeView>, Option<i64>), AdminError> {
    let mut found = state.app.store.list_changes(filter(state, query, CHANGES + 1)?).await?;
    // One more shows whether there are older ones.
    let has_more = found.len() > CHANGES as usize;
    found.truncate(CHANGES as usize);
    let next = found.last().map(|last| last.id).filter(|_| has_more);
    Ok((found.into_iter().map(ChangeView::from).collect(), next))
}

/// A longer text is rejected.
const TEXT_CHARS_MAX: usize = 200;

/// # Errors
/// There is no such brand or outcome, or the text is too long.
pub(crate) fn filter(state: &AdminState, query: &Query, rows_max: u32) -> Result<ChangeFilter, AdminError> {
    let given = |text: &Option<String>| text.clone().filter(|text| !text.is_empty());
    let brand = given(&query.brand);
    if let Some(brand) = &brand {
        find_brand(state, brand)?;
    }
    let outcome = given(&query.outcome);
    if let Some(outcome) = outcome.as_ref().filter(|outcome| !OUTCOMES.contains(&outcome.as_str())) {
        let said = format!("there is no outcome {outcome:?}: give done, refused or failed");
        return Err(AdminError::InvalidRequest(said));
    }
    let text = query.text.as_deref().map(str::trim).filter(|text| !text.is_empty());
    if text.is_some_and(|text| text.chars().count() > TEXT_CHARS_MAX) {
        let said = format!("the text to look for has more than {TEXT_CHARS_MAX} characters");
        return Err(AdminError::InvalidRequest(said));
    }
    Ok(ChangeFilter {
        brand,
        outcome,
        action: given(&query.action),
        operator: given(&query.operator),
        target: given(&query.target),
        text: text.map(str::to_owned),
        from_ms: query.within.map(|(from_ms, _)| from_ms),
        to_ms: query.within.map(|(_, to_ms)| to_ms),
        before: query.before,
        rows_max,
    })
}

/// The changes of a page or an entry that were made, newest first. None if the database does not answer in time: what
/// they are shown beside does not depend on them.
async fn of_target(state: &AdminState, brand: &str, target: &str, action: &str) -> Vec<ChangeView> {
    let filter = ChangeFilter {
        brand: Some(brand.to_owned()),
        target: Some(target.to_owned()),
        action: Some(action.to_owned()),
        outcome: Some("done".to_owned()),
        rows_max: OF_TARGET,
        ..ChangeFilter::default()
    };
    let found = tokio::time::timeout(DATABASE_WAIT, state.app.store.list_changes(filter)).await;
    found.ok().and_then(Result::ok).unwrap_or_default().into_iter().map(ChangeView::from).collect()
}

/// The last change of each limit of a page, by the name of the limit.
pub(crate) async fn of_limits(state: &AdminState, brand: &str, page: &str) -> BTreeMap<String, ChangeView> {
    let mut last = BTreeMap::new();
    for change in of_target(state, brand, page, "limit.").await {
        last.entry(change.item.clone()).or_insert(change);
    }
    last
}

/// The changes of an entry that moved it, newest first.
pub(crate) async fn moves_of(state: &AdminState, brand: &str, entity: &str, entry: &str) -> Vec<ChangeView> {
    let mut all = of_target(state, brand, &format!("{entity}/{entry}"), "entry.").await;
    all.retain(|change| !change.becomes.is_empty());
    all
}

/// The operator's move to the stage `to` at a time, which is ISO 8601 text, among those of the entry.
pub(crate) fn mover<'a>(moves: &'a [ChangeView], to: &str, moved_at: &str) -> Option<&'a ChangeView> {
    moves.iter().find(|change| {
        let end_ms = change.at_ms.saturating_add(change.took_ms).saturating_add(SLACK_MS);
        let (begin, end) = (iso_utc(change.at_ms), iso_utc(end_ms));
        change.becomes == to && (begin.as_str()..=end.as_str()).contains(&moved_at)
    })
}
