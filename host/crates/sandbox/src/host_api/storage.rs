//! Calls of `storage` and `cache`: counts them, passes them to the brand's values and translates the answers.

use serde_json::Value;

use sluice_kit::value::{self, Room};
use sluice_page_cache::Dependence;
use sluice_storage::{Answer, Area, Call, Reached, StorageCaps, StorageError};

use super::page::sluice::page::storage::{Area as SandboxArea, Host, Operation};
use super::page::sluice::page::types::Exception;
use super::{EscapedName, plain_error, range_error, type_error};
use crate::RunState;

impl Host for RunState {
    async fn call(
        &mut self,
        area: SandboxArea,
        operation: Operation,
        arguments: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Exception>> {
        let area = Area::from(area);
        let Some(call) = call_of(operation) else { return Ok(self.purge(area, &arguments).await) };
        let name = call.name(area);
        self.enter(arguments.len()).await;
        if !is_shared(area, call) {
            self.depends_on(Dependence::Call(name));
        }
        if let Err(refused) = self.count_storage_call(area, name) {
            self.has_exceeded = true;
            return Ok(Err(refused));
        }
        // The values are encoded and copied for the database.
        let room = self.limiter.room();
        let for_arguments = Room::new(room.bytes_max() / 4);
        let arguments = match value::decode(&arguments, &for_arguments) {
            Ok(arguments) => arguments,
            Err(error) => {
                // Mostly, the values take more memory than is left.
                self.has_exceeded = true;
                return Ok(Err(type_error(format!("{name}: {error}"))));
            }
        };
        let Some(storage) = self.context.storage.clone() else {
            return Ok(Err(plain_error(format!("{name}: there is no database here"))));
        };
        let caps = StorageCaps::of(&self.context.limits, area);
        let for_result = room.bytes_max().saturating_sub(4 * for_arguments.taken());
        let trace = self.context.trace.clone();
        self.use_database();
        let now_ms = self.context.clock.now_ms();
        let asked = storage.call((call, area), &arguments, caps, for_result, now_ms);
        let asked = trace.ask(name, |error| matches!(error, StorageError::Store(_)), asked);
        let answer = self.checkpoints.in_time(&mut self.waited, asked).await;
        let Some(answer) = answer else {
            // The engine learns at its next checkpoint that the run is over.
            return Ok(Err(plain_error(format!("{name}: the time of the run is up"))));
        };
        if let Some(observer) = &self.context.observer {
            observer.storage_called(name, &arguments, &answer);
        }
        match answer {
            Ok(Answer::Value(value)) => Ok(Ok(self.give(&value))),
            Ok(Answer::Stored(bytes)) => {
                self.meter.note_bytes(bytes.len());
                Ok(Ok(bytes))
            }
            Err(error @ StorageError::Type { .. }) => Ok(Err(type_error(error.to_string()))),
            Err(error @ StorageError::Range { call: Call::Set, reached: Reached::Brand(_), .. }) => {
                self.warn(&error.to_string());
                Ok(Ok(self.give(&false.into())))
            }
            Err(error @ StorageError::Range { .. }) => {
                self.has_exceeded = true;
                Ok(Err(range_error(error.to_string())))
            }
            Err(StorageError::Store(error)) => {
                self.has_failed_host = true;
                let error = self.masked(&error);
                tracing::error!(brand = self.context.brand, call = name, error, "a call of storage failed");
                Ok(Err(plain_error(format!("{name}: the database does not answer at the moment"))))
            }
        }
    }
}

impl RunState {
    /// `cache.purge`.
    async fn purge(&mut self, area: Area, arguments: &[u8]) -> Result<Vec<u8>, Exception> {
        const NAME: &str = "cache.purge";
        self.enter(arguments.len()).await;
        self.depends_on(Dependence::Call(NAME));
        if area != Area::Cache {
            return Err(type_error("storage.purge does not exist"));
        }
        if let Err(refused) = self.count_storage_call(area, NAME) {
            self.has_exceeded = true;
            return Err(refused);
        }
        let arguments = value::decode(arguments, &self.limiter.room());
        let arguments = arguments.map_err(|error| type_error(format!("{NAME}: {error}")))?;
        let Some(tag) = arguments.get(0).and_then(Value::as_str).filter(|tag| !tag.is_empty()) else {
            return Err(type_error(format!("{NAME}: the tag must be a text that is not empty")));
        };
        let Some(purges) = self.context.purges.clone() else {
            return Err(plain_error(format!("{NAME}: there is no cache of pages here")));
        };
        let (trace, brand) = (self.context.trace.clone(), self.context.brand.clone());
        self.use_database();
        let asked = trace.ask(NAME, |_| true, purges.purge(&brand, tag, self.context.clock.now_ms()));
        let Some(answer) = self.checkpoints.in_time(&mut self.waited, asked).await else {
            // The engine learns at its next checkpoint that the run is over.
            return Err(plain_error(format!("{NAME}: the time of the run is up")));
        };
        match answer {
            Ok(true) => Ok(self.give(&true.into())),
            Ok(false) => {
                let name = EscapedName::from(tag);
                self.warn(&format!(
                    "{NAME}: no page has the tag `{name}` (`[[page]] cache.tags` in brand.toml)"
                ));
                Ok(self.give(&false.into()))
            }
            Err(error) => {
                self.has_failed_host = true;
                let error = self.masked(&error);
                tracing::error!(brand = self.context.brand, error, "a purge of the page cache failed");
                Err(plain_error(format!("{NAME}: the database does not answer at the moment")))
            }
        }
    }

    fn count_storage_call(&mut self, area: Area, name: &str) -> Result<(), Exception> {
        let limits = &self.context.limits;
        let (made, calls_max, quota) = match area {
            Area::Storage => (&mut self.storage_calls, limits.storage_calls_max, "storage_calls_max"),
            Area::Cache => (&mut self.cache_calls, limits.cache_calls_max, "cache_calls_max"),
        };
        *made += 1;
        match *made > calls_max {
            true => Err(range_error(format!("{name}: a run may make {calls_max} such calls ({quota})"))),
            false => Ok(()),
        }
    }
}

impl From<SandboxArea> for Area {
    fn from(area: SandboxArea) -> Self {
        match area {
            SandboxArea::Storage => Self::Storage,
            SandboxArea::Cache => Self::Cache,
        }
    }
}

/// The call of an operation. `None` for `purge`, which is not about values.
fn call_of(operation: Operation) -> Option<Call> {
    Some(match operation {
        Operation::Get => Call::Get,
        Operation::Set => Call::Set,
        Operation::Del => Call::Del,
        Operation::Has => Call::Has,
        Operation::SetIfAbsent => Call::SetIfAbsent,
        Operation::CompareAndSet => Call::CompareAndSet,
        Operation::Increment => Call::Increment,
        Operation::List => Call::List,
        Operation::Purge => return None,
    })
}

/// Whether it makes no difference if the call happens for some visitors only: it reads, or it puts a value into
/// the cache, which may forget it at any time.
fn is_shared(area: Area, call: Call) -> bool {
    matches!(call, Call::Get | Call::Has | Call::List) || (area, call) == (Area::Cache, Call::Set)
}
