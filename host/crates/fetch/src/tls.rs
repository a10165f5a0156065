//! Which certificates are trusted: those of the system, and those in the operator's `ca_file`.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};

/// Why the certificates cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// The file cannot be read.
    #[error("http.ca_file: {}: {error}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// The file has no certificate.
    #[error("http.ca_file: {}: there is no certificate in it", .0.display())]
    Empty(PathBuf),
    /// rustls does not take the settings.
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// The settings of TLS. Reads the certificates of the system, which takes a few milliseconds.
pub(crate) fn config(ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!(
            "this machine has no certificates of authorities, so scripts can call only hosts of http.ca_file over https"
        );
    }
    for certificate in ca_file.map(read).transpose()?.unwrap_or_default() {
        roots.add(certificate)?;
    }
    let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(Arc::new(config))
}

/// The certificates in a file.
///
/// # Errors
/// The file cannot be read, or has none.
pub(crate) fn read(path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File { path: path.to_owned(), error };
    let all = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(failed)?;
    if all.is_empty() { Err(TlsError::Empty(path.to_owned())) } else { Ok(all) }
}
