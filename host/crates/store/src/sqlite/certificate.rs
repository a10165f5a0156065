//! Certificates by ACME.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use sluice_acme::{
    Answer, CertificateStore, Challenge, Holder, NameKey, NameState, OrderWindow, Pause, StoredCertificate,
};
use sluice_kit::{BoxFuture, StoreError};

use super::SqliteStore;
use super::connection::first;
use crate::certificate_rows::{NameRow, challenge, issue};

const ACCOUNT: &str = "SELECT sealed FROM acme_account WHERE directory = ?1";

const REPLACE_ACCOUNT: &str = "INSERT INTO acme_account (directory, sealed) VALUES (?1, ?2)
     ON CONFLICT (directory) DO UPDATE SET sealed = excluded.sealed WHERE acme_account.sealed IS ?3";

const NAMES: &str = "SELECT directory, name, revision, not_before, not_after, failures, next_at, problem
     FROM acme_name";

const CERTIFICATE: &str = "SELECT revision, not_before, not_after, chain, sealed_key FROM acme_name
     WHERE directory = ?1 AND name = ?2 AND revision IS NOT NULL";

const LEASE: &str = "INSERT INTO acme_name (directory, name, lease_by, lease_until)
     VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (directory, name) DO UPDATE
         SET lease_by = excluded.lease_by, lease_until = excluded.lease_until
     WHERE acme_name.lease_until <= ?5 AND acme_name.next_at <= ?5 AND acme_name.revision IS ?6";

const SAVE: &str = "UPDATE acme_name SET revision = ?4, not_before = ?5, not_after = ?6, chain = ?7,
         sealed_key = ?8, failures = 0, next_at = 0, problem = '', lease_by = NULL, lease_until = 0
     WHERE directory = ?1 AND name = ?2 AND lease_by = ?3";

const POSTPONE: &str = "UPDATE acme_name
     SET failures = ?4, next_at = ?5, problem = ?6, lease_by = NULL, lease_until = 0
     WHERE directory = ?1 AND name = ?2 AND lease_by = ?3";

const PAUSE: &str = "INSERT INTO acme_name (directory, name, failures, next_at, problem)
     VALUES (?1, '', ?2, ?3, ?4)
     ON CONFLICT (directory, name) DO UPDATE
         SET failures = excluded.failures, next_at = excluded.next_at, problem = excluded.problem";

const PUT_ANSWER: &str = "INSERT INTO acme_answer (challenge, asked, value, expires_at)
     VALUES (?1, ?2, ?3, ?4)
     ON CONFLICT (challenge, asked) DO UPDATE
         SET value = excluded.value, expires_at = excluded.expires_at";

const REMOVE_ANSWER: &str = "DELETE FROM acme_answer WHERE challenge = ?1 AND asked = ?2";

const ANSWERS: &str = "SELECT challenge, asked, value, expires_at FROM acme_answer
     WHERE expires_at > ?1 ORDER BY expires_at DESC LIMIT ?2";

const COUNT: &str = "INSERT INTO rate (key, starts_at, ends_at, requests) VALUES (?1, ?2, ?3, 1)
     ON CONFLICT (key, starts_at) DO UPDATE SET requests = requests + 1
     RETURNING requests";

const DELETE_ANSWERS: &str = "DELETE FROM acme_answer WHERE (challenge, asked) IN (
         SELECT challenge, asked FROM acme_answer WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2)";

const DELETE_NAMES: &str = "DELETE FROM acme_name WHERE rowid IN (
         SELECT rowid FROM acme_name WHERE coalesce(not_after, 0) <= ?1 AND next_at <= ?1
         AND lease_until <= ?1 LIMIT ?2)";

impl CertificateStore for SqliteStore {
    fn acme_account(&self, directory: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let directory = directory.to_owned();
        self.readers.read_by_key(move |conn| Ok(first(conn, ACCOUNT, [&directory])?))
    }

    fn replace_acme_account(
        &self,
        directory: &str,
        old: Option<Vec<u8>>,
        sealed: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let directory = directory.to_owned();
        self.writer.write(move |conn| {
            conn.prepare_cached(REPLACE_ACCOUNT)?.execute((&directory, &sealed, old))?;
            Ok(first(conn, ACCOUNT, [&directory])?.unwrap_or_default())
        })
    }

    fn acme_names(&self) -> BoxFuture<'_, Result<Vec<NameState>, StoreError>> {
        self.readers.read(|conn| {
            let mut query = conn.prepare_cached(NAMES)?;
            let rows = query.query_map([], name_row)?;
            Ok(rows.map(|row| row.map(NameState::from)).collect::<Result<_, _>>()?)
        })
    }

    fn certificate(&self, key: &NameKey) -> BoxFuture<'_, Result<Option<StoredCertificate>, StoreError>> {
        let key = key.clone();
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(CERTIFICATE)?;
            let row = query.query_row((&key.directory, &key.name), |row| {
                let issue = issue(row.get(0)?, row.get(1)?, row.get(2)?);
                let (chain, sealed_key) = (row.get(3)?, row.get(4)?);
                Ok(issue.map(|issue| StoredCertificate { issue, chain, sealed_key }))
            });
            Ok(row.optional()?.flatten())
        })
    }

    fn lease_name(
        &self,
        key: &NameKey,
        holder: Holder,
        until: i64,
        seen: Option<i64>,
        now_ms: i64,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let key = key.clone();
        self.writer.write(move |conn| {
            changes_one(conn, LEASE, params![key.directory, key.name, holder.0, until, now_ms, seen])
        })
    }

    fn save_certificate(
        &self,
        key: &NameKey,
        holder: Holder,
        certificate: StoredCertificate,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let key = key.clone();
        self.writer.write(move |conn| {
            let StoredCertificate { issue, chain, sealed_key } = certificate;
            let when = (issue.revision, issue.not_before, issue.not_after);
            let params =
                params![key.directory, key.name, holder.0, when.0, when.1, when.2, chain, sealed_key];
            changes_one(conn, SAVE, params)
        })
    }

    fn postpone_name(
        &self,
        key: &NameKey,
        holder: Holder,
        pause: Pause,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let key = key.clone();
        self.writer.write(move |conn| {
            let Pause { failures, next_at, problem } = pause;
            let params = params![key.directory, key.name, holder.0, failures, next_at, problem];
            changes_one(conn, POSTPONE, params)
        })
    }

    fn pause_authority(&self, directory: &str, pause: Pause) -> BoxFuture<'_, Result<(), StoreError>> {
        let directory = directory.to_owned();
        self.writer.write(move |conn| {
            let Pause { failures, next_at, problem } = pause;
            changes_one(conn, PAUSE, (&directory, failures, next_at, problem)).map(drop)
        })
    }

    fn put_answer(&self, answer: Answer) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.write(move |conn| {
            let Answer { challenge, asked, value, expires_at } = answer;
            changes_one(conn, PUT_ANSWER, (challenge.as_str(), asked, value, expires_at)).map(drop)
        })
    }

    fn remove_answer(&self, challenge: Challenge, asked: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let asked = asked.to_owned();
        self.writer.write(move |conn| changes_one(conn, REMOVE_ANSWER, (challenge.as_str(), asked)).map(drop))
    }

    fn answers(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<Vec<Answer>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(ANSWERS)?;
            let mut rows = query.query((now_ms, rows_max))?;
            let mut answers = Vec::new();
            while let Some(row) = rows.next()? {
                let Some(challenge) = challenge(&row.get::<_, String>(0)?) else { continue };
                let (asked, value, expires_at) = (row.get(1)?, row.get(2)?, row.get(3)?);
                answers.push(Answer { challenge, asked, value, expires_at });
            }
            Ok(answers)
        })
    }

    fn count_order(&self, window: OrderWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let params = (window.key, window.starts_at, window.ends_at);
            Ok(conn.prepare_cached(COUNT)?.query_row(params, |row| row.get(0))?)
        })
    }

    fn delete_expired_answers(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.delete_some(DELETE_ANSWERS, before, rows_max)
    }

    fn delete_unused_names(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.delete_some(DELETE_NAMES, before, rows_max)
    }
}

impl SqliteStore {
    fn delete_some(
        &self,
        sql: &'static str,
        before: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let deleted = conn.prepare_cached(sql)?.execute((before, rows_max))?;
            Ok(u32::try_from(deleted).unwrap_or(u32::MAX))
        })
    }
}

fn changes_one(
    conn: &Connection,
    sql: &str,
    params: impl rusqlite::Params,
) -> Result<bool, crate::error::SqlError> {
    Ok(conn.prepare_cached(sql)?.execute(params)? == 1)
}

fn name_row(row: &Row<'_>) -> rusqlite::Result<NameRow> {
    Ok(NameRow {
        directory: row.get(0)?,
        name: row.get(1)?,
        issue: issue(row.get(2)?, row.get(3)?, row.get(4)?),
        failures: row.get(5)?,
        next_at: row.get(6)?,
        problem: row.get(7)?,
    })
}
