//! The embedded default: one SQLite file in WAL mode. Reads go to a pool; every
//! write goes through one writer, which takes all that wait into one transaction.

mod backup;
mod browse;
mod connection;
mod crm_load;
mod crm_read;
mod crm_schema;
mod crm_write;
mod job_admin;
mod jobs;
mod migrate;
mod rate;
mod readers;
mod session;
mod token;
mod transfer;
mod writer;

use std::path::PathBuf;
use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

pub use self::backup::backup;

use sluice_crm::{
    Address, Browse, BrowseStore, BrowsedEntry, CapsOfBrand, CrmCaps, CrmFault, CrmSchema, CrmStore,
    CrmWrite, CrmWritten, Ensured, Entity, EntitySpec, Entry, FieldKey, Job, JobChoice, JobCounts, JobRun,
    JobState, JobStore, Reference, Slug,
};
use sluice_kit::{BoxFuture, StoreError};
use sluice_session::rate::{RateStore, RateWindow};
use sluice_session::{
    SessionAddress, SessionEdit, SessionKey, SessionRow, SessionStamp, SessionStore, TokenStore,
};

use self::readers::Readers;
use self::writer::Writer;
use super::{Store, TransferStore};
use crate::error::SqlError;
use crate::transfer::{ImportFault, Part};

/// Where the database is and how it is used.
#[derive(Clone, Debug)]
pub struct SqliteOptions {
    /// The database file; made, with its folder, where there is none.
    pub path: PathBuf,
    /// Most connections that read at the same time.
    pub readers_max: usize,
    /// How long a statement waits for another process's lock.
    pub busy_ms_max: u64,
    /// How long a call waits for a connection, or for its turn to write.
    pub wait_ms_max: u64,
}

impl SqliteOptions {
    /// A file with default settings.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), readers_max: 4, busy_ms_max: 5_000, wait_ms_max: 10_000 }
    }

    fn busy_max(&self) -> Duration {
        Duration::from_millis(self.busy_ms_max)
    }

    fn wait_max(&self) -> Duration {
        Duration::from_millis(self.wait_ms_max)
    }
}

/// An open SQLite database, with its schema up to date.
pub struct SqliteStore {
    readers: Readers,
    writer: Writer,
}

impl SqliteStore {
    /// Opens the file and applies what is missing of the schema. Call it on the Tokio
    /// runtime that is to do the database's work; any runtime may use the store.
    pub async fn open(mut options: SqliteOptions) -> Result<Self, StoreError> {
        // SQLite would take a relative path that starts with "file:" for a URI.
        options.path =
            std::path::absolute(&options.path).map_err(|error| StoreError::Failed(error.to_string()))?;
        let opened = options.clone();
        let conn = tokio::task::spawn_blocking(move || {
            let mut conn = connection::open_writer(&opened)?;
            migrate::apply(&mut conn)?;
            Ok::<_, SqlError>(conn)
        })
        .await
        .map_err(|error| StoreError::Failed(error.to_string()))??;
        Ok(Self { writer: Writer::start(conn, options.wait_max())?, readers: Readers::new(&options)? })
    }
}

impl Store for SqliteStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(async {
            self.writer.close().await;
            self.readers.close();
        })
    }
}

impl SessionStore for SqliteStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        Box::pin(self.readers.read(move |conn| session::load(conn, &key, now_ms)))
    }

    fn commit_session(
        &self,
        at: SessionAddress,
        now_ms: i64,
        edit: SessionEdit,
    ) -> BoxFuture<'_, Result<Option<SessionStamp>, StoreError>> {
        Box::pin(self.writer.write(move |conn| session::commit(conn, &at, now_ms, edit)))
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| session::delete_expired(conn, now_ms, rows_max)))
    }
}

impl TokenStore for SqliteStore {
    fn spend_token(
        &self,
        brand: &str,
        token_id: [u8; 16],
        expires_at_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| token::spend(conn, &brand, token_id, expires_at_ms)))
    }

    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| token::delete_expired(conn, now_ms, rows_max)))
    }
}

impl BrowseStore for SqliteStore {
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>> {
        Box::pin(self.readers.read(move |conn| browse::entries(conn, &browse)))
    }
}

impl RateStore for SqliteStore {
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| rate::count(conn, &window)))
    }

    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| rate::delete_expired(conn, now_ms, rows_max)))
    }
}

impl CrmStore for SqliteStore {
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| crm_schema::apply(conn, &brand, &schema)))
    }

    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| crm_schema::ensure(conn, &brand, &entity, caps)))
    }

    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.readers.read(move |conn| crm_schema::list(conn, &brand)))
    }

    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.readers.read(move |conn| crm_schema::find(conn, &brand, slug.as_str())))
    }

    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        Box::pin(self.readers.read(move |conn| crm_read::fields(conn, &at, &keys, bytes_max)))
    }

    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>> {
        let (at, key) = (at.clone(), key.clone());
        Box::pin(self.readers.read(move |conn| crm_read::values_of_key(conn, &at, &key, limit, bytes_max)))
    }

    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>> {
        let at = at.clone();
        Box::pin(self.readers.read(move |conn| crm_read::entries(conn, &at, limit, bytes_max)))
    }

    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| crm_write::write(conn, &brand, &write, caps, now_ms)))
    }

    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| crm_write::adopt(conn, &brand, &from, &to, now_ms)))
    }
}

impl JobStore for SqliteStore {
    fn queue_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<i64, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(self.writer.write(move |conn| jobs::queue(conn, &brand, &write, caps, now_ms)))
    }

    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>> {
        Box::pin(async move {
            let is_due: Result<_, StoreError> =
                self.readers.read(move |conn| jobs::is_due(conn, now_ms)).await;
            if !is_due? {
                return Ok(Vec::new());
            }
            self.writer.write(move |conn| jobs::run(conn, &*caps, jobs_max, now_ms)).await
        })
    }

    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        let brand = brand.map(str::to_owned);
        Box::pin(self.readers.read(move |conn| job_admin::list(conn, brand.as_deref(), state, jobs_max)))
    }

    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>> {
        Box::pin(self.readers.read(|conn| job_admin::count(conn)))
    }

    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| job_admin::retry(conn, &which, now_ms)))
    }

    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| job_admin::drop_chosen(conn, &which)))
    }

    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.writer.write(move |conn| job_admin::delete_finished(conn, before_ms, rows_max)))
    }
}

impl TransferStore for SqliteStore {
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(self.readers.read(move |conn| transfer::export(conn, &to)))
    }

    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>> {
        Box::pin(self.writer.write(move |conn| transfer::import(conn, from)))
    }
}

#[cfg(test)]
mod tests;
