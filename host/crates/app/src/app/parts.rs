//! Makes the parts of the program that its settings describe.

use std::sync::Arc;

use tokio::runtime::Handle;

use sluice_fetch::{Client, SystemResolver, TlsError};
use sluice_kit::operator_dir::OperatorFile;
use sluice_runs::execution_log::{ExecutionLog, ExecutionLogOptions};
use sluice_sandbox::http_calls::{HttpCalls, Offline};
use sluice_site::config::SiteConfig;
use sluice_site::places::Places;

use super::StartError;

/// Makes the calls of scripts, unless the tool refuses them.
pub(super) fn http_calls(
    config: &SiteConfig,
    places: &Places,
    offline: bool,
) -> Result<Arc<dyn HttpCalls>, TlsError> {
    if offline {
        return Ok(Arc::new(Offline));
    }
    let ca_file = config.http.ca_file.as_ref().map(|file| places.data.path().join(file));
    let client = Client::new(Handle::current(), Box::new(SystemResolver::default()), ca_file.as_deref())?;
    Ok(Arc::new(client))
}

pub(super) fn start_execution_log(
    config: &SiteConfig,
    path: OperatorFile,
) -> Result<ExecutionLog, StartError> {
    let options = ExecutionLogOptions {
        path,
        keep: config.log.keep,
        rows_max: config.log.rows_max,
        bytes_max: config.log.bytes_max,
        sample: config.log.sample,
    };
    ExecutionLog::start(options).map_err(StartError::ExecutionLog)
}
