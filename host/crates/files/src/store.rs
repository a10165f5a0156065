//! The store of kept files: a folder or a bucket, with a quota for each brand.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use parking_lot::Mutex;

use sluice_fetch::endpoint::Endpoint;

use crate::error::FilesError;
use crate::folder::FolderStore;
use crate::id::FileId;
use crate::kept::Kept;
use crate::readers::{Reader, Readers};
use crate::s3::{S3Body, S3Options, S3Store};
use crate::upload::Upload;
use crate::usage::{FileQuota, Usage};

/// Where the bytes of a file come from.
pub enum Content {
    /// A file of the file system.
    File(File),
    /// A service.
    Service(Box<S3Body>),
}

#[derive(Clone)]
enum Backend {
    Folder(FolderStore),
    S3(Box<S3Store>),
}

/// The kept files of all brands.
pub struct FileStore {
    backend: Backend,
    quota: FileQuota,
    usage: Mutex<HashMap<String, Arc<Usage>>>,
    readers: Readers,
}

impl FileStore {
    /// Keeps files in a folder, which need not exist yet.
    pub fn in_folder(path: PathBuf, quota: FileQuota) -> Self {
        Self::of(Backend::Folder(FolderStore::new(path)), quota)
    }

    /// Keeps files in a bucket.
    ///
    /// # Errors
    /// The settings are wrong.
    pub fn in_bucket(options: S3Options, endpoint: Endpoint, quota: FileQuota) -> Result<Self, FilesError> {
        let store = S3Store::new(options, endpoint)?;
        Ok(Self::of(Backend::S3(Box::new(store)), quota))
    }

    fn of(backend: Backend, quota: FileQuota) -> Self {
        Self { backend, quota, usage: Mutex::default(), readers: Readers::default() }
    }

    /// How much the files of each brand may take.
    pub fn quota(&self) -> FileQuota {
        self.quota
    }

    /// Whether calls of the store wait for another server.
    pub fn is_remote(&self) -> bool {
        matches!(self.backend, Backend::S3(_))
    }

    /// Lets a visitor read a file of a brand. `None` if too many visitors, or too many of the visitor's network,
    /// read files of the service.
    pub fn enter(&self, brand: &str, visitor: Option<IpAddr>) -> Option<Reader> {
        match self.is_remote() {
            true => self.readers.enter(brand, visitor),
            false => Some(Reader::without_place()),
        }
    }

    /// Keeps a file that a visitor sent.
    ///
    /// # Errors
    /// The brand has no room for it, or the store fails. Nothing is kept then.
    pub async fn keep(
        &self,
        brand: &str,
        upload: &Upload,
        name: &str,
        is_public: bool,
    ) -> Result<FileId, FilesError> {
        let id = FileId::new(name, is_public, upload.media)?;
        let id = id.ok_or_else(|| FilesError::Settings("there are no random numbers".into()))?;
        let file = upload.reader()?;
        let bytes = upload.bytes;
        let list = self.list(brand, "", "", self.quota.files_max.saturating_add(1));
        let pending = self.usage_of(brand).reserve((&id, bytes), self.quota, list).await?;
        let stored = match &self.backend {
            Backend::Folder(folder) => {
                let (folder, brand, id) = (folder.clone(), brand.to_owned(), id.clone());
                blocking(move || folder.put(&brand, &id, file, bytes)).await
            }
            Backend::S3(s3) => s3.put(brand, &id, file, bytes).await,
        };
        stored?;
        pending.kept().await;
        Ok(id)
    }

    /// Deletes a file. It is no error if there is none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn delete(&self, brand: &str, id: &FileId) -> Result<(), FilesError> {
        let was_there = match &self.backend {
            Backend::Folder(folder) => {
                let (folder, brand, id) = (folder.clone(), brand.to_owned(), id.clone());
                blocking(move || folder.delete(&brand, &id)).await?
            }
            Backend::S3(s3) => s3.delete(brand, id).await?,
        };
        // Counting is work, so nobody can cause it with the id of no file.
        if was_there {
            self.usage_of(brand).deleted();
        }
        Ok(())
    }

    /// The files whose ids begin with `prefix` and come after `after`, in order.
    ///
    /// # Errors
    /// The store fails.
    pub async fn list(
        &self,
        brand: &str,
        prefix: &str,
        after: &str,
        limit: usize,
    ) -> Result<Vec<Kept>, FilesError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, brand) = (folder.clone(), brand.to_owned());
                let (prefix, after) = (prefix.to_owned(), after.to_owned());
                blocking(move || folder.list(&brand, &prefix, &after, limit)).await
            }
            Backend::S3(s3) => s3.list(brand, prefix, after, limit).await,
        }
    }

    /// The size of a file and since when it is kept. `None` if there is none.
    ///
    /// # Errors
    /// The store fails.
    pub async fn about(&self, brand: &str, id: &FileId) -> Result<Option<(u64, SystemTime)>, FilesError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, brand, id) = (folder.clone(), brand.to_owned(), id.clone());
                let found = blocking(move || folder.open(&brand, &id)).await?;
                Ok(found.map(|(_, bytes, kept_at)| (bytes, kept_at)))
            }
            Backend::S3(s3) => s3.about(brand, id).await,
        }
    }

    /// Opens a file. A service sends only the part that is asked for: where it begins, and how many bytes.
    /// `None` if there is no such file.
    ///
    /// # Errors
    /// The store fails.
    pub async fn open(
        &self,
        brand: &str,
        id: &FileId,
        part: Option<(u64, u64)>,
    ) -> Result<Option<Content>, FilesError> {
        match &self.backend {
            Backend::Folder(folder) => {
                let (folder, brand, id) = (folder.clone(), brand.to_owned(), id.clone());
                let found = blocking(move || folder.open(&brand, &id)).await?;
                Ok(found.map(|(file, ..)| Content::File(file)))
            }
            Backend::S3(s3) => {
                let found = s3.get(brand, id, part).await?;
                Ok(found.map(|body| Content::Service(Box::new(body))))
            }
        }
    }

    fn usage_of(&self, brand: &str) -> Arc<Usage> {
        Arc::clone(self.usage.lock().entry(brand.to_owned()).or_default())
    }
}

async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, FilesError> {
    let done = tokio::task::spawn_blocking(work).await.map_err(io::Error::other)?;
    Ok(done?)
}
