//! A file of `public/` as an answer: whole, in part, compressed, or only the word that
//! nothing has changed. No sandbox takes part.

use std::hash::Hash;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use sluice_http::compress::{self, Encoding};
use sluice_site::public::{OpenFile, PublicFile, Version};

use crate::request::conditions::{Part, Validators, whole_seconds};
use crate::request::{Method, PageRequest};
use crate::response::{FilePart, Reply, ReplyBody};

/// Visitors ask whether a file has changed before they use it again.
const CACHE_CONTROL: &str = "public, max-age=0, must-revalidate";
/// The same for files that not everybody may see.
const CACHE_CONTROL_GUARDED: &str = "private, no-cache";
/// Larger files are sent as they are.
const COMPRESSED_BYTES_MAX: u64 = 4 << 20;
/// Compressed files are kept in this many bytes of memory.
const CACHE_BYTES_MAX: u64 = 64 << 20;
const CACHE_ITEMS: usize = 1_024;

/// Compressed files, the most wanted ones.
pub struct CompressedFiles(Cache<Key, Bytes, ByLength>);

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    location: PathBuf,
    version: Version,
    encoding: Encoding,
}

#[derive(Clone)]
struct ByLength;

impl Weighter<Key, Bytes> for ByLength {
    fn weight(&self, key: &Key, bytes: &Bytes) -> u64 {
        (bytes.len() + key.location.as_os_str().len() + 128) as u64
    }
}

impl Default for CompressedFiles {
    fn default() -> Self {
        Self(Cache::with_weighter(CACHE_ITEMS, CACHE_BYTES_MAX, ByLength))
    }
}

/// Answers with `file`. `is_guarded`: an access rule let this visitor in.
pub async fn answer(
    cache: &CompressedFiles,
    file: &Arc<PublicFile>,
    request: &PageRequest,
    is_guarded: bool,
) -> Reply {
    let opening = Arc::clone(file);
    let open = match tokio::task::spawn_blocking(move || opening.open()).await {
        Ok(Ok(open)) => open,
        Ok(Err(problem)) => {
            tracing::error!("{}", sluice_text::printable::printable(&problem.to_string()));
            return Reply::plain(404, "Page not found");
        }
        Err(error) => {
            tracing::error!(%error, "a file could not be opened");
            return Reply::plain(500, "Something went wrong");
        }
    };
    let version = open.version;
    let is_compressible = compress::is_compressible(&file.content_type);
    let encoding = match request.conditions.range {
        // A part of a file is a part of it as it is.
        None if is_compressible && version.bytes <= COMPRESSED_BYTES_MAX => request.conditions.encoding,
        _ => Encoding::Identity,
    };
    let Some((encoding, body)) = body(cache, file, open, encoding).await else {
        return Reply::plain(500, "Something went wrong");
    };
    let etag = etag(version, encoding);
    let bytes = body.bytes();
    let part = match (
        request.method,
        request.conditions.part_of(Validators { etag: &etag, modified: version.modified, bytes }),
    ) {
        // Ranges are of GET alone.
        (Method::Head, Part::Range { .. } | Part::Unsatisfiable) => Part::All,
        (_, part) => part,
    };
    let mut reply = of_part(part, body, bytes);
    let default = if is_guarded { CACHE_CONTROL_GUARDED } else { CACHE_CONTROL };
    reply.set_header("cache-control", file.cache_control.clone().unwrap_or_else(|| default.into()));
    reply.set_header("etag", etag);
    reply.set_header("last-modified", httpdate::fmt_http_date(whole_seconds(version.modified)));
    if is_compressible {
        reply.set_header("vary", "accept-encoding".into());
    }
    if matches!(reply.status, 200 | 206) {
        reply.set_header("accept-ranges", "bytes".into());
        reply.set_header("content-type", file.content_type.clone());
        if let Some(name) = encoding.name() {
            reply.set_header("content-encoding", name.into());
        }
    }
    reply
}

fn of_part(part: Part, body: ReplyBody, bytes: u64) -> Reply {
    let mut reply = match part {
        Part::All => Reply::of_body(200, body),
        Part::Range { start, bytes: length } => {
            let mut reply = Reply::of_body(206, body.part(start, length));
            let last = start + length - 1;
            reply.set_header("content-range", format!("bytes {start}-{last}/{bytes}"));
            reply
        }
        Part::NotModified => Reply::of_body(304, ReplyBody::default()),
        Part::PreconditionFailed => Reply::plain(412, "The file has changed"),
        Part::Unsatisfiable => Reply::plain(416, "The file has no such part"),
    };
    if part == Part::Unsatisfiable {
        reply.set_header("content-range", format!("bytes */{bytes}"));
    }
    reply
}

/// The file's bytes in `encoding`, or as they are where that is shorter.
async fn body(
    cache: &CompressedFiles,
    file: &PublicFile,
    open: OpenFile,
    encoding: Encoding,
) -> Option<(Encoding, ReplyBody)> {
    let version = open.version;
    let as_it_is = |file| ReplyBody::File(FilePart { file, start: 0, bytes: version.bytes });
    if encoding == Encoding::Identity {
        return Some((encoding, as_it_is(open.file)));
    }
    let key = Key { location: file.location().to_owned(), version, encoding };
    // Empty: this file does not get shorter.
    if let Some(known) = cache.0.get(&key) {
        return Some(match known.is_empty() {
            true => (Encoding::Identity, as_it_is(open.file)),
            false => (encoding, ReplyBody::Bytes(known)),
        });
    }
    let read = tokio::task::spawn_blocking(move || {
        let mut bytes = Vec::new();
        let read = (&open.file).take(version.bytes).read_to_end(&mut bytes);
        let rewound = read.and_then(|_| std::io::Seek::rewind(&mut &open.file));
        rewound.map(|()| (open.file, Bytes::from(bytes)))
    });
    let (file, bytes) = match read.await {
        Ok(Ok(read)) => read,
        Ok(Err(error)) => return unreadable(&error),
        Err(error) => return unreadable(&error),
    };
    let compressed = compress::compressed(&bytes, encoding).await.map(Bytes::from);
    cache.0.insert(key, compressed.clone().unwrap_or_default());
    Some(match compressed {
        Some(bytes) => (encoding, ReplyBody::Bytes(bytes)),
        None => (Encoding::Identity, as_it_is(file)),
    })
}

fn unreadable<T>(error: &dyn std::error::Error) -> Option<T> {
    tracing::error!(%error, "a file could not be read");
    None
}

/// The same on every host that serves a copy made with its times.
fn etag(version: Version, encoding: Encoding) -> String {
    let modified = version.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let coding = encoding.name().map(|name| format!("-{name}")).unwrap_or_default();
    format!("\"{:x}-{modified:x}{coding}\"", version.bytes)
}
