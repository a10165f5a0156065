//! The result of one request: the response, and everything that the page's script did.
//!
//! `sluice run --json` prints it as JSON, and `visit()` returns the same JSON to a test.
//! `docs/testing.md` lists the keys.

use std::io::{self, Read as _, Seek as _, SeekFrom};

use serde_json::{Map, Value, json};

use sluice_app::request::Method;
use sluice_app::response::{FilePart, Reply, ReplyBody};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLog, Failure, Level};
use sluice_session::Session;

use crate::watch::{CacheNote, CrmCall, FileCall, HttpCall, Seen, SeenPage, StorageCall, milliseconds};

/// The rest of a larger file in `public/` is left out of [`Visit::body`].
const FILE_BYTES_MAX: u64 = 8 << 20;

/// One request's response and what the request caused.
#[derive(Default)]
pub struct Visit {
    /// The HTTP status.
    pub status: u16,
    /// The response's headers as they are sent, with lower-case names.
    pub headers: Vec<(String, String)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// The body as text; bytes that are not UTF-8 are replaced by U+FFFD.
    pub body: String,
    /// The page's run. `None` if no page answered.
    pub run: Option<PageRun>,
    /// The script's CRM calls, in order.
    pub crm_calls: Vec<CrmCall>,
    /// The script's calls of `storage` and `cache`, in order.
    pub storage_calls: Vec<StorageCall>,
    /// The script's calls to other servers, in the order in which they ended.
    pub http_calls: Vec<HttpCall>,
    /// The script's calls of `files`, in order.
    pub file_calls: Vec<FileCall>,
    /// The script's calls of `queue`, in order.
    pub queue_calls: Vec<StorageCall>,
    /// URLs that the template blocked, and why the script did not get the request's body.
    pub warnings: Vec<String>,
    /// What came of the page's cache. `None` if it asks for none.
    pub cache: Option<CacheNote>,
}

/// What a page's script and template did.
pub struct PageRun {
    /// The brand's id.
    pub brand: String,
    /// The page's file, relative to the brand's folder.
    pub page: String,
    /// How the run ended, such as `ok` or `fuel`.
    pub outcome: &'static str,
    /// The error of the script or of the template.
    pub failure: Option<Failure>,
    /// The run's effects and costs.
    pub report: RunReport,
}

impl Visit {
    /// # Errors
    /// A file of `public/` could not be read.
    pub(crate) async fn new(method: Method, reply: Reply, seen: Seen) -> io::Result<Self> {
        let headers = reply.all_headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let has_body = reply.has_body() && method != Method::Head;
        let Reply { status, cookies, body, .. } = reply;
        let bytes = match body {
            _ if !has_body => Vec::new(),
            ReplyBody::Bytes(bytes) => bytes.to_vec(),
            ReplyBody::File(part) => tokio::task::spawn_blocking(move || read(part)).await??,
            // Tools keep files in a folder.
            ReplyBody::Incoming(_) => Vec::new(),
        };
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { status, headers, cookies, body, ..Self::of(seen) })
    }

    /// What a request did, without its response.
    pub(crate) fn of(seen: Seen) -> Self {
        let Seen {
            page,
            crm_calls,
            storage_calls,
            queue_calls,
            http_calls,
            file_calls,
            template_failure,
            warnings,
            cache,
        } = seen;
        Self {
            run: page.map(|page| PageRun::new(page, template_failure)),
            crm_calls,
            storage_calls,
            queue_calls,
            http_calls,
            file_calls,
            warnings,
            cache,
            ..Self::default()
        }
    }

    /// Whether the page's script or template failed.
    pub fn has_failed(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.failure.is_some())
    }

    /// The visit as JSON. Its keys are stable: later versions may add keys, and remove none.
    pub fn as_json(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let response = json!({
            "status": self.status,
            "headers": headers,
            "cookies": self.cookies,
            "body": self.body,
        });
        let mut visit = self.did();
        if let Value::Object(keys) = &mut visit {
            keys.insert("response".into(), response);
        }
        visit
    }

    /// What the request did besides its response.
    pub(crate) fn did(&self) -> Value {
        let report = self.run.as_ref().map(|run| &run.report);
        json!({
            "run": self.run.as_ref().map(PageRun::as_json),
            "variables": report.map(|report| &report.effects.variables),
            "session": report.map(|report| session(report.session.loaded())),
            "console": report.map(|report| console(&report.effects.console)),
            "crm": self.crm_calls.iter().map(CrmCall::as_json).collect::<Vec<_>>(),
            "storage": self.storage_calls.iter().map(StorageCall::as_json).collect::<Vec<_>>(),
            "queue": self.queue_calls.iter().map(StorageCall::as_json).collect::<Vec<_>>(),
            "http": self.http_calls.iter().map(HttpCall::as_json).collect::<Vec<_>>(),
            "files": self.file_calls.iter().map(FileCall::as_json).collect::<Vec<_>>(),
            "cache": self.cache.as_ref().map(CacheNote::as_json),
            "warnings": self.warnings,
        })
    }
}

fn read(part: FilePart) -> io::Result<Vec<u8>> {
    let FilePart { mut file, start, bytes } = part;
    let mut read = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(bytes.min(FILE_BYTES_MAX)).read_to_end(&mut read)?;
    Ok(read)
}

impl PageRun {
    fn new(page: SeenPage, template_failure: Option<Failure>) -> Self {
        let is_template = template_failure.is_some();
        let outcome = if is_template { "template" } else { page.report.outcome.name() };
        let failure = template_failure.or_else(|| page.report.failure.clone());
        Self { brand: page.brand, page: page.file, outcome, failure, report: page.report }
    }

    fn as_json(&self) -> Value {
        json!({
            "brand": self.brand,
            "page": self.page,
            "outcome": self.outcome,
            "failure": self.failure.as_ref().map(failure),
            "tier": self.report.tier.name(),
            "fuel": self.report.fuel,
            "memory_bytes": self.report.memory_bytes_peak,
            "wall_ms": milliseconds(self.report.wall),
            "host_ms": milliseconds(self.report.host_wall),
        })
    }
}

/// `{name, message, file, line, column, stack}`; file, line and column are null if unknown.
fn failure(failure: &Failure) -> Value {
    let place = |number: u32| (number > 0).then_some(number);
    json!({
        "name": failure.name,
        "message": failure.message,
        "file": Some(&failure.file).filter(|file| !file.is_empty()),
        "line": place(failure.line),
        "column": place(failure.column),
        "stack": failure.stack.lines().collect::<Vec<_>>(),
    })
}

/// `{values, customer, changed}`.
pub(crate) fn session(session: Option<&Session>) -> Value {
    let nothing = Session::default();
    let session = session.unwrap_or(&nothing);
    json!({
        "values": session.values(),
        "customer": session.identity().map(|identity| &identity.customer),
        "changed": session.changes().values.keys().collect::<Vec<_>>(),
    })
}

/// A list of `{level, text}`. If lines were dropped, a last entry says how many.
fn console(log: &ConsoleLog) -> Value {
    let lines = log.lines.iter().map(|line| json!({ "level": line.level.name(), "text": line.text }));
    let dropped = (log.dropped > 0).then(
        || json!({ "level": Level::Warn.name(), "text": format!("{} more lines were dropped", log.dropped) }),
    );
    lines.chain(dropped).collect()
}
