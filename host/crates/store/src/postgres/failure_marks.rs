//! Kinds of failures that operators have resolved or muted.

use tokio_postgres::Row;

use sluice_kit::{BoxFuture, StoreError};

use super::PostgresStore;
use super::batch::{Batch, int, ints, optional_int, optional_text, query, text, texts};
use crate::error::SqlError;
use crate::failure_marks::{FailureMark, FailureMarkStore, MarkState, SeenKind};

const MARK: &str = "INSERT INTO failure_mark AS mark
        (brand, kind, page, outcome, message, state, marked, lasts, operator, seen)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)
    ON CONFLICT (brand, kind) DO UPDATE SET state = excluded.state, marked = excluded.marked,
        lasts = excluded.lasts, operator = excluded.operator, seen = greatest(mark.seen, excluded.seen)";

const DELETE_OVER: &str = "DELETE FROM failure_mark WHERE brand = $1 AND kind IN (
        SELECT kind FROM failure_mark WHERE brand = $1 ORDER BY marked DESC, kind OFFSET $2)";

const UNMARK: &str = "DELETE FROM failure_mark WHERE brand = $1 AND kind = $2 RETURNING true";

const LIST: &str = "SELECT brand, kind, page, outcome, message, state, marked, lasts, operator, seen
    FROM failure_mark WHERE $1::text IS NULL OR brand = $1 ORDER BY marked DESC, brand, kind LIMIT $2";

/// In the order of the keys, so that two hosts do not wait for each other.
const SEEN: &str = "UPDATE failure_mark AS mark SET seen = noted.seen
    FROM (SELECT held.brand, held.kind, given.seen
        FROM unnest($1::text[], $2::text[], $3::int8[]) AS given (brand, kind, seen)
        JOIN failure_mark AS held ON held.brand = given.brand AND held.kind = given.kind AND held.seen < given.seen
        ORDER BY held.brand, held.kind FOR UPDATE OF held) AS noted
    WHERE mark.brand = noted.brand AND mark.kind = noted.kind";

/// Skips rows that another host is deleting or marking.
const DELETE_OLD: &str = "DELETE FROM failure_mark WHERE ctid = ANY (ARRAY(
        SELECT ctid FROM failure_mark
        WHERE (marked < $1 AND seen < $1 AND lasts IS NULL) OR lasts < $2
        LIMIT $3 FOR UPDATE SKIP LOCKED))
    RETURNING true";

impl FailureMarkStore for PostgresStore {
    fn mark_failure(&self, mark: FailureMark, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        let mark = mark.bounded();
        self.database.run(move |conn| {
            Box::pin(async move {
                let row = [
                    text(&mark.brand),
                    text(&mark.kind),
                    text(&mark.page),
                    text(&mark.outcome),
                    text(&mark.message),
                    text(mark.state.as_str()),
                    int(mark.at_ms),
                    optional_int(mark.state.until_ms()),
                    text(&mark.operator),
                    int(mark.seen_ms),
                ];
                let over = [text(&mark.brand), int(rows_max.into())];
                Batch::begin().query(MARK, row).query(DELETE_OVER, over).commit().run(conn).await.map(drop)
            })
        })
    }

    fn unmark_failure(&self, brand: String, kind: String) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let rows = query(conn, UNMARK, [text(&brand), text(&kind)]).await?;
                Ok(!rows.is_empty())
            })
        })
    }

    fn list_failure_marks(
        &self,
        brand: Option<String>,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<Vec<FailureMark>, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [optional_text(brand.as_deref()), int(rows_max.into())];
                query(conn, LIST, params).await?.iter().map(mark).collect()
            })
        })
    }

    fn note_seen_failures(&self, seen: Vec<SeenKind>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let brands = seen.iter().map(|one| one.brand.as_str()).collect();
                let kinds = seen.iter().map(|one| one.kind.as_str()).collect();
                let times = seen.iter().map(|one| one.at_ms).collect();
                query(conn, SEEN, [texts(brands), texts(kinds), ints(times)]).await.map(drop)
            })
        })
    }

    fn delete_old_failure_marks(
        &self,
        before_ms: i64,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [int(before_ms), int(now_ms), int(rows_max.into())];
                let rows = query(conn, DELETE_OLD, params).await?;
                Ok(u32::try_from(rows.len()).unwrap_or(u32::MAX))
            })
        })
    }
}

fn mark(row: &Row) -> Result<FailureMark, SqlError> {
    Ok(FailureMark {
        brand: row.try_get(0)?,
        kind: row.try_get(1)?,
        page: row.try_get(2)?,
        outcome: row.try_get(3)?,
        message: row.try_get(4)?,
        state: MarkState::read(row.try_get(5)?, row.try_get(7)?),
        at_ms: row.try_get(6)?,
        operator: row.try_get(8)?,
        seen_ms: row.try_get(9)?,
    })
}
