//! The session cookie. Its value is 256 random bits; the database stores only a hash of it. The id of a
//! new visitor's session also has the time at which it was issued, so that a request can tell without
//! the database whether the session still has to be confirmed.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const RANDOM_BYTES: usize = 32;
/// Seconds since 1970, most significant byte first.
const TIME_BYTES: usize = 4;
/// The bytes of an id with the time of its issue.
const ISSUED_BYTES: usize = RANDOM_BYTES + TIME_BYTES;
/// How much the clocks of two hosts may differ.
const CLOCKS_DIFFER_MS: i64 = 60_000;

/// The cookie's name. Over https it starts with `__Host-`, so that browsers accept it from
/// this host only.
pub fn name(is_https: bool) -> &'static str {
    if is_https { "__Host-sluice" } else { "sluice_session" }
}

/// A session id, as the visitor's browser stores it. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(String);

impl SessionId {
    /// Makes a new id.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; RANDOM_BYTES];
        getrandom::fill(&mut bytes)?;
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Makes a new id that has the time of its issue, in Unix milliseconds.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub(crate) fn issued_at(now_ms: i64) -> Result<Self, getrandom::Error> {
        let mut bytes = [0; ISSUED_BYTES];
        getrandom::fill(&mut bytes)?;
        let seconds = u32::try_from(now_ms / 1_000).unwrap_or(0);
        let (_, time) = bytes.split_at_mut(RANDOM_BYTES);
        time.copy_from_slice(&seconds.to_be_bytes());
        Ok(Self(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// Finds the id in the names and raw values of a request's cookies. If there are two
    /// cookies with the name, both are ignored, because somebody else set one of them.
    pub fn find<'a>(cookies: impl Iterator<Item = (&'a str, &'a str)>, is_https: bool) -> Option<Self> {
        let mut named = cookies.filter(|(name, _)| *name == self::name(is_https));
        let (_, value) = named.next()?;
        if named.next().is_some() {
            return None;
        }
        let bytes = URL_SAFE_NO_PAD.decode(value).ok()?;
        matches!(bytes.len(), RANDOM_BYTES | ISSUED_BYTES).then(|| Self(value.to_owned()))
    }

    /// Whether the id was issued for a new visitor less than `age_max` ago. Visitors can claim any
    /// time, so this decides only whether the database is asked.
    pub(crate) fn is_younger(&self, age_max: Duration, now_ms: i64) -> bool {
        let Some(issued_ms) = self.issued_ms() else { return false };
        let age_max = i64::try_from(age_max.as_millis()).unwrap_or(i64::MAX);
        (-CLOCKS_DIFFER_MS..age_max.saturating_add(CLOCKS_DIFFER_MS))
            .contains(&now_ms.saturating_sub(issued_ms))
    }

    /// The time of its issue in Unix milliseconds, if it has one.
    fn issued_ms(&self) -> Option<i64> {
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).ok()?;
        let time: [u8; TIME_BYTES] = bytes.get(RANDOM_BYTES..)?.try_into().ok()?;
        Some(i64::from(u32::from_be_bytes(time)) * 1_000)
    }

    /// The cookie's value.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// The hash that the database stores.
    pub(crate) fn hash(&self) -> [u8; 32] {
        Sha256::digest(&self.0).into()
    }
}

impl std::fmt::Debug for SessionId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SessionId(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn id_of_a_new_visitor_tells_its_age() {
        const MINUTE: i64 = 60_000;
        let now = 1_800_000_000_000;
        let id = SessionId::issued_at(now).unwrap();
        assert_ne!(id, SessionId::issued_at(now).unwrap());
        let found = SessionId::find([(name(true), id.as_str())].into_iter(), true);
        assert_eq!(found.as_ref(), Some(&id));
        let is_young = |id: &SessionId, now_ms| id.is_younger(Duration::from_secs(600), now_ms);
        for (age_ms, expected) in
            [(-2 * MINUTE, false), (-1_000, true), (10 * MINUTE, true), (11 * MINUTE, false)]
        {
            assert_eq!(is_young(&id, now + age_ms), expected, "{age_ms}");
        }
        assert!(!is_young(&SessionId::random().unwrap(), now), "an id without a time");
    }

    #[test]
    fn ignores_malformed_and_repeated_ids() {
        let id = SessionId::random().unwrap();
        let name = name(false);
        let find = |cookies: &[(&str, &str)]| SessionId::find(cookies.iter().copied(), false);
        assert_eq!(find(&[("a", "b"), (name, id.as_str())]), Some(id.clone()));
        assert_eq!(find(&[(name, id.as_str()), (name, id.as_str())]), None);
        assert_eq!(find(&[("__Host-sluice", id.as_str())]), None);
        for bad in ["", "short", &format!("{}x", id.as_str()), &"é".repeat(22)] {
            assert_eq!(find(&[(name, bad)]), None, "{bad}");
        }
    }
}
