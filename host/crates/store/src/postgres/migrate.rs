//! Applies missing migrations. Of several hosts that start together, one applies them.

use tokio_postgres::Client;

use sluice_kit::{BoxFuture, StoreError};

use super::batch::execute;
use super::database::Database;
use crate::error::SqlError;

/// Versions count from 1 without gaps. Never edit a released file: add the next one.
const MIGRATIONS: &[Migration] = &[
    (1, "0001_init", include_str!("../migrations/postgres/0001_init.sql")),
    (2, "0002_used_token", include_str!("../migrations/postgres/0002_used_token.sql")),
    (3, "0003_rate", include_str!("../migrations/postgres/0003_rate.sql")),
    (4, "0004_jobs", include_str!("../migrations/postgres/0004_jobs.sql")),
    (5, "0005_session_kind", include_str!("../migrations/postgres/0005_session_kind.sql")),
    (6, "0006_crm_settings", include_str!("../migrations/postgres/0006_crm_settings.sql")),
    (7, "0007_storage", include_str!("../migrations/postgres/0007_storage.sql")),
    (8, "0008_queue", include_str!("../migrations/postgres/0008_queue.sql")),
    (9, "0009_crm_index", include_str!("../migrations/postgres/0009_crm_index.sql")),
    (10, "0010_acme", include_str!("../migrations/postgres/0010_acme.sql")),
    (11, "0011_stage_history", include_str!("../migrations/postgres/0011_stage_history.sql")),
    (12, "0012_acme_problem", include_str!("../migrations/postgres/0012_acme_problem.sql")),
    (13, "0013_schedule", include_str!("../migrations/postgres/0013_schedule.sql")),
    (14, "0014_page_purge", include_str!("../migrations/postgres/0014_page_purge.sql")),
    (15, "0015_operator_change", include_str!("../migrations/postgres/0015_operator_change.sql")),
    (16, "0016_failure_mark", include_str!("../migrations/postgres/0016_failure_mark.sql")),
];

/// How long a starting host waits for another one that applies migrations, and how long its own may take: some
/// of them rewrite a table. A host that waits serves without the database meanwhile.
const MIGRATING_MAX: std::time::Duration = std::time::Duration::from_secs(1_800);

/// How long a host waits for another one that applies a declaration, and how long its own may take.
pub(super) const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// The lock lasts until the end of the transaction, so a host that dies does not block others. The
/// number only has to be the same for all hosts.
const BEGIN: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SELECT pg_advisory_xact_lock(7311047239); \
    CREATE TABLE IF NOT EXISTS schema_migration (version BIGINT PRIMARY KEY, name TEXT NOT NULL)";

/// Applies the missing migrations in one transaction.
pub(super) async fn apply(database: &Database) -> Result<(), SqlError> {
    let applying: BoxFuture<'_, Result<_, StoreError>> =
        database.run_first(MIGRATING_MAX, |conn| Box::pin(apply_list(conn, MIGRATIONS)));
    for name in applying.await? {
        tracing::info!(migration = name, "applied to the database");
    }
    Ok(())
}

/// Version, name and statements.
type Migration = (i64, &'static str, &'static str);

async fn apply_list(conn: &Client, migrations: &'static [Migration]) -> Result<Vec<&'static str>, SqlError> {
    execute(conn, BEGIN).await?;
    let newest = "SELECT coalesce(max(version), 0) FROM schema_migration";
    let row = conn.query_typed_one(newest, &[]).await?;
    let found: i64 = row.try_get(0)?;
    let known = migrations.last().map_or(0, |(version, ..)| *version);
    if found > known {
        return Err(StoreError::TooNew { found, known }.into());
    }
    let mut applied = Vec::new();
    for (version, name, sql) in migrations.iter().filter(|(version, ..)| *version > found) {
        execute(conn, sql).await?;
        let record = format!("INSERT INTO schema_migration (version, name) VALUES ({version}, '{name}')");
        execute(conn, &record).await?;
        applied.push(*name);
    }
    execute(conn, "COMMIT").await?;
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::MIGRATIONS;

    #[test]
    fn versions_have_no_gaps_and_match_their_names() {
        for ((version, name, _), expected) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(*version, expected);
            assert!(name.starts_with(&format!("{expected:04}_")), "{name}");
        }
    }
}
