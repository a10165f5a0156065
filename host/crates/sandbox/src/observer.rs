//! Lets a tool observe a run while it runs.

use serde_json::Value;

use sluice_crm::CrmError;
use sluice_fetch::Record;
use sluice_queue::QueueError;
use sluice_storage::{Answer, StorageError};

/// Is notified of what a run does. Runs of visitors have no observer.
pub trait RunObserver: Send + Sync {
    /// The run made the CRM call `name` with `options`, and `answer` is the result.
    fn crm_called(&self, name: &'static str, options: &Value, answer: &Result<Value, CrmError>);

    /// The run made the call `name` of `storage` or `cache` with `arguments`, and `answer` is the result.
    fn storage_called(&self, name: &'static str, arguments: &Value, answer: &Result<Answer, StorageError>);

    /// A call of the run to another server has ended, with `error` if there is no response.
    fn http_called(&self, record: &Record, error: Option<&str>);

    /// The run made the call `name` of `files` with `options`, and `answer` is the result, or the exception.
    fn files_called(&self, name: &'static str, options: &Value, answer: Result<&Value, String>);

    /// The run made the call `name` of `queue` with `arguments`, and `answer` is the result.
    fn queue_called(&self, name: &'static str, arguments: &Value, answer: &Result<Value, QueueError>);
}
