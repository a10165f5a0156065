//! Connections: TCP to an address that was checked, and TLS.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};

use hyper::rt::{Read, ReadBufCursor, Write};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::ClientConfig;
use tokio_rustls::rustls::pki_types::ServerName;

/// How much is read at a time.
const READ_BYTES: usize = 8 << 10;

/// A connection, for hyper.
pub(crate) enum Stream<S = TcpStream> {
    Plain(S),
    Tls(Box<TlsStream<S>>),
}

/// What may still be read from a connection. It counts every byte on the wire: also those of TLS and of interim
/// responses, which nobody sees and which cost time to read.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    left: AtomicUsize,
    is_over: AtomicBool,
}

impl Meter {
    /// Allows this many bytes from now on.
    pub(crate) fn allow(&self, bytes: usize) {
        self.left.store(bytes, Ordering::Release);
        self.is_over.store(false, Ordering::Release);
    }

    /// Whether more bytes came than allowed.
    pub(crate) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Acquire)
    }

    fn spend(&self, bytes: usize) -> io::Result<()> {
        let spent =
            self.left.fetch_update(Ordering::AcqRel, Ordering::Acquire, |left| left.checked_sub(bytes));
        spent.map(drop).map_err(|_| {
            self.is_over.store(true, Ordering::Release);
            io::Error::other("too many bytes")
        })
    }
}

/// A TCP connection from which only so much is read.
pub(crate) struct Wire {
    pub(crate) stream: TcpStream,
    pub(crate) meter: Arc<Meter>,
}

impl AsyncRead for Wire {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        target: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = target.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(context, target))?;
        Poll::Ready(self.meter.spend(target.filled().len().saturating_sub(before)))
    }
}

impl AsyncWrite for Wire {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}

impl Stream {
    pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(stream)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Stream<S> {
    /// Speaks TLS with the server of this name.
    pub(crate) async fn secure(stream: S, name: &str, config: Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from(name.to_owned()).map_err(io::Error::other)?;
        let stream = TlsConnector::from(config).connect(name, stream).await?;
        Ok(Self::Tls(Box::new(stream)))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Read for Stream<S> {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        mut target: ReadBufCursor<'_>,
    ) -> Poll<io::Result<()>> {
        let mut bytes = [0; READ_BYTES];
        let count = target.remaining().min(READ_BYTES);
        let mut read = ReadBuf::new(bytes.get_mut(..count).unwrap_or_default());
        ready!(match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_read(context, &mut read),
            Self::Tls(stream) => Pin::new(stream).poll_read(context, &mut read),
        })?;
        target.put_slice(read.filled());
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> Write for Stream<S> {
    fn poll_write(self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_write(context, bytes),
            Self::Tls(stream) => Pin::new(stream).poll_write(context, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_flush(context),
            Self::Tls(stream) => Pin::new(stream).poll_flush(context),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Plain(stream) => Pin::new(stream).poll_shutdown(context),
            Self::Tls(stream) => Pin::new(stream).poll_shutdown(context),
        }
    }
}
