//! Kinds of failures that operators have resolved or muted.

use rusqlite::{Row, params};

use sluice_kit::{BoxFuture, StoreError};

use super::SqliteStore;
use crate::failure_marks::{FailureMark, FailureMarkStore, MarkState, SeenKind};

const MARK: &str =
    "INSERT INTO failure_mark (brand, kind, page, outcome, message, state, marked, lasts, operator, seen)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)
     ON CONFLICT (brand, kind) DO UPDATE SET state = excluded.state, marked = excluded.marked,
         lasts = excluded.lasts, operator = excluded.operator, seen = max(seen, excluded.seen)";

const DELETE_OVER: &str = "DELETE FROM failure_mark WHERE brand = ?1 AND kind IN (
         SELECT kind FROM failure_mark WHERE brand = ?1 ORDER BY marked DESC, kind LIMIT -1 OFFSET ?2)";

const UNMARK: &str = "DELETE FROM failure_mark WHERE brand = ?1 AND kind = ?2";

const LIST: &str = "SELECT brand, kind, page, outcome, message, state, marked, lasts, operator, seen
     FROM failure_mark WHERE ?1 IS NULL OR brand = ?1 ORDER BY marked DESC, brand, kind LIMIT ?2";

const SEEN: &str = "UPDATE failure_mark SET seen = ?3 WHERE brand = ?1 AND kind = ?2 AND seen < ?3";

const DELETE_OLD: &str = "DELETE FROM failure_mark WHERE (brand, kind) IN (
         SELECT brand, kind FROM failure_mark
         WHERE (marked < ?1 AND seen < ?1 AND lasts IS NULL) OR lasts < ?2 LIMIT ?3)";

impl FailureMarkStore for SqliteStore {
    fn mark_failure(&self, mark: FailureMark, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        let mark = mark.bounded();
        self.writer.write(move |conn| {
            conn.prepare_cached(MARK)?.execute(params![
                &mark.brand,
                mark.kind,
                mark.page,
                mark.outcome,
                mark.message,
                mark.state.as_str(),
                mark.at_ms,
                mark.state.until_ms(),
                mark.operator,
                mark.seen_ms,
            ])?;
            conn.prepare_cached(DELETE_OVER)?.execute((mark.brand, rows_max))?;
            Ok::<_, crate::error::SqlError>(())
        })
    }

    fn unmark_failure(&self, brand: String, kind: String) -> BoxFuture<'_, Result<bool, StoreError>> {
        self.writer.write(move |conn| Ok(conn.prepare_cached(UNMARK)?.execute((brand, kind))? > 0))
    }

    fn list_failure_marks(
        &self,
        brand: Option<String>,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<Vec<FailureMark>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(LIST)?;
            Ok(query.query_map((brand, rows_max), mark)?.collect::<rusqlite::Result<_>>()?)
        })
    }

    fn note_seen_failures(&self, seen: Vec<SeenKind>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.writer.write(move |conn| {
            let mut note = conn.prepare_cached(SEEN)?;
            for SeenKind { brand, kind, at_ms } in seen {
                note.execute((brand, kind, at_ms))?;
            }
            Ok::<_, crate::error::SqlError>(())
        })
    }

    fn delete_old_failure_marks(
        &self,
        before_ms: i64,
        now_ms: i64,
        rows_max: u32,
    ) -> BoxFuture<'_, Result<u32, StoreError>> {
        self.writer.write(move |conn| {
            let rows = conn.prepare_cached(DELETE_OLD)?.execute((before_ms, now_ms, rows_max))?;
            Ok(u32::try_from(rows).unwrap_or(u32::MAX))
        })
    }
}

fn mark(row: &Row<'_>) -> rusqlite::Result<FailureMark> {
    let state: String = row.get(5)?;
    Ok(FailureMark {
        brand: row.get(0)?,
        kind: row.get(1)?,
        page: row.get(2)?,
        outcome: row.get(3)?,
        message: row.get(4)?,
        state: MarkState::read(&state, row.get(7)?),
        at_ms: row.get(6)?,
        operator: row.get(8)?,
        seen_ms: row.get(9)?,
    })
}
