//! Compares a history with what is found afterwards. What was acknowledged must be found, once and in
//! order. What was not acknowledged may be found or not.

mod expected;
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use expected::Writes;
pub(crate) use expected::{Expected, ExpectedSession};

/// What is stored for a reference, in the order of the writes.
#[derive(Clone, Debug, Default)]
pub(crate) struct Line {
    pub added: Vec<u64>,
    pub queued: Vec<u64>,
    pub last: Option<u64>,
    pub kept: Option<u64>,
    pub count: Option<u64>,
}

/// What a session cookie opens.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Opened {
    pub email: Option<String>,
    pub keys: BTreeSet<u64>,
}

/// What is found after the faults.
#[derive(Clone, Debug, Default)]
pub(crate) struct Found {
    pub lines: BTreeMap<String, Line>,
    /// By cookie.
    pub sessions: BTreeMap<String, Opened>,
}

/// What is wrong, in words.
#[derive(Clone, Debug, Default)]
pub(crate) struct Verdict {
    /// The number of acknowledged writes.
    pub acknowledged: usize,
    /// The number of writes that were not acknowledged. A fault that has an effect causes some.
    pub failed: usize,
    /// Acknowledged writes that are not found.
    pub lost: Vec<String>,
    /// Writes that are found more than once.
    pub duplicated: Vec<String>,
    /// Acknowledged writes that are found before earlier ones.
    pub reordered: Vec<String>,
    /// Tokens that logged in more than once.
    pub reused: Vec<String>,
    /// Cookies that open a session although an acknowledged login or logout has ended them.
    pub revived: Vec<String>,
    /// Transactions of which only a part is found.
    pub torn: Vec<String>,
}

impl Verdict {
    /// The subjects and what is wrong with them.
    pub(crate) fn wrong(&self) -> impl Iterator<Item = (&'static str, &Vec<String>)> {
        let all = [
            ("lost", &self.lost),
            ("duplicated", &self.duplicated),
            ("reordered", &self.reordered),
            ("reused", &self.reused),
            ("revived", &self.revived),
            ("torn", &self.torn),
        ];
        all.into_iter().filter(|(_, texts)| !texts.is_empty())
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.wrong().next().is_none()
    }
}

/// Compares.
pub(crate) fn check(expected: &Expected, found: &Found) -> Verdict {
    let (acknowledged, failed) = (expected.acknowledged, expected.failed);
    let mut verdict = Verdict { acknowledged, failed, ..Verdict::default() };
    for (name, writes) in &expected.lines {
        let line = found.lines.get(name).cloned().unwrap_or_default();
        check_list(&mut verdict, &format!("{name} (log)"), &writes.added, &line.added);
        check_list(&mut verdict, &format!("{name} (queue)"), &writes.queued, &line.queued);
        check_last(&mut verdict, name, &writes.set, line.last);
        check_last(&mut verdict, &format!("{name} (storage)"), &writes.kept, line.kept);
        check_count(&mut verdict, name, &writes.counted, line.count.unwrap_or(0));
    }
    for session in &expected.sessions {
        check_session(&mut verdict, session, found);
    }
    for (token, logins) in &expected.tokens {
        if *logins > 1 {
            verdict.reused.push(format!("{logins} logins by {token}"));
        }
    }
    verdict
}

fn check_list(verdict: &mut Verdict, name: &str, writes: &Writes, found: &[u64]) {
    let mut seen = BTreeSet::new();
    let mut greatest = 0;
    for n in found {
        if !seen.insert(*n) {
            verdict.duplicated.push(format!("{name}: {n}"));
        }
        match writes.get(n) {
            // The greater number was written after this one had been acknowledged.
            Some(true) if greatest > *n => verdict.reordered.push(format!("{name}: {n} after {greatest}")),
            Some(_) => {}
            None => verdict.duplicated.push(format!("{name}: {n}, which nobody wrote")),
        }
        greatest = greatest.max(*n);
    }
    for (n, _) in writes.iter().filter(|(n, acknowledged)| **acknowledged && !seen.contains(n)) {
        verdict.lost.push(format!("{name}: {n}"));
    }
}

/// The value is the last one that was acknowledged, or one that was not acknowledged: such a write can
/// happen late.
fn check_last(verdict: &mut Verdict, name: &str, writes: &Writes, found: Option<u64>) {
    let last = writes.iter().rev().find(|(_, acknowledged)| **acknowledged).map(|(n, _)| *n);
    let is_right = match found {
        Some(n) => Some(n) == last || writes.get(&n) == Some(&false),
        None => last.is_none(),
    };
    if !is_right {
        verdict.lost.push(format!("{name} (last): {last:?} was the last, {found:?} is found"));
    }
}

/// Each acknowledged increment is counted once. One that was not acknowledged may be counted.
fn check_count(verdict: &mut Verdict, name: &str, writes: &Writes, found: u64) {
    let (all, acknowledged) = (writes.len() as u64, writes.values().filter(|done| **done).count() as u64);
    if found < acknowledged {
        verdict.lost.push(format!("{name} (count): {acknowledged} were acknowledged, {found} are counted"));
    }
    if found > all {
        verdict.duplicated.push(format!("{name} (count): {all} were asked for, {found} are counted"));
    }
}

fn check_session(verdict: &mut Verdict, session: &ExpectedSession, found: &Found) {
    let ExpectedSession { number, .. } = session;
    let nothing = Opened::default();
    let opens = |cookie: &String| found.sessions.get(cookie).unwrap_or(&nothing);
    for cookie in session.ended.iter().filter(|cookie| *opens(cookie) != nothing) {
        verdict.revived.push(format!("session {number}: {:?}", opens(cookie)));
    }
    if session.has_lost_cookie {
        verdict.lost.push(format!("session {number}: a login or logout gave no new cookie"));
    }
    let Some(cookie) = &session.cookie else { return };
    let opened = opens(cookie);
    // A login or logout that was not acknowledged may have ended this cookie.
    if !session.is_certain && *opened == nothing {
        return;
    }
    if opened.email != session.email {
        verdict.lost.push(format!("session {number}: {:?} instead of {:?}", opened.email, session.email));
    }
    for (n, _) in session.keys.iter().filter(|(n, acknowledged)| **acknowledged && !opened.keys.contains(n)) {
        verdict.lost.push(format!("session {number}: key {n}"));
    }
    for (n, line) in &session.both {
        let is_queued = found.lines.get(line).is_some_and(|line| line.queued.contains(n));
        if is_queued != opened.keys.contains(n) {
            verdict
                .torn
                .push(format!("session {number}: key {n} without the write {n} of {line}, or vice versa"));
        }
    }
}
