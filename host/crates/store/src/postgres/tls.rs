//! TLS to the database server. Whoever asks for it gets the server's certificate and
//! name checked: encryption to nobody in particular protects nothing.

use std::sync::Arc;

use rustls::crypto::ring;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};
use tokio_postgres_rustls::MakeRustlsConnect;

use sluice_http::percent;

/// What a database URL says about TLS. The driver's parser knows neither the modes that
/// check certificates nor files.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct TlsOptions {
    pub(super) is_required: bool,
    /// A PEM file with the authorities to trust, instead of the public ones.
    root_file: Option<String>,
}

impl TlsOptions {
    /// Takes `sslmode` and `sslrootcert` out of `url`; gives the rest of it, too.
    pub(super) fn take(url: &str) -> Result<(String, Self), String> {
        let mut options = Self { is_required: false, root_file: None };
        let Some((server, query)) = url.split_once('?') else { return Ok((url.to_owned(), options)) };
        let mut kept = Vec::new();
        for option in query.split('&') {
            let (name, value) = option.split_once('=').unwrap_or((option, ""));
            match name {
                "sslmode" => options.is_required = is_required(value)?,
                "sslrootcert" => options.root_file = Some(file(value)?),
                _ => kept.push(option),
            }
        }
        if options.root_file.is_some() && !options.is_required {
            return Err("sslrootcert without sslmode=verify-full: nothing would be encrypted".to_owned());
        }
        let query = kept.join("&");
        Ok((if query.is_empty() { server.to_owned() } else { format!("{server}?{query}") }, options))
    }

    /// What the driver connects with; used for servers without TLS, too.
    pub(super) fn connector(&self) -> Result<MakeRustlsConnect, String> {
        let roots = match &self.root_file {
            Some(file) if self.is_required => authorities(file)?,
            _ => RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() },
        };
        let config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(MakeRustlsConnect::new(config))
    }
}

fn is_required(mode: &str) -> Result<bool, String> {
    match mode {
        // As libpq does where a server does not offer TLS: there is nothing to lose.
        "disable" | "allow" | "prefer" => Ok(false),
        "require" | "verify-full" => Ok(true),
        "verify-ca" => {
            Err("sslmode=verify-ca: the server's name is always checked, too; use verify-full".to_owned())
        }
        _ => Err("sslmode must be disable or verify-full".to_owned()),
    }
}

fn file(value: &str) -> Result<String, String> {
    let decoded = percent::decode(value).and_then(|bytes| String::from_utf8(bytes).ok());
    decoded.filter(|path| !path.is_empty()).ok_or_else(|| "sslrootcert must be a PEM file's path".to_owned())
}

fn authorities(file: &str) -> Result<RootCertStore, String> {
    let failed = |error: &dyn std::fmt::Display| format!("sslrootcert: {file}: {error}");
    let mut roots = RootCertStore::empty();
    let certificates = CertificateDer::pem_file_iter(file).map_err(|error| failed(&error))?;
    for certificate in certificates {
        let certificate = certificate.map_err(|error| failed(&error))?;
        roots.add(certificate).map_err(|error| failed(&error))?;
    }
    if roots.is_empty() {
        return Err(failed(&"no certificate is in it"));
    }
    Ok(roots)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn options_are_taken_out_of_the_url() {
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
    fn mistakes_are_named() {
        for (query, named) in [
            ("sslmode=verify-ca", "verify-full"),
            ("sslmode=always", "sslmode must be"),
            ("sslmode", "sslmode must be"),
            ("sslrootcert=ca.pem", "without sslmode"),
            ("sslmode=require&sslrootcert=", "sslrootcert"),
        ] {
            let why = TlsOptions::take(&format!("postgres://db/site?{query}")).unwrap_err();
            assert!(why.contains(named), "{query}: {why}");
        }
        let nothing = tempfile::NamedTempFile::new().unwrap();
        for (file, named) in
            [("/no/such/file.pem", "/no/such/file.pem"), (nothing.path().to_str().unwrap(), "no certificate")]
        {
            let options = TlsOptions { is_required: true, root_file: Some(file.to_owned()) };
            let why = options.connector().err().unwrap();
            assert!(why.contains("sslrootcert") && why.contains(named), "{why}");
        }
    }
}
