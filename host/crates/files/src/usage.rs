//! What the files of one brand take: those that were counted, and those that are being written.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::Mutex as AsyncMutex;

use crate::error::FilesError;
use crate::id::FileId;
use crate::kept::Kept;

/// How long the count of a brand's files is used. Other hosts may keep and delete files meanwhile.
const COUNTED: Duration = Duration::from_secs(60);

/// How much the files of each brand may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileQuota {
    /// Bytes.
    pub bytes_max: u64,
    /// Files.
    pub files_max: usize,
}

/// What a brand's files take, as far as this host knows.
#[derive(Default)]
pub(crate) struct Usage {
    /// Held while the files are counted, and while a file that is written joins those that are counted. So no
    /// file is missing from both.
    counting: AsyncMutex<()>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    bytes: u64,
    files: usize,
    counted_at: Option<Instant>,
    /// The files that are being written, and their bytes. They are not in the count.
    pending: HashMap<FileId, u64>,
    /// How many files were deleted so far.
    deleted: u64,
}

/// The room of a file that is being written. Dropping it gives the room back.
pub(crate) struct Pending {
    usage: Arc<Usage>,
    id: FileId,
}

impl Usage {
    /// Takes room for a file before it is written. `list` lists the brand's files.
    pub(crate) async fn reserve(
        self: &Arc<Self>,
        (id, bytes): (&FileId, u64),
        quota: FileQuota,
        list: impl Future<Output = Result<Vec<Kept>, FilesError>>,
    ) -> Result<Pending, FilesError> {
        // Only this brand waits while its files are counted.
        let _counting = self.counting.lock().await;
        let deleted = {
            let state = self.state.lock();
            let is_known = state.counted_at.is_some_and(|counted_at| counted_at.elapsed() <= COUNTED);
            (!is_known).then_some(state.deleted)
        };
        if let Some(deleted) = deleted {
            let all = list.await?;
            let mut state = self.state.lock();
            let counted = all.iter().filter(|kept| !state.pending.contains_key(&kept.id));
            let counted: Vec<u64> = counted.map(|kept| kept.bytes).collect();
            (state.bytes, state.files) = (counted.iter().sum(), counted.len());
            // What was deleted meanwhile may be in the count, which is then used only once.
            state.counted_at = (state.deleted == deleted).then(Instant::now);
        }
        let mut state = self.state.lock();
        if state.files.saturating_add(state.pending.len()) >= quota.files_max {
            return Err(FilesError::Full(format!("{} files", quota.files_max)));
        }
        let pending = state.pending.values().fold(0_u64, |sum, bytes| sum.saturating_add(*bytes));
        if state.bytes.saturating_add(pending).saturating_add(bytes) > quota.bytes_max {
            return Err(FilesError::Full(format!("{} bytes", quota.bytes_max)));
        }
        state.pending.insert(id.clone(), bytes);
        Ok(Pending { usage: Arc::clone(self), id: id.clone() })
    }

    /// A file was deleted. Its size is not known, so the files are counted anew.
    pub(crate) fn deleted(&self) {
        let mut state = self.state.lock();
        state.deleted += 1;
        state.counted_at = None;
    }
}

impl Pending {
    /// The file is written: It counts from now on.
    pub(crate) async fn kept(self) {
        let _counting = self.usage.counting.lock().await;
        let mut state = self.usage.state.lock();
        if let Some(bytes) = state.pending.remove(&self.id) {
            state.bytes = state.bytes.saturating_add(bytes);
            state.files = state.files.saturating_add(1);
        }
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        self.usage.state.lock().pending.remove(&self.id);
    }
}
