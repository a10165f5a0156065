//! Calls of `storage` and `cache`: counts them, passes them to the brand's values and translates the answers.

use sluice_kit::value::{self, Room};
use sluice_storage::{Answer, Area, Call, Reached, StorageCaps, StorageError};

use super::page::sluice::page::storage::{Area as SandboxArea, Host, Operation};
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::RunState;

impl Host for RunState {
    async fn call(
        &mut self,
        area: SandboxArea,
        operation: Operation,
        arguments: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Exception>> {
        let (call, area) = (Call::from(operation), Area::from(area));
        let name = call.name(area);
        self.enter(arguments.len()).await;
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

impl From<Operation> for Call {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Get => Self::Get,
            Operation::Set => Self::Set,
            Operation::Del => Self::Del,
            Operation::Has => Self::Has,
            Operation::SetIfAbsent => Self::SetIfAbsent,
            Operation::CompareAndSet => Self::CompareAndSet,
            Operation::Increment => Self::Increment,
            Operation::List => Self::List,
        }
    }
}
