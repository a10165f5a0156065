//! Certificates as they are stored and as authorities issue them.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivatePkcs8KeyDer};
use sluice_tls::Certificate;

use crate::store::Issue;

/// The most certificates of a chain that are read.
const CHAIN_MAX: usize = 10;

/// A certificate with its private key, and when it is valid.
#[derive(Debug)]
pub(crate) struct Issued {
    pub(crate) certificate: Certificate,
    pub(crate) issue: Issue,
}

/// Why a certificate cannot be used.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CertificateError {
    /// It is not a chain in PEM.
    #[error("it is not a chain of certificates in PEM")]
    Chain,
    /// It cannot be parsed, or the key is another one's.
    #[error(transparent)]
    Unusable(#[from] sluice_tls::CertificateError),
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
) -> Result<Issued, CertificateError> {
    let chain = CertificateDer::pem_slice_iter(chain).take(CHAIN_MAX).collect::<Result<Vec<_>, _>>();
    let chain = chain.map_err(|_| CertificateError::Chain)?;
    let certificate = Certificate::new(chain, PrivatePkcs8KeyDer::from(key).into())?;
    if !certificate.names().iter().any(|own| own == name) {
        return Err(CertificateError::OtherName(name.to_owned()));
    }
    let ms = |seconds: i64| seconds.saturating_mul(1_000);
    let (not_before, not_after) = (ms(certificate.begins_s()), ms(certificate.expires_s()));
    Ok(Issued { certificate, issue: Issue { revision, not_before, not_after } })
}
