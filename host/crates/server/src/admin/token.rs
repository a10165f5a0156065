//! The operators' token: from the settings, else from a file that is made once.

use std::collections::BTreeSet;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use anyhow::Context as _;
use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use sluice_kit::hex::hex;
use sluice_site::config::AdminToken;

const FILE_NAME: &str = "admin.token";
/// Shorter ones could be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// A console session ends after this.
pub const SESSION_SECONDS: i64 = 12 * 60 * 60;

/// What an operator must show, and what a console session is made of.
pub struct Token {
    /// A hash: comparisons take the same time whatever is shown.
    hash: [u8; 32],
    session_keys: Hkdf<Sha256>,
    /// Sessions that were logged out of, by when they would have ended. Forgotten when the
    /// host restarts.
    ended: Mutex<BTreeSet<i64>>,
}

impl Token {
    /// The token of the settings, else that of the file in `data_dir`.
    ///
    /// # Errors
    /// It is too short, or the file cannot be read or made.
    pub fn load(configured: Option<&AdminToken>, data_dir: &Path) -> anyhow::Result<Self> {
        match configured {
            Some(AdminToken(text)) => Self::new(text).context("admin.token"),
            None => {
                let path = data_dir.join(FILE_NAME);
                let text = read_or_make(data_dir, &path).with_context(|| path.display().to_string())?;
                tracing::info!(file = %path.display(), "admin.token is not set: operators need the one in this file");
                Self::new(text.trim()).with_context(|| path.display().to_string())
            }
        }
    }

    fn new(text: &str) -> anyhow::Result<Self> {
        anyhow::ensure!(
            text.len() >= TOKEN_CHARS_MIN,
            "a token has at least {TOKEN_CHARS_MIN} characters: openssl rand -hex 32 prints one"
        );
        let session_keys = Hkdf::new(None, text.as_bytes());
        Ok(Self { hash: Sha256::digest(text).into(), session_keys, ended: Mutex::default() })
    }

    /// Whether this is the token.
    pub fn is(&self, shown: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(shown).into();
        self.hash.ct_eq(&hash).into()
    }

    /// A console session that ends at a time: the cookie does not hold the token.
    pub fn session(&self, now_s: i64) -> String {
        let ends_at = now_s.saturating_add(SESSION_SECONDS);
        format!("{ends_at}.{}", self.seal(ends_at))
    }

    /// Whether this is a session that has not ended.
    pub fn is_session(&self, shown: &str, now_s: i64) -> bool {
        let Some((ends_at, seal)) = shown.split_once('.') else { return false };
        let Ok(ends_at) = ends_at.parse::<i64>() else { return false };
        bool::from(self.seal(ends_at).as_bytes().ct_eq(seal.as_bytes()))
            && now_s < ends_at
            && !self.ended().contains(&ends_at)
    }

    /// Ends a session before its time: a copy of its cookie is worth nothing after a logout.
    pub fn end_session(&self, shown: &str, now_s: i64) {
        if self.is_session(shown, now_s)
            && let Some(ends_at) = shown.split_once('.').and_then(|(ends_at, _)| ends_at.parse().ok())
        {
            let mut ended = self.ended();
            ended.retain(|ends_at| *ends_at > now_s);
            ended.insert(ends_at);
        }
    }

    fn ended(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        self.ended.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn seal(&self, ends_at: i64) -> String {
        let mut key = [0; 32];
        let info = format!("sluice-console-v1 {ends_at}");
        // 32 bytes are within what HKDF can give: it cannot fail.
        match self.session_keys.expand(info.as_bytes(), &mut key) {
            Ok(()) => hex(&key),
            Err(_) => String::new(),
        }
    }
}

/// The file's token, made first if there is none. Whoever comes second uses the
/// first one's.
fn read_or_make(data_dir: &Path, path: &Path) -> io::Result<String> {
    match fs::read_to_string(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        other => return other,
    }
    fs::DirBuilder::new().recursive(true).mode(0o700).create(data_dir)?;
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(io::Error::other)?;
    let text = hex(&bytes);
    let draft = data_dir.join(format!("{FILE_NAME}.{}", std::process::id()));
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    // A link never replaces a file and never shows half of one.
    let linked = fs::hard_link(&draft, path);
    fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => fs::read_to_string(path),
        Err(error) => Err(error),
        Ok(()) => Ok(text),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_token_is_made_once_and_is_private() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("data");
        Token::load(None, &data).unwrap();
        let path = data.join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Token::load(None, &data).unwrap().is(&text), "the next start uses it");
        assert_eq!(fs::read_dir(&data).unwrap().count(), 1, "nothing else stays behind");
    }

    #[test]
    fn short_tokens_are_refused() {
        let token = |text: &str| Token::load(Some(&AdminToken(text.into())), Path::new("/nowhere"));
        assert!(token("fifteen-letters").is_err());
        assert!(token("sixteen-letters.").unwrap().is("sixteen-letters."));
    }

    #[test]
    fn sessions_end_and_cannot_be_made_up() {
        let token = Token::new("a-token-of-an-operator").unwrap();
        let session = token.session(1_000);
        assert!(token.is_session(&session, 1_000 + SESSION_SECONDS - 1));
        assert!(!token.is_session(&session, 1_000 + SESSION_SECONDS));
        let (ends_at, seal) = session.split_once('.').unwrap();
        let later = ends_at.parse::<i64>().unwrap() + 1;
        for made_up in [format!("{later}.{seal}"), format!("{ends_at}."), ends_at.to_owned(), String::new()] {
            assert!(!token.is_session(&made_up, 1_000), "{made_up}");
        }
        assert!(!Token::new("the-token-of-another").unwrap().is_session(&session, 1_000));
        assert!(!token.is(&session));
        let other = token.session(2_000);
        token.end_session(&session, 1_000);
        token.end_session("0.made-up", 1_000);
        assert!(!token.is_session(&session, 1_000) && token.is_session(&other, 1_000));
    }
}
