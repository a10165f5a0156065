//! A store that fails by seed, in front of a real one.

use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::Poll;
use std::time::Duration;

use fastrand::Rng;
use serde_json::Value;
use sluice_acme::{
    Answer, CertificateStore, Challenge, Holder, NameKey, NameState, OrderWindow, Pause, StoredCertificate,
};
use sluice_crm::{
    Address, Browse, BrowseStore, BrowsedEntry, CapsOfBrand, CrmCaps, CrmFault, CrmSchema, CrmStore,
    CrmWrite, CrmWritten, Ensured, Entity, EntitySpec, Entry, EntryId, FieldKey, Found, IndexStep, Job,
    JobChoice, JobCounts, JobRun, JobState, JobStore, Reference, Search, Slug, StageHistory,
};
use sluice_kit::{BoxFuture, NoAnswer, StoreError, database_time};
use sluice_page_cache::{Purge, PurgeStore};
use sluice_queue::{
    Claim, ClaimedJob, Ending, JobId, NewJob, QueueChoice, QueueCounts, QueueStore, QueuedJob, ScheduleState,
    ScheduleStore, State, Status, Tick, TickStart,
};
use sluice_session::rate::{RateStore, RateWindow};
use sluice_session::storage::SessionError;
use sluice_session::{
    Committed, RunCommit, SessionAddress, SessionKey, SessionRow, SessionStore, SessionUsage, TokenStore,
};
use sluice_storage::{
    AddDone, Area, Key, Listed, Listing, Place, Put, PutDone, StorageCaps, StorageStore, StoredValue,
};
use sluice_store::changes::{ChangeFilter, ChangeStore, KeptChange, OperatorChange};
use sluice_store::failure_marks::{FailureMark, FailureMarkStore, SeenKind};
use sluice_store::transfer::{ImportFault, Part, TransferStore};
use sluice_store::{PoolUsage, Store};
use tokio::sync::mpsc;

/// How a call fails.
#[derive(Clone, Copy, Debug)]
enum Failure {
    /// It works.
    None,
    /// The work is not begun.
    Before,
    /// The caller is told that it failed while the work goes on, or not.
    During,
    /// The work is done, and the caller is told that it failed.
    After,
    /// It works, but late.
    Slow,
    /// It takes all the time that the request has left, and the work is done or not.
    Hangs { is_done: bool },
}

/// The store. A call in four fails.
pub(crate) struct FailingStore {
    own: Arc<dyn Store>,
    rng: Mutex<Rng>,
}

impl FailingStore {
    pub(crate) fn new(own: Arc<dyn Store>, seed: u64) -> Self {
        Self { own, rng: Mutex::new(Rng::with_seed(seed)) }
    }

    fn choose(&self) -> Failure {
        let mut rng = self.rng.lock().unwrap();
        match rng.u32(0..400) {
            0..30 => Failure::Before,
            30..55 => Failure::During,
            55..85 => Failure::After,
            85..97 => Failure::Slow,
            97..99 => Failure::Hangs { is_done: rng.bool() },
            _ => Failure::None,
        }
    }

    /// Does the work of a call, unless the call fails.
    fn fail<'a, T, E>(&self, work: BoxFuture<'a, Result<T, E>>) -> BoxFuture<'a, Result<T, E>>
    where
        T: Send + 'a,
        E: From<StoreError> + Send + 'a,
    {
        let failure = self.choose();
        Box::pin(async move {
            let failed = || Err(StoreError::Unavailable(NoAnswer::NotOpened).into());
            match failure {
                Failure::None => work.await,
                Failure::Before => failed(),
                Failure::During => {
                    let mut work = pin!(work);
                    // Begins the work, and does not wait for it.
                    std::future::poll_fn(|context| Poll::Ready(work.as_mut().poll(context).is_ready())).await;
                    failed()
                }
                Failure::After => work.await.and_then(|_| failed()),
                Failure::Slow => {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                    work.await
                }
                Failure::Hangs { is_done } => {
                    if is_done {
                        work.await?;
                    }
                    let left = database_time::left().unwrap_or_default();
                    tokio::time::sleep(left).await;
                    database_time::spend(left);
                    Err(StoreError::Unavailable(NoAnswer::TimedOut { ms: left.as_millis() }).into())
                }
            }
        })
    }
}

/// Implements a trait with methods that may fail.
macro_rules! failing {
    ($trait:ident: $(fn $method:ident(&self $(, $argument:ident: $type:ty)*) -> $result:ty;)*) => {
        impl $trait for FailingStore {
            $(
                fn $method(&self $(, $argument: $type)*) -> BoxFuture<'_, $result> {
                    self.fail(self.own.$method($($argument),*))
                }
            )*
        }
    };
}

failing! { SessionStore:
    fn load_session(&self, key: SessionKey, now_ms: i64) -> Result<Option<SessionRow>, StoreError>;
    fn commit_run(&self, commit: RunCommit, now_ms: i64) -> Result<Committed, SessionError>;
    fn confirm_session(&self, at: SessionAddress) -> Result<(), StoreError>;
    fn session_usage(&self) -> Result<Vec<(String, SessionUsage)>, StoreError>;
    fn evict_sessions(&self, brand: String, rows_max: u32) -> Result<SessionUsage, StoreError>;
    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { TokenStore:
    fn is_token_used(&self, brand: &str, token_id: [u8; 16]) -> Result<bool, StoreError>;
    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { RateStore:
    fn count_request(&self, window: RateWindow) -> Result<u32, StoreError>;
    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { CrmStore:
    fn apply_crm_schema(&self, brand: &str, schema: CrmSchema) -> Result<Vec<String>, StoreError>;
    fn ensure_entity(&self, brand: &str, entity: EntitySpec, caps: CrmCaps) -> Result<Ensured, CrmFault>;
    fn find_entity(&self, brand: &str, slug: Slug) -> Result<Option<Entity>, StoreError>;
    fn entity_slugs(&self, brand: &str, first: Option<Slug>, slugs_max: u32) -> Result<Vec<String>, StoreError>;
    fn list_entities(&self, brand: &str) -> Result<Vec<Entity>, StoreError>;
    fn get_fields(&self, at: &Address, keys: &[FieldKey], bytes_max: usize) -> Result<Vec<Option<Value>>, CrmFault>;
    fn get_values(&self, at: &Address, key: &FieldKey, limit: u32, bytes_max: usize) -> Result<Vec<Value>, CrmFault>;
    fn get_entries(&self, at: &Address, limit: u32, bytes_max: usize) -> Result<Vec<Entry>, CrmFault>;
    fn get_entry(&self, brand: &str, slug: Slug, id: EntryId, bytes_max: usize) -> Result<Option<BrowsedEntry>, CrmFault>;
    fn entry_reference(&self, brand: &str, slug: Slug, id: EntryId) -> Result<Option<Reference>, CrmFault>;
    fn search_entries(&self, brand: &str, search: Search) -> Result<Found, CrmFault>;
    fn build_index(&self, brand: Option<&str>) -> Result<Option<IndexStep>, StoreError>;
    fn write_crm(&self, brand: &str, write: CrmWrite, caps: CrmCaps, now_ms: i64) -> Result<CrmWritten, CrmFault>;
    fn adopt_reference(&self, brand: &str, from: Reference, to: Reference, now_ms: i64) -> Result<u64, StoreError>;
}

failing! { JobStore:
    fn check_job(&self, brand: &str, write: &CrmWrite, queued_bytes: u64, caps: CrmCaps, now_ms: i64) -> Result<(), CrmFault>;
    fn run_jobs(&self, caps: CapsOfBrand, jobs_max: u32, now_ms: i64) -> Result<Vec<JobRun>, StoreError>;
    fn list_jobs(&self, brand: Option<&str>, state: Option<JobState>, jobs_max: u32) -> Result<Vec<Job>, StoreError>;
    fn count_jobs(&self) -> Result<JobCounts, StoreError>;
    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> Result<u32, StoreError>;
    fn drop_jobs(&self, which: JobChoice) -> Result<u32, StoreError>;
    fn count_parked_jobs(&self, brands_max: u32) -> Result<Vec<(String, u64)>, StoreError>;
    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { BrowseStore:
    fn browse_entries(&self, browse: Browse) -> Result<Vec<BrowsedEntry>, CrmFault>;
    fn stage_history(&self, brand: &str, slug: Slug, id: EntryId) -> Result<Option<StageHistory>, CrmFault>;
}

failing! { StorageStore:
    fn get(&self, at: &Place, key: &Key, now_ms: i64) -> Result<Option<StoredValue>, StoreError>;
    fn has(&self, at: &Place, key: &Key, now_ms: i64) -> Result<bool, StoreError>;
    fn put(&self, at: &Place, put: Put, caps: StorageCaps, now_ms: i64) -> Result<PutDone, StoreError>;
    fn add(&self, at: &Place, key: &Key, amount: f64, expires_at: Option<i64>, caps: StorageCaps, now_ms: i64) -> Result<AddDone, StoreError>;
    fn remove(&self, at: &Place, key: &Key) -> Result<(), StoreError>;
    fn list(&self, at: &Place, listing: Listing, now_ms: i64) -> Result<Listed, StoreError>;
    fn forget(&self, area: Area, brand: &str, expired_by: i64, rows_max: u32) -> Result<u32, StoreError>;
    fn delete_expired_values(&self, area: Area, now_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { QueueStore:
    fn queued_jobs_of(&self, brand: &str, count_max: u64) -> Result<u64, StoreError>;
    fn cancel_queued(&self, brand: &str, tag: &str) -> Result<u32, StoreError>;
    fn queued_status(&self, brand: &str, id: &JobId) -> Result<Option<Status>, StoreError>;
    fn due_brands(&self, now_ms: i64) -> Result<Vec<String>, StoreError>;
    fn claim_queued(&self, brand: &str, now_ms: i64, until_ms: i64) -> Result<Option<ClaimedJob>, StoreError>;
    fn renew_claims(&self, claims: Vec<Claim>, until_ms: i64) -> Result<(), StoreError>;
    fn add_queued(&self, brand: &str, job: NewJob, jobs_max: u64, now_ms: i64) -> Result<bool, StoreError>;
    fn end_claim(&self, claim: Claim, ending: Ending, now_ms: i64) -> Result<bool, StoreError>;
    fn list_queued(&self, brand: Option<&str>, state: Option<State>, jobs_max: u32) -> Result<Vec<QueuedJob>, StoreError>;
    fn find_queued(&self, id: &JobId) -> Result<Option<QueuedJob>, StoreError>;
    fn queued_payload(&self, id: &JobId) -> Result<Option<Vec<u8>>, StoreError>;
    fn count_queued(&self, now_ms: i64) -> Result<QueueCounts, StoreError>;
    fn retry_queued(&self, which: QueueChoice, now_ms: i64) -> Result<u32, StoreError>;
    fn drop_queued(&self, which: QueueChoice) -> Result<u32, StoreError>;
    fn delete_excess_queued(&self, kept_max: u32, rows_max: u32) -> Result<u32, StoreError>;
    fn count_parked_queued(&self, brands_max: u32) -> Result<Vec<(String, u64)>, StoreError>;
    fn delete_finished_queued(&self, before_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

failing! { ScheduleStore:
    fn see_schedule(&self, brand: &str, name: &str, rule: &str, from_ms: i64) -> Result<i64, StoreError>;
    fn start_tick(&self, tick: Tick, jobs_max: u64, now_ms: i64) -> Result<TickStart, StoreError>;
    fn list_schedules(&self, brand: Option<&str>) -> Result<Vec<ScheduleState>, StoreError>;
}

failing! { CertificateStore:
    fn acme_account(&self, directory: &str) -> Result<Option<Vec<u8>>, StoreError>;
    fn replace_acme_account(&self, directory: &str, old: Option<Vec<u8>>, sealed: Vec<u8>) -> Result<Vec<u8>, StoreError>;
    fn acme_names(&self) -> Result<Vec<NameState>, StoreError>;
    fn certificate(&self, key: &NameKey) -> Result<Option<StoredCertificate>, StoreError>;
    fn lease_name(&self, key: &NameKey, holder: Holder, until: i64, seen: Option<i64>, now_ms: i64) -> Result<bool, StoreError>;
    fn save_certificate(&self, key: &NameKey, holder: Holder, certificate: StoredCertificate) -> Result<bool, StoreError>;
    fn postpone_name(&self, key: &NameKey, holder: Holder, pause: Pause) -> Result<bool, StoreError>;
    fn pause_authority(&self, directory: &str, pause: Pause) -> Result<(), StoreError>;
    fn put_answer(&self, answer: Answer) -> Result<(), StoreError>;
    fn remove_answer(&self, challenge: Challenge, asked: &str) -> Result<(), StoreError>;
    fn answers(&self, now_ms: i64, rows_max: u32) -> Result<Vec<Answer>, StoreError>;
    fn count_order(&self, window: OrderWindow) -> Result<u32, StoreError>;
    fn delete_expired_answers(&self, before: i64, rows_max: u32) -> Result<u32, StoreError>;
    fn delete_unused_names(&self, before: i64, rows_max: u32) -> Result<u32, StoreError>;
}

impl PurgeStore for FailingStore {
    fn purge<'a>(
        &'a self,
        brand: &'a str,
        tag: &'a str,
        now_ms: i64,
    ) -> BoxFuture<'a, Result<i64, StoreError>> {
        self.fail(self.own.purge(brand, tag, now_ms))
    }

    fn purges_since(&self, since_ms: i64) -> BoxFuture<'_, Result<Vec<Purge>, StoreError>> {
        self.fail(self.own.purges_since(since_ms))
    }

    fn delete_old_purges(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.fail(self.own.delete_old_purges(before_ms, rows_max))
    }
}

impl ChangeStore for FailingStore {
    fn add_change(&self, change: OperatorChange, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        self.fail(self.own.add_change(change, rows_max))
    }

    fn list_changes(&self, filter: ChangeFilter) -> BoxFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        self.fail(self.own.list_changes(filter))
    }
}

failing! { FailureMarkStore:
    fn mark_failure(&self, mark: FailureMark, rows_max: u32) -> Result<(), StoreError>;
    fn unmark_failure(&self, brand: String, kind: String) -> Result<bool, StoreError>;
    fn list_failure_marks(&self, brand: Option<String>, rows_max: u32) -> Result<Vec<FailureMark>, StoreError>;
    fn note_seen_failures(&self, seen: Vec<SeenKind>) -> Result<(), StoreError>;
    fn delete_old_failure_marks(&self, before_ms: i64, now_ms: i64, rows_max: u32) -> Result<u32, StoreError>;
}

impl TransferStore for FailingStore {
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.own.export_rows(to)
    }

    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>> {
        self.own.import_rows(from)
    }
}

impl Store for FailingStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        self.own.close()
    }

    fn pool_usage(&self) -> PoolUsage {
        self.own.pool_usage()
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.own.size_bytes()
    }
}
