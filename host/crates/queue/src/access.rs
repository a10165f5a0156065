//! The jobs of one brand, for the scripts of one run. The brand is fixed, and everything else is checked.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Value, json};

use sluice_kit::value;
use sluice_limits::Limits;

use crate::arguments::{self, Options};
use crate::{Call, JobId, NewJob, Pushes, QueueError, QueueStore, Reached, State, Status};

/// The quotas of one run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueCaps {
    /// The most jobs that the run may push.
    pub pushes_max: u32,
    /// The largest payload, in bytes.
    pub payload_bytes_max: usize,
    /// The most jobs of the brand that are not done.
    pub jobs_max: u64,
}

impl From<&Limits> for QueueCaps {
    fn from(limits: &Limits) -> Self {
        Self {
            pushes_max: limits.queue_pushes_max,
            payload_bytes_max: limits.queue_payload_bytes_max,
            jobs_max: limits.queue_jobs_max,
        }
    }
}

/// Why a function cannot be a job.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetFault {
    /// There is no such module.
    #[error("there is no module \"{module}\" in modules/; {help}")]
    NoModule {
        /// The module that was named.
        module: String,
        /// The nearest name, or the names that there are.
        help: String,
    },
    /// The module has no such function.
    #[error("modules/{module} exports no function `{function}`; {help}")]
    NoFunction {
        /// The module.
        module: String,
        /// The function that was named.
        function: String,
        /// The nearest name, or the names that there are.
        help: String,
    },
}

/// The functions that can be jobs.
pub trait Targets: Send + Sync {
    /// Finds a function. Returns the module's name without its ending.
    ///
    /// # Errors
    /// There is no such function.
    fn find(&self, module: &str, function: &str) -> Result<String, TargetFault>;
}

/// The jobs of one brand.
#[derive(Clone)]
pub struct QueueAccess {
    store: Arc<dyn QueueStore>,
    targets: Arc<dyn Targets>,
    brand: String,
    /// Whether jobs are stored at once, and not when the run ends.
    at_once: bool,
    /// Counts pushes that the quota of the brand's jobs has refused.
    refused: Arc<AtomicU64>,
}

impl QueueAccess {
    /// Makes the access to the jobs of `brand`, whose functions are `targets`.
    pub fn new(store: Arc<dyn QueueStore>, targets: Arc<dyn Targets>, brand: &str) -> Self {
        Self { store, targets, brand: brand.to_owned(), at_once: false, refused: Arc::default() }
    }

    /// Counts pushes in `refused` that the quota of the brand's jobs refuses.
    #[must_use]
    pub fn counting(self, refused: &Arc<AtomicU64>) -> Self {
        Self { refused: Arc::clone(refused), ..self }
    }

    /// Stores jobs at once, for a test, which goes on after it has pushed some.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// Makes a call. `arguments` are those of the script, as an array. A job is added to `pushes`.
    ///
    /// # Errors
    /// The arguments are invalid, a quota is reached, or the database failed.
    pub async fn call(
        &self,
        call: Call,
        arguments: &Value,
        caps: QueueCaps,
        now_ms: i64,
        pushes: &mut Pushes,
    ) -> Result<Value, QueueError> {
        let arguments = arguments.as_array().map_or(&[][..], Vec::as_slice);
        match call {
            Call::Push => self.push(arguments, caps, now_ms, pushes).await,
            Call::Cancel => self.cancel(arguments, pushes).await,
            Call::Status => self.status(arguments, pushes).await,
        }
    }

    async fn push(
        &self,
        arguments: &[Value],
        caps: QueueCaps,
        now_ms: i64,
        pushes: &mut Pushes,
    ) -> Result<Value, QueueError> {
        let QueueCaps { pushes_max, payload_bytes_max, jobs_max } = caps;
        if pushes.pushed >= pushes_max {
            return Err(reached(Reached::Pushes { pushes_max }));
        }
        let mistake = |mistake| QueueError::Type { call: Call::Push, mistake };
        let module = arguments::text("module", arguments.first()).map_err(mistake)?;
        let options = Options::of(arguments.get(2), now_ms).map_err(mistake)?;
        let Options { function, due_at, tag, key } = options;
        let module = self.targets.find(&module, &function).map_err(|fault| mistake(fault.into()))?;
        let payload = value::encode(arguments.get(1).unwrap_or(&Value::Null));
        let bytes = payload.len();
        if bytes > payload_bytes_max {
            return Err(reached(Reached::PayloadBytes { bytes, bytes_max: payload_bytes_max }));
        }
        let id = JobId::random().map_err(QueueError::Store)?;
        let answer = json!({ "ok": true, "jobId": id.as_str() });
        let job = NewJob { id, module, function, payload, due_at, tag, key };
        if self.at_once {
            pushes.pushed += 1;
            let is_stored = self.store.add_queued(&self.brand, job, jobs_max, now_ms).await;
            return match is_stored.map_err(QueueError::Store)? {
                true => Ok(answer),
                false => Err(self.full(jobs_max)),
            };
        }
        let room = match pushes.room {
            Some(room) => room,
            None => {
                let jobs =
                    self.store.queued_jobs_of(&self.brand, jobs_max).await.map_err(QueueError::Store)?;
                *pushes.room.insert(jobs_max.saturating_sub(jobs))
            }
        };
        if pushes.len() as u64 >= room {
            return Err(self.full(jobs_max));
        }
        pushes.add(job);
        Ok(answer)
    }

    fn full(&self, jobs_max: u64) -> QueueError {
        self.refused.fetch_add(1, Ordering::Relaxed);
        reached(Reached::Jobs { jobs_max })
    }

    async fn cancel(&self, arguments: &[Value], pushes: &mut Pushes) -> Result<Value, QueueError> {
        let tag = arguments::text("tag", arguments.first())
            .map_err(|mistake| QueueError::Type { call: Call::Cancel, mistake })?;
        let stored = self.store.cancel_queued(&self.brand, &tag).await.map_err(QueueError::Store)?;
        let own = u32::try_from(pushes.cancel(&tag)).unwrap_or(u32::MAX);
        Ok(json!({ "ok": true, "cancelled": stored.saturating_add(own) }))
    }

    /// `null` if there is no such job, or not any more.
    async fn status(&self, arguments: &[Value], pushes: &Pushes) -> Result<Value, QueueError> {
        let id = arguments::text("job id", arguments.first())
            .map_err(|mistake| QueueError::Type { call: Call::Status, mistake })?;
        let Some(id) = JobId::parse(&id) else { return Ok(Value::Null) };
        let status = match pushes.has(&id) {
            Some(own) => Some(Status { state: State::Pending, attempts: 0, scheduled_for: own.due_at }),
            None => self.store.queued_status(&self.brand, &id).await.map_err(QueueError::Store)?,
        };
        Ok(status.map_or(Value::Null, |Status { state, attempts, scheduled_for }| {
            json!({ "state": state.as_str(), "attempts": attempts, "scheduledFor": scheduled_for })
        }))
    }
}

fn reached(reached: Reached) -> QueueError {
    QueueError::Range { call: Call::Push, reached }
}
