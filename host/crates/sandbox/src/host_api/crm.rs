//! CRM calls: counts them, passes them to the brand's CRM and translates the answers.

use sluice_crm::access::Visitor;
use sluice_crm::{
    Call, CrmCaps, CrmError, ENSURE_CALLS_MAX, EXAMINED_ROW_BYTES, RESULT_MEMORY_PER_BYTE, RefusalReason,
    SEARCH_MEMORY_BYTES,
};
use sluice_kit::value::{self, Room};
use sluice_page_cache::Dependence;

use super::page::sluice::page::crm::{Host, Operation};
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::RunState;

type Answer = wasmtime::Result<Result<Vec<u8>, Exception>>;

impl Host for RunState {
    async fn call(&mut self, operation: Operation, options: Vec<u8>, is_whole: bool) -> Answer {
        let call = Call::from(operation);
        self.enter(options.len()).await;
        if !call.only_reads() {
            self.depends_on(Dependence::Call(call.name()));
        }
        if let Err(refused) = self.count_crm_call(call) {
            self.has_exceeded = true;
            return Ok(Err(refused));
        }
        if self.has_ensured_enough(call) {
            let reason = RefusalReason::TooManyEnsures(ENSURE_CALLS_MAX);
            self.warn(&format!("{}: {reason}", call.name()));
            return Ok(Ok(self.give(&call.refused_value(reason.refusal()))));
        }
        // A write copies its values for the database, and a queued one copies them again.
        let room = self.limiter.room();
        let for_options = Room::new(room.bytes_max() / 4);
        let options = match value::decode(&options, &for_options) {
            Ok(options) => options,
            Err(error) => {
                // Mostly, the values take more memory than is left.
                self.has_exceeded = true;
                return Ok(Err(type_error(format!("{}: {error}", call.name()))));
            }
        };
        let Some(crm) = self.context.crm.clone() else {
            return Ok(Err(plain_error(format!("{}: the CRM is not available here", call.name()))));
        };
        let visitor = match call.needs_visitor(&options) {
            true => {
                self.depends_on(Dependence::Crm(call.name()));
                self.session().await.visitor()
            }
            false => Visitor::default(),
        };
        let mut caps = CrmCaps::from(&self.context.limits);
        let mut for_result = self.limiter.room().bytes_max().saturating_sub(4 * for_options.taken());
        if matches!(call, Call::FindEntries | Call::CountEntries) {
            let Some(rest) = for_result.checked_sub(SEARCH_MEMORY_BYTES) else {
                self.has_exceeded = true;
                return Ok(Err(range_error(format!("{}: the run has too little memory left", call.name()))));
            };
            for_result = rest;
        }
        caps.result_bytes_max = caps.result_bytes_max.min(for_result / RESULT_MEMORY_PER_BYTE);
        let trace = self.context.trace.clone();
        self.use_database();
        let before = self.queued.len();
        let (now_ms, queued) = (self.context.clock.now_ms(), &mut self.queued);
        let asked = async {
            match is_whole {
                true => crm.call(call, &visitor, caps, now_ms, &options, queued).await,
                false => Err(crm.reject(call, &visitor, caps, &options).await),
            }
        };
        let asked = trace.ask(call.name(), |error| matches!(error, CrmError::Store(_)), asked);
        let answer = self.checkpoints.in_time(&mut self.waited, asked).await;
        let Some(answer) = answer else {
            // The engine learns at its next checkpoint that the run is over.
            return Ok(Err(plain_error(format!("{}: the time of the run is up", call.name()))));
        };
        // A search reads rows for which it returns nothing.
        self.meter.note_bytes(EXAMINED_ROW_BYTES.saturating_mul(self.queued.take_examined() as usize));
        if self.queued.len() > before {
            // The write is kept until the run ends, and then copied for the database.
            self.limiter.hold(for_options.taken().saturating_mul(2));
        }
        if let Some(observer) = &self.context.observer {
            observer.crm_called(call.name(), &options, &answer);
        }
        match answer {
            Ok(result) => Ok(Ok(self.give(&result))),
            Err(error @ CrmError::Type { .. }) => Ok(Err(type_error(error.to_string()))),
            Err(error @ CrmError::TooLarge { .. }) => {
                self.has_exceeded = true;
                Ok(Err(range_error(error.to_string())))
            }
            Err(ref error @ CrmError::Refused { ref reason, .. }) => {
                // The engine has said which value cannot be encoded.
                if is_whole {
                    self.warn(&error.to_string());
                }
                if let Some(limit) = error.limit() {
                    let (brand, reason) = (&*self.context.brand, error.to_string());
                    tracing::warn!(brand, call = call.name(), limit, reason, "a limit refuses a CRM write");
                }
                Ok(Ok(self.give(&call.refused_value(reason.refusal()))))
            }
            Err(CrmError::Store(error)) => {
                self.has_failed_host = true;
                let error = self.masked(&error);
                tracing::error!(brand = self.context.brand, call = call.name(), error, "a CRM call failed");
                Ok(Err(plain_error(format!("{}: the CRM does not answer at the moment", call.name()))))
            }
        }
    }
}

impl RunState {
    fn count_crm_call(&mut self, call: Call) -> Result<(), Exception> {
        self.crm_calls += 1;
        let calls_max = self.context.limits.crm_calls_max;
        if self.crm_calls > calls_max {
            return Err(range_error(format!("{}: a run may make {calls_max} CRM calls", call.name())));
        }
        Ok(())
    }

    /// Counts a call of `ensureCrmEntity`, and returns whether the run has made too many.
    fn has_ensured_enough(&mut self, call: Call) -> bool {
        if call == Call::EnsureEntity {
            self.crm_ensure_calls += 1;
        }
        call == Call::EnsureEntity && self.crm_ensure_calls > ENSURE_CALLS_MAX
    }
}

impl From<Operation> for Call {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::GetField => Self::GetField,
            Operation::GetFields => Self::GetFields,
            Operation::GetEntries => Self::GetEntries,
            Operation::GetValues => Self::GetValues,
            Operation::GetEntry => Self::GetEntry,
            Operation::FindEntries => Self::FindEntries,
            Operation::CountEntries => Self::CountEntries,
            Operation::SetField => Self::SetField,
            Operation::SetFields => Self::SetFields,
            Operation::AddValue => Self::AddValue,
            Operation::CreateEntry => Self::CreateEntry,
            Operation::UpdateEntry => Self::UpdateEntry,
            Operation::DeleteEntry => Self::DeleteEntry,
            Operation::SetRelation => Self::SetRelation,
            Operation::RemoveRelation => Self::RemoveRelation,
            Operation::Clear => Self::Clear,
            Operation::MoveToStage => Self::MoveToStage,
            Operation::MoveToPipeline => Self::MoveToPipeline,
            Operation::MoveLead => Self::MoveLead,
            Operation::MoveToEntity => Self::MoveToEntity,
            Operation::Reassign => Self::Reassign,
            Operation::EnsureEntity => Self::EnsureEntity,
        }
    }
}
