//! Agrees on keys with clients, and answers certificate authorities that ask in a handshake.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use actix_http::error::DispatchError;
use rustls::ServerConfig;
use rustls::server::ClientHello;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::time::timeout;
use tokio_rustls::LazyConfigAcceptor;
use tokio_rustls::server::TlsStream;

use sluice_acme::{ACME_PROTOCOL, Answers};
use sluice_telemetry::Telemetry;
use sluice_tls::Certificates;

use crate::http2;

/// What the metric calls the protocols.
const HTTP1: &str = "http/1.1";
const HTTP2: &str = "h2";
const NO_PROTOCOL: &str = "none";

/// How connections are encrypted.
#[derive(Clone)]
pub(crate) struct Encryption {
    pub(crate) config: Arc<ServerConfig>,
    pub(crate) certificates: Arc<Certificates>,
    /// What certificate authorities are answered.
    pub(crate) answers: Option<Arc<Answers>>,
    pub(crate) telemetry: Arc<Telemetry>,
}

/// A handshake that leaves nothing to do.
enum Ended {
    /// It was an authority's, which has seen what it wanted to see.
    Answered,
    /// There is no certificate for the name.
    NoCertificate,
    /// The client gave up, or does not speak TLS as this host does.
    Failed(io::Error),
}

impl Encryption {
    /// Lets the count of each outcome begin at 0, so that `increase()` sees the first handshake.
    pub(crate) fn begin_counting(&self) {
        for protocol in [HTTP1, HTTP2] {
            self.telemetry.metrics.count_handshakes("completed", protocol, 0);
        }
        for outcome in ["answered", "no_certificate", "failed", "timed_out"] {
            self.telemetry.metrics.count_handshakes(outcome, NO_PROTOCOL, 0);
        }
    }

    /// Agrees on keys with the client, which has `patience` for that. A connection that does not get so far is
    /// closed.
    pub(crate) async fn encrypt(
        &self,
        stream: TcpStream,
        patience: Duration,
    ) -> Result<TlsStream<TcpStream>, DispatchError> {
        let shaken = timeout(patience, self.shake(stream)).await;
        let (outcome, encrypted) = match shaken {
            Ok(Ok(stream)) => ("completed", Ok(stream)),
            Ok(Err(Ended::Answered)) => ("answered", Err(closed())),
            Ok(Err(Ended::NoCertificate)) => ("no_certificate", Err(closed())),
            Ok(Err(Ended::Failed(error))) => ("failed", Err(DispatchError::Io(error))),
            Err(_) => ("timed_out", Err(DispatchError::SlowRequestTimeout)),
        };
        let protocol = match &encrypted {
            Ok(stream) if http2::is_agreed(stream) => HTTP2,
            Ok(_) => HTTP1,
            Err(_) => NO_PROTOCOL,
        };
        self.telemetry.metrics.count_handshakes(outcome, protocol, 1);
        encrypted
    }

    async fn shake(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Ended> {
        let start = LazyConfigAcceptor::new(Default::default(), stream).await.map_err(Ended::Failed)?;
        let client = start.client_hello();
        let name = client.server_name().map(str::to_owned);
        if let (true, Some(answers), Some(name)) = (is_authority(&client), &self.answers, &name)
            && let Some(config) = answers.tls_alpn_01(name).await
        {
            let mut stream = start.into_stream(config).await.map_err(Ended::Failed)?;
            // It may be gone already.
            drop(stream.shutdown().await);
            return Err(Ended::Answered);
        }
        let has_certificate = self.certificates.has(name.as_deref());
        // Without a certificate, and without a common protocol, the client gets an alert.
        start.into_stream(Arc::clone(&self.config)).await.map_err(|error| match has_certificate {
            true => Ended::Failed(error),
            false => Ended::NoCertificate,
        })
    }
}

/// Whether a certificate authority asks. It offers no other protocol.
fn is_authority(client: &ClientHello<'_>) -> bool {
    client.alpn().is_some_and(|mut offered| offered.next() == Some(ACME_PROTOCOL) && offered.next().is_none())
}

fn closed() -> DispatchError {
    DispatchError::Io(io::ErrorKind::ConnectionAborted.into())
}
