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
    #[error("{setting}: {}: {error}", path.display())]
    File {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        error: pem::Error,
    },
    /// The file has no certificate.
    #[error("{setting}: {}: there is no certificate in it", path.display())]
    Empty {
        /// The setting that names it.
        setting: &'static str,
        /// The file.
        path: PathBuf,
    },
    /// rustls does not take the settings.
    #[error("TLS: {0}")]
    Setup(#[from] rustls::Error),
}

/// The settings of TLS. Reads the certificates of the system, which takes a few milliseconds, and those in a
/// file that a setting names.
pub(crate) fn config(setting: &'static str, ca_file: Option<&Path>) -> Result<Arc<ClientConfig>, TlsError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if roots.is_empty() {
        tracing::warn!(
            "this machine has no certificates of authorities: only servers with a certificate of {setting} can be called over https"
        );
    }
    for certificate in ca_file.map(|path| read(setting, path)).transpose()?.unwrap_or_default() {
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
pub(crate) fn read(setting: &'static str, path: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let failed = |error| TlsError::File { setting, path: path.to_owned(), error };
    let all = CertificateDer::pem_file_iter(path).map_err(failed)?;
    let all: Vec<_> = all.collect::<Result<_, _>>().map_err(failed)?;
    if all.is_empty() { Err(TlsError::Empty { setting, path: path.to_owned() }) } else { Ok(all) }
}
