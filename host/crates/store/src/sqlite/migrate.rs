//! Applies missing migrations. Of several hosts that start together, one applies them.

use rusqlite::Connection;

use sluice_kit::StoreError;

use super::connection::retry_while_locked;
use crate::error::SqlError;

/// Version, name and statements. Versions count from 1 without gaps. Never edit a released file:
/// add the next one.
const MIGRATIONS: &[(i64, &str, &str)] = &[
    (1, "0001_init", include_str!("../migrations/sqlite/0001_init.sql")),
    (2, "0002_used_token", include_str!("../migrations/sqlite/0002_used_token.sql")),
    (3, "0003_rate", include_str!("../migrations/sqlite/0003_rate.sql")),
    (4, "0004_jobs", include_str!("../migrations/sqlite/0004_jobs.sql")),
    (5, "0005_session_kind", include_str!("../migrations/sqlite/0005_session_kind.sql")),
    (6, "0006_crm_settings", include_str!("../migrations/sqlite/0006_crm_settings.sql")),
    (7, "0007_storage", include_str!("../migrations/sqlite/0007_storage.sql")),
    (8, "0008_queue", include_str!("../migrations/sqlite/0008_queue.sql")),
    (9, "0009_crm_index", include_str!("../migrations/sqlite/0009_crm_index.sql")),
    (10, "0010_acme", include_str!("../migrations/sqlite/0010_acme.sql")),
    (11, "0011_stage_history", include_str!("../migrations/sqlite/0011_stage_history.sql")),
    (12, "0012_acme_problem", include_str!("../migrations/sqlite/0012_acme_problem.sql")),
    (13, "0013_schedule", include_str!("../migrations/sqlite/0013_schedule.sql")),
    (14, "0014_page_purge", include_str!("../migrations/sqlite/0014_page_purge.sql")),
    (15, "0015_operator_change", include_str!("../migrations/sqlite/0015_operator_change.sql")),
    (16, "0016_failure_mark", include_str!("../migrations/sqlite/0016_failure_mark.sql")),
];

/// How long a starting host waits for another one that applies migrations.
const WAIT: std::time::Duration = std::time::Duration::from_secs(60);

/// Applies the missing migrations in one transaction. The write lock excludes other hosts from
/// before the version is read until after it is recorded.
pub(super) fn apply(conn: &mut Connection) -> Result<(), SqlError> {
    apply_list(conn, MIGRATIONS)
}

fn apply_list(conn: &mut Connection, migrations: &[(i64, &str, &str)]) -> Result<(), SqlError> {
    retry_while_locked(WAIT, || conn.execute_batch("BEGIN IMMEDIATE"))?;
    let done = apply_missing(conn, migrations);
    let end = if done.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = conn.execute_batch(end);
    for name in done? {
        tracing::info!(migration = name, "applied to the database");
    }
    Ok(ended?)
}

fn apply_missing<'a>(
    conn: &Connection,
    migrations: &[(i64, &'a str, &str)],
) -> Result<Vec<&'a str>, SqlError> {
    conn.execute_batch(
        "CREATE TABLE IF NOT EXISTS schema_migration
             (version INTEGER PRIMARY KEY, name TEXT NOT NULL) STRICT",
    )?;
    let found: i64 =
        conn.query_row("SELECT coalesce(max(version), 0) FROM schema_migration", [], |row| row.get(0))?;
    let known = migrations.last().map_or(0, |(version, ..)| *version);
    if found > known {
        return Err(StoreError::TooNew { found, known }.into());
    }
    let mut applied = Vec::new();
    for (version, name, sql) in migrations.iter().filter(|(version, ..)| *version > found) {
        conn.execute_batch(sql)?;
        conn.execute("INSERT INTO schema_migration (version, name) VALUES (?1, ?2)", (version, name))?;
        applied.push(*name);
    }
    Ok(applied)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_have_no_gaps_and_match_their_names() {
        for ((version, name, _), expected) in MIGRATIONS.iter().zip(1..) {
            assert_eq!(*version, expected);
            assert!(name.starts_with(&format!("{expected:04}_")), "{name}");
        }
    }

    #[test]
    fn applies_missing_migrations_and_rolls_back_failed_ones() {
        let mut conn = Connection::open_in_memory().unwrap();
        let first = (1, "0001_a", "CREATE TABLE a (x)");
        apply_list(&mut conn, &[first]).unwrap();
        apply_list(&mut conn, &[first]).unwrap();
        let broken = (3, "0003_c", "CREATE TABLE oops (");
        let second = (2, "0002_b", "CREATE TABLE b (x)");
        apply_list(&mut conn, &[first, second, broken]).unwrap_err();
        assert!(conn.execute_batch("SELECT * FROM b").is_err());
        apply_list(&mut conn, &[first, second]).unwrap();
        conn.execute_batch("SELECT * FROM b").unwrap();
        assert_eq!(apply_list(&mut conn, &[first]), Err(StoreError::TooNew { found: 2, known: 1 }.into()));
    }
}
