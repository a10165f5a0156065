use std::time::Instant;

use super::page::sluice::page::crm::Host;
use super::page::sluice::page::types::Exception;
use super::{plain_error, range_error, type_error};
use crate::app::now_ms;
use crate::crm::{Call, CrmCaps, CrmError};
use crate::script::RunState;
use crate::value;

type Answer = wasmtime::Result<Result<Vec<u8>, Exception>>;

impl Host for RunState {
    async fn get_field(&mut self, options: Vec<u8>) -> Answer {
        self.crm_call(Call::GetField, options).await
    }

    async fn get_fields(&mut self, options: Vec<u8>) -> Answer {
        self.crm_call(Call::GetFields, options).await
    }

    async fn get_entries(&mut self, options: Vec<u8>) -> Answer {
        self.crm_call(Call::GetEntries, options).await
    }

    async fn set_field(&mut self, options: Vec<u8>) -> Answer {
        self.crm_call(Call::SetField, options).await
    }

    async fn set_fields(&mut self, options: Vec<u8>) -> Answer {
        self.crm_call(Call::SetFields, options).await
    }
}

impl RunState {
    async fn crm_call(&mut self, call: Call, options: Vec<u8>) -> Answer {
        self.enter(options.len()).await;
        self.crm_calls += 1;
        let limits = &self.context.limits;
        if self.crm_calls > limits.crm_calls_max {
            let message = format!("{}: a run may make {} CRM calls", call.name(), limits.crm_calls_max);
            return Ok(Err(range_error(message)));
        }
        let options = match value::decode(&options) {
            Ok(options) => options,
            Err(error) => return Ok(Err(type_error(format!("{}: {error}", call.name())))),
        };
        let caps = CrmCaps {
            keys_an_entry_max: limits.crm_entry_keys_max,
            entries_a_reference_max: limits.crm_reference_entries_max,
            brand_bytes_max: limits.crm_brand_bytes_max,
            result_bytes_max: limits.crm_result_bytes_max,
        };
        let customer_id = self.context.session.identity().map(|identity| identity.customer_id.clone());
        let Some(crm) = self.context.crm.clone() else {
            return Ok(Err(plain_error(format!("{}: there is no CRM here", call.name()))));
        };
        let trace = self.context.trace.clone();
        let began = Instant::now();
        let asked = crm.call(call, customer_id.as_deref(), caps, now_ms(), &options);
        let answer = trace.ask(call.name(), |error| matches!(error, CrmError::Store(_)), asked).await;
        self.host_wall += began.elapsed();
        match answer {
            Ok(result) => Ok(Ok(self.give(&result))),
            Err(CrmError::Type(message)) => Ok(Err(type_error(message))),
            Err(CrmError::Range(message)) => Ok(Err(range_error(message))),
            Err(CrmError::Refused(message)) => {
                self.warn(message);
                Ok(Ok(self.give(&call.refused_value())))
            }
            Err(CrmError::Store(error)) => {
                tracing::error!(call = call.name(), %error, "a CRM call failed");
                Ok(Err(plain_error(format!("{}: the CRM does not answer at the moment", call.name()))))
            }
        }
    }
}
