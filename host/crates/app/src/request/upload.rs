//! Takes the files of a request to the disk, within bounds.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::header::{self, HeaderMap};
use actix_web::web;
use futures_util::StreamExt as _;
use futures_util::stream;
use tokio::time::{Instant, timeout_at};

use sluice_files::multipart::boundary;
use sluice_files::{Taken, UploadFault, UploadRoom, UploadRules, receive};
use sluice_page::Page;
use sluice_sandbox::memory::{Memory, Reserved};

use super::PageRequest;
use super::body::{BODY_DRAIN_BYTES_MAX, Body, BodyFault};

/// The most memory that one upload takes besides its fields: what has arrived and is not on the disk yet.
const UPLOAD_BYTES: usize = 512 << 10;
/// How often what has arrived may be in the memory: as a chunk, unread, and in vectors that double when they are
/// full.
const COPIES: u64 = 4;
/// After `server.body_timeout`, a visitor must send this many bytes in a millisecond.
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

/// Reads a body with files. Nothing is written before room is taken for it.
pub(super) async fn read_upload(
    headers: &HeaderMap,
    mut payload: web::Payload,
    boundary: &str,
    (brand, rules): (&str, &UploadRules),
    (place, memory): (&UploadPlace, &Arc<Memory>),
    body_timeout: Duration,
) -> Result<(Body, Reserved), BodyFault> {
    let announced =
        headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    let bytes_max = UPLOAD_BYTES.saturating_add(rules.fields_bytes_max.saturating_mul(2));
    let received = match announced.is_some_and(|bytes| bytes > rules.body_bytes_max()) {
        true => Err(BodyFault::TooLarge),
        false => match memory.try_reserve(0) {
            None => Err(BodyFault::NoMemory),
            Some(mut reserved) => {
                let memory = ArrivingMemory {
                    reserved: &mut reserved,
                    of_brand: place.room.enter(brand),
                    bytes: 0,
                    bytes_max: bytes_max as u64,
                };
                let began = Instant::now();
                let arriving = Arriving { payload: &mut payload, memory, total: 0, began, body_timeout };
                let room = place.room.enter(brand);
                let received = receive(arriving.chunks(), boundary, rules, &place.folder, room).await;
                received.map_err(fault).map(|received| (Body::Upload(Arc::new(received)), reserved))
            }
        },
    };
    if received.is_err() {
        drain(payload, body_timeout).await;
    }
    received
}

impl PageRequest {
    /// Takes the files of a described request of a page, as the server does while it reads a request.
    ///
    /// # Errors
    /// The page does not take its files.
    pub async fn take_uploads(
        &mut self,
        brand: &str,
        page: &Page,
        place: &UploadPlace,
    ) -> Result<(), BodyFault> {
        let content_type = self.named_headers.iter().find(|(name, _)| name == "content-type");
        let boundary = content_type.and_then(|(_, value)| boundary(value));
        if let (Body::Other(bytes), Some(rules), Some(boundary)) = (&self.body, &page.uploads, boundary) {
            let whole = stream::iter([Ok(bytes.clone())]);
            let received = receive(whole, boundary, rules, &place.folder, place.room.enter(brand)).await;
            self.body = Body::Upload(Arc::new(received.map_err(fault)?));
        }
        Ok(())
    }
}

/// Reads a little more, so that the client can receive the reply.
async fn drain(mut payload: web::Payload, body_timeout: Duration) {
    let until = Instant::now() + body_timeout;
    let mut total = 0_usize;
    while total < BODY_DRAIN_BYTES_MAX
        && let Ok(Some(Ok(chunk))) = timeout_at(until, payload.next()).await
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

fn fault(fault: UploadFault) -> BodyFault {
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
