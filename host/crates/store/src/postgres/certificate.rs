//! Certificates by ACME.

use tokio_postgres::{Client, Row};

use sluice_acme::{
    Answer, CertificateStore, Challenge, Holder, NameKey, NameState, OrderWindow, Pause, StoredCertificate,
};
use sluice_kit::{BadRow, BoxFuture, StoreError};

use super::PostgresStore;
use super::batch::{Batch, Param, bytes, int, optional_bytes, optional_int, owned_text, query, text};
use super::error::corrupt;
use crate::certificate_rows::{NameRow, challenge, issue};
use crate::error::SqlError;

const ACCOUNT: &str = "SELECT sealed FROM acme_account WHERE directory = $1";

const REPLACE_ACCOUNT: &str = "INSERT INTO acme_account (directory, sealed) VALUES ($1, $2)
    ON CONFLICT (directory) DO UPDATE SET sealed = excluded.sealed
    WHERE acme_account.sealed IS NOT DISTINCT FROM $3";

const NAMES: &str = "SELECT directory, name, revision, not_before, not_after, failures, next_at, problem
    FROM acme_name";

const CERTIFICATE: &str = "SELECT revision, not_before, not_after, chain, sealed_key FROM acme_name
    WHERE directory = $1 AND name = $2 AND revision IS NOT NULL";

const LEASE: &str = "INSERT INTO acme_name (directory, name, lease_by, lease_until)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (directory, name) DO UPDATE
        SET lease_by = excluded.lease_by, lease_until = excluded.lease_until
    WHERE acme_name.lease_until <= $5 AND acme_name.next_at <= $5
        AND acme_name.revision IS NOT DISTINCT FROM $6
    RETURNING true";

const SAVE: &str = "UPDATE acme_name SET revision = $4, not_before = $5, not_after = $6, chain = $7,
        sealed_key = $8, failures = 0, next_at = 0, problem = '', lease_by = NULL, lease_until = 0
    WHERE directory = $1 AND name = $2 AND lease_by = $3
    RETURNING true";

const POSTPONE: &str = "UPDATE acme_name
    SET failures = $4, next_at = $5, problem = $6, lease_by = NULL, lease_until = 0
    WHERE directory = $1 AND name = $2 AND lease_by = $3
    RETURNING true";

const PAUSE: &str = "INSERT INTO acme_name (directory, name, failures, next_at, problem)
    VALUES ($1, '', $2, $3, $4)
    ON CONFLICT (directory, name) DO UPDATE
        SET failures = excluded.failures, next_at = excluded.next_at, problem = excluded.problem";

const PUT_ANSWER: &str = "INSERT INTO acme_answer (challenge, asked, value, expires_at)
    VALUES ($1, $2, $3, $4)
    ON CONFLICT (challenge, asked) DO UPDATE
        SET value = excluded.value, expires_at = excluded.expires_at";

const REMOVE_ANSWER: &str = "DELETE FROM acme_answer WHERE challenge = $1 AND asked = $2";

const ANSWERS: &str = "SELECT challenge, asked, value, expires_at FROM acme_answer
    WHERE expires_at > $1 ORDER BY expires_at DESC LIMIT $2";

const COUNT: &str = "INSERT INTO rate (key, starts_at, ends_at, requests) VALUES ($1, $2, $3, 1)
    ON CONFLICT (key, starts_at) DO UPDATE SET requests = rate.requests + 1
    RETURNING requests";

/// Skips rows that another host is deleting.
const DELETE_ANSWERS: &str = "DELETE FROM acme_answer WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM acme_answer WHERE expires_at <= $1
        ORDER BY expires_at LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

/// Skips rows that another host is deleting or leasing.
const DELETE_NAMES: &str = "DELETE FROM acme_name WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM acme_name WHERE coalesce(not_after, 0) <= $1 AND next_at <= $1
            AND lease_until <= $1
        LIMIT $2 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl CertificateStore for PostgresStore {
    fn acme_account(&self, directory: &str) -> BoxFuture<'_, Result<Option<Vec<u8>>, StoreError>> {
        let directory = directory.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, ACCOUNT, [text(&directory)]).await?;
                Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
            })
        })
    }

    fn replace_acme_account(
        &self,
        directory: &str,
        old: Option<Vec<u8>>,
        sealed: Vec<u8>,
    ) -> BoxFuture<'_, Result<Vec<u8>, StoreError>> {
        let directory = directory.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let replaced = [text(&directory), bytes(&sealed), optional_bytes(old.as_deref())];
                // The second statement sees what the first, or another host before it, has stored.
                let batch = Batch::new().query(REPLACE_ACCOUNT, replaced);
                let [_, rows] = batch.query(ACCOUNT, [text(&directory)]).run_for(conn).await?;
                let row = rows.first().ok_or_else(|| corrupt("ACME account", BadRow::Missing))?;
                Ok(row.try_get(0)?)
            })
        })
    }

    fn acme_names(&self) -> BoxFuture<'_, Result<Vec<NameState>, StoreError>> {
        self.database.run(|conn| {
            Box::pin(async move {
                let rows = query(conn, NAMES, []).await?;
                rows.iter().map(|row| Ok(name_row(row)?.into())).collect()
            })
        })
    }

    fn certificate(&self, key: &NameKey) -> BoxFuture<'_, Result<Option<StoredCertificate>, StoreError>> {
        let key = key.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, CERTIFICATE, of(&key)).await?;
                rows.first().map_or(Ok(None), stored)
            })
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
        self.database.run(move |conn| {
            Box::pin(async move {
                let rest = [bytes(&holder.0), int(until), int(now_ms), optional_int(seen)];
                changes_one(conn, LEASE, of(&key), rest).await
            })
        })
    }

    fn save_certificate(
        &self,
        key: &NameKey,
        holder: Holder,
        certificate: StoredCertificate,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let key = key.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let StoredCertificate { issue, chain, sealed_key } = &certificate;
                let when = [int(issue.revision), int(issue.not_before), int(issue.not_after)];
                let rest = [bytes(&holder.0)].into_iter().chain(when);
                let rest = rest.chain([bytes(chain), bytes(sealed_key)]);
                changes_one(conn, SAVE, of(&key), rest).await
            })
        })
    }

    fn postpone_name(
        &self,
        key: &NameKey,
        holder: Holder,
        pause: Pause,
    ) -> BoxFuture<'_, Result<bool, StoreError>> {
        let key = key.clone();
        self.database.run(move |conn| {
            Box::pin(async move {
                let Pause { failures, next_at, problem } = &pause;
                let rest = [bytes(&holder.0), int((*failures).into()), int(*next_at), text(problem)];
                changes_one(conn, POSTPONE, of(&key), rest).await
            })
        })
    }

    fn pause_authority(&self, directory: &str, pause: Pause) -> BoxFuture<'_, Result<(), StoreError>> {
        let directory = directory.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let Pause { failures, next_at, problem } = &pause;
                let params = [text(&directory), int((*failures).into()), int(*next_at), text(problem)];
                query(conn, PAUSE, params).await.map(drop)
            })
        })
    }

    fn put_answer(&self, answer: Answer) -> BoxFuture<'_, Result<(), StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let Answer { challenge, asked, value, expires_at } = &answer;
                let params = [text(challenge.as_str()), text(asked), bytes(value), int(*expires_at)];
                query(conn, PUT_ANSWER, params).await.map(drop)
            })
        })
    }

    fn remove_answer(&self, challenge: Challenge, asked: &str) -> BoxFuture<'_, Result<(), StoreError>> {
        let asked = asked.to_owned();
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [text(challenge.as_str()), owned_text(asked)];
                query(conn, REMOVE_ANSWER, params).await.map(drop)
            })
        })
    }

    fn answers(&self, now_ms: i64, rows_max: u32) -> BoxFuture<'_, Result<Vec<Answer>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, ANSWERS, [int(now_ms), int(rows_max.into())]).await?;
                let mut answers = Vec::new();
                for row in rows {
                    let Some(challenge) = challenge(row.try_get(0)?) else { continue };
                    let (asked, value, expires_at) = (row.try_get(1)?, row.try_get(2)?, row.try_get(3)?);
                    answers.push(Answer { challenge, asked, value, expires_at });
                }
                Ok(answers)
            })
        })
    }

    fn count_order(&self, window: OrderWindow) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [bytes(&window.key), int(window.starts_at), int(window.ends_at)];
                let rows = query(conn, COUNT, params).await?;
                let row = rows.first().ok_or_else(|| corrupt("count of orders", BadRow::Missing))?;
                Ok(row.try_get::<_, i32>(0)?.unsigned_abs())
            })
        })
    }

    fn delete_expired_answers(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.delete_some(DELETE_ANSWERS, before, rows_max)
    }

    fn delete_unused_names(&self, before: i64, rows_max: u32) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.delete_some(DELETE_NAMES, before, rows_max)
    }
}

impl PostgresStore {
    fn delete_some(
        &self,
        sql: &'static str,
        before: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, sql, [int(before), int(rows_max.into())]).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

fn of(key: &NameKey) -> [Param<'_>; 2] {
    [text(&key.directory), text(&key.name)]
}

async fn changes_one<'a>(
    conn: &Client,
    sql: &'a str,
    key: [Param<'a>; 2],
    rest: impl IntoIterator<Item = Param<'a>>,
) -> Result<bool, SqlError> {
    let params: Vec<Param<'a>> = key.into_iter().chain(rest).collect();
    Ok(!query(conn, sql, params).await?.is_empty())
}

fn name_row(row: &Row) -> Result<NameRow, SqlError> {
    Ok(NameRow {
        directory: row.try_get(0)?,
        name: row.try_get(1)?,
        issue: issue(row.try_get(2)?, row.try_get(3)?, row.try_get(4)?),
        failures: row.try_get(5)?,
        next_at: row.try_get(6)?,
        problem: row.try_get(7)?,
    })
}

fn stored(row: &Row) -> Result<Option<StoredCertificate>, SqlError> {
    let issue = issue(row.try_get(0)?, row.try_get(1)?, row.try_get(2)?);
    let (chain, sealed_key) = (row.try_get(3)?, row.try_get(4)?);
    Ok(issue.map(|issue| StoredCertificate { issue, chain, sealed_key }))
}
