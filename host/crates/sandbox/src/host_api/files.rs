//! Files: keeps files that the request has sent, and deletes and lists those that the brand keeps.

use std::io;

use serde_json::{Value, json};
use tokio::sync::oneshot;

use sluice_files::{FileId, FilesError, Kept, TTL_SECONDS_MAX, is_name_prefix};
use sluice_kit::value::{self, Room};
use sluice_page_cache::Dependence;
use sluice_telemetry::trace::Trace;

use super::page::sluice::page::files::{Host, Operation};
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::files::FilesAccess;
use crate::{RunContext, RunState};

/// The most files of one list.
const LIST_MAX: u64 = 100;

type Answer = wasmtime::Result<Result<Vec<u8>, Exception>>;

/// Why a call throws.
enum Thrown {
    /// An argument is wrong: a `TypeError`.
    Mistake(String),
    /// A quota is reached: a `RangeError`.
    Quota(String),
    /// The store failed: an `Error`.
    Store(FilesError),
}

/// What a script is told when the store fails.
const NOT_AVAILABLE: &str = "the store of files is not available at the moment";

impl Thrown {
    /// The exception as the script sees it.
    fn as_seen(&self) -> String {
        match self {
            Self::Mistake(message) => format!("TypeError: {message}"),
            Self::Quota(message) => format!("RangeError: {message}"),
            Self::Store(_) => format!("Error: {NOT_AVAILABLE}"),
        }
    }
}

fn name_of(operation: Operation) -> &'static str {
    match operation {
        Operation::Keep => "files.keep",
        Operation::Address => "files.url",
        Operation::Delete => "files.delete",
        Operation::List => "files.list",
    }
}

impl From<FilesError> for Thrown {
    fn from(error: FilesError) -> Self {
        match error {
            FilesError::BadName(_) => Self::Mistake(error.to_string()),
            FilesError::Full(_) => Self::Quota(error.to_string()),
            error => Self::Store(error),
        }
    }
}

impl Host for RunState {
    async fn call(&mut self, operation: Operation, options: Vec<u8>) -> Answer {
        self.enter(options.len()).await;
        // An address is valid for a limited time, which a cached answer would outlive.
        self.depends_on(Dependence::Call(name_of(operation)));
        let calls_max = self.context.limits.files_calls_max;
        if self.files_calls >= calls_max {
            self.has_exceeded = true;
            return Ok(Err(range_error(format!("a run may make {calls_max} calls (files_calls_max)"))));
        }
        self.files_calls += 1;
        let for_options = Room::new(self.limiter.room().bytes_max() / 4);
        let options = match value::decode(&options, &for_options) {
            Ok(options) => options,
            Err(error) => {
                self.has_exceeded = true;
                return Ok(Err(type_error(error.to_string())));
            }
        };
        let Some(files) = self.context.files.clone() else {
            return Ok(Err(plain_error("there is no store of files here")));
        };
        if files.store.is_remote() {
            self.use_network();
        }
        let RunContext { brand, trace, clock, .. } = &self.context;
        let now = u64::try_from(clock.now_ms() / 1_000).unwrap_or_default();
        let answered = answer(&files, brand, trace, operation, &options, now);
        let answered = self.checkpoints.in_time(&mut self.waited, answered).await;
        let Some(answered) = answered else {
            // The engine learns at its next checkpoint that the run is over.
            return Ok(Err(plain_error("the time of the run is up")));
        };
        if let Some(observer) = &self.context.observer {
            let answer = answered.as_ref().map_err(Thrown::as_seen);
            observer.files_called(name_of(operation), &options, answer);
        }
        Ok(match answered {
            Ok(value) => Ok(self.give(&value)),
            Err(Thrown::Mistake(message)) => Err(type_error(message)),
            Err(Thrown::Quota(message)) => {
                self.has_exceeded = true;
                Err(range_error(message))
            }
            Err(Thrown::Store(error)) => {
                tracing::error!(brand = self.context.brand, %error, "a call of the store of files failed");
                self.has_failed_host = true;
                Err(plain_error(NOT_AVAILABLE))
            }
        })
    }
}

async fn answer(
    files: &FilesAccess,
    brand: &str,
    trace: &Trace,
    operation: Operation,
    options: &Value,
    now: u64,
) -> Result<Value, Thrown> {
    let text = |name: &str| options.get(name).and_then(Value::as_str).unwrap_or_default();
    let number = |name: &str| options.get(name).and_then(Value::as_u64).unwrap_or_default();
    let kept_id = || {
        let id = text("id");
        FileId::parse(id)
            .ok_or_else(|| Thrown::Mistake(format!("{} is not the id of a kept file", shown(id))))
    };
    let is_store = |error: &FilesError| !matches!(error, FilesError::BadName(_) | FilesError::Full(_));
    match operation {
        Operation::Keep => {
            let id = text("id");
            if files.upload(id).is_none() {
                let has_none = format!("the request has no file {}; pass one of `request.files`", shown(id));
                return Err(Thrown::Mistake(has_none));
            }
            let is_public = options.get("public").and_then(Value::as_bool).unwrap_or_default();
            let keeping =
                keep(files.clone(), brand.to_owned(), id.to_owned(), text("name").to_owned(), is_public);
            let id = trace.ask_files("files.keep", is_store, keeping).await?;
            let url = files.address(brand, &id, now.saturating_add(KEPT_TTL)).map_err(no_random)?;
            Ok(json!({ "id": id.as_str(), "url": url }))
        }
        Operation::Address => {
            let ttl = number("ttl");
            if !(1..=TTL_SECONDS_MAX).contains(&ttl) {
                return Err(Thrown::Mistake(format!("an address works for 1 to {TTL_SECONDS_MAX} seconds")));
            }
            let url = files.address(brand, &kept_id()?, now.saturating_add(ttl)).map_err(no_random)?;
            Ok(url.into())
        }
        Operation::Delete => {
            let id = kept_id()?;
            trace.ask_files("files.delete", is_store, files.store.delete(brand, &id)).await?;
            Ok(true.into())
        }
        Operation::List => {
            let (prefix, after, limit) = (text("prefix"), text("after"), number("limit"));
            if !is_name_prefix(prefix) || !(after.is_empty() || FileId::parse(after).is_some()) {
                return Err(Thrown::Mistake(
                    "prefix must be the beginning of a name, and after the `next` of a list".into(),
                ));
            }
            let limit = usize::try_from(limit.clamp(1, LIST_MAX)).unwrap_or(1);
            let listing = files.store.list(brand, prefix, after, limit + 1);
            let mut all = trace.ask_files("files.list", is_store, listing).await?;
            let has_more = all.len() > limit;
            all.truncate(limit);
            let next = all.last().filter(|_| has_more).map(|kept| kept.id.as_str().to_owned());
            Ok(json!({ "files": all.iter().map(listed).collect::<Vec<_>>(), "next": next }))
        }
    }
}

/// Keeps an upload, also if its run ends meanwhile: then nobody has learned the file's id, so it is deleted.
async fn keep(
    files: FilesAccess,
    brand: String,
    upload: String,
    name: String,
    is_public: bool,
) -> Result<FileId, FilesError> {
    let (sender, receiver) = oneshot::channel();
    tokio::spawn(async move {
        // The room of the request's files is not given back before this ends, because `files` has them.
        let Some(upload) = files.upload(&upload) else { return };
        let kept = files.store.keep(&brand, upload, &name, is_public).await;
        let id = kept.as_ref().ok().cloned();
        let (learned, has_learned) = oneshot::channel::<()>();
        drop(sender.send((kept, learned)));
        if let Some(id) = id
            && has_learned.await.is_err()
            && let Err(error) = files.store.delete(&brand, &id).await
        {
            tracing::error!(brand, %id, %error, "a file that was kept too late for its run cannot be deleted");
        }
    });
    let (kept, learned) = receiver.await.map_err(|_| not_kept())?;
    let id = kept?;
    learned.send(()).map_err(|()| not_kept())?;
    Ok(id)
}

fn not_kept() -> io::Error {
    io::Error::other("a file was not kept")
}

/// The time for which the address of a file works that is just kept, in seconds.
const KEPT_TTL: u64 = 3_600;

fn no_random(error: sluice_kit::keys::KeyError) -> Thrown {
    Thrown::Store(FilesError::Settings(error.to_string()))
}

fn listed(kept: &Kept) -> Value {
    let kept_at = kept.kept_at.duration_since(std::time::UNIX_EPOCH).unwrap_or_default().as_millis();
    json!({
        "id": kept.id.as_str(),
        "name": kept.id.name(),
        "type": kept.id.media().name,
        "size": kept.bytes,
        "public": kept.id.is_public(),
        "kept_at": u64::try_from(kept_at).unwrap_or_default(),
    })
}

fn shown(id: &str) -> String {
    format!("\"{}\"", id.chars().take(100).flat_map(char::escape_debug).collect::<String>())
}
