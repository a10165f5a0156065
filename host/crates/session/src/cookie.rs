//! The session cookie. Its value is 256 random bits; the database stores only a hash of it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

const ID_BYTES: usize = 32;

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
        let mut bytes = [0; ID_BYTES];
        getrandom::fill(&mut bytes)?;
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
        (bytes.len() == ID_BYTES).then(|| Self(value.to_owned()))
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
