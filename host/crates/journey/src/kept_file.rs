//! Answers with a file that a script has kept. What is in it comes from a visitor, so browsers must neither guess
//! its type nor run anything in it.

use std::io;
use std::time::SystemTime;

use futures_util::stream;

use sluice_app::app::App;
use sluice_app::observe::Observation;
use sluice_app::request::conditions::{Part, Validators, whole_seconds};
use sluice_app::request::{Method, PageRequest};
use sluice_app::response::{FilePart, Incoming, Reply, ReplyBody};
use sluice_files::{Content, FileId, FilesError, Reader, opens_for};
use sluice_site::Brand;

use super::admission::too_busy;
use super::failure::try_again;
use super::part::{of_part, part_asked};

/// The address of a file always has the same content.
const CACHE_CONTROL: &str = "public, max-age=31536000, immutable";
/// The address of a file that is not public stops to work. Browsers keep the file for at most this many seconds.
const SIGNED_AGE_MAX: u64 = 300;
/// Should a browser show the content nevertheless, nothing in it runs.
const POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; sandbox";

/// Answers with the file whose id is `text`.
pub(super) async fn answer(
    app: &App,
    brand: &Brand,
    text: &str,
    request: &PageRequest,
    observation: &mut Observation,
) -> Reply {
    let not_found = || Reply::plain(404, "Page not found");
    let Some(id) = FileId::parse(text) else { return not_found() };
    let now = u64::try_from(app.clock.now_ms() / 1_000).unwrap_or_default();
    let key = request.raw_query.strip_prefix("key=").unwrap_or_default();
    let cache_control = match id.is_public() {
        true => CACHE_CONTROL.to_owned(),
        false => match opens_for(&app.sessions.keys, &brand.id, &id, key, now) {
            Some(left) => format!("private, max-age={}", left.min(SIGNED_AGE_MAX)),
            None => return not_found(),
        },
    };
    let Some(reader) = app.files.enter(&brand.id, request.ip) else { return too_busy(observation) };
    let failed = |error: FilesError| {
        tracing::error!(brand = brand.id, %error, "a kept file cannot be sent");
        try_again(503, "Please try again in a moment", 1)
    };
    let (bytes, modified) = match app.files.about(&brand.id, &id).await {
        Ok(Some(about)) => about,
        Ok(None) => return not_found(),
        Err(error) => return failed(error),
    };
    let etag = format!("\"{:x}-{}\"", bytes, id.as_str().rsplit('~').next().unwrap_or_default());
    let validators = Validators { etag: &etag, modified, bytes };
    let part = part_asked(request.method, &request.conditions, validators);
    let range = match part {
        Part::Range { start, bytes } => Some((start, bytes)),
        _ => None,
    };
    let body = match part {
        Part::All if request.method == Method::Head => {
            ReplyBody::Incoming(Incoming { bytes, chunks: Box::pin(stream::empty()) })
        }
        Part::All | Part::Range { .. } => match app.files.open(&brand.id, &id, range).await {
            Ok(Some(content)) => body_of(content, range, bytes, reader),
            Ok(None) => return not_found(),
            Err(error) => return failed(error),
        },
        _ => ReplyBody::default(),
    };
    let mut reply = of_part(part, "file", bytes, body);
    describe(&mut reply, &id, &etag, modified);
    reply.set_header("cache-control", cache_control);
    reply
}

fn describe(reply: &mut Reply, id: &FileId, etag: &str, modified: SystemTime) {
    let media = id.media();
    if matches!(reply.status, 200 | 206) {
        let is_text = media.name.starts_with("text/");
        let charset = if is_text { "; charset=utf-8" } else { "" };
        reply.set_header("content-type", format!("{}{charset}", media.name));
        reply.set_header("accept-ranges", "bytes".into());
        let how = if media.is_inline { "inline" } else { "attachment" };
        // Names of files have no character that would have to be quoted.
        reply.set_header("content-disposition", format!("{how}; filename=\"{}\"", id.filename()));
    }
    reply.set_header("etag", etag.to_owned());
    reply.set_header("last-modified", httpdate::fmt_http_date(whole_seconds(modified)));
    reply.set_header("x-content-type-options", "nosniff".into());
    reply.set_header("content-security-policy", POLICY.into());
}

fn body_of(content: Content, range: Option<(u64, u64)>, bytes: u64, reader: Reader) -> ReplyBody {
    let (start, bytes) = range.unwrap_or((0, bytes));
    match content {
        Content::File(file) => ReplyBody::File(FilePart { file, start, bytes }),
        Content::Service(body) => ReplyBody::Incoming(Incoming {
            bytes,
            // The visitor has the place until the whole file is sent.
            chunks: Box::pin(stream::try_unfold((body, reader), |(mut body, reader)| async move {
                let chunk = body.chunk().await.map_err(io::Error::other)?;
                Ok(chunk.map(|chunk| (chunk, (body, reader))))
            })),
        }),
    }
}
