//! The certificate that answers a challenge of the type tls-alpn-01 (RFC 8737).

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::CertifiedKey;

/// The protocol (ALPN) of the handshakes in which a certificate authority asks.
pub const ACME_TLS: &[u8] = b"acme-tls/1";

/// There is no certificate for a challenge.
#[derive(Debug, thiserror::Error)]
pub enum ChallengeError {
    /// The name is not a host name, or the system gives no random numbers.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] rustls::Error),
}

/// Makes the certificate that contains `digest` for `name`. It is for handshakes with the protocol
/// [`ACME_TLS`] only.
///
/// # Errors
/// `name` is not a host name, or the system gives no random numbers.
pub fn challenge_certificate(name: &str, digest: &[u8; 32]) -> Result<Arc<CertifiedKey>, ChallengeError> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let chain = vec![params.self_signed(&key)?.der().clone()];
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    Ok(Arc::new(CertifiedKey::new(chain, key)))
}
