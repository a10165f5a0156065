use super::page::sluice::page::session::Host;
use crate::script::RunState;
use crate::value;

impl Host for RunState {
    async fn get(&mut self, key: String) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(key.len()).await;
        let value = self.context.session.get(&key).map(value::encode);
        self.meter.note_bytes(value.as_ref().map_or(0, Vec::len));
        Ok(value)
    }

    async fn set(&mut self, key: String, value: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(key.len() + value.len()).await;
        let done = value::decode(&value).map_err(|error| error.to_string()).and_then(|value| {
            self.context.session.set(&key, value, &self.context.limits).map_err(|refusal| refusal.to_string())
        });
        Ok(self.answer("session.set", done))
    }

    async fn delete(&mut self, key: String) -> wasmtime::Result<bool> {
        self.enter(key.len()).await;
        let done = self.context.session.set(&key, serde_json::Value::Null, &self.context.limits);
        Ok(self.answer("session.delete", done))
    }

    async fn customer(&mut self) -> wasmtime::Result<Option<Vec<u8>>> {
        self.enter(0).await;
        let customer = self.context.session.identity().map(|identity| value::encode(&identity.customer));
        self.meter.note_bytes(customer.as_ref().map_or(0, Vec::len));
        Ok(customer)
    }

    async fn set_customer(&mut self, fields: Vec<u8>) -> wasmtime::Result<bool> {
        self.enter(fields.len()).await;
        let done = value::decode(&fields).map_err(|error| error.to_string()).and_then(|fields| {
            self.context
                .session
                .set_customer(&fields, &self.context.limits)
                .map_err(|refusal| refusal.to_string())
        });
        Ok(self.answer("session.setCustomer", done))
    }

    async fn clear_customer(&mut self) -> wasmtime::Result<bool> {
        self.enter(0).await;
        Ok(self.context.session.clear_customer())
    }
}
