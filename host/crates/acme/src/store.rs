//! What the hosts of a database share.

use sluice_kit::{BoxFuture, StoreError};

/// A name at a certificate authority. Hosts with another `acme.directory` have certificates of their own.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NameKey {
    /// The URL of the authority's directory.
    pub directory: String,
    /// The host name, in lower case. It is empty for what concerns the authority as a whole.
    pub name: String,
}

/// When a certificate is valid, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Issue {
    /// A random number, which another certificate for the same name does not have.
    pub revision: i64,
    /// The first moment.
    pub not_before: i64,
    /// The last moment.
    pub not_after: i64,
}

/// What is known of a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NameState {
    /// The name.
    pub key: NameKey,
    /// Its certificate.
    pub issue: Option<Issue>,
    /// How many attempts have failed since the last certificate.
    pub failures: u32,
    /// No host tries before this moment, in Unix milliseconds.
    pub next_at: i64,
    /// Why the last attempt failed. Empty if it did not.
    pub problem: String,
}

impl NameState {
    /// When it is tried again.
    pub(crate) fn pause(&self) -> Pause {
        Pause { failures: self.failures, next_at: self.next_at, problem: self.problem.clone() }
    }
}

/// When a host tries again after an attempt, and why.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Pause {
    /// How many attempts have failed in a row.
    pub failures: u32,
    /// No host tries before this moment, in Unix milliseconds.
    pub next_at: i64,
    /// Why the last attempt failed. Empty if it did not.
    pub problem: String,
}

/// A certificate as it is stored. `Debug` does not show the key, although it is sealed.
#[derive(Clone, PartialEq, Eq)]
pub struct StoredCertificate {
    /// When it is valid.
    pub issue: Issue,
    /// The certificates, the name's own first, in PEM.
    pub chain: Vec<u8>,
    /// The private key, sealed with the application key.
    pub sealed_key: Vec<u8>,
}

impl std::fmt::Debug for StoredCertificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("StoredCertificate").field("issue", &self.issue).finish_non_exhaustive()
    }
}

/// Who works on a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holder(pub [u8; 16]);

/// How a certificate authority checks that a name is served here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Challenge {
    /// A request over HTTP (RFC 8555, 8.3).
    Http01,
    /// A handshake of TLS (RFC 8737).
    TlsAlpn01,
}

impl Challenge {
    /// Its name in the protocol.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http01 => "http-01",
            Self::TlsAlpn01 => "tls-alpn-01",
        }
    }
}

/// What a host answers to a certificate authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// How the authority asks.
    pub challenge: Challenge,
    /// What it asks for: the token of http-01, the name of tls-alpn-01.
    pub asked: String,
    /// The answer: the key authorization of http-01, the digest of tls-alpn-01.
    pub value: Vec<u8>,
    /// No host answers after this moment, in Unix milliseconds.
    pub expires_at: i64,
}

/// A period in which orders are counted, in Unix milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OrderWindow {
    /// Whose orders.
    pub key: [u8; 16],
    /// The first moment.
    pub starts_at: i64,
    /// The first moment after it.
    pub ends_at: i64,
}

/// Keeps accounts, certificates and what hosts do about them. Times are Unix milliseconds.
pub trait CertificateStore: Send + Sync {
    /// The sealed account at a certificate authority.
    fn acme_account(&self, directory: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>>;

    /// Replaces the account `old`, if that is still the one that is stored. Returns what is stored
    /// afterwards: the account of another host, if that was faster.
    fn replace_acme_account(
        &self,
        directory: &str,
        old: Option<Vec<u8>>,
        sealed: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, StoreError>>;

    /// Every name of which something is known.
    fn acme_names(&self) -> BoxFuture<'_, Result<Vec<NameState>, StoreError>>;

    /// The certificate of a name.
    fn certificate(&self, key: &NameKey) -> BoxFuture<'_, Result<Option<StoredCertificate>, StoreError>>;

    /// Makes `holder` the only one that works on a name, until `until`. Returns false if another host does,
    /// if it is not time to try again, or if the certificate is not the one that the caller has `seen`.
    fn lease_name(
        &self,
        key: &NameKey,
        holder: Holder,
        until: i64,
        seen: Option<i64>,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Stores a certificate and ends the lease. Returns false, and stores nothing, if the lease is another's.
    fn save_certificate(
        &self,
        key: &NameKey,
        holder: Holder,
        certificate: StoredCertificate,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Says when to try again, and ends the lease. The certificate stays. Returns false, and changes nothing,
    /// if the lease is another's.
    fn postpone_name(
        &self,
        key: &NameKey,
        holder: Holder,
        pause: Pause,
    ) -> BoxFuture<'_, Result<bool, StoreError>>;

    /// Says until when no host asks the authority for anything.
    fn pause_authority(&self, directory: &str, pause: Pause) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Lets every host give an answer.
    fn put_answer(&self, answer: Answer) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Removes an answer.
    fn remove_answer(&self, challenge: Challenge, asked: &str) -> BoxFuture<'_, Result<(), StoreError>>;

    /// At most `rows_max` answers that have not expired.
    fn answers(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<Vec<Answer>, StoreError>>;

    /// Counts an order. Returns how many there are in its window.
    fn count_order(&self, window: OrderWindow) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` answers that expired before a moment. Returns how many it deleted.
    fn delete_expired_answers(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;

    /// Deletes at most `rows_max` names that nobody has tried since `before` and whose certificates expired
    /// before. Returns how many it deleted.
    fn delete_unused_names(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>>;
}
