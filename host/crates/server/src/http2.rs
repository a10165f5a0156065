//! Connections of HTTP/2, which clients ask for in the TLS handshake.
//!
//! actix-http has a dispatcher of its own for them (`h2/dispatcher.rs` in 3.20), which sets the windows of flow
//! control only. It lets a client have any number of streams at once, each with headers of up to 16 MB; accepts a
//! further stream for each one that the client resets while its handler runs on (CVE-2023-44487); waits forever for
//! a client that takes nothing of its response; keeps idle connections as long as the client answers pings; and
//! does not know of the server's shutdown. This one bounds all of that, with h2 for frames and flow control. h2
//! itself bounds `CONTINUATION` frames, small `DATA` frames, and resets before a request is accepted.

mod body;
mod by_protocol;
mod head;
mod part;
mod streams;
#[cfg(test)]
mod tests;

use std::future::Future;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_http::error::DispatchError;
use actix_http::{Request, Response};
use actix_service::Service;
use actix_web::body::BoxBody;
use actix_web::rt;
use h2::Reason;
use h2::server::Builder;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::{Instant, timeout};
use tokio_rustls::server::TlsStream;

pub(crate) use self::by_protocol::ByProtocol;
use self::part::Part;
use self::streams::{Context, Streams};

/// The protocol's name in a handshake.
const NAME: &[u8] = b"h2";

/// Requests that a connection can have at the same time. The client is told, and a further one is reset. Each can
/// hold a head and a part of a response in memory, so there are fewer than the usual 100.
const STREAMS_MAX: u32 = 32;
/// Requests that are in progress, with those that the client has reset: resetting a request does not end its run.
/// A client that exceeds it is disconnected.
const UNFINISHED_MAX: usize = 3 * STREAMS_MAX as usize;
/// The bytes of the headers of a request, with 32 more for each header.
const HEADER_BYTES_MAX: u32 = 64 << 10;
/// How much of one request's body a client may send before the server reads it.
const STREAM_WINDOW_BYTES: u32 = 256 << 10;
/// The same for all requests of a connection.
const CONNECTION_WINDOW_BYTES: u32 = 512 << 10;
/// How much of a response waits for the client to receive it.
const SEND_BUFFER_BYTES: usize = 64 << 10;
/// How long a client may go on sending requests, and may take to close the connection, once the server has told it
/// that the connection ends.
const CLOSING_TIMEOUT: Duration = Duration::from_secs(1);

/// The times of a connection.
#[derive(Clone, Copy)]
pub(crate) struct Times {
    /// How long the client may take to begin.
    pub(crate) preface: Duration,
    /// How long a connection without a request stays open.
    pub(crate) idle: Duration,
    /// How long the client may take nothing of a response.
    pub(crate) write: Duration,
}

/// Serves the requests of a connection until it ends. `stopping` is over when the server stops: the requests
/// that are in progress are answered, and no further ones accepted.
///
/// # Errors
/// The client does not speak HTTP/2, or breaks its rules.
async fn serve<T, S>(
    io: T,
    peer: Option<SocketAddr>,
    app: Rc<S>,
    times: Times,
    stopping: impl Future<Output = ()>,
) -> Result<(), DispatchError>
where
    T: AsyncRead + AsyncWrite + Unpin,
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>> + 'static,
{
    let mut builder = Builder::new();
    builder
        .max_concurrent_streams(STREAMS_MAX)
        .max_header_list_size(HEADER_BYTES_MAX)
        .initial_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .max_send_buffer_size(SEND_BUFFER_BYTES);
    let shaken = timeout(times.preface, builder.handshake::<_, Part>(io)).await;
    let mut connection = shaken.map_err(|_| DispatchError::SlowRequestTimeout)?.map_err(failed)?;
    let context = Rc::new(Context { app, peer, patience: times.write, streams: Streams::default() });
    let streams = &context.streams;
    let mut stopping = std::pin::pin!(stopping);
    // When the client was told that the connection ends.
    let mut ended: Option<Instant> = None;
    loop {
        let is_end = tokio::select! {
            accepted = connection.accept() => match accepted {
                None => return Ok(()),
                Some(Err(error)) => return Err(failed(error)),
                Some(Ok((_, mut respond))) if ended.is_some_and(|at| at.elapsed() > CLOSING_TIMEOUT) => {
                    respond.send_reset(Reason::REFUSED_STREAM);
                    false
                }
                Some(Ok(_)) if streams.open() >= UNFINISHED_MAX => {
                    connection.abrupt_shutdown(Reason::ENHANCE_YOUR_CALM);
                    ended = Some(Instant::now());
                    false
                }
                Some(Ok((request, respond))) => {
                    rt::spawn(streams::answer(Rc::clone(&context), streams.begin(), request, respond));
                    false
                }
            },
            () = &mut stopping, if ended.is_none() => true,
            () = streams.last_answered(), if ended.is_none() => true,
            () = streams.none_for(times.idle), if ended.is_none() => true,
            // A client that is gone does not confirm the end.
            () = streams.none_for(CLOSING_TIMEOUT), if ended.is_some() => return Ok(()),
        };
        if is_end {
            connection.graceful_shutdown();
            streams.begin_waiting();
            ended = Some(Instant::now());
        }
    }
}

/// Whether the client has asked for HTTP/2, and gets it.
pub(crate) fn is_agreed<T>(stream: &TlsStream<T>) -> bool {
    stream.get_ref().1.alpn_protocol() == Some(NAME)
}

fn failed(error: h2::Error) -> DispatchError {
    DispatchError::Io(error.into_io().unwrap_or_else(|| std::io::ErrorKind::InvalidData.into()))
}
