//! CRM data as one run reaches it: the brand is fixed, the rest is checked.

use std::sync::Arc;

use serde_json::Value;
use tokio::sync::Notify;

use super::{Call, Caller, CrmCaps, CrmError};
use crate::limits::Limits;
use crate::store::Store;

/// The CRM of one brand.
#[derive(Clone)]
pub struct CrmAccess {
    store: Arc<dyn Store>,
    brand: String,
    bell: Arc<Notify>,
}

/// Whom a call is made for: the session's word.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// `None` where nobody is logged in.
    pub customer_id: Option<String>,
    /// What the script remembered under this key, if it is text.
    pub quiz_visitor_id: Option<String>,
}

impl CrmAccess {
    /// `bell` is rung when a job was queued.
    pub fn new(store: Arc<dyn Store>, brand: &str, bell: Arc<Notify>) -> Self {
        Self { store, brand: brand.to_owned(), bell }
    }

    /// Makes `call` for a visitor.
    ///
    /// # Errors
    /// As the call says.
    pub async fn call(
        &self,
        call: Call,
        visitor: &Visitor,
        caps: CrmCaps,
        now_ms: i64,
        options: &Value,
    ) -> Result<Value, CrmError> {
        let caller = Caller {
            brand: &self.brand,
            customer_id: visitor.customer_id.as_deref(),
            quiz_visitor_id: visitor.quiz_visitor_id.as_deref(),
            caps,
            now_ms,
            bell: &self.bell,
        };
        super::call(self.store.as_ref(), &caller, call, options).await
    }
}

impl Limits {
    /// The part that the CRM keeps to.
    pub fn crm_caps(&self) -> CrmCaps {
        CrmCaps {
            keys_an_entry_max: self.crm_entry_keys_max,
            entries_a_reference_max: self.crm_reference_entries_max,
            brand_bytes_max: self.crm_brand_bytes_max,
            result_bytes_max: self.crm_result_bytes_max,
            ..CrmCaps::default()
        }
    }
}
