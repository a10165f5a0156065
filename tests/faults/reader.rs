//! Reads what is stored, over the site.

use std::time::{Duration, Instant};

use super::checker::{self, Expected, ExpectedSession, Found, Line, Opened, Verdict};
use super::client::Site;

/// How long what was acknowledged may be missing. A host needs a moment to find its database again.
const PATIENCE: Duration = Duration::from_secs(20);

/// Reads and compares, again and again until nothing is wrong, or for long enough.
pub(crate) fn compare(site: &dyn Site, expected: &Expected) -> Verdict {
    let started = Instant::now();
    loop {
        let verdict = read(site, expected).map(|found| checker::check(expected, &found));
        let is_late = started.elapsed() > PATIENCE;
        match verdict {
            Some(verdict) if verdict.is_clean() || is_late => return verdict,
            None if is_late => panic!("the site does not answer"),
            _ => std::thread::sleep(Duration::from_millis(200)),
        }
    }
}

/// Reads everything that the history mentions. `None` if the site does not answer.
pub(crate) fn read(site: &dyn Site, expected: &Expected) -> Option<Found> {
    let mut found = Found::default();
    for name in expected.lines.keys() {
        let (added, queued, last, kept, count) = get(site, &format!("/?op=read&line={name}"), None)?;
        let oldest_first = |mut values: Vec<u64>| {
            values.reverse();
            values
        };
        let line = Line { added: oldest_first(added), queued: oldest_first(queued), last, kept, count };
        found.lines.insert(name.clone(), line);
    }
    for session in &expected.sessions {
        for cookie in session.cookie.iter().chain(&session.ended) {
            found.sessions.insert(cookie.clone(), open(site, session, cookie)?);
        }
    }
    Some(found)
}

fn open(site: &dyn Site, session: &ExpectedSession, cookie: &str) -> Option<Opened> {
    let keys: Vec<String> = session.keys.keys().map(u64::to_string).collect();
    let path = format!("/?op=who&keys={}", keys.join(","));
    let (email, keys): (Option<String>, Vec<String>) = get(site, &path, Some(cookie))?;
    Some(Opened { email, keys: keys.iter().filter_map(|key| key.parse().ok()).collect() })
}

fn get<T: serde::de::DeserializeOwned>(site: &dyn Site, path: &str, cookie: Option<&str>) -> Option<T> {
    let answer = site.get(path, cookie)?;
    if answer.status != 200 {
        return None;
    }
    Some(serde_json::from_str(&answer.body).unwrap_or_else(|error| panic!("{path}: {error}: {answer:?}")))
}
