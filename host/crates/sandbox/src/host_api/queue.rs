//! Calls of `queue`: counts them, passes them to the brand's jobs and translates the answers.

use sluice_kit::value::{self, Room};
use sluice_page_cache::Dependence;
use sluice_queue::{Call, QueueCaps, QueueError, Reached};

use super::page::sluice::page::queue::{Host, Operation};
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::RunState;

impl Host for RunState {
    async fn call(
        &mut self,
        operation: Operation,
        arguments: Vec<u8>,
    ) -> wasmtime::Result<Result<Vec<u8>, Exception>> {
        let call = Call::from(operation);
        let name = call.name();
        self.enter(arguments.len()).await;
        self.depends_on(Dependence::Call(name));
        self.queue_calls += 1;
        let calls_max = self.context.limits.queue_calls_max;
        if self.queue_calls > calls_max {
            self.has_exceeded = true;
            let message = format!("{name}: a run may make {calls_max} such calls (queue_calls_max)");
            return Ok(Err(range_error(message)));
        }
        // A payload is encoded, kept until the run ends, and copied for the database.
        let for_arguments = Room::new(self.limiter.room().bytes_max() / 4);
        let arguments = match value::decode(&arguments, &for_arguments) {
            Ok(arguments) => arguments,
            Err(error) => {
                // Mostly, the values take more memory than is left.
                self.has_exceeded = true;
                return Ok(Err(type_error(format!("{name}: {error}"))));
            }
        };
        let Some(queue) = self.context.queue.clone() else {
            return Ok(Err(plain_error(format!("{name}: there is no database here"))));
        };
        let caps = QueueCaps::from(&self.context.limits);
        let trace = self.context.trace.clone();
        self.use_database();
        let now_ms = self.context.clock.now_ms();
        let held = self.pushes.held_bytes();
        let asked = queue.call(call, &arguments, caps, now_ms, &mut self.pushes);
        let asked = trace.ask(name, |error| matches!(error, QueueError::Store(_)), asked);
        let answer = self.checkpoints.in_time(&mut self.waited, asked).await;
        self.limiter.let_go(held);
        self.limiter.hold(self.pushes.held_bytes());
        let Some(answer) = answer else {
            // The engine learns at its next checkpoint that the run is over.
            return Ok(Err(plain_error(format!("{name}: the time of the run is up"))));
        };
        if let Some(observer) = &self.context.observer {
            observer.queue_called(name, &arguments, &answer);
        }
        match answer {
            Ok(value) => Ok(Ok(self.give(&value))),
            Err(error @ QueueError::Type { .. }) => Ok(Err(type_error(error.to_string()))),
            Err(error @ QueueError::Range { .. }) => {
                if let QueueError::Range { reached: Reached::Jobs { jobs_max }, .. } = error {
                    tracing::warn!(brand = self.context.brand, jobs_max, "the quota of jobs refuses a job");
                }
                self.has_exceeded = true;
                Ok(Err(range_error(error.to_string())))
            }
            Err(QueueError::Store(error)) => {
                self.has_failed_host = true;
                let error = self.masked(&error);
                tracing::error!(brand = self.context.brand, call = name, error, "a call of queue failed");
                Ok(Err(plain_error(format!("{name}: the database does not answer at the moment"))))
            }
        }
    }
}

impl From<Operation> for Call {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Push => Self::Push,
            Operation::Cancel => Self::Cancel,
            Operation::Status => Self::Status,
        }
    }
}
