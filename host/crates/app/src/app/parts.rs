//! Makes the parts of the program that its settings describe.

use std::sync::Arc;

use tokio::runtime::Handle;

use sluice_fetch::endpoint::Endpoint;
use sluice_fetch::{Client, SystemResolver, TlsError};
use sluice_files::{FileQuota, FileStore, FilesError, S3Options, UploadRoom};
use sluice_kit::keys::Keys;
use sluice_kit::operator_dir::{OperatorDir, OperatorFile};
use sluice_kit::progress::Progress;
use sluice_limits::Limits;
use sluice_runs::execution_log::{ExecutionLog, ExecutionLogOptions};
use sluice_sandbox::cache::CodeCache;
use sluice_sandbox::http_calls::{HttpCalls, Offline};
use sluice_sandbox::limiter::Limiter;
use sluice_sandbox::memory::{self, Memory};
use sluice_sandbox::{Sandbox, SandboxConfig};
use sluice_site::config::{Reader, SiteConfig};
use sluice_site::places::Places;
use sluice_telemetry::metrics::MemoryUsage;
use sluice_text::printable::printable;

use super::StartError;
use crate::load::ReloadReport;
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

/// Logs a warning if fewer runs than sandboxes fit into the memory of the process.
pub(super) fn warn_of_little_memory(usage: MemoryUsage, config: &SiteConfig) {
    let run = Limiter::reservation(config.limits.heap_bytes_max.unwrap_or(Limits::default().heap_bytes_max));
    let runs = usage.limit.saturating_sub(usage.reserved) / run.max(1);
    let sandboxes = config.limits.max.concurrent_runs();
    tracing::info!(bytes = usage.limit, runs, "memory for the process, and for runs at the same time");
    if runs < sandboxes as usize {
        tracing::warn!(
            sandboxes,
            runs,
            "there is not enough memory to use every sandbox: set server.memory_max if the machine has more, \
             or lower limits.heap_bytes_max or limits.max.concurrent_runs"
        );
    }
}

pub(super) fn log_load(report: &ReloadReport) {
    for problem in &report.problems {
        tracing::error!("{}", printable(&problem.to_string()));
    }
    let ReloadReport { brands, pages, pages_compiled, .. } = *report;
    tracing::info!(brands, pages, pages_compiled, "the site is loaded");
}

/// Opens the code cache. Returns `None` if its folder cannot be used; pages then stay in memory.
pub(super) fn open_cache(config: &SiteConfig, dir: &OperatorDir, keys: &Keys) -> Option<CodeCache> {
    match CodeCache::open(dir, keys, config.cache.bytes_max) {
        Ok(cache) => Some(cache),
        Err(error) => {
            tracing::warn!(
                folder = %dir.path().display(),
                %error,
                "compiled code cannot be stored, so every start compiles all pages"
            );
            None
        }
    }
}

/// Compiles the engine, unless the cache has its machine code.
pub(super) async fn prepare_engine(
    config: &SiteConfig,
    cache: Option<CodeCache>,
    progress: &Progress,
) -> Result<(Sandbox, Option<CodeCache>), StartError> {
    let sandbox_config = SandboxConfig {
        concurrent_runs_max: config.limits.max.concurrent_runs(),
        memory_bytes_max: config.limits.max.memory_bytes(),
        memory_reset: config.server.memory_reset,
        queue_requests_max: config.server.queue_requests_max,
        queue_wait: config.server.queue_wait,
        process_bytes_max: config.server.memory_max.unwrap_or_else(memory::default_bytes_max),
        tier: config.compile.tier,
    };
    progress.begin("preparing the engine", 0);
    let prepared = tokio::task::spawn_blocking(move || {
        let sandbox = Sandbox::with_cache(&sandbox_config, cache.as_ref())?;
        Ok((sandbox, cache))
    });
    let (sandbox, cache) = prepared.await.map_err(StartError::Task)?.map_err(StartError::Sandbox)?;
    tracing::info!(
        how = ?sandbox.memory_reset,
        "chose how to reset the memory of sandboxes: {}",
        sandbox.memory_reset_reason
    );
    Ok((sandbox, cache))
}
