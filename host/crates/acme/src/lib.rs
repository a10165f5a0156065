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

pub use alpn::ACME_PROTOCOL;
pub use answers::{Answers, HTTP_PATH};
pub use keeper::{Keeper, KeeperOptions, NameReport, Now, OUTCOMES, Report, Wanted};
pub use net::Net;
pub use seal::CERTIFICATE_KEY;
pub use store::{
    Answer, CertificateStore, Challenge, Holder, Issue, NameKey, NameState, OrderWindow, Pause,
    StoredCertificate,
};
pub use transport::Authority;
