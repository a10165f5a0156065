//! The operators' token. It comes from the settings, or from a file that the first start creates.

use std::fmt;
use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use hkdf::Hkdf;
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use sluice_kit::hex::hex;
use sluice_kit::operator_dir::{OperatorDir, OperatorDirError};
use sluice_site::config::AdminToken;

use super::logouts::Logouts;

const FILE_NAME: &str = "admin.token";
/// The sessions that operators have logged out of.
const LOGOUTS_FILE_NAME: &str = "admin.logouts";
const SESSION_ID_BYTES: usize = 16;
/// A shorter token could be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// How long a console session lasts.
pub(crate) const SESSION_SECONDS: i64 = 12 * 60 * 60;

/// Why there is no operators' token that the server can use.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The token of the setting `admin.token` is too short.
    #[error("admin.token: {TooShort}")]
    Setting,
    /// The token in the file is too short.
    #[error("{}: {TooShort}", .0.display())]
    File(PathBuf),
    /// The file of the token is a link into the site.
    #[error(transparent)]
    Place(#[from] OperatorDirError),
    /// The file of the token cannot be read or created.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system reports.
        error: io::Error,
    },
}

/// A token with fewer than [`TOKEN_CHARS_MIN`] bytes.
struct TooShort;

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token has at least {TOKEN_CHARS_MIN} characters: openssl rand -hex 32 prints one")
    }
}

/// Checks the operators' token, and creates and checks console sessions.
pub(crate) struct Token {
    /// The SHA-256 of the token, so that every comparison takes the same time.
    hash: [u8; 32],
    session_keys: Hkdf<Sha256>,
    ended: Logouts,
}

impl Token {
    /// Uses the token of the settings if there is one, and that of the file in `data` if not.
    ///
    /// # Errors
    /// The token is too short, or the file cannot be read or created.
    pub(crate) fn load(configured: Option<&AdminToken>, data: &OperatorDir) -> Result<Self, TokenError> {
        let file = data.file(LOGOUTS_FILE_NAME)?.path().to_owned();
        let ended = Logouts::load(&file).map_err(|error| TokenError::Io { path: file, error })?;
        match configured {
            Some(AdminToken(text)) => Self::new(text, ended).map_err(|TooShort| TokenError::Setting),
            None => {
                let path = data.file(FILE_NAME)?.path().to_owned();
                let text = match read_or_create(data.path(), &path) {
                    Ok(text) => text,
                    Err(error) => return Err(TokenError::Io { path, error }),
                };
                tracing::info!(file = %path.display(), "admin.token is not set: the operators' token is in this file");
                Self::new(text.trim(), ended).map_err(|TooShort| TokenError::File(path))
            }
        }
    }

    fn new(text: &str, ended: Logouts) -> Result<Self, TooShort> {
        if text.len() < TOKEN_CHARS_MIN {
            return Err(TooShort);
        }
        let session_keys = Hkdf::new(None, text.as_bytes());
        Ok(Self { hash: Sha256::digest(text).into(), session_keys, ended })
    }

    /// Whether `candidate` is the token.
    pub(crate) fn matches(&self, candidate: &str) -> bool {
        let hash: [u8; 32] = Sha256::digest(candidate).into();
        self.hash.ct_eq(&hash).into()
    }

    /// A new console session, for the cookie: its end time, a random id and a seal. It does not contain
    /// the token.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn session(&self, now_s: i64) -> io::Result<String> {
        let mut id = [0; SESSION_ID_BYTES];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let (ends_at, id) = (now_s.saturating_add(SESSION_SECONDS), hex(&id));
        Ok(format!("{ends_at}.{id}.{}", self.seal(ends_at, &id)))
    }

    /// Whether `candidate` is a session that this token sealed and that has not ended.
    pub(crate) fn is_session(&self, candidate: &str, now_s: i64) -> bool {
        self.open(candidate, now_s).is_some()
    }

    /// A short name for a session, by which nobody can guess or use it. Operators share the token, so this tells
    /// them apart.
    pub(crate) fn name_of(session: &str) -> String {
        let id = session.split('.').nth(1).unwrap_or_default();
        let digest = hex(&Sha256::digest(id));
        format!("session {}", digest.get(..8).unwrap_or_default())
    }

    /// The end time and the id of a session that has not ended.
    fn open<'a>(&self, candidate: &'a str, now_s: i64) -> Option<(i64, &'a str)> {
        let (ends_at, rest) = candidate.split_once('.')?;
        let (id, seal) = rest.split_once('.')?;
        let ends_at = ends_at.parse().ok()?;
        let is_sealed = bool::from(self.seal(ends_at, id).as_bytes().ct_eq(seal.as_bytes()));
        (is_sealed && now_s < ends_at && !self.ended.contains(id)).then_some((ends_at, id))
    }

    /// Ends a session before its time, so that a copy of its cookie is rejected after the logout.
    ///
    /// # Errors
    /// The logout could not be stored. It holds until the process stops.
    pub(crate) fn end_session(&self, session: &str, now_s: i64) -> io::Result<()> {
        match self.open(session, now_s) {
            Some((ends_at, id)) => self.ended.add(id, ends_at, now_s),
            None => Ok(()),
        }
    }

    /// A code that only a holder of the token can compute for this session, as hexadecimal digits.
    fn seal(&self, ends_at: i64, id: &str) -> String {
        let mut key = [0; 32];
        let info = format!("sluice-console-v2 {ends_at} {id}");
        // HKDF fails only for much longer outputs than 32 bytes.
        match self.session_keys.expand(info.as_bytes(), &mut key) {
            Ok(()) => hex(&key),
            Err(_) => String::new(),
        }
    }
}

/// Reads the token from the file, and creates the file first if there is none. If two processes
/// create it at the same time, both use the token of the first.
fn read_or_create(data_dir: &Path, path: &Path) -> io::Result<String> {
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
    // A link never replaces an existing file, and other processes never see a half-written one.
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
    fn creates_one_private_token_file() {
        let folder = tempfile::tempdir().unwrap();
        let data = operators(&folder.path().join("data"));
        Token::load(None, &data).unwrap();
        let path = data.path().join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(Token::load(None, &data).unwrap().matches(&text), "the next start uses the same token");
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "no other file is left");
    }

    #[test]
    fn rejects_token_shorter_than_sixteen_characters() {
        let short = AdminToken("fifteen-letters".into());
        let error = Token::load(Some(&short), &operators(Path::new("/nowhere"))).map(|_| ()).unwrap_err();
        let advice = "a token has at least 16 characters: openssl rand -hex 32 prints one";
        assert_eq!(error.to_string(), format!("admin.token: {advice}"));
        assert!(token_of("sixteen-letters.").matches("sixteen-letters."));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "fifteen-letters\n").unwrap();
        let error = Token::load(None, &operators(folder.path())).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {advice}", path.display()));
    }

    fn operators(path: &Path) -> OperatorDir {
        OperatorDir::outside(Path::new("/site"), path).unwrap()
    }

    fn token_of(text: &str) -> Token {
        Token::load(Some(&AdminToken(text.into())), &operators(Path::new("/nowhere"))).unwrap()
    }

    #[test]
    fn rejects_expired_forged_and_ended_sessions() {
        let token = token_of("a-token-of-an-operator");
        let session = token.session(1_000).unwrap();
        assert!(token.is_session(&session, 1_000 + SESSION_SECONDS - 1));
        assert!(!token.is_session(&session, 1_000 + SESSION_SECONDS));
        let (ends_at, rest) = session.split_once('.').unwrap();
        let (id, seal) = rest.split_once('.').unwrap();
        let later = ends_at.parse::<i64>().unwrap() + 1;
        for forged in [
            format!("{later}.{id}.{seal}"),
            format!("{ends_at}.{id}0.{seal}"),
            format!("{ends_at}..{seal}"),
            format!("{ends_at}.{seal}"),
            format!("{ends_at}.{id}."),
            format!("{ends_at}.{id}"),
            ends_at.to_owned(),
            String::new(),
        ] {
            assert!(!token.is_session(&forged, 1_000), "{forged}");
        }
        assert!(!token_of("the-token-of-another").is_session(&session, 1_000));
        assert!(!token.matches(&session));
    }

    #[test]
    fn logout_ends_one_session_and_holds_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let start = || Token::load(None, &operators(folder.path())).unwrap();
        let token = start();
        // Of the same second.
        let (session, other) = (token.session(1_000).unwrap(), token.session(1_000).unwrap());
        token.end_session(&session, 1_000).unwrap();
        token.end_session("0.forged.ff", 1_000).unwrap();
        for token in [token, start()] {
            assert!(!token.is_session(&session, 1_000) && token.is_session(&other, 1_000));
        }
    }
}
