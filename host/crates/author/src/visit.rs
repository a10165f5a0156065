//! What came of one request: the answer, and everything the page's script did. As JSON it
//! is what `sluice run --json` prints and what `visit()` gives a test; `docs/testing.md`
//! lists the keys.

use std::io::{Read as _, Seek as _, SeekFrom};
use std::time::Duration;

use serde_json::{Map, Value, json};

use sluice_app::request::Method;
use sluice_app::response::{FilePart, Reply, ReplyBody};
use sluice_sandbox::RunReport;
use sluice_sandbox::outcome::{ConsoleLog, Failure, Level};
use sluice_session::Session;

use crate::watch::{CrmCall, Seen};

/// Of a file in `public/`, so much is shown.
const FILE_BYTES_MAX: u64 = 8 << 20;

/// One request and what it caused.
pub struct Visit {
    pub status: u16,
    /// As they are sent, lower-case names.
    pub headers: Vec<(String, String)>,
    /// `Set-Cookie` values.
    pub cookies: Vec<String>,
    /// As text; what is not UTF-8 is replaced.
    pub body: String,
    /// None where no page answered.
    pub run: Option<PageRun>,
    pub crm_calls: Vec<CrmCall>,
    /// URLs that the template blocked, and why the body was not read.
    pub warnings: Vec<String>,
}

/// What a page's script and template did.
pub struct PageRun {
    pub brand: String,
    pub page: String,
    pub outcome: &'static str,
    pub failure: Option<Failure>,
    pub report: RunReport,
}

impl Visit {
    /// # Errors
    /// A file of `public/` could not be read.
    pub async fn new(method: Method, reply: Reply, seen: Seen) -> Result<Self, String> {
        let headers = reply.all_headers().map(|(name, value)| (name.to_owned(), value.to_owned())).collect();
        let has_body = reply.has_body() && method != Method::Head;
        let Reply { status, cookies, body, .. } = reply;
        let bytes = match body {
            _ if !has_body => Vec::new(),
            ReplyBody::Bytes(bytes) => bytes.to_vec(),
            ReplyBody::File(part) => {
                let read = tokio::task::spawn_blocking(move || read(part)).await;
                read.map_err(|error| error.to_string())?.map_err(|error| error.to_string())?
            }
        };
        let Seen { page, crm_calls, template_failure, warnings } = seen;
        let run = page.map(|page| {
            let is_template = template_failure.is_some();
            let outcome = if is_template { "template" } else { page.report.outcome.name() };
            let failure = template_failure.or_else(|| page.report.failure.clone());
            PageRun { brand: page.brand, page: page.file, outcome, failure, report: page.report }
        });
        let body = String::from_utf8_lossy(&bytes).into_owned();
        Ok(Self { status, headers, cookies, body, run, crm_calls, warnings })
    }

    pub fn has_failed(&self) -> bool {
        self.run.as_ref().is_some_and(|run| run.failure.is_some())
    }

    /// The keys are a promise: they stay, and new ones may come.
    pub fn as_json(&self) -> Value {
        let headers: Map<String, Value> =
            self.headers.iter().map(|(name, value)| (name.clone(), value.as_str().into())).collect();
        let report = self.run.as_ref().map(|run| &run.report);
        let console = report.map(|report| console(&report.effects.console));
        json!({
            "response": {
                "status": self.status,
                "headers": headers,
                "cookies": self.cookies,
                "body": self.body,
            },
            "run": self.run.as_ref().map(PageRun::as_json),
            "variables": report.map(|report| &report.effects.variables),
            "session": report.map(|report| session(&report.session)),
            "console": console,
            "crm": self.crm_calls.iter().map(CrmCall::as_json).collect::<Vec<_>>(),
            "warnings": self.warnings,
        })
    }
}

fn read(part: FilePart) -> std::io::Result<Vec<u8>> {
    let FilePart { mut file, start, bytes } = part;
    let mut read = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.take(bytes.min(FILE_BYTES_MAX)).read_to_end(&mut read)?;
    Ok(read)
}

impl PageRun {
    fn as_json(&self) -> Value {
        json!({
            "brand": self.brand,
            "page": self.page,
            "outcome": self.outcome,
            "failure": self.failure.as_ref().map(failure),
            "fuel": self.report.fuel,
            "memory_bytes": self.report.memory_bytes_peak,
            "wall_ms": milliseconds(self.report.wall),
            "host_ms": milliseconds(self.report.host_wall),
        })
    }
}

/// `{name, message, file, line, column, stack}`; line and column are null where unknown.
pub fn failure(failure: &Failure) -> Value {
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
pub fn session(session: &Session) -> Value {
    json!({
        "values": session.values(),
        "customer": session.identity().map(|identity| &identity.customer),
        "changed": session.changes().values.keys().collect::<Vec<_>>(),
    })
}

/// Each line `{level, text}`; the last says how many were dropped.
pub fn console(log: &ConsoleLog) -> Value {
    let lines = log.lines.iter().map(|line| json!({ "level": line.level.name(), "text": line.text }));
    let dropped = (log.dropped > 0).then(
        || json!({ "level": Level::Warn.name(), "text": format!("{} more lines were dropped", log.dropped) }),
    );
    lines.chain(dropped).collect()
}

fn milliseconds(time: Duration) -> f64 {
    // Microseconds are what the clock is good for.
    (time.as_secs_f64() * 1e6).round() / 1e3
}
