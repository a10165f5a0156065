//! Makes the parts of the program that its settings describe.

use std::sync::Arc;

use tokio::runtime::Handle;

use sluice_fetch::endpoint::Endpoint;
use sluice_fetch::{Client, SystemResolver, TlsError};
use sluice_files::{FileQuota, FileStore, FilesError, S3Options, UploadRoom};
use sluice_kit::operator_dir::OperatorFile;
use sluice_runs::execution_log::{ExecutionLog, ExecutionLogOptions};
use sluice_sandbox::http_calls::{HttpCalls, Offline};
use sluice_sandbox::memory::Memory;
use sluice_site::config::{Reader, SiteConfig};
use sluice_site::places::Places;

use super::StartError;
use crate::request::UploadPlace;

/// The store of files, and where they are while they arrive.
pub(super) fn files(
    config: &SiteConfig,
    places: &Places,
    memory: &Memory,
) -> Result<(Arc<FileStore>, UploadPlace), FilesError> {
    let settings = &config.files;
    let quota = FileQuota { bytes_max: settings.brand_bytes_max, files_max: settings.brand_files_max };
    let folder = |name: &str| {
        let folder = places.data.dir(name).map_err(|error| FilesError::Settings(error.to_string()))?;
        Ok::<_, FilesError>(folder.path().to_owned())
    };
    let store = match &settings.s3 {
        Some(s3) if !s3.names_bucket() && config.reader == Reader::Operator => {
            let missing = "[files.s3] in sluice.toml needs endpoint, bucket and region";
            return Err(FilesError::Settings(missing.into()));
        }
        Some(s3) if s3.names_bucket() => {
            let wrong = |error: &dyn std::error::Error| FilesError::Settings(error.to_string());
            let ca_file = config.http.ca_file.as_ref().map(|file| places.data.path().join(file));
            let endpoint = Endpoint::new(ca_file.as_deref()).map_err(|error| wrong(&error))?;
            let options = S3Options {
                endpoint: s3.url().ok_or_else(|| FilesError::Settings("the endpoint is not a URL".into()))?,
                bucket: s3.bucket.clone(),
                region: s3.region.clone(),
                key_id: s3.key_id.clone(),
                secret_key: s3.secret_key.clone(),
            };
            FileStore::in_bucket(options, endpoint, quota)?
        }
        _ => FileStore::in_folder(folder("files")?, quota),
    };
    // Runs need the rest.
    let memory_bytes_max = memory.usage().limit as u64 / 2;
    let room = UploadRoom::new(settings.uploads_bytes_max, memory_bytes_max);
    let place = UploadPlace { room, folder: folder("uploads")? };
    std::fs::create_dir_all(&place.folder)?;
    Ok((Arc::new(store), place))
}

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
