//! Listeners of HTTP/1.1, with and without TLS, and of HTTP/2 with TLS. They differ from actix-web's `HttpServer`
//! in that [`Lines`] checks what clients of HTTP/1.1 send, in the limits of HTTP/2, and in the choice of certificates.

use std::fmt::Debug;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::net::UnixListener;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::{HttpService, Request, Response};
use actix_server::Server;
use actix_service::{
    IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt as _, fn_service, map_config,
};
use actix_web::body::MessageBody;
use actix_web::dev::AppConfig;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};
use tokio_rustls::server::TlsStream;

use sluice_app::request::{FromProxy, OverTls};

use crate::handshake::Encryption;
use crate::http2::{self, ByProtocol, Times};
use crate::lines::Lines;
use crate::turns::TurnsOwed;

/// How long a client may take to close a connection.
const DISCONNECT_TIMEOUT: Duration = Duration::from_secs(1);

/// The settings of a listener.
#[derive(Clone)]
pub(crate) struct Listening {
    pub(crate) workers: Option<usize>,
    /// Connections that a worker may have. Further ones wait in the system's queue.
    pub(crate) connections_a_worker: usize,
    pub(crate) headers_timeout: Duration,
    /// How long a connection without a request stays open.
    pub(crate) keep_alive: Duration,
    /// How long a client of HTTP/2 may take nothing of a response. For the connection as a whole, the system has
    /// this timeout.
    pub(crate) write_timeout: Duration,
    /// Requests that are in progress when the server stops may take this long to finish.
    pub(crate) shutdown_seconds: u64,
    /// How connections are encrypted. `None` if they are not.
    pub(crate) tls: Option<Encryption>,
}

impl Listening {
    /// The settings of a listener for operators and probes.
    pub(crate) fn for_operators() -> Self {
        Self {
            workers: Some(1),
            connections_a_worker: 1_024,
            headers_timeout: Duration::from_secs(5),
            keep_alive: Duration::from_secs(5),
            write_timeout: Duration::from_secs(60),
            shutdown_seconds: 30,
            tls: None,
        }
    }

    /// Serves the application that `factory` makes for each worker.
    ///
    /// # Errors
    /// The listener cannot be used.
    pub(crate) fn serve<F, I, S, B>(self, listener: impl Into<Listener>, factory: F) -> io::Result<Server>
    where
        F: Fn() -> I + Send + Clone + 'static,
        I: IntoServiceFactory<S, Request>,
        S: ServiceFactory<Request, Config = AppConfig> + 'static,
        S::Error: Into<actix_web::Error> + 'static,
        S::InitError: Debug,
        S::Response: Into<Response<B>> + 'static,
        <S::Service as Service<Request>>::Future: 'static,
        S::Service: 'static,
        B: MessageBody + 'static,
    {
        let Self {
            workers,
            connections_a_worker,
            headers_timeout,
            keep_alive,
            write_timeout,
            shutdown_seconds,
            tls,
        } = self;
        let mut builder = Server::build().disable_signals().shutdown_timeout(shutdown_seconds);
        builder = builder.max_concurrent_connections(connections_a_worker);
        if let Some(workers) = workers {
            builder = builder.workers(workers);
        }
        let stopping = builder.graceful_shutdown_signal();
        let listener = listener.into();
        let address = match &listener {
            Listener::Tcp(listener) => Some(listener.local_addr()?),
            Listener::Unix(_) => None,
        };
        let stopping_http2 = stopping.clone();
        let factory_http2 = factory.clone();
        let for_http2 = move || {
            let app = factory_http2().into_factory();
            app.map(|response| Into::<Response<B>>::into(response).map_into_boxed_body())
                .map_err(|error| Response::from(error.into().error_response()))
        };
        let http = move || {
            let stopping = stopping.clone();
            let app = factory().into_factory().map_err(|error| error.into().error_response());
            let mut http = HttpService::build()
                .graceful_shutdown_signal(move || {
                    let stopping = stopping.clone();
                    async move { stopping.notified().await }
                })
                .keep_alive(keep_alive)
                .client_request_timeout(headers_timeout)
                .client_disconnect_timeout(DISCONNECT_TIMEOUT)
                .h1_allow_half_closed(true);
            if let Some(address) = address {
                http = http.local_addr(address);
            }
            http.on_connect_ext(|stream: &CheckedStream, connection| {
                connection.insert(TurnsOwed::default());
                match stream.transport {
                    Transport::Plain(_) => {}
                    Transport::Tls(_) => drop(connection.insert(OverTls)),
                    Transport::Local(_) => drop(connection.insert(FromProxy)),
                }
            })
            .h1(map_config(app, |()| AppConfig::default()))
        };
        let name = address.map(|address| address.to_string()).unwrap_or_default();
        let builder = match (listener, tls) {
            (Listener::Unix(listener), _) => builder.listen_uds("proxy", listener, move || {
                fn_service(async |stream: UnixStream| Ok((CheckedStream::of(Transport::Local(stream)), None)))
                    .and_then(http())
            })?,
            (Listener::Tcp(listener), None) => builder.listen(name, listener, move || {
                fn_service(async |stream: TcpStream| {
                    let peer = prepare(&stream);
                    Ok((CheckedStream::of(Transport::Plain(stream)), peer))
                })
                .and_then(http())
            })?,
            (Listener::Tcp(listener), Some(tls)) => builder.listen(name, listener, move || {
                let tls = tls.clone();
                let by_protocol = ByProtocol {
                    http1: http(),
                    app: map_config(for_http2(), |()| AppConfig::default()),
                    is_http2: CheckedStream::is_http2,
                    times: Times { preface: headers_timeout, idle: keep_alive, write: write_timeout },
                    stopping: stopping_http2.clone(),
                };
                fn_service(move |stream: TcpStream| {
                    let tls = tls.clone();
                    async move {
                        let peer = prepare(&stream);
                        let stream = tls.encrypt(stream, headers_timeout).await?;
                        Ok((CheckedStream::of(Transport::Tls(Box::new(stream))), peer))
                    }
                })
                .and_then(by_protocol)
            })?,
        };
        Ok(builder.run())
    }
}

/// Where a listener listens.
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl From<TcpListener> for Listener {
    fn from(listener: TcpListener) -> Self {
        Self::Tcp(listener)
    }
}

impl From<UnixListener> for Listener {
    fn from(listener: UnixListener) -> Self {
        Self::Unix(listener)
    }
}

/// Sets up a connection, and returns the client's address.
fn prepare(stream: &TcpStream) -> Option<SocketAddr> {
    // An answer's head and body may be two segments; the second must not wait until the client acknowledges the
    // first. A connection that was reset needs no such setting.
    let _ = stream.set_nodelay(true);
    stream.peer_addr().ok()
}

/// A connection whose lines are checked, if it has lines.
struct CheckedStream {
    transport: Transport,
    /// `None` for HTTP/2.
    lines: Option<Lines>,
}

impl CheckedStream {
    fn of(transport: Transport) -> Self {
        let mut stream = Self { transport, lines: None };
        if !stream.is_http2() {
            stream.lines = Some(Lines::default());
        }
        stream
    }

    /// Whether the client has asked for HTTP/2.
    fn is_http2(&self) -> bool {
        match &self.transport {
            Transport::Tls(stream) => http2::is_agreed(stream),
            Transport::Plain(_) | Transport::Local(_) => false,
        }
    }
}

enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
    /// From a proxy on this machine.
    Local(UnixStream),
}

/// Calls a function of the stream, whatever its type is.
macro_rules! on_stream {
    ($transport:expr, $stream:ident => $call:expr) => {
        match $transport {
            Transport::Plain($stream) => $call,
            Transport::Tls($stream) => $call,
            Transport::Local($stream) => $call,
        }
    };
}

impl AsyncRead for CheckedStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let this = &mut *self;
        let polled = on_stream!(&mut this.transport, stream => Pin::new(stream).poll_read(context, buffer));
        if let (Some(lines), Some(read)) = (&mut this.lines, buffer.filled_mut().get_mut(before..)) {
            lines.check(read);
        }
        polled
    }
}

impl AsyncWrite for CheckedStream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_write(context, bytes))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_flush(context))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_shutdown(context))
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        parts: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        on_stream!(&mut self.transport, stream => Pin::new(stream).poll_write_vectored(context, parts))
    }

    fn is_write_vectored(&self) -> bool {
        on_stream!(&self.transport, stream => stream.is_write_vectored())
    }
}
