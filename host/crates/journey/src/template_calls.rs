//! What a template asks for while it is rendered: the session, and calls of the CRM.
//!
//! A rendering may begin again: on a thread for long work, or after a CRM call whose answer it needs.
//! Each time it begins with the session as the script left it. A CRM call happens once, because the
//! next rendering gets its answer.

use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use serde_json::Value;
use tokio::time::timeout_at;

use sluice_crm::access::Visitor;
use sluice_crm::{
    Call, CrmCaps, CrmError, ENSURE_CALLS_MAX, EXAMINED_ROW_BYTES, QueuedWrites, RESULT_MEMORY_PER_BYTE,
    RefusalReason,
};
use sluice_kit::value;
use sluice_page::Page;
use sluice_session::Session;
use sluice_template::{Answer, Host, PendingCall};

use super::page_journey::Journey;

/// The session and the answers that a rendering sees.
pub(super) struct TemplateCalls {
    before: Session,
    /// With the changes of the current rendering.
    after: Mutex<Session>,
    answers: Vec<Answer>,
    page: Arc<Page>,
}

impl fmt::Debug for TemplateCalls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TemplateCalls").field("answers", &self.answers.len()).finish_non_exhaustive()
    }
}

impl TemplateCalls {
    pub(super) fn new(session: &Session, page: &Arc<Page>) -> Self {
        let (before, after) = (session.clone(), Mutex::new(session.clone()));
        Self { before, after, answers: Vec::new(), page: Arc::clone(page) }
    }

    /// The bytes of memory that both sessions hold.
    pub(super) fn held_bytes(&self) -> usize {
        self.before.held_bytes().saturating_mul(2)
    }

    /// Forgets what an earlier rendering has changed.
    pub(super) fn begin(&mut self) {
        *self.after.get_mut().unwrap_or_else(PoisonError::into_inner) = self.before.clone();
    }

    /// The session with the changes of the last rendering.
    pub(super) fn into_session(self) -> Session {
        self.after.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// The visitor, as the template has made the session so far.
    fn visitor(&self) -> Visitor {
        self.after.lock().unwrap_or_else(PoisonError::into_inner).visitor()
    }
}

impl Host for TemplateCalls {
    fn session_item(&self, key: &str) -> Option<&Value> {
        self.before.get(key)
    }

    fn set_session_item(&self, key: &str, value: Value) -> Result<(), String> {
        let mut session = self.after.lock().unwrap_or_else(PoisonError::into_inner);
        session.set(key, value, &self.page.limits).map_err(|refusal| refusal.to_string())
    }

    fn session_bytes(&self) -> usize {
        self.before.held_bytes()
    }

    fn answer(&self, number: usize) -> Option<&Answer> {
        self.answers.get(number)
    }
}

/// The CRM calls of one request. Those of its script count, too.
pub(super) struct CrmCalls<'q> {
    pub(super) made: u32,
    pub(super) ensured: u32,
    pub(super) queued: &'q mut QueuedWrites,
    /// Why calls were refused, each with the place of the call.
    pub(super) warnings: Vec<String>,
}

/// Why a call ends the rendering.
pub(super) enum CallError {
    /// It is the author's mistake, or exceeds a limit.
    Failed(String),
    /// The database does not answer.
    Unavailable,
}

impl CrmCalls<'_> {
    /// Makes a call. Its answer is one that the next rendering gets. `room` is the memory that the
    /// answer may take. Returns the bytes that the call holds on the host.
    pub(super) async fn make(
        &mut self,
        journey: &Journey<'_>,
        calls: &mut TemplateCalls,
        pending: &PendingCall,
        place: &str,
        room: usize,
        until: Instant,
    ) -> Result<usize, CallError> {
        let Some(call) = Call::named(pending.name) else {
            return Err(CallError::Failed(format!("there is no CRM call {}", pending.name)));
        };
        self.made += 1;
        let calls_max = calls.page.limits.crm_calls_max;
        if self.made > calls_max {
            return Err(CallError::Failed(format!(
                "{}: a request may make {calls_max} CRM calls",
                call.name()
            )));
        }
        if call == Call::EnsureEntity {
            self.ensured += 1;
            if self.ensured > ENSURE_CALLS_MAX {
                let reason = RefusalReason::TooManyEnsures(ENSURE_CALLS_MAX);
                self.warnings.push(format!("{place}: {}: {reason}", call.name()));
                return Ok(keep(calls, call.refused_value(reason.refusal())));
            }
        }
        let mut caps = CrmCaps::from(&calls.page.limits);
        caps.result_bytes_max = caps.result_bytes_max.min(room / RESULT_MEMORY_PER_BYTE);
        let (crm, visitor) = (journey.app.crm_access(&journey.brand().id), calls.visitor());
        let before = self.queued.len();
        let asked = crm.call(call, &visitor, caps, journey.app.now_ms(), &pending.options, self.queued);
        let is_failure = |error: &CrmError| matches!(error, CrmError::Store(_));
        let asked = journey.observation.trace().ask(call.name(), is_failure, asked);
        let Ok(answer) = timeout_at(until.into(), asked).await else {
            let message = format!("{}: the page takes longer than a run may take (wall_ms_max)", call.name());
            return Err(CallError::Failed(message));
        };
        if let Some(observer) = journey.observation.run_observer() {
            observer.crm_called(call.name(), &pending.options, &answer);
        }
        let examined = self.queued.take_examined() as usize;
        // A queued write is kept until the request ends, and then copied for the database.
        let queued = match self.queued.len() > before {
            true => value::held(&pending.options).saturating_mul(2),
            false => 0,
        };
        let value = match answer {
            Ok(value) => value,
            Err(ref error @ CrmError::Refused { ref reason, .. }) => {
                if let Some(limit) = error.limit() {
                    let (brand, reason) = (&*journey.brand().id, error.to_string());
                    tracing::warn!(brand, call = call.name(), limit, reason, "a limit refuses a CRM write");
                }
                self.warnings.push(format!("{place}: {error}"));
                call.refused_value(reason.refusal())
            }
            Err(CrmError::Store(error)) => {
                let brand = &journey.brand().id;
                let secrets = journey.live.secrets.of(brand);
                let error = &*secrets.mask(&error.to_string()).into_owned();
                tracing::error!(brand, call = call.name(), error, "a CRM call failed");
                return Err(CallError::Unavailable);
            }
            Err(error) => return Err(CallError::Failed(error.to_string())),
        };
        let kept = keep(calls, value);
        if let Some(answer) = calls.answers.last_mut() {
            // The template pays for what a search has read.
            answer.bytes = answer.bytes.saturating_add(examined.saturating_mul(EXAMINED_ROW_BYTES));
        }
        Ok(queued.saturating_add(kept))
    }
}

/// Keeps the answer to a call. Returns the bytes that it holds.
fn keep(calls: &mut TemplateCalls, value: Value) -> usize {
    let held = value::held(&value);
    calls.answers.push(Answer { bytes: value::encode(&value).len(), value });
    held
}

#[cfg(test)]
mod tests {
    use sluice_template::Template;

    use super::*;

    #[test]
    fn templates_know_every_crm_call() {
        for call in Call::ALL {
            let page = format!("{{{{ {}({{}}) }}}}", call.name());
            let compiled = Template::compile("pages/p.html", &page, &());
            assert_eq!(compiled.err().map(|error| error.message), None, "{page}");
        }
    }
}
