//! A certificate with its private key.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;
use x509_cert::der::oid::AssociatedOid as _;
use x509_cert::der::{self, Decode as _};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::time::Time;

use sluice_kit::clock::now_ms;

/// A certificate, those that lead from it to its authority, and its private key.
#[derive(Debug, Clone)]
pub struct Certificate {
    pub(crate) names: Vec<String>,
    begins_s: i64,
    pub(crate) expires_s: i64,
    pub(crate) key: Arc<CertifiedKey>,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// The text is not PEM.
    #[error("not valid PEM: {0}")]
    Pem(pem::Error),
    /// There is no certificate in the file.
    #[error("it has no certificate (`BEGIN CERTIFICATE`)")]
    NoCertificate,
    /// There is no private key in the file.
    #[error("it has no private key (`BEGIN PRIVATE KEY`)")]
    NoKey,
    /// The certificate is not a certificate.
    #[error("the certificate cannot be read: {0}")]
    Malformed(#[from] der::Error),
    /// The certificate is for no host name.
    #[error("the certificate names no host (subjectAltName)")]
    NoNames,
    /// The key is of an unknown kind, or of another certificate.
    #[error("the private key does not fit the certificate: {0}")]
    Key(#[from] rustls::Error),
}

impl Certificate {
    /// Reads a chain, its own certificate first, and a private key.
    ///
    /// # Errors
    /// A part is missing or malformed, the key is of another certificate, or the certificate names no host.
    pub fn from_pem(chain: &[u8], key: &[u8]) -> Result<Self, CertificateError> {
        let chain: Vec<_> =
            CertificateDer::pem_slice_iter(chain).collect::<Result<_, _>>().map_err(CertificateError::Pem)?;
        let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| match error {
            pem::Error::NoItemsFound => CertificateError::NoKey,
            error => CertificateError::Pem(error),
        })?;
        Self::new(chain, key)
    }

    /// A certificate of a decoded chain and key.
    ///
    /// # Errors
    /// The same as those of [`Certificate::from_pem`].
    pub fn new(
        chain: Vec<CertificateDer<'static>>,
        key: PrivateKeyDer<'static>,
    ) -> Result<Self, CertificateError> {
        let own = x509_cert::Certificate::from_der(chain.first().ok_or(CertificateError::NoCertificate)?)?;
        let names = host_names(&own)?;
        let validity = &own.tbs_certificate.validity;
        let seconds = |time: &Time| i64::try_from(time.to_unix_duration().as_secs()).unwrap_or(i64::MAX);
        let (begins_s, expires_s) = (seconds(&validity.not_before), seconds(&validity.not_after));
        let key = CertifiedKey::from_der(chain, key, &ring::default_provider())?;
        Ok(Self { names, begins_s, expires_s, key: Arc::new(key) })
    }

    /// The host names that it is for, in lower case. One that begins with `*.` stands for every name with one
    /// more label.
    pub fn names(&self) -> &[String] {
        &self.names
    }

    /// When it begins to be valid, in seconds since 1970.
    pub fn begins_s(&self) -> i64 {
        self.begins_s
    }

    /// When it expires, in seconds since 1970.
    pub fn expires_s(&self) -> i64 {
        self.expires_s
    }

    /// Whether it is still valid in so many seconds.
    pub(crate) fn is_valid(&self, in_s: i64) -> bool {
        self.expires_s.saturating_sub(in_s).saturating_mul(1_000) > now_ms()
    }
}

fn host_names(certificate: &x509_cert::Certificate) -> Result<Vec<String>, CertificateError> {
    let mut names = Vec::new();
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    for extension in extensions.iter().filter(|extension| extension.extn_id == SubjectAltName::OID) {
        for name in SubjectAltName::from_der(extension.extn_value.as_bytes())?.0 {
            if let GeneralName::DnsName(name) = name {
                names.push(name.as_str().to_ascii_lowercase());
            }
        }
    }
    if names.is_empty() { Err(CertificateError::NoNames) } else { Ok(names) }
}
