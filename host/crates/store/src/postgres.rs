//! PostgreSQL, for any number of hosts that share one database.
//!
//! Behind PgBouncer in transaction mode, two transactions of one host may use two connections
//! of the server. So there are no prepared statements, and settings and locks last for one
//! transaction.
//!
//! Each trait is implemented beside its statements, in the module of its subject.

mod batch;
mod breaker;
mod browse;
mod certificate;
mod changes;
mod commit;
mod crm;
mod database;
mod decode;
mod error;
mod failure_marks;
mod job_queue;
mod jobs;
mod migrate;
mod options;
mod page_cache;
mod queue;
mod rate;
mod schedule;
mod session;
mod storage;
mod tls;
mod token;
mod transfer;
mod usage;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use sluice_crm::CrmSchema;
use sluice_kit::{BadRow, BoxFuture, Cause, NoAnswer, StoreError};

pub use self::options::{PostgresOptions, UrlError};
pub use self::tls::{CertificateError, TlsError};

use self::batch::query;
use self::database::Database;
use self::error::corrupt;
use self::storage::KeyTurns;
use super::{PoolUsage, Store};

/// A starting host waits this long for the server before it starts without it.
const START_MAX: Duration = Duration::from_secs(10);
/// How often such a host tries to reach the server.
const JOIN_EVERY: Duration = Duration::from_secs(1);

/// An open PostgreSQL database whose schema is up to date.
pub(crate) struct PostgresStore {
    database: Database,
    declared: Declared,
    turns: KeyTurns,
}

/// The `crm.toml` of each brand, until the server answers for the first time. `None` afterwards.
#[derive(Clone, Default)]
struct Declared(Arc<Mutex<Option<BTreeMap<String, CrmSchema>>>>);

impl Declared {
    /// Keeps a schema that cannot be applied yet. Returns it if it can be.
    fn keep(&self, brand: &str, schema: CrmSchema) -> Option<CrmSchema> {
        match &mut *self.0.lock() {
            Some(kept) => {
                kept.insert(brand.to_owned(), schema);
                None
            }
            None => Some(schema),
        }
    }

    /// Keeps a schema again that could not be applied, unless there is a newer one.
    fn keep_older(&self, brand: String, schema: CrmSchema) {
        self.0.lock().get_or_insert_default().entry(brand).or_insert(schema);
    }

    /// Takes all schemas. If there are none, calls may use `database` from now on.
    fn take_or_resume(&self, database: &Database) -> BTreeMap<String, CrmSchema> {
        let mut declared = self.0.lock();
        let taken = declared.as_mut().map(std::mem::take).unwrap_or_default();
        if taken.is_empty() {
            *declared = None;
            database.resume();
        }
        taken
    }
}

impl PostgresStore {
    /// Connects and applies the missing migrations. Call it on the Tokio runtime that is to do
    /// the database's work. The store can then be used from any runtime.
    pub(crate) async fn open(options: PostgresOptions) -> Result<Self, StoreError> {
        let database = Database::new(&options)?;
        migrate::apply(&database).await?;
        Ok(Self { database, declared: Declared::default(), turns: KeyTurns::default() })
    }

    /// As [`open`](Self::open). If the server does not answer now, calls fail until it does, and
    /// the missing migrations and each `crm.toml` are applied then.
    pub(crate) async fn open_or_join_later(options: PostgresOptions) -> Result<Self, StoreError> {
        let database = Database::new(&options)?;
        let applied = tokio::time::timeout(START_MAX, migrate::apply(&database)).await;
        match applied.map_or_else(|_| Err(no_answer()), |applied| applied.map_err(StoreError::from)) {
            Err(error @ StoreError::Unavailable(_)) => Ok(Self::join_later(database, &error)),
            done => {
                done.map(|()| Self { database, declared: Declared::default(), turns: KeyTurns::default() })
            }
        }
    }

    /// Makes calls fail until the server answers.
    fn join_later(database: Database, error: &StoreError) -> Self {
        database.suspend(Cause::of(error));
        let declared = Declared(Arc::new(Mutex::new(Some(BTreeMap::new()))));
        let (joining, to_apply) = (database.clone(), declared.clone());
        tokio::spawn(async move {
            while !joining.is_closed() {
                tokio::time::sleep(JOIN_EVERY).await;
                match join(&joining, &to_apply).await {
                    Ok(()) => return,
                    Err(error) => joining.suspend(Cause::of(error)),
                }
            }
        });
        Self { database, declared, turns: KeyTurns::default() }
    }
}

/// Applies what a new host needs, and then lets calls use the database.
async fn join(database: &Database, declared: &Declared) -> Result<(), StoreError> {
    migrate::apply(database).await?;
    loop {
        let mut schemas = declared.take_or_resume(database);
        if schemas.is_empty() {
            return Ok(());
        }
        while let Some((brand, schema)) = schemas.pop_first() {
            let again = schema.clone();
            if let Err(error) = crm::apply_schema(database, &brand, schema).await {
                schemas.insert(brand, again);
                for (brand, schema) in schemas {
                    // A newer one may have been declared meanwhile.
                    declared.keep_older(brand, schema);
                }
                return Err(error);
            }
        }
    }
}

fn no_answer() -> StoreError {
    StoreError::Unavailable(NoAnswer::TimedOut { ms: START_MAX.as_millis() })
}

impl Store for PostgresStore {
    fn close(&self) -> BoxFuture<'_, ()> {
        Box::pin(self.database.close())
    }

    fn outage(&self) -> Option<String> {
        self.database.outage()
    }

    fn pool_usage(&self) -> PoolUsage {
        self.database.pool_usage()
    }

    fn size_bytes(&self) -> BoxFuture<'_, Result<u64, StoreError>> {
        self.database.run(|conn| {
            Box::pin(async move {
                let rows = query(conn, "SELECT pg_database_size(current_database())", []).await?;
                let row = rows.first().ok_or_else(|| corrupt("database size", BadRow::Missing))?;
                Ok(row.try_get::<_, i64>(0)?.unsigned_abs())
            })
        })
    }
}

#[cfg(test)]
mod tests;
