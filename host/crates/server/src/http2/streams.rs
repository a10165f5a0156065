//! Answers the requests of a connection.

use std::cell::Cell;
use std::error::Error;
use std::net::SocketAddr;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use actix_http::{Request, Response};
use actix_service::Service;
use actix_web::HttpMessage as _;
use actix_web::body::{BodySize, BoxBody, MessageBody as _};
use h2::server::SendResponse;
use h2::{Reason, RecvStream, SendStream};
use tokio::sync::Notify;
use tokio::time::{Instant, sleep_until, timeout};

use super::head::{self, InvalidHead};
use super::part::{Part, Unsent};
use crate::turns::TurnsOwed;

/// What the answers of a connection share.
pub(super) struct Context<S> {
    pub(super) app: Rc<S>,
    pub(super) peer: Option<SocketAddr>,
    /// How long a client may take nothing of a response.
    pub(super) patience: Duration,
    pub(super) streams: Streams,
}

/// The requests of a connection that are in progress: until their response is sent, or their run is over if the
/// client has reset them.
#[derive(Default)]
pub(super) struct Streams {
    counts: Rc<Counts>,
    turns: Rc<TurnsOwed>,
    last_answered: Notify,
}

struct Counts {
    open: Cell<usize>,
    /// Since when there has been none, if there is none.
    none_since: Cell<Instant>,
    changed: Notify,
}

/// One of them, until it is dropped.
pub(super) struct OpenStream {
    counts: Rc<Counts>,
}

impl Default for Counts {
    fn default() -> Self {
        Self { open: Cell::new(0), none_since: Cell::new(Instant::now()), changed: Notify::new() }
    }
}

impl Streams {
    pub(super) fn open(&self) -> usize {
        self.counts.open.get()
    }

    pub(super) fn begin(&self) -> OpenStream {
        self.counts.open.set(self.open().saturating_add(1));
        self.counts.changed.notify_one();
        OpenStream { counts: Rc::clone(&self.counts) }
    }

    /// Lets the time without requests begin now.
    pub(super) fn begin_waiting(&self) {
        self.counts.none_since.set(Instant::now());
    }

    /// Returns when there has been none for this time.
    pub(super) async fn none_for(&self, time: Duration) {
        loop {
            if self.open() > 0 {
                self.counts.changed.notified().await;
                continue;
            }
            let until = self.counts.none_since.get() + time;
            tokio::select! {
                () = sleep_until(until) => return,
                () = self.counts.changed.notified() => {}
            }
        }
    }

    /// Returns when a response was the last of its connection.
    pub(super) async fn last_answered(&self) {
        self.last_answered.notified().await;
    }
}

impl Drop for OpenStream {
    fn drop(&mut self) {
        self.counts.open.set(self.counts.open.get().saturating_sub(1));
        self.counts.none_since.set(Instant::now());
        self.counts.changed.notify_one();
    }
}

/// Answers a request. `_open` is one of the requests in progress until then.
pub(super) async fn answer<S>(
    context: Rc<Context<S>>,
    _open: OpenStream,
    request: http::Request<RecvStream>,
    mut respond: SendResponse<Part>,
) where
    S: Service<Request, Response = Response<BoxBody>, Error = Response<BoxBody>>,
{
    let is_head = request.method() == http::Method::HEAD;
    let request = match head::request(request, context.peer) {
        Ok(request) => request,
        Err(InvalidHead(status)) => {
            let mut response = http::Response::new(());
            *response.status_mut() = status;
            // If it fails, the client is gone.
            drop(respond.send_response(response, true));
            return;
        }
    };
    request.extensions_mut().insert(Rc::clone(&context.streams.turns));
    let response = context.app.call(request).await.unwrap_or_else(|response| response);
    if !response.keep_alive() {
        context.streams.last_answered.notify_one();
    }
    let (response, body) = response.into_parts();
    let size = body.size();
    let is_over = is_head || matches!(size, BodySize::None | BodySize::Sized(0));
    let Ok(head) = head::response(&response, size) else {
        return respond.send_reset(Reason::INTERNAL_ERROR);
    };
    let Ok(mut sender) = respond.send_response(head, is_over) else {
        return;
    };
    if !is_over && send(&mut sender, body, context.patience).await.is_err() {
        sender.send_reset(Reason::INTERNAL_ERROR);
    }
}

/// Sends a body as fast as the client takes it, and returns when the client has it or is gone. Until then, the
/// memory of the body remains reserved.
///
/// # Errors
/// The body is incomplete, or the client has taken nothing of it for `patience`.
async fn send(
    sender: &mut SendStream<Part>,
    body: BoxBody,
    patience: Duration,
) -> Result<(), Box<dyn Error>> {
    // Bytes that remain to be sent, if that is known.
    let mut left = match body.size() {
        BodySize::Sized(bytes) => Some(bytes),
        BodySize::None | BodySize::Stream => None,
    };
    let unsent = Rc::new(Unsent::default());
    let mut body = std::pin::pin!(body);
    while left != Some(0) {
        let next = std::future::poll_fn(|context| {
            // A client that is gone needs no more of it.
            match sender.poll_reset(context) {
                Poll::Ready(_) => Poll::Ready(None),
                Poll::Pending => body.as_mut().poll_next(context).map(Some),
            }
        });
        let mut chunk = match next.await {
            None => return Ok(()),
            Some(Some(chunk)) => chunk?,
            Some(None) if left.is_some() => return Err("the body is shorter than its length".into()),
            Some(None) => {
                sender.send_data(Part::empty(), true)?;
                break;
            }
        };
        if let Some(left) = left {
            chunk.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        }
        while !chunk.is_empty() {
            sender.reserve_capacity(chunk.len());
            let capacity = match sender.capacity() {
                0 => {
                    let capacity = std::future::poll_fn(|context| sender.poll_capacity(context));
                    let Some(capacity) = timeout(patience, capacity).await? else {
                        return Ok(());
                    };
                    capacity?
                }
                capacity => capacity,
            };
            let part = chunk.split_to(capacity.min(chunk.len()));
            left = left.map(|left| left.saturating_sub(part.len() as u64));
            sender.send_data(Part::new(part, &unsent), left == Some(0))?;
        }
    }
    while !unsent.is_over() {
        timeout(patience, unsent.progress()).await?;
    }
    Ok(())
}
