//! Certificates by ACME (RFC 8555): ordered for the names of the brands, renewed, and shared by all hosts
//! of a database.
//!
//! [`Keeper`] does the work, [`Answers`] answers the questions of the certificate authority on every host,
//! and [`CertificateStore`] keeps what the hosts share. Private keys and the key of the account are sealed
//! with the application key before they reach the store.

#![deny(unsafe_code)]

mod alpn;
mod answers;
mod certificate;
mod check;
mod failure;
mod keeper;
mod net;
mod order;
mod schedule;
mod seal;
mod store;
mod transport;

pub use alpn::{ACME_TLS, ChallengeError, challenge_certificate};
pub use answers::{Answers, HTTP_PATH};
pub use certificate::Certificate;
pub use keeper::{Installs, Keeper, KeeperOptions, Kept, Now, Report, Wanted};
pub use net::Net;
pub use schedule::is_orderable;
pub use seal::CERTIFICATE_KEY;
pub use store::{
    Answer, CertificateStore, Challenge, Holder, Issue, NameKey, NameState, OrderWindow, StoredCertificate,
};
pub use transport::Authority;

/// The directory of Let's Encrypt.
pub const LETS_ENCRYPT: &str = "https://acme-v02.api.letsencrypt.org/directory";
/// The directory for trying things out. No browser trusts its certificates.
pub const LETS_ENCRYPT_STAGING: &str = "https://acme-staging-v02.api.letsencrypt.org/directory";
