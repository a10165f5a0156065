//! Listeners of HTTP/1.1, with and without TLS. They differ from actix-web's `HttpServer` only in that
//! [`Lines`] checks what clients send, and in the choice of certificates.

use std::fmt::Debug;
use std::io;
use std::net::TcpListener;
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
        let Self { workers, connections_a_worker, headers_timeout, keep_alive, shutdown_seconds, tls } = self;
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
        let builder = match listener {
            Listener::Unix(listener) => builder.listen_uds("proxy", listener, move || {
                fn_service(async |stream: UnixStream| {
                    Ok((CheckedStream { transport: Transport::Local(stream), lines: Lines::default() }, None))
                })
                .and_then(http())
            })?,
            Listener::Tcp(listener) => {
                let name = address.map(|address| address.to_string()).unwrap_or_default();
                builder.listen(name, listener, move || {
                    let tls = tls.clone();
                    fn_service(move |stream: TcpStream| {
                        let tls = tls.clone();
                        async move {
                            // An answer's head and body may be two segments; the second must not wait until the
                            // client acknowledges the first. A connection that was reset needs no such setting.
                            let _ = stream.set_nodelay(true);
                            let peer = stream.peer_addr().ok();
                            let transport = match tls {
                                None => Transport::Plain(stream),
                                Some(tls) => {
                                    Transport::Tls(Box::new(tls.encrypt(stream, headers_timeout).await?))
                                }
                            };
                            Ok((CheckedStream { transport, lines: Lines::default() }, peer))
                        }
                    })
                    .and_then(http())
                })?
            }
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

/// A connection whose lines are checked.
struct CheckedStream {
    transport: Transport,
    lines: Lines,
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
        if let Some(read) = buffer.filled_mut().get_mut(before..) {
            this.lines.check(read);
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
