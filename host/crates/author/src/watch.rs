//! Records what one request did, for tools that show it to the page's author. The server never
//! records requests of real visitors this way.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde_json::{Value, json};

use sluice_app::observe::{CacheUse, Event, RequestObserver};
use sluice_crm::CrmError;
use sluice_fetch::Record;
use sluice_kit::value::{self, Room};
use sluice_queue::QueueError;
use sluice_sandbox::RunReport;
use sluice_sandbox::observer::RunObserver;
use sluice_sandbox::outcome::Failure;
use sluice_storage::{Answer, StorageError};

/// The memory that a shown value may take.
const STORED_BYTES_MAX: usize = 16 << 20;

/// Records one request.
#[derive(Default)]
pub(crate) struct Watch {
    seen: Mutex<Seen>,
}

/// What was recorded of one request.
#[derive(Default)]
pub(crate) struct Seen {
    /// The page that answered. `None` if no page did.
    pub(crate) page: Option<SeenPage>,
    pub(crate) crm_calls: Vec<CrmCall>,
    pub(crate) storage_calls: Vec<StorageCall>,
    pub(crate) http_calls: Vec<HttpCall>,
    pub(crate) file_calls: Vec<FileCall>,
    pub(crate) queue_calls: Vec<StorageCall>,
    pub(crate) template_failure: Option<Failure>,
    /// What came of the page's cache, if it asks for one.
    pub(crate) cache: Option<CacheNote>,
    /// URLs that the template blocked, and why the script did not get the request's body.
    pub(crate) warnings: Vec<String>,
}

/// A page that answered, and the run of its script.
pub(crate) struct SeenPage {
    pub(crate) brand: String,
    /// Relative to the brand's folder.
    pub(crate) file: String,
    pub(crate) report: RunReport,
}

/// What came of a page's cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheNote {
    /// `miss` or `refused`: under the eyes of an author, each request is a run.
    pub result: &'static str,
    /// Why the answer is not kept.
    pub reason: Option<String>,
}

impl CacheNote {
    /// `{result, reason}`; the reason is null if the answer is kept.
    pub(crate) fn as_json(&self) -> Value {
        json!({ "result": self.result, "reason": self.reason })
    }
}

/// A CRM call as the script made it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrmCall {
    /// The function's name, such as `setCrmField`.
    pub name: &'static str,
    /// Its argument.
    pub options: Value,
    /// What the call returned or threw.
    pub answer: CrmAnswer,
}

/// How a CRM call ended.
#[derive(Debug, Clone, PartialEq)]
pub enum CrmAnswer {
    /// The call returned this value.
    Gave(Value),
    /// The call was rejected for this reason. The script got `false`, the log a warning.
    Refused(String),
    /// The call threw this error.
    Threw(String),
}

/// A call of `storage` or `cache` as the script made it.
#[derive(Debug, Clone, PartialEq)]
pub struct StorageCall {
    /// The function's name, such as `storage.set`.
    pub name: &'static str,
    /// Its arguments, as an array.
    pub arguments: Value,
    /// What the call returned, or the error that it threw.
    pub answer: Result<Value, String>,
}

/// A call to another server: never its path, its headers or a body.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpCall {
    /// What may be shown of it.
    pub record: Record,
    /// Why there is no response.
    pub error: Option<String>,
}

impl HttpCall {
    /// `{method, host, status, ms, bytes_sent, bytes_received, error}`; `status` or `error` is null.
    pub(crate) fn as_json(&self) -> Value {
        let Record { method, host, status, wall, bytes_sent, bytes_received } = &self.record;
        json!({
            "method": method,
            "host": host,
            "status": status,
            "ms": milliseconds(*wall),
            "bytes_sent": bytes_sent,
            "bytes_received": bytes_received,
            "error": self.error,
        })
    }
}

impl fmt::Display for HttpCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Record { method, host, status, wall, bytes_received, .. } = &self.record;
        let ms = milliseconds(*wall);
        match &self.error {
            Some(error) => write!(f, "{method} {host} -> no response after {ms} ms: {error}"),
            None => {
                let status = status.unwrap_or_default();
                write!(f, "{method} {host} -> {status} in {ms} ms, {bytes_received} bytes")
            }
        }
    }
}

/// A call of `files` as the script made it.
#[derive(Debug, Clone, PartialEq)]
pub struct FileCall {
    /// The function's name, such as `files.keep`.
    pub name: &'static str,
    /// Its arguments, as an object.
    pub options: Value,
    /// What the call returned, or the error that it threw.
    pub answer: Result<Value, String>,
}

impl FileCall {
    /// `{call, options}` with one of `result` and `error`.
    pub(crate) fn as_json(&self) -> Value {
        match &self.answer {
            Ok(result) => json!({ "call": self.name, "options": self.options, "result": result }),
            Err(error) => json!({ "call": self.name, "options": self.options, "error": error }),
        }
    }
}

impl StorageCall {
    /// `{call, arguments}` with one of `result` and `error`.
    pub(crate) fn as_json(&self) -> Value {
        match &self.answer {
            Ok(result) => json!({ "call": self.name, "arguments": self.arguments, "result": result }),
            Err(error) => json!({ "call": self.name, "arguments": self.arguments, "error": error }),
        }
    }
}

impl CrmCall {
    /// `{call, options}` with one of `result`, `refused` and `error`.
    pub(crate) fn as_json(&self) -> Value {
        let (key, value) = match &self.answer {
            CrmAnswer::Gave(value) => ("result", value.clone()),
            CrmAnswer::Refused(reason) => ("refused", reason.as_str().into()),
            CrmAnswer::Threw(message) => ("error", message.as_str().into()),
        };
        let mut call = json!({ "call": self.name, "options": self.options });
        if let Some(call) = call.as_object_mut() {
            call.insert(key.into(), value);
        }
        call
    }
}

impl fmt::Debug for Watch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Watch(…)")
    }
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the record; a second call gets an empty one.
    pub(crate) fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen())
    }

    /// An observer that writes this record.
    pub(crate) fn observer(self: &Arc<Self>) -> Box<dyn RequestObserver> {
        Box::new(Notes(Arc::clone(self)))
    }
}

struct Notes(Arc<Watch>);

impl RequestObserver for Notes {
    fn shows_session(&self) -> bool {
        true
    }

    fn run_observer(&self) -> Option<Arc<dyn RunObserver>> {
        Some(Arc::clone(&self.0) as _)
    }

    fn notice(&mut self, event: &Event<'_>) {
        let mut seen = self.0.seen();
        match event {
            Event::RunEnded { brand, page, request, report, .. } => {
                seen.warnings
                    .extend(request.body_unread(brand.form_bodies, page.raw_body).map(str::to_owned));
                let (brand, file) = (brand.id.clone(), page.file.clone());
                seen.page = Some(SeenPage { brand, file, report: (*report).clone() });
            }
            Event::TemplateFailed { failure } => seen.template_failure = Some((*failure).clone()),
            Event::PageCache { used, .. } => {
                let reason = match used {
                    CacheUse::Refused(dependence) => Some(dependence.to_string()),
                    _ => None,
                };
                seen.cache = Some(CacheNote { result: used.label(), reason });
            }
            Event::TemplateWarned { warnings } => seen.warnings.extend(warnings.iter().cloned()),
            _ => {}
        }
    }
}

impl RunObserver for Watch {
    fn crm_called(&self, name: &'static str, options: &Value, answer: &Result<Value, CrmError>) {
        let answer = match answer {
            Ok(value) => CrmAnswer::Gave(value.clone()),
            Err(error @ CrmError::Refused { .. }) => CrmAnswer::Refused(error.to_string()),
            Err(error @ CrmError::Type { .. }) => CrmAnswer::Threw(format!("TypeError: {error}")),
            Err(error @ CrmError::TooLarge { .. }) => CrmAnswer::Threw(format!("RangeError: {error}")),
            Err(error @ CrmError::Store(_)) => CrmAnswer::Threw(format!("Error: {error}")),
        };
        self.seen().crm_calls.push(CrmCall { name, options: options.clone(), answer });
    }

    fn storage_called(&self, name: &'static str, arguments: &Value, answer: &Result<Answer, StorageError>) {
        let answer = match answer {
            Ok(Answer::Value(value)) => Ok(value.clone()),
            Ok(Answer::Stored(bytes)) => {
                value::decode(bytes, &Room::new(STORED_BYTES_MAX)).map_err(|error| error.to_string())
            }
            Err(error @ StorageError::Type { .. }) => Err(format!("TypeError: {error}")),
            Err(error @ StorageError::Range { .. }) => Err(format!("RangeError: {error}")),
            Err(error @ StorageError::Store(_)) => Err(format!("Error: {error}")),
        };
        self.seen().storage_calls.push(StorageCall { name, arguments: arguments.clone(), answer });
    }

    fn http_called(&self, record: &Record, error: Option<&str>) {
        let (record, error) = (record.clone(), error.map(str::to_owned));
        self.seen().http_calls.push(HttpCall { record, error });
    }

    fn files_called(&self, name: &'static str, options: &Value, answer: Result<&Value, String>) {
        let (options, answer) = (options.clone(), answer.cloned());
        self.seen().file_calls.push(FileCall { name, options, answer });
    }

    fn queue_called(&self, name: &'static str, arguments: &Value, answer: &Result<Value, QueueError>) {
        let answer = answer.clone().map_err(|error| match &error {
            QueueError::Type { .. } => format!("TypeError: {error}"),
            QueueError::Range { .. } => format!("RangeError: {error}"),
            QueueError::Store(_) => format!("Error: {error}"),
        });
        self.seen().queue_calls.push(StorageCall { name, arguments: arguments.clone(), answer });
    }
}

pub(crate) fn milliseconds(time: Duration) -> f64 {
    // The clock is not precise below a microsecond.
    (time.as_secs_f64() * 1e6).round() / 1e3
}
