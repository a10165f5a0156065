//! What a run may do with files.

use std::sync::Arc;

use sluice_files::{FileId, FileStore, PATH, Received, Upload, signed_path};
use sluice_kit::keys::{KeyError, Keys};

/// The files that the request has sent, and the store of those that the brand keeps.
#[derive(Clone)]
pub struct FilesAccess {
    /// The store.
    pub store: Arc<FileStore>,
    /// Signs addresses.
    pub keys: Arc<Keys>,
    /// What the request has sent.
    pub received: Option<Arc<Received>>,
}

impl FilesAccess {
    /// A file of the request by its id, which counts from 1.
    pub(crate) fn upload(&self, id: &str) -> Option<&Upload> {
        let index = id.parse::<usize>().ok().filter(|number| number.to_string() == id)?.checked_sub(1)?;
        self.received.as_ref()?.files.get(index)
    }

    /// The address of a file. Only that of a file that is not public ends to work, at `until`.
    pub(crate) fn address(&self, brand: &str, id: &FileId, until: u64) -> Result<String, KeyError> {
        if id.is_public() { Ok(format!("{PATH}{id}")) } else { signed_path(&self.keys, brand, id, until) }
    }
}
