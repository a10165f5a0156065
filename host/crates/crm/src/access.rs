//! The CRM of one brand, for the scripts of one run. The brand is fixed, and everything else
//! is checked.

use std::sync::Arc;

use serde_json::Value;

use sluice_kit::StoreError;
use sluice_limits::Limits;

use super::{Call, Caller, CrmCaps, CrmError, CrmShared, Reference};
use crate::{CrmDatabase, QueuedWrites};

/// The CRM of one brand.
#[derive(Clone)]
pub struct CrmAccess {
    store: Arc<dyn CrmDatabase>,
    brand: String,
    shared: Arc<CrmShared>,
    at_once: bool,
}

/// The visitor for whom a call is made, from the session.
#[derive(Clone, Debug, Default)]
pub struct Visitor {
    /// The logged-in customer, or `None` if nobody is logged in.
    pub customer_id: Option<String>,
    /// The session's `quiz_visitor_id`, if it is text.
    pub quiz_visitor_id: Option<String>,
}

impl CrmAccess {
    /// Makes the access to `brand`. `shared` is what all calls on `store` share.
    pub fn new(store: Arc<dyn CrmDatabase>, shared: Arc<CrmShared>, brand: &str) -> Self {
        Self { store, brand: brand.to_owned(), shared, at_once: false }
    }

    /// Lets writes with `async: true` happen at once. A test has no request whose end would
    /// store them.
    #[must_use]
    pub fn at_once(self) -> Self {
        Self { at_once: true, ..self }
    }

    /// Gives all data of the customer `from` to the customer `to`. This happens when a customer
    /// whose data belonged to an email gets an id. Writes in `queued` follow.
    ///
    /// # Errors
    /// The database did not answer. Nothing has changed then.
    pub async fn adopt_customer(
        &self,
        from: &str,
        to: &str,
        queued: &mut QueuedWrites,
        now_ms: i64,
    ) -> Result<(), StoreError> {
        let references = [from, to].map(|id| Reference::new("customer", id));
        // An invalid reference owns no data.
        let [Ok(from), Ok(to)] = references else { return Ok(()) };
        self.store.adopt_reference(&self.brand, from.clone(), to.clone(), now_ms).await?;
        queued.follow(&from, &to);
        Ok(())
    }

    /// Makes `call` for a visitor. A write with `async: true` is added to `queued`.
    ///
    /// # Errors
    /// The options are invalid, the call was refused, or the database failed.
    pub async fn call(
        &self,
        call: Call,
        visitor: &Visitor,
        caps: CrmCaps,
        now_ms: i64,
        options: &Value,
        queued: &mut QueuedWrites,
    ) -> Result<Value, CrmError> {
        let caller = self.caller(visitor, caps, now_ms);
        let answer = super::call(self.store.as_ref(), &caller, call, options, queued).await;
        if let Err(error) = &answer
            && error.limit().is_some()
        {
            self.shared.refused.note(&self.brand, now_ms, error.to_string());
        }
        answer
    }

    /// The error of a call of which some options could not be encoded. `options` are the others.
    pub async fn reject(&self, call: Call, visitor: &Visitor, caps: CrmCaps, options: &Value) -> CrmError {
        // Nothing is read or written that depends on the time.
        let caller = self.caller(visitor, caps, 0);
        super::reject(self.store.as_ref(), &caller, call, options).await
    }

    fn caller<'a>(&'a self, visitor: &'a Visitor, caps: CrmCaps, now_ms: i64) -> Caller<'a> {
        Caller {
            brand: &self.brand,
            slugs: &self.shared.slugs,
            customer_id: visitor.customer_id.as_deref(),
            quiz_visitor_id: visitor.quiz_visitor_id.as_deref(),
            caps,
            now_ms,
            at_once: self.at_once,
        }
    }
}

impl From<&Limits> for CrmCaps {
    /// Takes the CRM's quotas from a page's limits.
    fn from(limits: &Limits) -> Self {
        Self {
            keys_an_entry_max: limits.crm_entry_keys_max,
            entries_a_reference_max: limits.crm_reference_entries_max,
            brand_bytes_max: limits.crm_brand_bytes_max,
            result_bytes_max: limits.crm_result_bytes_max,
            ..Self::default()
        }
    }
}
