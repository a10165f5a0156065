//! Why the server cannot start, or why it stopped before a signal asked it to.

use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

use sluice_fetch::TlsError;
use sluice_kit::operator_dir::OperatorDirError;

use crate::admin::AdminStartError;

/// A failure of the server as a whole. A source holds what its variant's sentence leaves out.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// Another program listens on the address.
    #[error("{address} is in use by another program; choose another address with {setting}")]
    AddressInUse {
        /// The address that the settings name.
        address: SocketAddr,
        /// The option or setting that changes the address.
        setting: &'static str,
    },
    /// The system rejects the address for another reason.
    #[error("{address} cannot be used: {error}; choose another address with {setting}")]
    AddressUnusable {
        /// The address that the settings name.
        address: SocketAddr,
        /// The option or setting that changes the address.
        setting: &'static str,
        /// What the system reports.
        error: io::Error,
    },
    /// The Unix socket cannot be created.
    #[error("{}: the Unix socket cannot be used: {error}; choose another path with SLUICE_SERVER__SOCKET", path.display())]
    SocketFile {
        /// Its path.
        path: PathBuf,
        /// What is wrong.
        error: io::Error,
    },
    /// A socket of the service manager does not listen, or is of another kind.
    #[error(
        "the socket `{name}` of the service manager cannot be used: {error}; sockets must have ListenStream= with a \
         port, and `proxy` with a path"
    )]
    SocketUnusable {
        /// Its name.
        name: String,
        /// What is wrong with it.
        error: io::Error,
    },
    /// Nothing uses a socket of the service manager.
    #[error(
        "the service manager opened a socket `{0}` that nothing uses: FileDescriptorName= must be visitors, http (only \
         with server.https), proxy, admin or probes, and each only once"
    )]
    SocketUnused(String),
    /// The system does not set the timeout of `server.write_timeout` on the visitors' listener.
    #[error("server.write_timeout cannot be set")]
    WriteTimeout(#[source] io::Error),
    /// The system does not deliver signals to this process.
    #[error("signals cannot be watched")]
    Signals(#[source] io::Error),
    /// HTTPS is on, and there is no certificate.
    #[error(
        "server.https is on, but there is no certificate that can be used in {}: put one there as NAME.crt, with \
         the certificates that lead to its authority, and its private key as NAME.key, or let Sluice order one with \
         acme.enabled",
        .0.display()
    )]
    NoCertificate(PathBuf),
    /// Certificates are ordered, and nothing would use them.
    #[error("acme.enabled is on, but server.https is not: set server.https = true, or remove acme.enabled")]
    AcmeWithoutHttps,
    /// No listener would answer the certificate authority.
    #[error(
        "acme.enabled is on, but no listener answers the certificate authority on port 80: set \
         server.http_listen = \"0.0.0.0:80\", or acme.challenge = \"tls-alpn-01\""
    )]
    AcmeWithoutHttp,
    /// The certificates of the authority's server cannot be used.
    #[error(transparent)]
    AcmeCa(TlsError),
    /// The system gives no random numbers.
    #[error("the system returned no random bytes")]
    NoRandomNumbers,
    /// The folder of certificates is a link into the site.
    #[error(transparent)]
    Place(#[from] OperatorDirError),
    /// TLS cannot be used.
    #[error("server.https: TLS cannot be set up: {0}")]
    Tls(rustls::Error),
    /// The admin listener cannot start.
    #[error(transparent)]
    Admin(#[from] AdminStartError),
    /// A listener failed.
    #[error(transparent)]
    Listener(#[from] io::Error),
}
