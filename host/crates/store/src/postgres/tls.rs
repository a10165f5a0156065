//! TLS to the database server. The server's certificate and name are always checked, because an
//! encrypted connection to an unknown server protects nothing.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{ClientConfig, InconsistentKeys, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use sluice_http::percent;

/// The options that name files.
const ROOT: &str = "sslrootcert";
const CERTIFICATE: &str = "sslcert";
const KEY: &str = "sslkey";

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
    /// An option is empty or not UTF-8.
    #[error("{0} must be the path of a PEM file")]
    NoFile(&'static str),
    /// A file is given for connections without TLS.
    #[error("{0} needs sslmode=verify-full; without it, the connection is not encrypted")]
    UnusedFile(&'static str),
    /// The certificate of this host or its key is missing.
    #[error("sslcert and sslkey need each other: the certificate of this host, and its private key")]
    HalfOfPair,
    /// The key is that of another certificate, or of an unknown kind.
    #[error("sslkey: the private key does not fit the certificate of sslcert: {0}")]
    OtherKey(rustls::Error),
    /// A file cannot be used.
    #[error("{option}: {file}: {why}")]
    File {
        /// The option that names it.
        option: &'static str,
        /// The file.
        file: String,
        /// What is wrong with it.
        why: CertificateError,
    },
    /// TLS cannot be set up.
    #[error(transparent)]
    Setup(rustls::Error),
}

/// What is wrong with a file of certificates or of a private key.
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
    /// It has no private key, or a private key that is encrypted.
    #[error("it contains no private key (`BEGIN PRIVATE KEY`) without a password")]
    NoKey,
}

/// The TLS options of a database URL. The driver's parser supports neither the modes that check
/// certificates nor files of certificates.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) is_required: bool,
    /// A PEM file with the authorities to trust instead of the public ones.
    root_file: Option<String>,
    /// The certificate that shows the server who this host is, and its key: two PEM files.
    own_files: Option<(String, String)>,
}

impl TlsOptions {
    /// Takes `sslmode`, `sslrootcert`, `sslcert` and `sslkey` out of `url`. Also returns the rest of the URL.
    pub(super) fn take(url: &str) -> Result<(String, Self), TlsError> {
        let mut options = Self { is_required: false, root_file: None, own_files: None };
        let (mut certificate, mut key) = (None, None);
        let Some((server, query)) = url.split_once('?') else { return Ok((url.to_owned(), options)) };
        let mut kept = Vec::new();
        for option in query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "sslmode" => options.is_required = is_required(value)?,
                "sslrootcert" => options.root_file = Some(file(ROOT, value)?),
                "sslcert" => certificate = Some(file(CERTIFICATE, value)?),
                "sslkey" => key = Some(file(KEY, value)?),
                _ => kept.push(option),
            }
        }
        let given = [(ROOT, &options.root_file), (CERTIFICATE, &certificate), (KEY, &key)];
        let unused = given.iter().find(|(_, file)| file.is_some() && !options.is_required);
        if let Some((option, _)) = unused {
            return Err(TlsError::UnusedFile(option));
        }
        options.own_files = match (certificate, key) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(TlsError::HalfOfPair),
        };
        let query = kept.join("&");
        Ok((if query.is_empty() { server.to_owned() } else { format!("{server}?{query}") }, options))
    }

    /// Makes the connector that the driver needs, which it also needs for servers without TLS.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, TlsError> {
        let roots = match &self.root_file {
            Some(file) if self.is_required => {
                authorities(Path::new(file)).map_err(|why| TlsError::of_file(ROOT, file, why))?
            }
            _ => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(TlsError::Setup)?
            .with_root_certificates(roots);
        let config = match &self.own_files {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = chain(Path::new(certificate));
                let chain = chain.map_err(|why| TlsError::of_file(CERTIFICATE, certificate, why))?;
                let key = private_key(Path::new(key)).map_err(|why| TlsError::of_file(KEY, key, why))?;
                config.with_client_cert_resolver(Arc::new(own(chain, &key).map_err(TlsError::OtherKey)?))
            }
        };
        Ok(MakeRustlsConnect::new(config))
    }
}

impl TlsError {
    fn of_file(option: &'static str, file: &str, why: CertificateError) -> Self {
        Self::File { option, file: file.to_owned(), why }
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

fn file(option: &'static str, value: &str) -> Result<String, TlsError> {
    let decoded = percent::decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|path| !path.is_empty()).ok_or(TlsError::NoFile(option))
}

fn chain(file: &Path) -> Result<Vec<CertificateDer<'static>>, CertificateError> {
    let chain = CertificateDer::pem_file_iter(file)?.collect::<Result<Vec<_>, _>>()?;
    if chain.is_empty() { Err(CertificateError::Empty) } else { Ok(chain) }
}

/// A certificate with its key. The server checks certificates of version 1, which PostgreSQL's documentation
/// describes how to make and which rustls cannot parse.
fn own(
    chain: Vec<CertificateDer<'static>>,
    key: &PrivateKeyDer<'static>,
) -> Result<SingleCertAndKey, rustls::Error> {
    let certified = CertifiedKey::new(chain, ring::sign::any_supported_type(key)?);
    match certified.keys_match() {
        Err(error @ rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch)) => Err(error),
        _ => Ok(certified.into()),
    }
}

fn private_key(file: &Path) -> Result<PrivateKeyDer<'static>, CertificateError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| match error {
        pem::Error::NoItemsFound => CertificateError::NoKey,
        error => error.into(),
    })
}

fn authorities(file: &Path) -> Result<RootCertStore, CertificateError> {
    let mut roots = RootCertStore::empty();
    for certificate in chain(file)? {
        roots.add(certificate)?;
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
            let expected = TlsOptions { is_required, root_file, own_files: None };
            assert_eq!(taken, (rest.to_owned(), expected), "{url}");
        }
        let url = "postgres://db/site?sslkey=%2Fetc/a.key&sslmode=verify-full&sslcert=a.crt&a=b";
        let (rest, options) = TlsOptions::take(url).unwrap();
        assert_eq!(rest, "postgres://db/site?a=b");
        assert_eq!(options.own_files, Some(("a.crt".into(), "/etc/a.key".into())));
    }

    #[test]
    fn errors_name_the_option_or_the_file() {
        for (query, named) in [
            ("sslmode=verify-ca", "verify-full"),
            ("sslmode=always", "sslmode must be"),
            ("sslmode", "sslmode must be"),
            ("sslrootcert=ca.pem", "needs sslmode"),
            ("sslmode=require&sslrootcert=", "sslrootcert"),
            ("sslcert=a.crt&sslkey=a.key", "sslcert needs sslmode"),
            ("sslmode=require&sslcert=a.crt", "need each other"),
            ("sslmode=require&sslkey=a.key", "need each other"),
            ("sslmode=require&sslcert=a.crt&sslkey=", "sslkey"),
        ] {
            let why = TlsOptions::take(&format!("postgres://db/site?{query}")).unwrap_err().to_string();
            assert!(why.contains(named), "{query}: {why}");
        }
        let nothing = tempfile::NamedTempFile::new().unwrap();
        for (file, named) in
            [("/no/such/file.pem", "/no/such/file.pem"), (nothing.path().to_str().unwrap(), "no certificate")]
        {
            let options = TlsOptions { is_required: true, root_file: Some(file.to_owned()), own_files: None };
            let why = options.connector().err().unwrap().to_string();
            assert!(why.contains("sslrootcert") && why.contains(named), "{why}");
        }
    }
}
