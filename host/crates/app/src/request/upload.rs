//! Takes the files of a request to the disk, within bounds, when the request asks for them.

use std::path::PathBuf;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web;
use futures_util::StreamExt as _;
use futures_util::future::{Either, select};
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use tokio::time::{Instant, timeout_at};

use sluice_files::multipart::boundary;
use sluice_files::{Received, Taken, UploadFault, UploadRoom, UploadRules, receive};
use sluice_sandbox::memory::{Memory, Reserved};

use super::fault::BodyFault;
use crate::response::Reply;

/// The server reads this much of a body that is too large, so that the client can receive the
/// reply. Then it closes the connection.
pub(super) const BODY_DRAIN_BYTES_MAX: usize = 1 << 20;
/// The most memory that one upload takes besides its fields: what has arrived and is not on the disk yet.
const UPLOAD_BYTES: usize = 512 << 10;
/// How many copies of what has arrived may be in memory: as a chunk, unread, and in vectors that double when they
/// are full.
const COPIES: u64 = 4;
/// A client that has sent nothing for this long is waiting for the reply.
const DRAIN_SILENCE: Duration = Duration::from_millis(200);
/// For each so many bytes that have arrived, `server.body_timeout` is a millisecond longer.
const BYTES_PER_MS_MIN: u64 = 16;

/// Where files are while they arrive.
#[derive(Debug)]
pub struct UploadPlace {
    /// The room for those of all requests.
    pub room: Arc<UploadRoom>,
    /// The folder. Files have no name in it.
    pub folder: PathBuf,
}

/// The boundary of a body that has files.
pub(super) fn boundary_of(headers: &HeaderMap) -> Option<String> {
    let content_type = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    boundary(content_type).map(str::to_owned)
}

type Outcome = Result<(Received, Reserved), BodyFault>;

/// Files that a visitor wants to send and of which nothing has been read. A request asks for them once nothing can
/// reject it any more, so a visitor who may not see a page cannot send it anything.
#[derive(Debug, Clone)]
pub struct Announced(Arc<Mutex<Option<oneshot::Sender<oneshot::Sender<Outcome>>>>>);

/// The connection's side of files that a visitor wants to send.
pub struct Upcoming {
    asked: oneshot::Receiver<oneshot::Sender<Outcome>>,
    payload: web::Payload,
    boundary: String,
    /// `Content-Length`.
    announced: Option<u64>,
    brand: String,
    rules: Arc<UploadRules>,
}

impl Announced {
    /// The files that the body of a request has, for a page of `brand` that takes files.
    pub(super) fn of(
        headers: &HeaderMap,
        payload: web::Payload,
        boundary: String,
        (brand, rules): (&str, &Arc<UploadRules>),
    ) -> (Self, Upcoming) {
        let (ask, asked) = oneshot::channel();
        let announced =
            headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
        let (brand, rules) = (brand.to_owned(), Arc::clone(rules));
        let upcoming = Upcoming { asked, payload, boundary, announced, brand, rules };
        (Self(Arc::new(Mutex::new(Some(ask)))), upcoming)
    }

    /// Waits for the files. The connection has to read them meanwhile ([`Upcoming::read_during`]).
    pub(super) async fn receive(&self) -> Outcome {
        let (answer, received) = oneshot::channel();
        let ask = self.0.lock().take().ok_or(BodyFault::Broken)?;
        // A visitor who leaves takes the connection's side along.
        ask.send(answer).map_err(|_| BodyFault::Broken)?;
        received.await.unwrap_or(Err(BodyFault::Broken))
    }
}

impl Upcoming {
    /// Waits for `reply`, the reply to the request, and reads the files when the request asks for them. Files that
    /// were not read to their end close the connection.
    pub async fn read_during(
        mut self,
        reply: impl Future<Output = Reply>,
        place: &UploadPlace,
        memory: &Arc<Memory>,
        body_timeout: Duration,
    ) -> Reply {
        let mut is_read = false;
        let mut reply = {
            let (reply, reading) = (pin!(reply), pin!(self.read_when_asked(place, memory, body_timeout)));
            match select(reply, reading).await {
                Either::Left((reply, _)) => reply,
                Either::Right((was_read, reply)) => {
                    is_read = was_read;
                    reply.await
                }
            }
        };
        if !is_read {
            drain(self.payload, body_timeout).await;
            reply.set_header("connection", "close".into());
        }
        reply
    }

    /// Returns false if the files were not read to their end.
    async fn read_when_asked(
        &mut self,
        place: &UploadPlace,
        memory: &Arc<Memory>,
        body_timeout: Duration,
    ) -> bool {
        let Ok(answer) = (&mut self.asked).await else { return false };
        let received = self.read(place, memory, body_timeout).await;
        let is_read = received.is_ok();
        // If the request has ended meanwhile, this deletes the files.
        drop(answer.send(received));
        is_read
    }

    /// Reads a body with files. Nothing is written before room is taken for it.
    async fn read(&mut self, place: &UploadPlace, memory: &Arc<Memory>, body_timeout: Duration) -> Outcome {
        let rules = &*self.rules;
        let bytes_max = UPLOAD_BYTES.saturating_add(rules.fields_bytes_max.saturating_mul(2));
        if self.announced.is_some_and(|bytes| bytes > rules.body_bytes_max()) {
            return Err(BodyFault::TooLarge);
        }
        let mut reserved = memory.try_reserve(0).ok_or(BodyFault::NoMemory)?;
        let arriving_memory = ArrivingMemory {
            reserved: &mut reserved,
            of_brand: place.room.enter(&self.brand),
            bytes: 0,
            bytes_max: bytes_max as u64,
        };
        let began = Instant::now();
        let payload = &mut self.payload;
        let arriving = Arriving { payload, memory: arriving_memory, total: 0, began, body_timeout };
        let room = place.room.enter(&self.brand);
        let received = receive(arriving.chunks(), &self.boundary, rules, &place.folder, room).await;
        let received = received.map_err(fault)?;
        // The request can wait for a long time for its run.
        reserved.shrink_to(received.fields_bytes());
        Ok((received, reserved))
    }
}

/// Reads what is on its way, so that the client can receive the reply. A client that waits for the reply before it
/// sends anything gets it soon.
async fn drain(mut payload: web::Payload, body_timeout: Duration) {
    let until = Instant::now() + body_timeout;
    let mut total = 0_usize;
    while total < BODY_DRAIN_BYTES_MAX
        && let Ok(Some(Ok(chunk))) =
            timeout_at(until.min(Instant::now() + DRAIN_SILENCE), payload.next()).await
    {
        total = total.saturating_add(chunk.len());
    }
}

/// The memory of what has arrived. A visitor who sends nothing takes none, however much is announced.
struct ArrivingMemory<'a> {
    /// Of the process.
    reserved: &'a mut Reserved,
    /// Of the brand's share in it, until the body is complete.
    of_brand: Taken,
    bytes: u64,
    bytes_max: u64,
}

impl ArrivingMemory<'_> {
    /// Takes memory for what has arrived in total. Returns false if there is not enough.
    fn has_arrived(&mut self, total: u64) -> bool {
        let needed = total.saturating_mul(COPIES).min(self.bytes_max);
        let more = needed.saturating_sub(self.bytes);
        let fits = more == 0
            || self.of_brand.grow_memory(more)
                && self.reserved.grow(usize::try_from(more).unwrap_or(usize::MAX));
        if fits {
            self.bytes = self.bytes.max(needed);
        }
        fits
    }
}

struct Arriving<'a> {
    payload: &'a mut web::Payload,
    memory: ArrivingMemory<'a>,
    total: u64,
    began: Instant,
    body_timeout: Duration,
}

impl<'a> Arriving<'a> {
    /// The chunks of the body, as long as they arrive fast enough.
    fn chunks(self) -> impl stream::Stream<Item = Result<bytes::Bytes, UploadFault>> + Unpin + 'a {
        Box::pin(stream::unfold(self, |mut arriving| async move {
            let more = Duration::from_millis(arriving.total / BYTES_PER_MS_MIN);
            let until = arriving.began + arriving.body_timeout + more;
            let chunk = match timeout_at(until, arriving.payload.next()).await {
                Ok(None) => return None,
                Ok(Some(Ok(chunk))) => Ok(chunk),
                Ok(Some(Err(_))) => Err(UploadFault::Broken),
                Err(_) => Err(UploadFault::TooSlow),
            };
            arriving.total += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
            let has_memory = arriving.memory.has_arrived(arriving.total);
            let chunk = if has_memory { chunk } else { Err(UploadFault::NoMemory) };
            Some((chunk, arriving))
        }))
    }
}

/// Why a request is rejected whose files were not taken.
pub(super) fn fault(fault: UploadFault) -> BodyFault {
    match fault {
        UploadFault::Broken | UploadFault::Malformed(_) => BodyFault::Broken,
        UploadFault::TooManyFiles(_) | UploadFault::TooLarge(_) | UploadFault::FieldsTooLarge => {
            BodyFault::TooLarge
        }
        UploadFault::WrongType(_) => BodyFault::WrongType,
        UploadFault::TooSlow => BodyFault::TooSlow,
        UploadFault::NoMemory => BodyFault::NoMemory,
        UploadFault::NoRoom => BodyFault::NoRoom,
        UploadFault::Disk(error) => {
            tracing::error!(%error, "an upload cannot be written to the disk");
            BodyFault::NoRoom
        }
    }
}
