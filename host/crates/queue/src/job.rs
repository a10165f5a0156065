//! A job, from the call that makes it to its end.

use std::fmt;

use sluice_kit::{Cause, StoreError, StoreFault, value};

/// A job is parked after this many tries that failed.
pub const TRIES_MAX: u32 = 3;

/// The name of a job: 32 hexadecimal digits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct JobId(String);

/// The most bytes of its payload that a job has in a list.
pub const PAYLOAD_HEAD_MAX: u32 = 4 << 10;

/// The digits of a [`JobId`].
const ID_DIGITS: usize = 32;

impl JobId {
    /// Makes an id that no other job has.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn random() -> Result<Self, StoreError> {
        let no_random = |error| StoreError::Failed(StoreFault::NoRandom(Cause::of(error)));
        let half = || getrandom::u64().map_err(no_random);
        Ok(Self(format!("{:016x}{:016x}", half()?, half()?)))
    }

    /// The id in a text, if it is one.
    pub fn parse(text: &str) -> Option<Self> {
        let is_id =
            text.len() == ID_DIGITS && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_id.then(|| Self(text.to_owned()))
    }

    /// The text of the id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The state of a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It is to run.
    Pending,
    /// A host runs it.
    Running,
    /// It failed and waits for an operator.
    Parked,
    /// It has run.
    Done,
}

impl State {
    /// The name that is stored and printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::Parked => "parked",
            Self::Done => "done",
        }
    }

    /// Whether a job in this state has a time at which it is tried next, or its claim ends.
    pub fn is_due_sometime(self) -> bool {
        matches!(self, Self::Pending | Self::Running)
    }

    /// Returns the state with this name.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Pending, Self::Running, Self::Parked, Self::Done]
            .into_iter()
            .find(|state| state.as_str() == name)
    }
}

/// A job that is to be stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewJob {
    /// Its name.
    pub id: JobId,
    /// The module without its ending: `mail/quiz`.
    pub module: String,
    /// The exported function.
    pub function: String,
    /// The payload, as MessagePack.
    pub payload: Vec<u8>,
    /// Unix milliseconds. It does not run before.
    pub due_at: i64,
    /// Jobs with the same tag are removed together.
    pub tag: Option<String>,
    /// A job that is still pending with the same key is replaced.
    pub key: Option<String>,
}

impl NewJob {
    /// A job that no script has pushed, without a tag and a key.
    ///
    /// # Errors
    /// The system gives no random numbers.
    pub fn of_host(
        module: String,
        function: &str,
        payload: &serde_json::Value,
        due_at: i64,
    ) -> Result<Self, StoreError> {
        Ok(Self {
            id: JobId::random()?,
            module,
            function: function.to_owned(),
            payload: value::encode(payload),
            due_at,
            tag: None,
            key: None,
        })
    }
}

/// What a host has claimed. It is valid until another host claims the job.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Claim {
    /// The number of the row.
    pub seq: i64,
    /// How often the job was claimed, this claim included.
    pub claims: i64,
}

/// A job that this host is to run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClaimedJob {
    /// The right to end it.
    pub claim: Claim,
    /// Its name.
    pub id: JobId,
    /// The brand's id.
    pub brand: String,
    /// The module without its ending.
    pub module: String,
    /// The exported function.
    pub function: String,
    /// The payload, as MessagePack.
    pub payload: Vec<u8>,
    /// The number of tries, this one included.
    pub attempt: u32,
    /// Unix milliseconds: when it was first due.
    pub scheduled_for: i64,
}

impl ClaimedJob {
    /// Module and function, for people.
    pub fn what(&self) -> String {
        format!("{}.{}", self.module, self.function)
    }
}

/// How a claim ends if the job is not done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ending {
    /// The try failed, and the job is tried again.
    Retry {
        /// The outcome of the run, such as `fuel`.
        outcome: &'static str,
        /// Why it failed, with the position.
        error: String,
        /// The lines that it logged.
        console: String,
        /// Unix milliseconds. It is not tried again before.
        due_at: i64,
    },
    /// The try failed, and the job waits for an operator.
    Parked {
        /// The outcome of the run, such as `fuel`.
        outcome: &'static str,
        /// Why it failed, with the position.
        error: String,
        /// The lines that it logged.
        console: String,
    },
    /// The job was not tried, because the host stops or is too busy. The try does not count.
    Released {
        /// Unix milliseconds. It is not tried again before.
        due_at: i64,
    },
}

/// A job, as operators see it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct QueuedJob {
    /// Its name.
    pub id: String,
    /// The brand's id.
    pub brand: String,
    /// The module without its ending.
    pub module: String,
    /// The exported function.
    pub function: String,
    /// Its state.
    pub state: State,
    /// Its tag.
    pub tag: Option<String>,
    /// Its key.
    pub key: Option<String>,
    /// The tries so far.
    pub attempts: u32,
    /// The size of its payload as MessagePack. 0 once it is done.
    pub payload_bytes: u64,
    /// The first bytes of its payload, at most [`PAYLOAD_HEAD_MAX`].
    pub payload_head: Vec<u8>,
    /// Unix milliseconds: when it was made.
    pub created_at: i64,
    /// Unix milliseconds: when it was first due.
    pub scheduled_for: i64,
    /// Unix milliseconds: when it is tried next, or until when a host has claimed it.
    pub due_at: Option<i64>,
    /// Unix milliseconds at which it was done or parked.
    pub ended_at: Option<i64>,
    /// The outcome of the last try that failed.
    pub outcome: Option<String>,
    /// Why that try failed.
    pub last_error: Option<String>,
    /// The lines that it logged.
    pub console: Option<String>,
}

impl QueuedJob {
    /// What it does and its name, for a line of a log: `mail.send 0123…`. Long names are cut.
    pub fn brief(&self) -> String {
        let function: String = format!("{}.{}", self.module, self.function).chars().take(40).collect();
        format!("{function} {}", self.id)
    }
}

/// The number of jobs that are not done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueCounts {
    /// Pending jobs, due or not.
    pub pending: u64,
    /// Jobs that run.
    pub running: u64,
    /// Parked jobs.
    pub parked: u64,
    /// Unix milliseconds: when the oldest due job became due.
    pub oldest_due_at: Option<i64>,
}
