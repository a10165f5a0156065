//! What operators have changed.

use rusqlite::{Row, params};

use sluice_kit::{BoxFuture, StoreError};

use super::SqliteStore;
use crate::changes::{ChangeFilter, ChangeStore, Class, KeptChange, OperatorChange};

const ADD: &str = "INSERT INTO operator_change (at, took, class, operator, client, brand, action, target,
         item, was, becomes, outcome, status, said)
     VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13, ?14)";

const DELETE_OLD: &str = "DELETE FROM operator_change WHERE class = ?1 AND id <= (
         SELECT id FROM operator_change WHERE class = ?1 ORDER BY id DESC LIMIT 1 OFFSET ?2)";

const LIST: &str = "SELECT id, at, took, class, operator, client, brand, action, target, item, was, becomes,
         outcome, status, said
     FROM operator_change
     WHERE id < ?1 AND (?2 IS NULL OR brand = ?2) AND (?3 IS NULL OR target = ?3)
         AND (?4 IS NULL OR substr(action, 1, length(?4)) = ?4) AND (?5 IS NULL OR outcome = ?5)
         AND (?6 IS NULL OR operator = ?6) AND (?7 IS NULL OR at >= ?7) AND (?8 IS NULL OR at < ?8)
         AND (?9 IS NULL OR instr(lower(operator || char(10) || client || char(10) || brand || char(10) || action
             || char(10) || target || char(10) || item || char(10) || was || char(10) || becomes || char(10)
             || said), ?9) > 0)
     ORDER BY id DESC LIMIT ?10";

impl ChangeStore for SqliteStore {
    fn add_change(&self, change: OperatorChange, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        let change = change.bounded();
        self.writer.write(move |conn| {
            let class = change.class.as_str();
            conn.prepare_cached(ADD)?.execute(params![
                change.at_ms,
                change.took_ms,
                class,
                change.operator,
                change.client,
                change.brand,
                change.action,
                change.target,
                change.item,
                change.was,
                change.becomes,
                change.outcome,
                change.status,
                change.said,
            ])?;
            conn.prepare_cached(DELETE_OLD)?.execute((class, rows_max))?;
            Ok::<_, crate::error::SqlError>(())
        })
    }

    fn list_changes(&self, filter: ChangeFilter) -> BoxFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        self.readers.read(move |conn| {
            let mut query = conn.prepare_cached(LIST)?;
            let text = filter.small_text();
            let ChangeFilter {
                brand,
                target,
                action,
                outcome,
                operator,
                from_ms,
                to_ms,
                before,
                rows_max,
                ..
            } = filter;
            let before = before.unwrap_or(i64::MAX);
            let params =
                params![before, brand, target, action, outcome, operator, from_ms, to_ms, text, rows_max];
            Ok(query.query_map(params, kept)?.collect::<rusqlite::Result<_>>()?)
        })
    }
}

fn kept(row: &Row<'_>) -> rusqlite::Result<KeptChange> {
    let class: String = row.get(3)?;
    Ok(KeptChange {
        id: row.get(0)?,
        change: OperatorChange {
            at_ms: row.get(1)?,
            took_ms: row.get(2)?,
            class: Class::read(&class),
            operator: row.get(4)?,
            client: row.get(5)?,
            brand: row.get(6)?,
            action: row.get(7)?,
            target: row.get(8)?,
            item: row.get(9)?,
            was: row.get(10)?,
            becomes: row.get(11)?,
            outcome: row.get(12)?,
            status: row.get(13)?,
            said: row.get(14)?,
        },
    })
}
