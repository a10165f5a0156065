//! What a tool may see of a run while it runs.

use serde_json::Value;

use sluice_crm::CrmError;

/// Told what a run asks of the host. Runs of visitors have none.
pub trait RunObserver: Send + Sync {
    /// The run made a CRM call of this name, with these options and this result.
    fn crm_called(&self, name: &'static str, options: &Value, answer: &Result<Value, CrmError>);
}
