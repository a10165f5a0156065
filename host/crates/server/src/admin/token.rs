//! The tokens of operators. One that they share comes from the settings, or from a file that the first start creates;
//! the settings can have one for each operator besides.

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
use sluice_site::config::{AdminConfig, AdminOperator, AdminToken};

use super::logouts::Logouts;
use super::who::Who;

const FILE_NAME: &str = "admin.token";
/// The sessions that operators have logged out of.
const LOGOUTS_FILE_NAME: &str = "admin.logouts";
const SESSION_ID_BYTES: usize = 16;
/// A shorter token could be guessed.
const TOKEN_CHARS_MIN: usize = 16;
/// The most operators in the settings.
const OPERATORS_MAX: usize = 64;
/// A longer name of an operator is rejected.
const NAME_CHARS_MAX: usize = 32;
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
    /// An operator of `admin.operators` cannot be used.
    #[error("admin.operators: {name:?}: {fault}")]
    Operator {
        /// The name of the operator.
        name: String,
        /// What is wrong.
        fault: OperatorFault,
    },
    /// There are too many operators.
    #[error("admin.operators: there are {0} operators; at most {OPERATORS_MAX} can be given")]
    TooMany(usize),
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

/// What is wrong with an operator in the settings.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OperatorFault {
    /// The token is too short.
    #[error("{TooShort}")]
    Short,
    /// The name could be confused with another one, or is too long.
    #[error(
        "a name has at most {NAME_CHARS_MAX} letters, digits, `.`, `_` and `-`, and is neither `token` nor `unknown`"
    )]
    Name,
    /// Another operator has the name.
    #[error("another operator has this name")]
    TakenName,
    /// Another operator has the token, or it is that of `admin.token`.
    #[error("another operator has this token; each needs one of their own")]
    TakenToken,
}

/// A token with fewer than [`TOKEN_CHARS_MIN`] bytes.
struct TooShort;

impl fmt::Display for TooShort {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a token has at least {TOKEN_CHARS_MIN} characters: openssl rand -hex 32 prints one")
    }
}

/// Checks the tokens of operators, and creates and checks console sessions.
pub(crate) struct Tokens {
    /// That of `admin.token`, and those of `admin.operators`.
    all: Vec<Token>,
    ended: Logouts,
}

/// A token, and whose it is.
struct Token {
    who: Who,
    /// The SHA-256 of the token, so that every comparison takes the same time.
    hash: [u8; 32],
    /// Sessions that a token has begun end with it.
    session_keys: Hkdf<Sha256>,
}

impl Tokens {
    /// Uses the token of the settings if there is one, and that of the file in `data` if not, and those of the
    /// operators in the settings.
    ///
    /// # Errors
    /// A token is too short, an operator cannot be used, or the file cannot be read or created.
    pub(crate) fn load(config: &AdminConfig, data: &OperatorDir) -> Result<Self, TokenError> {
        let file = data.file(LOGOUTS_FILE_NAME)?.path().to_owned();
        let ended = Logouts::load(&file).map_err(|error| TokenError::Io { path: file, error })?;
        let shared = match &config.token {
            Some(AdminToken(text)) => {
                Token::new(Who::default(), text).map_err(|TooShort| TokenError::Setting)?
            }
            None => {
                let path = data.file(FILE_NAME)?.path().to_owned();
                let text = match read_or_create(data.path(), &path) {
                    Ok(text) => text,
                    Err(error) => return Err(TokenError::Io { path, error }),
                };
                tracing::info!(file = %path.display(), "admin.token is not set: the operators' token is in this file");
                Token::new(Who::default(), text.trim()).map_err(|TooShort| TokenError::File(path))?
            }
        };
        let mut tokens = Self { all: vec![shared], ended };
        if config.operators.len() > OPERATORS_MAX {
            return Err(TokenError::TooMany(config.operators.len()));
        }
        for operator in &config.operators {
            tokens
                .add(operator)
                .map_err(|fault| TokenError::Operator { name: operator.name.clone(), fault })?;
        }
        Ok(tokens)
    }

    fn add(&mut self, AdminOperator { name, token, role }: &AdminOperator) -> Result<(), OperatorFault> {
        let is_of_name = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-');
        let is_name = (1..=NAME_CHARS_MAX).contains(&name.len()) && name.bytes().all(is_of_name);
        // The log of changes uses these for others.
        if !is_name || matches!(name.to_ascii_lowercase().as_str(), "token" | "unknown") {
            return Err(OperatorFault::Name);
        }
        if self.all.iter().filter_map(|token| token.who.name.as_deref()).any(|known| known == name) {
            return Err(OperatorFault::TakenName);
        }
        let who = Who { name: Some(name.as_str().into()), role: *role };
        let token = Token::new(who, &token.0).map_err(|TooShort| OperatorFault::Short)?;
        if self.all.iter().any(|known| known.hash == token.hash) {
            return Err(OperatorFault::TakenToken);
        }
        self.all.push(token);
        Ok(())
    }

    /// Whose token `candidate` is. Looks at all of them, so that the time says nothing.
    pub(crate) fn find(&self, candidate: &str) -> Option<Who> {
        let hash: [u8; 32] = Sha256::digest(candidate).into();
        let mut found = None;
        for token in &self.all {
            if bool::from(token.hash.ct_eq(&hash)) {
                found = Some(&token.who);
            }
        }
        found.cloned()
    }

    /// A new console session, for the cookie: its end time, a random id and a seal. It does not contain
    /// the token.
    ///
    /// # Errors
    /// The system has no random numbers.
    pub(crate) fn session(&self, who: &Who, now_s: i64) -> io::Result<String> {
        let mut id = [0; SESSION_ID_BYTES];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let (ends_at, id) = (now_s.saturating_add(SESSION_SECONDS), hex(&id));
        let token = self.all.iter().find(|token| token.who == *who);
        let token = token.ok_or_else(|| io::Error::other("the operator has no token"))?;
        Ok(format!("{ends_at}.{id}.{}", token.seal(ends_at, &id)))
    }

    /// Whose session `candidate` is. None if no token sealed it, or if it has ended.
    pub(crate) fn of_session(&self, candidate: &str, now_s: i64) -> Option<Who> {
        self.open(candidate, now_s).map(|(_, _, who)| who.clone())
    }

    /// The end time and the id of a session that has not ended, and whose it is.
    fn open<'a>(&self, candidate: &'a str, now_s: i64) -> Option<(i64, &'a str, &Who)> {
        let (ends_at, rest) = candidate.split_once('.')?;
        let (id, seal) = rest.split_once('.')?;
        let ends_at = ends_at.parse().ok()?;
        if now_s >= ends_at || self.ended.contains(id) {
            return None;
        }
        let is_sealed =
            |token: &&Token| bool::from(token.seal(ends_at, id).as_bytes().ct_eq(seal.as_bytes()));
        self.all.iter().find(is_sealed).map(|token| (ends_at, id, &token.who))
    }

    /// Ends a session before its time, so that a copy of its cookie is rejected after the logout.
    ///
    /// # Errors
    /// The logout could not be stored. It holds until the process stops.
    pub(crate) fn end_session(&self, session: &str, now_s: i64) -> io::Result<()> {
        match self.open(session, now_s) {
            Some((ends_at, id, _)) => self.ended.add(id, ends_at, now_s),
            None => Ok(()),
        }
    }
}

impl Token {
    fn new(who: Who, text: &str) -> Result<Self, TooShort> {
        if text.len() < TOKEN_CHARS_MIN {
            return Err(TooShort);
        }
        Ok(Self { who, hash: Sha256::digest(text).into(), session_keys: Hkdf::new(None, text.as_bytes()) })
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

/// A short name for a session, by which nobody can guess or use it. It tells apart the operators who share a token.
pub(crate) fn session_name(session: &str) -> String {
    let id = session.split('.').nth(1).unwrap_or_default();
    let digest = hex(&Sha256::digest(id));
    format!("session {}", digest.get(..8).unwrap_or_default())
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

    use sluice_site::config::AdminRole;

    use super::*;

    #[test]
    fn creates_one_private_token_file() {
        let folder = tempfile::tempdir().unwrap();
        let data = operators(&folder.path().join("data"));
        Tokens::load(&AdminConfig::default(), &data).unwrap();
        let path = data.path().join(FILE_NAME);
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.len(), 64);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(
            Tokens::load(&AdminConfig::default(), &data).unwrap().find(&text).is_some(),
            "the next start uses the same token"
        );
        assert_eq!(fs::read_dir(data.path()).unwrap().count(), 1, "no other file is left");
    }

    #[test]
    fn rejects_token_shorter_than_sixteen_characters() {
        let error = Tokens::load(&config("fifteen-letters", &[]), &operators(Path::new("/nowhere")))
            .map(|_| ())
            .unwrap_err();
        let advice = "a token has at least 16 characters: openssl rand -hex 32 prints one";
        assert_eq!(error.to_string(), format!("admin.token: {advice}"));
        assert_eq!(tokens_of("sixteen-letters.", &[]).find("sixteen-letters."), Some(Who::default()));

        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(FILE_NAME);
        fs::write(&path, "fifteen-letters\n").unwrap();
        let error = Tokens::load(&AdminConfig::default(), &operators(folder.path())).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), format!("{}: {advice}", path.display()));
    }

    fn operators(path: &Path) -> OperatorDir {
        OperatorDir::outside(Path::new("/site"), path).unwrap()
    }

    fn config(shared: &str, named: &[(&str, &str, AdminRole)]) -> AdminConfig {
        let operator = |(name, token, role): &(&str, &str, AdminRole)| AdminOperator {
            name: (*name).to_owned(),
            token: AdminToken((*token).to_owned()),
            role: *role,
        };
        AdminConfig {
            token: Some(AdminToken(shared.to_owned())),
            operators: named.iter().map(operator).collect(),
            ..AdminConfig::default()
        }
    }

    fn tokens_of(shared: &str, named: &[(&str, &str, AdminRole)]) -> Tokens {
        Tokens::load(&config(shared, named), &operators(Path::new("/nowhere"))).unwrap()
    }

    #[test]
    fn each_operator_has_a_token_and_sessions_of_their_own() {
        let ann = ("ann", "the-token-of-ann-is-long", AdminRole::Change);
        let bob = ("bob", "the-token-of-bob-is-long", AdminRole::Read);
        let tokens = tokens_of("the-token-of-everybody", &[ann, bob]);
        let named = |who: Option<Who>| who.map(|who| (who.name.unwrap_or_default().to_string(), who.role));
        for (name, token, role) in [("", "the-token-of-everybody", AdminRole::Change), ann, bob] {
            let expected = Some((name.to_owned(), role));
            assert_eq!(named(tokens.find(token)), expected);
            let session = tokens.session(&tokens.find(token).unwrap(), 1_000).unwrap();
            assert_eq!(named(tokens.of_session(&session, 1_000)), expected);
            assert!(!session.contains(token));
        }
        assert_eq!(tokens.find("the-token-of-nobody-is-long"), None);
        // A session ends with its token.
        let session = tokens.session(&tokens.find(ann.1).unwrap(), 1_000).unwrap();
        let renewed =
            tokens_of("the-token-of-everybody", &[("ann", "another-token-of-ann", AdminRole::Change), bob]);
        assert_eq!(renewed.of_session(&session, 1_000), None);
        // A role holds for sessions that began before.
        let lowered = tokens_of("the-token-of-everybody", &[("ann", ann.1, AdminRole::Read), bob]);
        assert_eq!(named(lowered.of_session(&session, 1_000)), Some(("ann".to_owned(), AdminRole::Read)));
    }

    #[test]
    fn rejects_operators_that_cannot_be_told_apart() {
        let good = "the-token-of-ann-is-long";
        let fault = |named: &[(&str, &str)]| {
            let named: Vec<_> =
                named.iter().map(|(name, token)| (*name, *token, AdminRole::Change)).collect();
            let loaded =
                Tokens::load(&config("the-token-of-everybody", &named), &operators(Path::new("/nowhere")));
            match loaded.map(|_| ()) {
                Err(TokenError::Operator { fault, .. }) => Some(fault),
                Err(TokenError::TooMany(_)) | Ok(()) => None,
                Err(other) => panic!("{other}"),
            }
        };
        for name in ["", "ann smith", "session 1a2b3c4d", "token", "Unknown", "<b>", "é", &"x".repeat(33)] {
            assert_eq!(fault(&[(name, good)]), Some(OperatorFault::Name), "{name}");
        }
        assert_eq!(fault(&[("ann", "too-short")]), Some(OperatorFault::Short));
        assert_eq!(fault(&[("ann", good), ("ann", "another-token-of-ann")]), Some(OperatorFault::TakenName));
        assert_eq!(fault(&[("ann", good), ("bob", good)]), Some(OperatorFault::TakenToken));
        assert_eq!(fault(&[("ann", "the-token-of-everybody")]), Some(OperatorFault::TakenToken));
        let many: Vec<(String, String)> =
            (0..=OPERATORS_MAX).map(|at| (format!("o{at}"), format!("{good}-{at}"))).collect();
        let many: Vec<_> =
            many.iter().map(|(name, token)| (name.as_str(), token.as_str(), AdminRole::Change)).collect();
        let load = |many: &[_]| {
            Tokens::load(&config("the-token-of-everybody", many), &operators(Path::new("/nowhere")))
        };
        assert!(load(&many[1..]).is_ok() && matches!(load(&many), Err(TokenError::TooMany(65))));
        let error = Tokens::load(
            &config("the-token-of-everybody", &[("a b", good, AdminRole::Read)]),
            &operators(Path::new("/nowhere")),
        );
        assert!(!error.map(|_| ()).unwrap_err().to_string().contains(good));
    }

    #[test]
    fn rejects_expired_forged_and_ended_sessions() {
        let tokens = tokens_of("a-token-of-an-operator", &[]);
        let session = tokens.session(&Who::default(), 1_000).unwrap();
        let is_session = |session: &str, now_s| tokens.of_session(session, now_s).is_some();
        assert!(is_session(&session, 1_000 + SESSION_SECONDS - 1));
        assert!(!is_session(&session, 1_000 + SESSION_SECONDS));
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
            assert!(!is_session(&forged, 1_000), "{forged}");
        }
        assert_eq!(tokens_of("the-token-of-another", &[]).of_session(&session, 1_000), None);
        assert_eq!(tokens.find(&session), None);
    }

    #[test]
    fn logout_ends_one_session_and_holds_after_a_restart() {
        let folder = tempfile::tempdir().unwrap();
        let start = || Tokens::load(&AdminConfig::default(), &operators(folder.path())).unwrap();
        let tokens = start();
        // Of the same second.
        let session = || tokens.session(&Who::default(), 1_000).unwrap();
        let (session, other) = (session(), session());
        tokens.end_session(&session, 1_000).unwrap();
        tokens.end_session("0.forged.ff", 1_000).unwrap();
        for tokens in [tokens, start()] {
            assert!(
                tokens.of_session(&session, 1_000).is_none() && tokens.of_session(&other, 1_000).is_some()
            );
        }
    }
}
