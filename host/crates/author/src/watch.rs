//! What one request did, for tools that show it to the page's author. Requests of
//! visitors are not watched.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde_json::{Value, json};

use sluice_app::observe::{Event, RequestObserver};
use sluice_crm::CrmError;
use sluice_sandbox::RunReport;
use sluice_sandbox::observer::RunObserver;
use sluice_sandbox::outcome::Failure;

/// Takes notes of one request.
#[derive(Default)]
pub struct Watch {
    seen: Mutex<Seen>,
}

/// The notes.
#[derive(Default)]
pub struct Seen {
    /// None where no page answered.
    pub page: Option<SeenPage>,
    pub crm_calls: Vec<CrmCall>,
    pub template_failure: Option<Failure>,
    /// URLs that the template blocked, and why a body was not read.
    pub warnings: Vec<String>,
}

/// A page that answered, and its script's run.
pub struct SeenPage {
    pub brand: String,
    /// Relative to the brand's folder.
    pub file: String,
    pub report: RunReport,
}

/// A CRM call as the script made it.
#[derive(Debug, Clone, PartialEq)]
pub struct CrmCall {
    pub name: &'static str,
    pub options: Value,
    pub answer: CrmAnswer,
}

/// What a CRM call came to.
#[derive(Debug, Clone, PartialEq)]
pub enum CrmAnswer {
    Gave(Value),
    /// Refused, with a warning in the log.
    Refused(String),
    /// It threw.
    Threw(String),
}

impl CrmCall {
    /// `{call, options}` with one of `result`, `refused` and `error`.
    pub fn as_json(&self) -> Value {
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

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Watch(…)")
    }
}

impl Watch {
    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What was noted, once.
    pub fn take(&self) -> Seen {
        std::mem::take(&mut *self.seen())
    }

    /// An observer that takes these notes.
    pub fn observer(self: &Arc<Self>) -> Box<dyn RequestObserver> {
        Box::new(Notes(Arc::clone(self)))
    }
}

struct Notes(Arc<Watch>);

impl RequestObserver for Notes {
    fn notice(&mut self, event: &Event<'_>) {
        let mut seen = self.0.seen();
        match event {
            Event::RunEnded { brand, page, request, report, .. } => {
                seen.warnings.extend(request.body_unread(brand.form_bodies).map(str::to_owned));
                let (brand, file) = (brand.id.clone(), page.file.clone());
                seen.page = Some(SeenPage { brand, file, report: (*report).clone() });
            }
            Event::TemplateFailed { failure } => seen.template_failure = Some((*failure).clone()),
            Event::UrlsBlocked { warnings } => seen.warnings.extend(warnings.iter().cloned()),
            _ => {}
        }
    }
}

impl RunObserver for Watch {
    fn crm_called(&self, name: &'static str, options: &Value, answer: &Result<Value, CrmError>) {
        let answer = match answer {
            Ok(value) => CrmAnswer::Gave(value.clone()),
            Err(CrmError::Refused(_, reason)) => CrmAnswer::Refused(reason.clone()),
            Err(CrmError::Type(message)) => CrmAnswer::Threw(format!("TypeError: {message}")),
            Err(CrmError::Range(message)) => CrmAnswer::Threw(format!("RangeError: {message}")),
            Err(CrmError::Store(error)) => CrmAnswer::Threw(format!("Error: {error}")),
        };
        self.seen().crm_calls.push(CrmCall { name, options: options.clone(), answer });
    }
}
