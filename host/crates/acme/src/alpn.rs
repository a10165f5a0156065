//! The handshake that answers a challenge of the type tls-alpn-01 (RFC 8737).

use std::sync::Arc;

use rcgen::{CertificateParams, CustomExtension, DistinguishedName, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::crypto::ring::sign::any_supported_type;
use rustls::pki_types::PrivatePkcs8KeyDer;
use rustls::sign::{CertifiedKey, SingleCertAndKey};

/// The protocol (ALPN) of the handshakes in which a certificate authority asks.
pub const ACME_PROTOCOL: &[u8] = b"acme-tls/1";

/// There is no answer for a challenge.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ChallengeError {
    /// The name is not a host name, or the system gives no random numbers.
    #[error(transparent)]
    Certificate(#[from] rcgen::Error),
    /// The key cannot be used.
    #[error(transparent)]
    Key(#[from] rustls::Error),
}

/// The settings of a handshake whose certificate contains `digest` for `name`.
pub(crate) fn challenge_config(name: &str, digest: &[u8; 32]) -> Result<Arc<ServerConfig>, ChallengeError> {
    let mut params = CertificateParams::new([name.to_owned()])?;
    params.distinguished_name = DistinguishedName::new();
    params.custom_extensions = vec![CustomExtension::new_acme_identifier(digest)];
    let key = KeyPair::generate()?;
    let chain = vec![params.self_signed(&key)?.der().clone()];
    let key = any_supported_type(&PrivatePkcs8KeyDer::from(key.serialize_der()).into())?;
    let certificate = SingleCertAndKey::from(CertifiedKey::new(chain, key));
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(certificate));
    config.alpn_protocols = vec![ACME_PROTOCOL.to_vec()];
    Ok(Arc::new(config))
}
