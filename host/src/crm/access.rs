//! CRM data as one run reaches it: the brand is fixed, the rest is checked.

use std::sync::Arc;

use serde_json::Value;

use super::{Call, Caller, CrmCaps, CrmError};
use crate::store::Store;

/// The CRM of one brand.
#[derive(Clone)]
pub struct CrmAccess {
    store: Arc<dyn Store>,
    brand: String,
}

impl CrmAccess {
    pub fn new(store: Arc<dyn Store>, brand: &str) -> Self {
        Self { store, brand: brand.to_owned() }
    }

    /// Makes `call` for the logged-in customer, if any.
    ///
    /// # Errors
    /// As the call says.
    pub async fn call(
        &self,
        call: Call,
        customer_id: Option<&str>,
        caps: CrmCaps,
        now_ms: i64,
        options: &Value,
    ) -> Result<Value, CrmError> {
        let caller = Caller { brand: &self.brand, customer_id, caps, now_ms };
        let store = self.store.as_ref();
        match call {
            Call::GetField => super::get_field(store, &caller, options).await,
            Call::GetFields => super::get_fields(store, &caller, options).await,
            Call::GetEntries => super::get_entries(store, &caller, options).await,
            Call::SetField => super::set_field(store, &caller, options).await,
            Call::SetFields => super::set_fields(store, &caller, options).await,
        }
    }
}
