//! The calls against a store that remembers what it was asked.

mod refused;
mod results;

use std::sync::Mutex;

use serde_json::json;

use super::*;
use crate::crm::{CrmCaps, CrmSchema, Entity, Entry, EntryId, Slug};
use crate::store::{BoxFuture, StoreError};

/// Knows the entity `leads`, gives what it was told to and remembers what it was asked.
#[derive(Default)]
struct Fake {
    fields: Vec<Option<Value>>,
    fault: Option<CrmFault>,
    reads: Mutex<Vec<Address>>,
    writes: Mutex<Vec<SetFields>>,
}

impl Fake {
    fn answer<T: Send + 'static>(&self, at: &Address, found: T) -> BoxFuture<'_, Result<T, CrmFault>> {
        let known = at.slug.as_str() == "leads";
        let fault = self.fault.clone().or((!known).then_some(CrmFault::UnknownSlug));
        Box::pin(async move { fault.map_or(Ok(found), Err) })
    }

    fn asked(&self) -> usize {
        self.reads.lock().unwrap().len() + self.writes.lock().unwrap().len()
    }
}

impl CrmStore for Fake {
    fn apply_crm_schema(&self, _: &str, _: CrmSchema) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        Box::pin(async { Ok(Vec::new()) })
    }

    fn find_entity(&self, _: &str, _: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>> {
        Box::pin(async { Ok(None) })
    }

    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        _: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>> {
        self.reads.lock().unwrap().push(at.clone());
        let mut fields = self.fields.clone();
        fields.resize(keys.len(), None);
        self.answer(at, fields)
    }

    fn get_entries(&self, at: &Address, limit: u32, _: usize) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>> {
        self.reads.lock().unwrap().push(at.clone());
        let entry = Entry {
            id: EntryId::from_bytes([0; 16]),
            placement: None,
            values: Vec::new(),
            created_at: 0,
            updated_at: 0,
        };
        self.answer(at, vec![entry; limit as usize])
    }

    fn set_fields(&self, write: SetFields, _: CrmCaps, _: i64) -> BoxFuture<'_, Result<(), CrmFault>> {
        let at = write.at.clone();
        self.writes.lock().unwrap().push(write);
        self.answer(&at, ())
    }
}

fn caller(customer_id: Option<&str>) -> Caller<'_> {
    Caller { brand: "acme", customer_id, caps: CrmCaps::default(), now_ms: 0 }
}

/// Runs a call that never has to wait, as the customer `7`.
fn run(fake: &Fake, call: Call, options: Value) -> Result<Value, CrmError> {
    run_as(fake, call, &options, &caller(Some("7")))
}

fn run_as(fake: &Fake, call: Call, options: &Value, caller: &Caller<'_>) -> Result<Value, CrmError> {
    let runtime = tokio::runtime::Builder::new_current_thread();
    let runtime = { runtime }.build().unwrap();
    runtime.block_on(async {
        match call {
            Call::GetField => get_field(fake, caller, options).await,
            Call::GetFields => get_fields(fake, caller, options).await,
            Call::GetEntries => get_entries(fake, caller, options).await,
            Call::SetField => set_field(fake, caller, options).await,
            Call::SetFields => set_fields(fake, caller, options).await,
        }
    })
}

/// Options with which the call is right.
fn good(call: Call) -> Value {
    match call {
        Call::GetField => json!({"slug": "leads", "fieldKey": "a"}),
        Call::GetFields => json!({"slug": "leads", "fieldKeys": ["a"]}),
        Call::GetEntries => json!({"slug": "leads"}),
        Call::SetField => json!({"slug": "leads", "fieldKey": "a", "value": 1}),
        Call::SetFields => json!({"slug": "leads", "fields": [{"fieldKey": "a", "value": 1}]}),
    }
}

const CALLS: [Call; 5] = [Call::GetField, Call::GetFields, Call::GetEntries, Call::SetField, Call::SetFields];
