//! A server in front of the ACME server, which fails as the test says. It passes everything else on,
//! unchanged.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use parking_lot::Mutex;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use sluice_test_support::pebble::Pebble;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, TlsConnector};

/// How the server fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Fault {
    /// It accepts requests and never answers.
    Hangs,
    /// This status and text, with `Retry-After`, for a path that contains the text.
    Says { path: &'static str, status: u16, body: &'static str, retry_after: Option<&'static str> },
    /// The same, once.
    Once { path: &'static str, status: u16, body: &'static str },
    /// The answer has no end.
    Floods,
}

pub(crate) struct Front {
    address: SocketAddr,
    state: Arc<State>,
}

#[derive(Default)]
struct State {
    fault: Mutex<Option<Fault>>,
    requests: AtomicUsize,
}

impl Front {
    pub(crate) async fn start(pebble: &Pebble) -> Self {
        let chain = CertificateDer::from_pem_file(pebble.ca_file()).unwrap();
        let key = PrivateKeyDer::from_pem_file(pebble.key_file()).unwrap();
        let server = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_no_client_auth()
            .with_single_cert(vec![chain.clone()], key)
            .unwrap();
        let mut roots = RootCertStore::empty();
        roots.add(chain).unwrap();
        let client = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        let (acceptor, connector) =
            (TlsAcceptor::from(Arc::new(server)), TlsConnector::from(Arc::new(client)));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let (address, behind) = (listener.local_addr().unwrap(), pebble.address());
        let state = Arc::new(State::default());
        let serving = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, connector) = (acceptor.clone(), connector.clone());
                let state = Arc::clone(&serving);
                tokio::spawn(async move {
                    let Ok(mut stream) = acceptor.accept(stream).await else { return };
                    let request = read_request(&mut stream).await;
                    state.requests.fetch_add(1, Ordering::Relaxed);
                    if let Some(answer) = state.failed(&request).await {
                        drop(stream.write_all(&answer).await);
                        drop(stream.shutdown().await);
                        return;
                    }
                    let Ok(stream_behind) = TcpStream::connect(behind).await else { return };
                    let name = ServerName::try_from("localhost").unwrap();
                    let mut other = connector.connect(name, stream_behind).await.unwrap();
                    other.write_all(&request).await.unwrap();
                    let mut answer = Vec::new();
                    // The server may close without saying goodbye.
                    drop(other.read_to_end(&mut answer).await);
                    drop(stream.write_all(&answer).await);
                    drop(stream.shutdown().await);
                });
            }
        });
        Self { address, state }
    }

    pub(crate) fn directory(&self) -> String {
        format!("https://{}/dir", self.address)
    }

    pub(crate) fn fail(&self, fault: Option<Fault>) {
        *self.state.fault.lock() = fault;
    }

    /// How many requests came so far.
    pub(crate) fn requests(&self) -> usize {
        self.state.requests.load(Ordering::Relaxed)
    }
}

impl State {
    /// The answer of a request that fails.
    async fn failed(&self, request: &[u8]) -> Option<Vec<u8>> {
        let line = String::from_utf8_lossy(request).lines().next().unwrap_or_default().to_owned();
        let fault = *self.fault.lock();
        match fault? {
            Fault::Hangs => std::future::pending().await,
            Fault::Floods => {
                let mut answer = b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n".to_vec();
                answer.resize(1 << 20, b'x');
                Some(answer)
            }
            Fault::Says { path, status, body, retry_after } => {
                line.contains(path).then(|| problem(status, body, retry_after))
            }
            Fault::Once { path, status, body } => {
                let fails = line.contains(path);
                if fails {
                    *self.fault.lock() = None;
                }
                fails.then(|| problem(status, body, None))
            }
        }
    }
}

fn problem(status: u16, body: &str, retry_after: Option<&str>) -> Vec<u8> {
    let retry_after = retry_after.map(|value| format!("Retry-After: {value}\r\n")).unwrap_or_default();
    format!(
        "HTTP/1.1 {status} No\r\nContent-Type: application/problem+json\r\n{retry_after}Content-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
}

async fn read_request(stream: &mut (impl AsyncRead + Unpin)) -> Vec<u8> {
    let mut request = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&request).to_ascii_lowercase();
        if let Some((head, _)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
            let length: usize = length.map_or(0, |length| length.parse().unwrap());
            if request.len() >= head.len() + 4 + length {
                return request;
            }
        }
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return request;
        }
    }
}
