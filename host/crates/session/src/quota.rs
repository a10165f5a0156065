//! The quota of sessions that each brand has.

use sluice_kit::StoreError;

use crate::{SessionStore, SessionUsage};

/// Sessions that are deleted at a time, so that other writes do not wait long.
const BATCH_ROWS: u32 = 500;

/// The most that one brand may store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SessionQuota {
    /// Sessions.
    pub rows_max: u64,
    /// Bytes of their contents.
    pub bytes_max: u64,
}

impl SessionQuota {
    /// Deletes sessions of every brand that exceeds its quota, in bounded batches. Call this in the
    /// background, from time to time.
    ///
    /// # Errors
    /// The database failed. Some sessions may have been deleted.
    pub async fn enforce(self, store: &(impl SessionStore + ?Sized)) -> Result<(), StoreError> {
        for (brand, mut usage) in store.session_usage().await? {
            let mut deleted = 0;
            while let Some(rows) = self.excess(usage) {
                let gone = store.evict_sessions(brand.clone(), rows).await?;
                if gone.rows == 0 {
                    break;
                }
                usage.rows = usage.rows.saturating_sub(gone.rows);
                usage.bytes = usage.bytes.saturating_sub(gone.bytes);
                deleted += gone.rows;
            }
            if deleted > 0 {
                tracing::warn!(
                    brand,
                    deleted,
                    "the brand had more sessions than session.rows_max or session.bytes_max allows: the \
                     oldest were deleted, those of anonymous visitors first"
                );
            }
        }
        Ok(())
    }

    /// How many sessions to delete next. `None` if the usage is within the quota. If the bytes are
    /// over, this assumes that sessions have about the same size, and the next call corrects it.
    fn excess(self, usage: SessionUsage) -> Option<u32> {
        let rows = usage.rows.saturating_sub(self.rows_max);
        let bytes = usage.bytes.saturating_sub(self.bytes_max);
        let average = usage.bytes.checked_div(usage.rows).unwrap_or(0).max(1);
        let excess = rows.max(bytes.div_ceil(average)).min(usage.rows);
        (excess > 0).then(|| u32::try_from(excess).unwrap_or(BATCH_ROWS).min(BATCH_ROWS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn deletes_no_more_than_the_excess() {
        let quota = SessionQuota { rows_max: 100, bytes_max: 10_000 };
        let excess = |rows, bytes| quota.excess(SessionUsage { rows, bytes });
        assert_eq!(excess(0, 0), None);
        assert_eq!(excess(100, 10_000), None);
        assert_eq!(excess(101, 5_000), Some(1));
        assert_eq!(excess(50, 10_001), Some(1));
        assert_eq!(excess(50, 20_000), Some(25));
        assert_eq!(excess(9_000, 5_000), Some(BATCH_ROWS));
    }
}
