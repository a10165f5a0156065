//! Kinds of failures that operators have resolved or muted.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};
use tokio::time::timeout;

use sluice_kit::clock::{iso_utc, now_ms};
use sluice_kit::hex::hex;
use sluice_runs::execution_log::failures::FailureKind;
use sluice_store::failure_marks::{FailureMark, MARKS_MAX, MarkState, SeenKind};

use super::range::parse_length;
use super::shown_kinds::{Place, Show, Tally};
use super::{find_brand, read_log};
use crate::admin::changes::note;
use crate::admin::error::AdminError;
use crate::admin::{AdminState, DATABASE_WAIT};

/// Marks that are read. The failures of older ones are shown.
pub(crate) const READ_MAX: u32 = 5_000;
/// The longest time for which a kind can be muted.
const MUTE_DAYS_MAX: i64 = 365;
const DAY_MINUTES: i64 = 24 * 60;
/// Bytes of a kind's id.
const ID_BYTES: usize = 16;

/// Identifies a kind within its brand. It is the same on every host.
pub(crate) fn id_of(kind: &FailureKind) -> String {
    let mut hash = Sha256::new();
    for part in [&kind.page, &kind.outcome, &kind.message] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    hex(hash.finalize().get(..ID_BYTES).unwrap_or_default())
}

/// What an operator has said about a kind.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct MarkView {
    pub(crate) state: Place,
    pub(crate) at_ms: i64,
    /// Until when it is muted. None: until somebody ends it.
    pub(crate) until_ms: Option<i64>,
    pub(crate) operator: String,
}

/// The marks of all hosts, or of a brand.
#[derive(Debug, Clone, Default)]
pub(crate) struct Marks {
    marks: HashMap<(String, String), FailureMark>,
    /// False if the database does not answer in time. Then all failures are shown, as if nobody had marked one.
    pub(crate) are_known: bool,
}

impl Marks {
    pub(crate) async fn load(state: &AdminState, brand: Option<&str>) -> Self {
        let listed = state.app.store.list_failure_marks(brand.map(str::to_owned), READ_MAX);
        match timeout(DATABASE_WAIT, listed).await {
            Ok(Ok(found)) => Self::of(found),
            Ok(Err(_)) | Err(_) => Self::default(),
        }
    }

    pub(crate) fn of(found: Vec<FailureMark>) -> Self {
        let keyed = found.into_iter().map(|mark| ((mark.brand.clone(), mark.kind.clone()), mark));
        Self { marks: keyed.collect(), are_known: true }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    fn get(&self, kind: &FailureKind) -> Option<&FailureMark> {
        match self.marks.is_empty() {
            true => None,
            false => self.marks.get(&(kind.brand.clone(), id_of(kind))),
        }
    }

    /// What an operator has said about a kind that failed last at `last_ms`, at the moment `end_ms`. None if nobody
    /// did, or if that is over.
    pub(crate) fn view(&self, kind: &FailureKind, (last_ms, end_ms): (i64, i64)) -> Option<MarkView> {
        let mark = self.get(kind)?;
        let state = place(mark, last_ms, end_ms);
        (state != Place::Open).then(|| view(mark, state))
    }

    /// Whether a kind is listed that failed `count` times, the last time at `last_ms`, at the moment `end_ms`. Adds it
    /// to the tally.
    pub(crate) fn is_shown(
        &self,
        (kind, count): (&FailureKind, u64),
        (show, tally): (Show, &mut Tally),
        (last_ms, end_ms): (i64, i64),
    ) -> bool {
        let mark = self.get(kind);
        let place = mark.map_or(Place::Open, |mark| place(mark, last_ms, end_ms));
        tally.add((&kind.brand, &kind.page), place, count);
        tally.marked.extend(mark.map(|mark| (mark.brand.clone(), mark.kind.clone())));
        place.is_in(show)
    }

    /// The newest marks of a sort whose kinds have not failed in the time of the tally.
    pub(crate) fn others(&self, show: Show, tally: &Tally, now_ms: i64) -> Vec<OtherMark> {
        if show == Show::Open {
            return Vec::new();
        }
        let place = |mark: &FailureMark| place(mark, mark.seen_ms, now_ms);
        let others = self.marks.iter().filter(|(key, _)| !tally.marked.contains(*key)).map(|(_, mark)| mark);
        let is_asked = |mark: &&FailureMark| place(mark) != Place::Open && place(mark).is_in(show);
        let mut found: Vec<&FailureMark> = others.filter(is_asked).collect();
        found.sort_by(|a, b| (b.at_ms, &a.brand, &a.kind).cmp(&(a.at_ms, &b.brand, &b.kind)));
        found.truncate(OTHERS_MAX);
        found.into_iter().map(|mark| OtherMark::of(mark, place(mark))).collect()
    }
}

/// Marks without failures in the time that are listed.
const OTHERS_MAX: usize = 50;

/// A mark without failures in the time that is looked at.
#[derive(Debug, Serialize)]
pub(crate) struct OtherMark {
    pub(crate) brand: String,
    /// The id of the kind.
    pub(crate) kind: String,
    pub(crate) page: String,
    pub(crate) outcome: String,
    /// Without its numbers.
    pub(crate) message: String,
    #[serde(flatten)]
    pub(crate) mark: MarkView,
}

impl OtherMark {
    fn of(mark: &FailureMark, state: Place) -> Self {
        Self {
            brand: mark.brand.clone(),
            kind: mark.kind.clone(),
            page: mark.page.clone(),
            outcome: mark.outcome.clone(),
            message: mark.message.clone(),
            mark: view(mark, state),
        }
    }
}

fn view(mark: &FailureMark, state: Place) -> MarkView {
    let until_ms = match mark.state {
        MarkState::Muted { until_ms } => until_ms,
        MarkState::Resolved => None,
    };
    MarkView { state, at_ms: mark.at_ms, until_ms, operator: mark.operator.clone() }
}

fn place(mark: &FailureMark, last_ms: i64, end_ms: i64) -> Place {
    // A look back at a time before the mark shows what there was. The clock of another host can be ahead a bit.
    if mark.at_ms > end_ms && end_ms < now_ms() {
        return Place::Open;
    }
    match mark.state {
        MarkState::Resolved if last_ms > mark.at_ms => Place::CameBack,
        MarkState::Resolved => Place::Resolved,
        MarkState::Muted { until_ms } if until_ms.is_some_and(|until_ms| until_ms <= end_ms) => Place::Open,
        MarkState::Muted { .. } => Place::Muted,
    }
}

/// What an operator can do with a kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Action {
    /// Hide it until it fails again.
    Resolve,
    /// Hide it for a time, or until somebody ends that.
    Mute,
    /// Show it again.
    Reopen,
}

/// `for=7d`: for how long a kind is muted. Without it, until somebody ends that.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Length {
    #[serde(rename = "for")]
    pub(crate) text: String,
}

impl Length {
    fn until_ms(&self, now_ms: i64) -> Result<Option<i64>, AdminError> {
        let text = self.text.trim();
        if text.is_empty() {
            return Ok(None);
        }
        let minutes = parse_length(text).filter(|minutes| *minutes <= MUTE_DAYS_MAX * DAY_MINUTES);
        let minutes = minutes.ok_or_else(|| {
            let said =
                format!("{text:?} is not a length of time such as 90m, 36h or 7d, of at most 365 days");
            AdminError::InvalidRequest(said)
        })?;
        Ok(Some(now_ms.saturating_add(minutes * 60_000)))
    }
}

/// Marks a kind, or ends its mark. Returns what is said about it.
///
/// # Errors
/// There is no such brand or kind, the length is invalid, or the database does not answer.
pub(crate) async fn act(
    state: &AdminState,
    (brand, id): (&str, &str),
    (action, length): (Action, &Length),
    operator: String,
) -> Result<String, AdminError> {
    let brand = &find_brand(state, brand)?.id;
    let now = now_ms();
    let known = state.app.store.list_failure_marks(Some(brand.clone()), MARKS_MAX).await?;
    let known = known.into_iter().find(|mark| mark.kind == id);
    let of_brand = brand.clone();
    let found = read_log(state, move |log| log.kinds(Some(&of_brand))).await?;
    let found = found.into_iter().find(|(kind, _)| id_of(kind) == id);
    let no_kind = || AdminError::NoFailureKind { brand: brand.clone(), kind: id.to_owned() };
    let (page, outcome) = match (&found, &known) {
        (Some((kind, _)), _) => (kind.page.clone(), kind.outcome.clone()),
        // The kind of a mark may have failed on another host only.
        (None, Some(mark)) => (mark.page.clone(), mark.outcome.clone()),
        (None, None) => return Err(no_kind()),
    };
    note(|note| {
        note.target = Some(page.clone());
        note.item = format!("{outcome}, kind {}", id.get(..8).unwrap_or(id));
        note.was = known.as_ref().map(|mark| word(mark.state)).unwrap_or_default();
    });
    let becomes = match action {
        Action::Reopen => {
            let is_gone = state.app.store.unmark_failure(brand.clone(), id.to_owned()).await?;
            return match is_gone {
                true => Ok("The failures of this kind are shown again.".to_owned()),
                false => Err(no_kind()),
            };
        }
        Action::Resolve => MarkState::Resolved,
        Action::Mute => MarkState::Muted { until_ms: length.until_ms(now)? },
    };
    note(|note| note.becomes = word(becomes));
    let (message, seen_ms) = match (found, known) {
        (Some((kind, last_ms)), _) => (kind.message, last_ms),
        (None, known) => known.map(|mark| (mark.message, mark.seen_ms)).unwrap_or_default(),
    };
    let mark = FailureMark {
        brand: brand.clone(),
        kind: id.to_owned(),
        page,
        outcome,
        message,
        state: becomes,
        at_ms: now,
        operator,
        seen_ms,
    };
    state.app.store.mark_failure(mark, MARKS_MAX).await?;
    Ok(match becomes {
        MarkState::Resolved => {
            "Resolved. This kind of failure is hidden from the lists until it happens again.".to_owned()
        }
        MarkState::Muted { until_ms: None } => {
            "Muted. This kind of failure is hidden from the lists until somebody ends that.".to_owned()
        }
        MarkState::Muted { until_ms: Some(until_ms) } => {
            format!("Muted. This kind of failure is hidden from the lists until {}.", minute(until_ms))
        }
    })
}

/// `2026-01-31 10:00 UTC`
fn minute(at_ms: i64) -> String {
    format!("{} UTC", iso_utc(at_ms).get(..16).unwrap_or_default().replace('T', " "))
}

/// `muted until 2026-01-31 10:00 UTC`
fn word(state: MarkState) -> String {
    match state {
        MarkState::Muted { until_ms: Some(until_ms) } => format!("muted until {}", minute(until_ms)),
        other => other.as_str().to_owned(),
    }
}

/// The marks of a brand, the newest first.
///
/// # Errors
/// There is no such brand, or the database does not answer.
pub(crate) async fn list(state: &AdminState, brand: &str) -> Result<Vec<OtherMark>, AdminError> {
    let brand = find_brand(state, brand)?.id.clone();
    let found = state.app.store.list_failure_marks(Some(brand), MARKS_MAX).await?;
    let now = now_ms();
    Ok(found.iter().map(|mark| OtherMark::of(mark, place(mark, mark.seen_ms, now))).collect())
}

/// A kind that was noted as failing is noted again after this time.
const NOTE_EVERY_MS: i64 = 60 * 60 * 1_000;

/// The kinds with a mark that have failed on this host after what is noted about them.
pub(crate) fn seen_since(marks: &[FailureMark], kinds: &[(FailureKind, i64)]) -> Vec<SeenKind> {
    let last: HashMap<(&str, String), i64> =
        kinds.iter().map(|(kind, at_ms)| ((kind.brand.as_str(), id_of(kind)), *at_ms)).collect();
    let seen = |mark: &FailureMark| {
        let at_ms = *last.get(&(mark.brand.as_str(), mark.kind.clone()))?;
        let is_news = at_ms >= mark.seen_ms.saturating_add(NOTE_EVERY_MS);
        is_news.then(|| SeenKind { brand: mark.brand.clone(), kind: mark.kind.clone(), at_ms })
    };
    marks.iter().filter_map(seen).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(message: &str) -> FailureKind {
        FailureKind {
            brand: "shop".to_owned(),
            page: "pages/cart.html".to_owned(),
            outcome: "error".to_owned(),
            message: message.to_owned(),
        }
    }

    fn marked(state: MarkState) -> Marks {
        Marks::of(vec![FailureMark {
            brand: "shop".to_owned(),
            kind: id_of(&kind("a")),
            page: String::new(),
            outcome: String::new(),
            message: String::new(),
            state,
            at_ms: 100,
            operator: String::new(),
            seen_ms: 0,
        }])
    }

    #[test]
    fn kinds_have_ids_of_their_own() {
        let shifted = FailureKind { outcome: "errora".to_owned(), message: String::new(), ..kind("") };
        let ids = [id_of(&kind("a")), id_of(&kind("b")), id_of(&kind("")), id_of(&shifted)];
        assert_eq!(ids[0].len(), 2 * ID_BYTES);
        assert_eq!(ids[0], id_of(&FailureKind { brand: "other".to_owned(), ..kind("a") }));
        assert!(ids.iter().enumerate().all(|(at, id)| !ids[..at].contains(id)));
    }

    fn of(marks: &Marks, message: &str, times: (i64, i64)) -> Place {
        marks.view(&kind(message), times).map_or(Place::Open, |mark| mark.state)
    }

    #[test]
    fn what_is_resolved_comes_back_when_it_fails_again() {
        let marks = marked(MarkState::Resolved);
        let place = |last_ms, end_ms| of(&marks, "a", (last_ms, end_ms));
        assert_eq!(place(100, 200), Place::Resolved);
        assert_eq!(place(101, 200), Place::CameBack);
        assert_eq!(place(90, 99), Place::Open, "before anybody resolved it");
        assert_eq!(of(&marks, "b", (100, 200)), Place::Open);
        assert!(Place::CameBack.is_in(Show::Open) && !Place::Resolved.is_in(Show::Open));
    }

    #[test]
    fn what_is_muted_is_hidden_until_its_time_is_over() {
        let forever = marked(MarkState::Muted { until_ms: None });
        assert_eq!(of(&forever, "a", (i64::MAX, 200)), Place::Muted);
        let timed = marked(MarkState::Muted { until_ms: Some(150) });
        assert_eq!(of(&timed, "a", (120, 149)), Place::Muted);
        assert_eq!(of(&timed, "a", (120, 150)), Place::Open);
        let length =
            |text: &str| Length { text: text.to_owned() }.until_ms(0).map_err(|error| error.to_string());
        assert_eq!(
            (length(""), length("90m"), length("365d")),
            (Ok(None), Ok(Some(5_400_000)), Ok(Some(31_536_000_000)))
        );
        for wrong in ["366d", "0d", "-1d", "soon", "9999999999999999999d"] {
            assert!(length(wrong).unwrap_err().contains("is not a length of time"), "{wrong}");
        }
    }

    #[test]
    fn what_still_fails_is_noted_once_in_an_hour() {
        let marks: Vec<FailureMark> = marked(MarkState::Resolved).marks.into_values().collect();
        assert!(seen_since(&marks, &[(kind("a"), NOTE_EVERY_MS - 1), (kind("b"), i64::MAX)]).is_empty());
        let seen = seen_since(&marks, &[(kind("a"), NOTE_EVERY_MS)]);
        assert_eq!(seen[0].at_ms, NOTE_EVERY_MS);
    }
}
