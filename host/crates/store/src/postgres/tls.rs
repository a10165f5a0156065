//! TLS to the database server. The server's certificate and name are always checked, because an
//! encrypted connection to an unknown server protects nothing.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use sluice_http::percent;

/// What is wrong with the TLS options of a database URL.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// libpq's mode that checks the certificate and not the name.
    #[error(
        "sslmode=verify-ca is not supported, because the server's name is always checked; use verify-full"
    )]
    VerifyCa,
    /// A mode that libpq does not have.
    #[error("sslmode must be disable or verify-full")]
    UnknownMode,
    /// `sslrootcert` is empty or not UTF-8.
    #[error("sslrootcert must be the path of a PEM file")]
    NoRootFile,
    /// `sslrootcert` is given for connections without TLS.
    #[error("sslrootcert needs sslmode=verify-full; without it, the connection is not encrypted")]
    UnusedRootFile,
    /// The file of `sslrootcert` cannot be used.
    #[error("sslrootcert: {file}: {why}")]
    RootFile {
        /// The file.
        file: String,
        /// What is wrong with it.
        why: CertificateError,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Setup(rustls::Error),
}

/// What is wrong with a file of certificates.
#[derive(Debug, thiserror::Error)]
pub enum CertificateError {
    /// It cannot be read, or it is not PEM.
    #[error(transparent)]
    Pem(#[from] pem::Error),
    /// A certificate in it is not valid.
    #[error(transparent)]
    Invalid(#[from] rustls::Error),
    /// It has no certificate.
    #[error("it contains no certificate")]
    Empty,
}

/// The TLS options of a database URL. The driver's parser supports neither the modes that check
/// certificates nor files of certificates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) is_required: bool,
    /// A PEM file with the authorities to trust instead of the public ones.
    root_file: Option<String>,
}

impl TlsOptions {
    /// Takes `sslmode` and `sslrootcert` out of `url`. Also returns the rest of the URL.
    pub(super) fn take(url: &str) -> Result<(String, Self), TlsError> {
        let mut options = Self { is_required: false, root_file: None };
        let Some((server, query)) = url.split_once('?') else { return Ok((url.to_owned(), options)) };
        let mut kept = Vec::new();
        for option in query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "sslmode" => options.is_required = is_required(value)?,
                "sslrootcert" => options.root_file = Some(root_file(value)?),
                _ => kept.push(option),
            }
        }
        if options.root_file.is_some() && !options.is_required {
            return Err(TlsError::UnusedRootFile);
        }
        let query = kept.join("&");
        Ok((if query.is_empty() { server.to_owned() } else { format!("{server}?{query}") }, options))
    }

    /// Makes the connector that the driver needs, which it also needs for servers without TLS.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, TlsError> {
        let roots = match &self.root_file {
            Some(file) if self.is_required => {
                authorities(Path::new(file)).map_err(|why| TlsError::RootFile { file: file.clone(), why })?
            }
            _ => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn is_required(mode: &str) -> Result<bool, TlsError> {
    match mode {
        // libpq may use TLS in the modes "allow" and "prefer", but without checking anything.
        "disable" | "allow" | "prefer" => Ok(false),
        "require" | "verify-full" => Ok(true),
        "verify-ca" => Err(TlsError::VerifyCa),
        _ => Err(TlsError::UnknownMode),
    }
}

fn root_file(value: &str) -> Result<String, TlsError> {
    let decoded = percent::decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|path| !path.is_empty()).ok_or(TlsError::NoRootFile)
}

fn authorities(file: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(file)? {
        roots.add(certificate?)?;
    }
    if roots.is_empty() {
        return Err(CertificateError::Empty);
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_tls_options_out_of_the_url() {
        for (url, rest, is_required, root_file) in [
            ("postgres://db/site", "postgres://db/site", false, None),
            ("postgres://db/site?sslmode=disable", "postgres://db/site", false, None),
            ("postgres://db/site?sslmode=prefer&a=b", "postgres://db/site?a=b", false, None),
            ("postgres://db/site?a=b&sslmode=require&c=d", "postgres://db/site?a=b&c=d", true, None),
            (
                "postgres://db/site?sslrootcert=/etc/my%20ca.pem&sslmode=verify-full",
                "postgres://db/site",
                true,
                Some("/etc/my ca.pem".to_owned()),
            ),
        ] {
            let taken = TlsOptions::take(url).unwrap();
            assert_eq!(taken, (rest.to_owned(), TlsOptions { is_required, root_file }), "{url}");
        }
    }

    #[test]
    fn errors_name_the_option_or_the_file() {
        for (query, named) in [
            ("sslmode=verify-ca", "verify-full"),
            ("sslmode=always", "sslmode must be"),
            ("sslmode", "sslmode must be"),
            ("sslrootcert=ca.pem", "needs sslmode"),
            ("sslmode=require&sslrootcert=", "sslrootcert"),
        ] {
            let why = TlsOptions::take(&format!("postgres://db/site?{query}")).unwrap_err().to_string();
            assert!(why.contains(named), "{query}: {why}");
        }
        let nothing = tempfile::NamedTempFile::new().unwrap();
        for (file, named) in
            [("/no/such/file.pem", "/no/such/file.pem"), (nothing.path().to_str().unwrap(), "no certificate")]
        {
            let options = TlsOptions { is_required: true, root_file: Some(file.to_owned()) };
            let why = options.connector().err().unwrap().to_string();
            assert!(why.contains("sslrootcert") && why.contains(named), "{why}");
        }
    }
}
