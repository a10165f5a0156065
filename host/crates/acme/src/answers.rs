//! What a host answers to certificate authorities.
//!
//! The question may reach any host of the database, so the answers are stored there. Anybody can ask for any
//! token. A host therefore reads all answers at once, at most once a second, whatever it is asked; an
//! authority asks only when an answer is older than that.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rustls::ServerConfig;
use tokio::time::Instant;

use crate::alpn::challenge_config;
use crate::keeper::Now;
use crate::store::{Answer, CertificateStore, Challenge};

/// The path of http-01, which the token follows.
pub const HTTP_PATH: &str = "/.well-known/acme-challenge/";
/// A host reads the answers at most once in this time.
pub(crate) const AGE_MAX: Duration = Duration::from_secs(1);
/// A host knows at most this many answers. There is one for each order that is in progress.
const ANSWERS_MAX: u32 = 1_000;
/// The longest token, in bytes. Those of Let's Encrypt have 43.
const TOKEN_BYTES_MAX: usize = 128;

/// The answers of all hosts of the database.
pub struct Answers {
    store: Arc<dyn CertificateStore>,
    now: Now,
    known: Mutex<Known>,
    /// Held by the one task that reads.
    reading: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct Known {
    /// When reading them began.
    read_at: Option<Instant>,
    answers: Vec<Answer>,
}

impl Answers {
    /// The answers in `store`. `now` gives the time in Unix milliseconds.
    pub fn new(store: Arc<dyn CertificateStore>, now: Now) -> Self {
        Self { store, now, known: Mutex::default(), reading: tokio::sync::Mutex::default() }
    }

    /// The text that answers a request for [`HTTP_PATH`] and `token`.
    pub async fn http_01(&self, token: &str) -> Option<String> {
        let is_token = !token.is_empty()
            && token.len() <= TOKEN_BYTES_MAX
            && token.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_');
        if !is_token {
            return None;
        }
        String::from_utf8(self.find(Challenge::Http01, token).await?).ok()
    }

    /// The settings that answer a handshake for `name` with the protocol
    /// [`ACME_PROTOCOL`](crate::ACME_PROTOCOL).
    pub async fn tls_alpn_01(&self, name: &str) -> Option<Arc<ServerConfig>> {
        let name = name.to_ascii_lowercase();
        let digest = self.find(Challenge::TlsAlpn01, &name).await?.try_into().ok()?;
        let made = challenge_config(&name, &digest);
        made.inspect_err(|error| tracing::error!(name, %error, "a certificate authority gets no answer")).ok()
    }

    async fn find(&self, challenge: Challenge, asked: &str) -> Option<Vec<u8>> {
        // Also if an answer is known: that of a name may have been replaced.
        if self.is_old() {
            let _reading = self.reading.lock().await;
            // Another task may have read them meanwhile.
            if self.is_old() {
                self.read().await;
            }
        }
        self.known(challenge, asked)
    }

    fn known(&self, challenge: Challenge, asked: &str) -> Option<Vec<u8>> {
        let now = (self.now)();
        let known = self.known.lock();
        let found = known
            .answers
            .iter()
            .find(|answer| answer.challenge == challenge && answer.asked == asked && answer.expires_at > now);
        found.map(|answer| answer.value.clone())
    }

    fn is_old(&self) -> bool {
        self.known.lock().read_at.is_none_or(|at| at.elapsed() >= AGE_MAX)
    }

    async fn read(&self) {
        let began = Instant::now();
        let read = self.store.answers((self.now)(), ANSWERS_MAX).await;
        let mut known = self.known.lock();
        match read {
            Ok(answers) => *known = Known { read_at: Some(began), answers },
            Err(error) => {
                // A database that does not answer is not asked more often.
                known.read_at = Some(Instant::now());
                tracing::warn!(%error, "the answers for certificate authorities cannot be read");
            }
        }
    }
}
