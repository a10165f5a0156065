//! PostgreSQL, for any number of hosts on one database.
//!
//! Behind PgBouncer in transaction mode two transactions of one host may be on two
//! connections of the server. So there are no prepared statements, no settings that
//! outlive a transaction and no locks that do.

mod batch;
mod browse;
mod crm_load;
mod crm_read;
mod crm_schema;
mod crm_write;
mod database;
mod error;
mod jobs;
mod migrate;
mod options;
mod rate;
mod session;
mod tls;
mod token;
mod transfer;

use std::time::Duration;

use serde_json::Value;
use tokio::sync::mpsc;

use self::database::Database;
pub use self::options::PostgresOptions;

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

use super::{Store, TransferStore};
use crate::error::SqlError;
use crate::transfer::{ImportFault, Part};

/// For one job: longer than the server's own limits, so that a job that meets those is
/// marked and does not hold up the others.
const JOB_MAX: Duration = Duration::from_secs(15);

/// For moving a whole database, which an operator watches.
const TRANSFER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// An open PostgreSQL database, with its schema up to date.
pub struct PostgresStore {
    database: Database,
}

impl PostgresStore {
    /// Connects and applies what is missing of the schema. Call it on the Tokio runtime
    /// that is to do the database's work; any runtime may use the store.
    pub async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let database = Database::new(&options)?;
        migrate::apply(&database).await?;
        Ok(Self { database })
    }
}

impl Store for PostgresStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.database.close())
    }
}

impl SessionStore for PostgresStore {
    fn load_session(
        &self,
        key: SessionKey,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Option<SessionRow>, StoreError>> {
        Box::pin(
            self.database.run(move |conn| Box::pin(async move { session::load(conn, &key, now_ms).await })),
        )
    }

    fn commit_session(
        &self,
        at: SessionAddress,
        now_ms: i64,
        edit: SessionEdit,
    ) -> BoxFuture<'_, Result<Option<SessionStamp>, StoreError>> {
        Box::pin(
            self.database
                .run(move |conn| Box::pin(async move { session::commit(conn, &at, now_ms, edit).await })),
        )
    }

    fn delete_expired_sessions(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.database.run(move |conn| Box::pin(session::delete_expired(conn, now_ms, rows_max))))
    }
}

impl TokenStore for PostgresStore {
    fn spend_token(
        &self,
        brand: &str,
        token_id: [u8; 16],
        expires_at_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.database.run(move |conn| {
            Box::pin(async move { token::spend(conn, &brand, &token_id, expires_at_ms).await })
        }))
    }

    fn delete_expired_tokens(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.database.run(move |conn| Box::pin(token::delete_expired(conn, now_ms, rows_max))))
    }
}

impl BrowseStore for PostgresStore {
    fn browse_entries(&self, browse: Browse) -> BoxFuture<'_, Result<Vec<BrowsedEntry>, CrmFault>> {
        Box::pin(self.database.run(move |conn| Box::pin(async move { browse::entries(conn, &browse).await })))
    }
}

impl RateStore for PostgresStore {
    fn count_request(&self, window: RateWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.database.run(move |conn| Box::pin(async move { rate::count(conn, &window).await })))
    }

    fn delete_expired_rates(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.database.run(move |conn| Box::pin(rate::delete_expired(conn, now_ms, rows_max))))
    }
}

impl CrmStore for PostgresStore {
    fn apply_crm_schema(
        &self,
        brand: &str,
        schema: CrmSchema,
    ) -> BoxFuture<'_, Result<Vec<String>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.database.run_within(migrate::WAIT, move |conn| {
            Box::pin(async move { crm_schema::apply(conn, &brand, &schema).await })
        }))
    }

    fn ensure_entity(
        &self,
        brand: &str,
        entity: EntitySpec,
        caps: CrmCaps,
    ) -> BoxFuture<'_, Result<Ensured, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(
            self.database.run(move |conn| {
                Box::pin(async move { crm_schema::ensure(conn, &brand, &entity, caps).await })
            }),
        )
    }

    fn find_entity(&self, brand: &str, slug: Slug) -> BoxFuture<'_, Result<Option<Entity>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(
            self.database.run(move |conn| {
                Box::pin(async move { crm_schema::find(conn, &brand, slug.as_str()).await })
            }),
        )
    }

    fn list_entities(&self, brand: &str) -> BoxFuture<'_, Result<Vec<Entity>, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.database.run(move |conn| Box::pin(async move { crm_schema::list(conn, &brand).await })))
    }

    fn get_fields(
        &self,
        at: &Address,
        keys: &[FieldKey],
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Option<Value>>, CrmFault>> {
        let (at, keys) = (at.clone(), keys.to_vec());
        Box::pin(
            self.database.run(move |conn| {
                Box::pin(async move { crm_read::fields(conn, &at, &keys, bytes_max).await })
            }),
        )
    }

    fn get_values(
        &self,
        at: &Address,
        key: &FieldKey,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Value>, CrmFault>> {
        let (at, key) = (at.clone(), key.clone());
        Box::pin(self.database.run(move |conn| {
            Box::pin(async move { crm_read::values_of_key(conn, &at, &key, limit, bytes_max).await })
        }))
    }

    fn get_entries(
        &self,
        at: &Address,
        limit: u32,
        bytes_max: usize,
    ) -> BoxFuture<'_, Result<Vec<Entry>, CrmFault>> {
        let at = at.clone();
        Box::pin(
            self.database.run(move |conn| {
                Box::pin(async move { crm_read::entries(conn, &at, limit, bytes_max).await })
            }),
        )
    }

    fn write_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<CrmWritten, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(self.database.run(move |conn| {
            Box::pin(async move { crm_write::write(conn, &brand, &write, caps, now_ms).await })
        }))
    }

    fn adopt_reference(
        &self,
        brand: &str,
        from: Reference,
        to: Reference,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<u64, StoreError>> {
        let brand = brand.to_owned();
        Box::pin(self.database.run(move |conn| {
            Box::pin(
                async move { Ok::<_, SqlError>(crm_write::adopt(conn, &brand, (&from, &to), now_ms).await?) },
            )
        }))
    }
}

impl JobStore for PostgresStore {
    fn queue_crm(
        &self,
        brand: &str,
        write: CrmWrite,
        caps: CrmCaps,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<i64, CrmFault>> {
        let brand = brand.to_owned();
        Box::pin(
            self.database.run(move |conn| {
                Box::pin(async move { jobs::queue(conn, &brand, &write, caps, now_ms).await })
            }),
        )
    }

    fn run_jobs(
        &self,
        caps: CapsOfBrand,
        jobs_max: u32,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<Vec<JobRun>, StoreError>> {
        Box::pin(async move {
            let mut runs = Vec::new();
            for _ in 0..jobs_max {
                let caps = caps.clone();
                let run = self.database.run_within(JOB_MAX, move |conn| {
                    Box::pin(async move { jobs::run_one(conn, &caps, now_ms).await })
                });
                match run.await {
                    Ok(Some(run)) => runs.push(run),
                    Ok(None) => break,
                    // What is done is told; who asks again is told of the error.
                    Err(_) if !runs.is_empty() => break,
                    Err(error) => return Err(error),
                }
            }
            Ok(runs)
        })
    }

    fn list_jobs(
        &self,
        brand: Option<&str>,
        state: Option<JobState>,
        jobs_max: u32,
    ) -> BoxFuture<'_, Result<Vec<Job>, StoreError>> {
        let brand = brand.map(str::to_owned);
        Box::pin(self.database.run(move |conn| {
            Box::pin(async move { jobs::list(conn, brand.as_deref(), state, jobs_max).await })
        }))
    }

    fn count_jobs(&self) -> BoxFuture<'_, Result<JobCounts, StoreError>> {
        Box::pin(self.database.run(|conn| Box::pin(jobs::count(conn))))
    }

    fn retry_jobs(&self, which: JobChoice, now_ms: i64) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(
            self.database.run(move |conn| Box::pin(async move { jobs::retry(conn, &which, now_ms).await })),
        )
    }

    fn drop_jobs(&self, which: JobChoice) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(
            self.database.run(move |conn| Box::pin(async move { jobs::drop_chosen(conn, &which).await })),
        )
    }

    fn delete_finished_jobs(&self, before_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        Box::pin(self.database.run(move |conn| Box::pin(jobs::delete_finished(conn, before_ms, rows_max))))
    }
}

impl TransferStore for PostgresStore {
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>> {
        Box::pin(
            self.database.run_within(TRANSFER_MAX, move |conn| {
                Box::pin(async move { transfer::export(conn, &to).await })
            }),
        )
    }

    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>> {
        Box::pin(self.database.run_within(TRANSFER_MAX, move |conn| Box::pin(transfer::import(conn, from))))
    }
}

#[cfg(test)]
mod tests;
