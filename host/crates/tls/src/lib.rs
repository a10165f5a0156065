//! TLS of the visitors' listener: the certificates, the folder from which they come, and which one a
//! connection gets.

#![deny(unsafe_code)]

mod certificate;
mod certificates;
mod folder;

pub use certificate::{Certificate, CertificateError};
pub use certificates::{Certificates, Expiry};
pub use folder::{CertificateFolder, Refreshed};

#[cfg(test)]
mod tests;
