//! Answers with a file of `public/`: the whole file, a part of it, compressed, or 304 if it has not
//! changed. This needs no sandbox.

use std::hash::Hash;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::UNIX_EPOCH;

use bytes::Bytes;
use quick_cache::Weighter;
use quick_cache::sync::Cache;

use sluice_app::app::App;
use sluice_app::request::PageRequest;
use sluice_app::request::conditions::{Validators, whole_seconds};
use sluice_app::response::{FilePart, Reply, ReplyBody, compressed};
use sluice_http::compress::{self, Encoding};
use sluice_site::public::{OpenFile, Version};

use super::matching::MatchedFile;
use super::part::{cut, of_part, part_asked};

/// Browsers must ask whether the file has changed before they use it again.
const CACHE_CONTROL: &str = "public, max-age=0, must-revalidate";
/// The same for files that access rules protect. Shared caches must not store them.
const CACHE_CONTROL_GUARDED: &str = "private, no-cache";
/// Larger files are not compressed.
const COMPRESSED_BYTES_MAX: u64 = 4 << 20;
/// The memory for compressed files.
const CACHE_BYTES_MAX: u64 = 64 << 20;
/// The memory that compressing one file takes, besides the file and the result.
const COMPRESSOR_BYTES: usize = 8 << 20;
/// How many files the cache expects to hold.
const CACHE_ITEMS: usize = 1_024;

/// The compressed forms of the files that are requested most often.
pub(crate) struct CompressedFiles(Cache<Key, Bytes, ByLength>);

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

/// Answers with the file of `matched`. `is_guarded` says that an access rule covers the file and lets this visitor
/// see it.
pub(super) async fn answer(
    app: &App,
    cache: &CompressedFiles,
    matched: &MatchedFile,
    request: &PageRequest,
    is_guarded: bool,
) -> Reply {
    let file = &matched.file;
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
        // Ranges count the bytes of the uncompressed file.
        None if is_compressible && version.bytes <= COMPRESSED_BYTES_MAX => request.conditions.encoding,
        _ => Encoding::Identity,
    };
    let Some((encoding, body)) = body(app, cache, matched, open, encoding).await else {
        return Reply::plain(500, "Something went wrong");
    };
    let etag = etag(version, encoding);
    let bytes = body.bytes();
    let validators = Validators { etag: &etag, modified: version.modified, bytes };
    let part = part_asked(request.method, &request.conditions, validators);
    let mut reply = of_part(part, "file", bytes, cut(body, part));
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

/// The file's bytes in `encoding`, or uncompressed if that is shorter. `None` if the file cannot be
/// read, which is logged.
async fn body(
    app: &App,
    cache: &CompressedFiles,
    matched: &MatchedFile,
    open: OpenFile,
    encoding: Encoding,
) -> Option<(Encoding, ReplyBody)> {
    let version = open.version;
    let uncompressed = |file| ReplyBody::File(FilePart { file, start: 0, bytes: version.bytes });
    if encoding == Encoding::Identity {
        return Some((encoding, uncompressed(open.file)));
    }
    let key = Key { location: matched.file.location().to_owned(), version, encoding };
    // The cache has an empty entry for a file that does not get shorter.
    if let Some(known) = cache.0.get(&key) {
        return Some(match known.is_empty() {
            true => (Encoding::Identity, uncompressed(open.file)),
            false => (encoding, ReplyBody::Bytes(known)),
        });
    }
    let needed = usize::try_from(version.bytes).unwrap_or(usize::MAX);
    let Some(reserved) =
        app.sandbox.memory.try_reserve(needed.saturating_mul(2).saturating_add(COMPRESSOR_BYTES))
    else {
        return Some((Encoding::Identity, uncompressed(open.file)));
    };
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
    let (threads, brand) = (&app.sandbox.long_calls, &matched.brand.id);
    let compressed = compressed(&bytes, encoding, threads, brand).await.map(Bytes::from);
    drop(reserved);
    cache.0.insert(key, compressed.clone().unwrap_or_default());
    Some(match compressed {
        Some(bytes) => (encoding, ReplyBody::Bytes(bytes)),
        None => (Encoding::Identity, uncompressed(file)),
    })
}

fn unreadable<T>(error: &dyn std::error::Error) -> Option<T> {
    tracing::error!(%error, "a file could not be read");
    None
}

/// The entity tag. Hosts agree on it if their copies of the file have the same modification time.
fn etag(version: Version, encoding: Encoding) -> String {
    let modified = version.modified.duration_since(UNIX_EPOCH).unwrap_or_default().as_nanos();
    let coding = encoding.name().map(|name| format!("-{name}")).unwrap_or_default();
    format!("\"{:x}-{modified:x}{coding}\"", version.bytes)
}
