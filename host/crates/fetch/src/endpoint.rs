//! Requests to a server that the operator names, such as the store of files. No rule of scripts applies to it.

use std::fs::File;
use std::io::{self, Read as _};
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
pub use hyper::Method;
use hyper::Request;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderMap};
pub use hyper::header::{HeaderName, HeaderValue};
use rustls::ClientConfig;
use tokio::net::{TcpStream, lookup_host};
use tokio::sync::mpsc;
use tokio::time::timeout;
use url::{Host, Url};

use crate::body::reason;
use crate::stream::Stream;
use crate::tls::{self, TlsError};

/// How long connecting may take, and how long the server may be silent.
const CONNECT_TIME: Duration = Duration::from_secs(5);
const SILENCE: Duration = Duration::from_secs(20);
/// A file is read in blocks of this size.
const BLOCK_BYTES: usize = 64 << 10;

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum EndpointError {
    /// The server cannot be reached.
    #[error("{host} cannot be reached: {error}")]
    NotReached {
        /// The host of the URL.
        host: String,
        /// The system's error.
        error: io::Error,
    },
    /// The server did not answer as HTTP requires.
    #[error("{host} did not answer as HTTP requires: {reason}")]
    Broken {
        /// The host of the URL.
        host: String,
        /// The reason in a few words.
        reason: String,
    },
    /// The server was silent for too long.
    #[error("{0} did not answer for {seconds} s", seconds = SILENCE.as_secs())]
    Silent(String),
    /// The answer is larger than expected.
    #[error("the answer of {0} is too large")]
    TooLarge(String),
}

/// Connects to servers of the operator.
#[derive(Clone)]
pub struct Endpoint {
    tls: Arc<ClientConfig>,
}

/// What a request sends.
pub enum Outgoing {
    /// Nothing.
    Nothing,
    /// These bytes.
    Bytes(Bytes),
    /// A file from its position on, and how many bytes of it.
    File(File, u64),
}

/// An answer whose body is still to be read.
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    host: String,
    body: Incoming,
}

impl Endpoint {
    /// Trusts the certificates of the system and those in `ca_file`.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn new(ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Self::trusting("http.ca_file", ca_file)
    }

    /// The same. `setting` is the name of the setting that names the file.
    ///
    /// # Errors
    /// The certificates cannot be used.
    pub fn trusting(setting: &'static str, ca_file: Option<&Path>) -> Result<Self, TlsError> {
        Ok(Self { tls: tls::config(setting, ca_file)? })
    }

    /// Sends a request on a connection of its own.
    ///
    /// # Errors
    /// There is no answer.
    pub async fn send(
        &self,
        method: Method,
        url: &Url,
        headers: Vec<(HeaderName, HeaderValue)>,
        outgoing: Outgoing,
    ) -> Result<Answer, EndpointError> {
        let host = url.host_str().unwrap_or_default().to_owned();
        let not_reached = |error| EndpointError::NotReached { host: host.clone(), error };
        let broken = |reason: String| EndpointError::Broken { host: host.clone(), reason };
        let stream = timeout(CONNECT_TIME, self.connect(url)).await;
        let stream = stream.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into())).map_err(not_reached)?;
        let shaken = http1::handshake::<_, Sent>(stream).await;
        let (mut sender, connection) = shaken.map_err(|error| broken(reason(&error)))?;
        tokio::spawn(async move { drop(connection.await) });
        let path = url.path();
        let path = url.query().map_or_else(|| path.to_owned(), |query| format!("{path}?{query}"));
        let authority = match url.port() {
            Some(port) => format!("{host}:{port}"),
            None => host.clone(),
        };
        let mut request = Request::builder().method(method).uri(path).header(HOST, authority);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.body(Sent::of(outgoing)).map_err(|error| broken(error.to_string()))?;
        let answer = sender.send_request(request);
        let answer =
            timeout_while_sending(answer).await.ok_or_else(|| EndpointError::Silent(host.clone()))?;
        let (head, body) = answer.map_err(|error| broken(reason(&error)))?.into_parts();
        Ok(Answer { status: head.status.as_u16(), headers: head.headers, host, body })
    }

    async fn connect(&self, url: &Url) -> io::Result<Stream> {
        let port = url.port_or_known_default().unwrap_or(443);
        let name = match url.host() {
            Some(Host::Domain(name)) => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            None => return Err(io::Error::other("its URL has no host")),
        };
        let mut failed = io::Error::other("its name has no address");
        for address in lookup_host((name.as_str(), port)).await? {
            match Stream::connect(address).await {
                Ok(stream) => return self.secured(stream, &name, url.scheme() == "https").await,
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    async fn secured(&self, stream: TcpStream, name: &str, is_https: bool) -> io::Result<Stream> {
        match is_https {
            true => Stream::secure(stream, name, Arc::clone(&self.tls)).await,
            false => Ok(Stream::Plain(stream)),
        }
    }
}

/// The longest that sending a file and waiting for the answer may take.
async fn timeout_while_sending<T>(work: impl Future<Output = T>) -> Option<T> {
    timeout(SILENCE.saturating_mul(6), work).await.ok()
}

impl Answer {
    /// The next bytes of the body. `None` at its end.
    ///
    /// # Errors
    /// The body is incomplete.
    pub async fn chunk(&mut self) -> Result<Option<Bytes>, EndpointError> {
        loop {
            let frame = std::future::poll_fn(|context| Pin::new(&mut self.body).poll_frame(context));
            let frame =
                timeout(SILENCE, frame).await.map_err(|_| EndpointError::Silent(self.host.clone()))?;
            match frame {
                None => return Ok(None),
                Some(Ok(frame)) => {
                    if let Ok(data) = frame.into_data() {
                        return Ok(Some(data));
                    }
                }
                Some(Err(error)) => {
                    return Err(EndpointError::Broken { host: self.host.clone(), reason: reason(&error) });
                }
            }
        }
    }

    /// The whole body.
    ///
    /// # Errors
    /// The body is incomplete, or larger than `bytes_max`.
    pub async fn whole(&mut self, bytes_max: usize) -> Result<Vec<u8>, EndpointError> {
        let mut all = Vec::new();
        while let Some(chunk) = self.chunk().await? {
            if chunk.len() > bytes_max.saturating_sub(all.len()) {
                return Err(EndpointError::TooLarge(self.host.clone()));
            }
            all.extend_from_slice(&chunk);
        }
        Ok(all)
    }
}

/// The body of a request.
enum Sent {
    Nothing,
    Bytes(Bytes),
    /// Blocks of a file, which another thread reads, and the bytes that are still to come.
    Blocks(mpsc::Receiver<io::Result<Bytes>>, u64),
}

impl Sent {
    fn of(outgoing: Outgoing) -> Self {
        let (file, bytes) = match outgoing {
            Outgoing::Nothing => return Self::Nothing,
            Outgoing::Bytes(bytes) => return Self::Bytes(bytes),
            Outgoing::File(file, bytes) => (file, bytes),
        };
        let (sender, receiver) = mpsc::channel(1);
        tokio::task::spawn_blocking(move || {
            let mut rest = file.take(bytes);
            loop {
                let mut block = Vec::new();
                let read = (&mut rest).take(BLOCK_BYTES as u64).read_to_end(&mut block);
                let block = match read {
                    Ok(0) => return,
                    Ok(_) => Ok(block.into()),
                    Err(error) => Err(error),
                };
                // The request has ended.
                if sender.blocking_send(block).is_err() {
                    return;
                }
            }
        });
        Self::Blocks(receiver, bytes)
    }
}

impl Body for Sent {
    type Data = Bytes;
    type Error = io::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, io::Error>>> {
        let (blocks, left) = match &mut *self {
            Self::Nothing => return Poll::Ready(None),
            Self::Bytes(bytes) => {
                let bytes = std::mem::take(bytes);
                return Poll::Ready((!bytes.is_empty()).then(|| Ok(Frame::data(bytes))));
            }
            Self::Blocks(blocks, left) => (blocks, left),
        };
        let Some(block) = ready!(blocks.poll_recv(context)) else { return Poll::Ready(None) };
        Poll::Ready(Some(block.map(|block| {
            *left = left.saturating_sub(block.len() as u64);
            Frame::data(block)
        })))
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Nothing | Self::Blocks(_, 0) => true,
            Self::Bytes(bytes) => bytes.is_empty(),
            Self::Blocks(..) => false,
        }
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(match self {
            Self::Nothing => 0,
            Self::Bytes(bytes) => bytes.len() as u64,
            Self::Blocks(_, left) => *left,
        })
    }
}
