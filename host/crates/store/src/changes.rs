//! What operators have changed with the admin listener and with commands, and their logins, for all hosts.

use sluice_kit::{BoxFuture, StoreError};

/// Longer texts of a change are cut, in bytes.
pub const TEXT_BYTES_MAX: usize = 400;

/// At most this many of the jobs that a change is about are named.
pub const NAMED_MAX: u32 = 5;

/// What a change of many jobs is about: their number, and the first of them by name: `jobs: 7 (mail.send 01…, …)`.
#[must_use]
pub fn counted(count: u32, names: impl Iterator<Item = String>) -> String {
    let mut names: Vec<String> = names.take(count.min(NAMED_MAX) as usize).collect();
    let more = (count as usize).saturating_sub(names.len());
    match (names.len(), more) {
        (0, _) => return format!("jobs: {count}"),
        (_, 0) => {}
        _ => names.push(format!("{more} more")),
    }
    format!("jobs: {count} ({})", names.join(", "))
}

/// What a change is. Each class has a number of rows of its own, so that nobody can flood the other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Class {
    /// A change of the site, of data or of jobs.
    #[default]
    Change,
    /// A login, a logout, or attempts with a wrong token.
    Login,
    /// A request that nobody looked at, because its sender may change nothing.
    Refused,
}

impl Class {
    /// As in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Change => "change",
            Self::Login => "login",
            Self::Refused => "refused",
        }
    }

    /// As it is read from the database.
    pub(crate) fn read(class: &str) -> Self {
        match class {
            "login" => Self::Login,
            "refused" => Self::Refused,
            _ => Self::Change,
        }
    }

    /// How many are kept. Older ones are deleted.
    #[must_use]
    pub fn rows_max(self) -> u32 {
        match self {
            Self::Change => 10_000,
            Self::Login | Self::Refused => 2_000,
        }
    }
}

/// A change that an operator made, or tried to make. Texts are empty where there is nothing to say.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct OperatorChange {
    /// When the request arrived, in Unix milliseconds.
    pub at_ms: i64,
    /// How long it took, in milliseconds.
    pub took_ms: i64,
    /// What it counts as.
    pub class: Class,
    /// The name of an operator, `token`, the name of a console session, or `command line`.
    pub operator: String,
    /// The address of the client, or the name of the user who ran a command.
    pub client: String,
    /// The brand's id.
    pub brand: String,
    /// What was done: `limit.set`.
    pub action: String,
    /// What it was done to: the path of a page, `leads/ID` for an entry, the id of a job.
    pub target: String,
    /// The part of it: the name of a limit, the keys of fields.
    pub item: String,
    /// The value before.
    pub was: String,
    /// The value afterwards.
    pub becomes: String,
    /// `done`, `refused` or `failed`.
    pub outcome: String,
    /// The status of the response, or 0 for a command.
    pub status: u16,
    /// Why it was refused, or why it failed.
    pub said: String,
}

impl OperatorChange {
    /// Cuts its texts, and leaves out what no database stores.
    #[must_use]
    pub fn bounded(mut self) -> Self {
        let texts = [
            &mut self.operator,
            &mut self.client,
            &mut self.brand,
            &mut self.action,
            &mut self.target,
            &mut self.item,
            &mut self.was,
            &mut self.becomes,
            &mut self.outcome,
        ];
        for text in texts {
            bound(text);
        }
        // A reason can have lines that point into a file.
        bound_to(&mut self.said, |c| c.is_control() && c != '\n');
        self
    }
}

/// Cuts a text, and replaces what no database stores.
pub(crate) fn bound(text: &mut String) {
    bound_to(text, char::is_control);
}

fn bound_to(text: &mut String, is_replaced: impl Fn(char) -> bool) {
    if text.len() > TEXT_BYTES_MAX {
        let mut end = TEXT_BYTES_MAX - '…'.len_utf8();
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        text.truncate(end);
        text.push('…');
    }
    if text.contains(&is_replaced) {
        *text = text.replace(&is_replaced, " ");
    }
}

/// A change that is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeptChange {
    /// Later changes have greater numbers.
    pub id: i64,
    /// The change.
    pub change: OperatorChange,
}

/// Which changes to list. What is empty or `None` matches all.
#[derive(Debug, Clone, Default)]
pub struct ChangeFilter {
    /// Those of a brand.
    pub brand: Option<String>,
    /// Those of a target.
    pub target: Option<String>,
    /// Those whose action begins so: `limit.`
    pub action: Option<String>,
    /// Those with an outcome.
    pub outcome: Option<String>,
    /// Those of an operator.
    pub operator: Option<String>,
    /// Those that arrived at this moment or later, in Unix milliseconds.
    pub from_ms: Option<i64>,
    /// Those that arrived before this moment.
    pub to_ms: Option<i64>,
    /// Those of which a part has this text, in capitals or not if its letters are of ASCII.
    pub text: Option<String>,
    /// Those that are older than the one with this number.
    pub before: Option<i64>,
    /// At most so many.
    pub rows_max: u32,
}

impl ChangeFilter {
    /// The text as the databases look for it: small letters, and nothing that no database stores.
    pub(crate) fn small_text(&self) -> Option<String> {
        let mut text = self.text.as_deref()?.to_ascii_lowercase();
        bound(&mut text);
        Some(text)
    }
}

/// The changes of all hosts on the database.
pub trait ChangeStore: Send + Sync {
    /// Keeps a change, whose texts it cuts, and deletes the oldest of its class beyond `rows_max`.
    fn add_change(&self, change: OperatorChange, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>>;

    /// The changes that match, the newest first.
    fn list_changes(&self, filter: ChangeFilter) -> BoxFuture<'_, Result<Vec<KeptChange>, StoreError>>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_cut_and_have_no_control_characters() {
        let long =
            OperatorChange { said: "é".repeat(900), item: "a\0b\n".to_owned(), ..OperatorChange::default() };
        let bounded = long.bounded();
        assert!(bounded.said.len() <= TEXT_BYTES_MAX && bounded.said.ends_with("é…"), "{}", bounded.said);
        assert_eq!(bounded.item, "a b ");
        let lines = OperatorChange { said: "a\n  |\r\n\0".to_owned(), ..OperatorChange::default() };
        assert_eq!(lines.bounded().said, "a\n  | \n ", "the lines of a reason stay");
        let short = OperatorChange { said: "x".repeat(TEXT_BYTES_MAX), ..OperatorChange::default() };
        assert_eq!(short.clone().bounded(), short);
    }

    #[test]
    fn the_first_of_many_jobs_are_named() {
        let names = |count: usize| (0..count).map(|name| format!("job {name}"));
        assert_eq!(counted(0, names(0)), "jobs: 0");
        assert_eq!(counted(2, names(2)), "jobs: 2 (job 0, job 1)");
        assert_eq!(counted(1, names(2)), "jobs: 1 (job 0)");
        assert_eq!(counted(7, names(7)), "jobs: 7 (job 0, job 1, job 2, job 3, job 4, 2 more)");
    }
}
