//! A certificate with its private key.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, PrivatePkcs8KeyDer, ServerName};
use rustls::server::ParsedCertificate;
use x509_cert::der::Decode as _;
use x509_cert::time::Validity;

use crate::store::Issue;

/// The most certificates of a chain that are read.
const CHAIN_MAX: usize = 10;

/// A certificate with its private key. `Debug` does not show the key.
pub struct Certificate {
    /// The certificates, the name's own first.
    pub chain: Vec<CertificateDer<'static>>,
    /// The key of the first.
    pub key: PrivateKeyDer<'static>,
    /// When it is valid.
    pub issue: Issue,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificate").field("issue", &self.issue).finish_non_exhaustive()
    }
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// It is not a chain in PEM.
    #[error("it is not a chain of certificates in PEM")]
    Chain,
    /// The first certificate cannot be parsed.
    #[error("the certificate cannot be parsed")]
    Unreadable,
    /// It is for other names.
    #[error("the certificate is not for {0}")]
    OtherName(String),
}

/// Checks a chain in PEM for a name. `key` is the private key in PKCS #8.
pub(crate) fn read(
    chain: &[u8],
    key: Vec<u8>,
    name: &str,
    revision: i64,
) -> Result<Certificate, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(chain).take(CHAIN_MAX).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| CertificateError::Chain)?;
    let own = chain.first().ok_or(CertificateError::Chain)?;
    let other = || CertificateError::OtherName(name.to_owned());
    let server = ServerName::try_from(name).map_err(|_| other())?;
    let parsed = ParsedCertificate::try_from(own).map_err(|_| CertificateError::Unreadable)?;
    rustls::client::verify_server_name(&parsed, &server).map_err(|_| other())?;
    let issue = issue(own, revision)?;
    Ok(Certificate { chain, key: PrivatePkcs8KeyDer::from(key).into(), issue })
}

/// When a certificate is valid.
fn issue(certificate: &CertificateDer<'_>, revision: i64) -> Result<Issue, CertificateError> {
    let parsed = x509_cert::Certificate::from_der(certificate).map_err(|_| CertificateError::Unreadable)?;
    let Validity { not_before, not_after } = parsed.tbs_certificate.validity;
    let ms = |time: x509_cert::time::Time| {
        i64::try_from(time.to_unix_duration().as_millis()).map_err(|_| CertificateError::Unreadable)
    };
    Ok(Issue { revision, not_before: ms(not_before)?, not_after: ms(not_after)? })
}
