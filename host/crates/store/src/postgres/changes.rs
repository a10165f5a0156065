//! What operators have changed.

use tokio_postgres::Row;

use sluice_kit::{BoxFuture, StoreError};

use super::PostgresStore;
use super::batch::{Batch, int, optional_int, optional_text, query, text};
use crate::changes::{ChangeFilter, ChangeStore, Class, KeptChange, OperatorChange};
use crate::error::SqlError;

const ADD: &str = "INSERT INTO operator_change (at, took, class, operator, client, brand, action, target,
        item, was, becomes, outcome, status, said)
    VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)";

const DELETE_OLD: &str = "DELETE FROM operator_change WHERE class = $1 AND id <= (
        SELECT id FROM operator_change WHERE class = $1 ORDER BY id DESC LIMIT 1 OFFSET $2)";

const LIST: &str = "SELECT id, at, took, class, operator, client, brand, action, target, item, was, becomes,
        outcome, status, said
    FROM operator_change
    WHERE id < $1 AND ($2::text IS NULL OR brand = $2) AND ($3::text IS NULL OR target = $3)
        AND ($4::text IS NULL OR starts_with(action, $4)) AND ($5::text IS NULL OR outcome = $5)
        AND ($6::text IS NULL OR operator = $6) AND ($7::int8 IS NULL OR at >= $7) AND ($8::int8 IS NULL OR at < $8)
        AND ($9::text IS NULL OR position($9 IN lower(concat_ws(E'\n', operator, client, brand, action, target, item,
            was, becomes, said) COLLATE \"C\")) > 0)
    ORDER BY id DESC LIMIT $10";

impl ChangeStore for PostgresStore {
    fn add_change(&self, change: OperatorChange, rows_max: u32) -> BoxFuture<'_, Result<(), StoreError>> {
        let change = change.bounded();
        self.database.run(move |conn| {
            Box::pin(async move {
                let class = change.class.as_str();
                let row = [
                    int(change.at_ms),
                    int(change.took_ms),
                    text(class),
                    text(&change.operator),
                    text(&change.client),
                    text(&change.brand),
                    text(&change.action),
                    text(&change.target),
                    text(&change.item),
                    text(&change.was),
                    text(&change.becomes),
                    text(&change.outcome),
                    int(change.status.into()),
                    text(&change.said),
                ];
                let batch = Batch::begin().query(ADD, row);
                let batch = batch.query(DELETE_OLD, [text(class), int(rows_max.into())]).commit();
                batch.run(conn).await.map(drop)
            })
        })
    }

    fn list_changes(&self, filter: ChangeFilter) -> BoxFuture<'_, Result<Vec<KeptChange>, StoreError>> {
        let small_text = filter.small_text();
        self.database.run(move |conn| {
            Box::pin(async move {
                let params = [
                    int(filter.before.unwrap_or(i64::MAX)),
                    optional_text(filter.brand.as_deref()),
                    optional_text(filter.target.as_deref()),
                    optional_text(filter.action.as_deref()),
                    optional_text(filter.outcome.as_deref()),
                    optional_text(filter.operator.as_deref()),
                    optional_int(filter.from_ms),
                    optional_int(filter.to_ms),
                    optional_text(small_text.as_deref()),
                    int(filter.rows_max.into()),
                ];
                query(conn, LIST, params).await?.iter().map(kept).collect()
            })
        })
    }
}

fn kept(row: &Row) -> Result<KeptChange, SqlError> {
    let class: &str = row.try_get(3)?;
    Ok(KeptChange {
        id: row.try_get(0)?,
        change: OperatorChange {
            at_ms: row.try_get(1)?,
            took_ms: row.try_get(2)?,
            class: Class::read(class),
            operator: row.try_get(4)?,
            client: row.try_get(5)?,
            brand: row.try_get(6)?,
            action: row.try_get(7)?,
            target: row.try_get(8)?,
            item: row.try_get(9)?,
            was: row.try_get(10)?,
            becomes: row.try_get(11)?,
            outcome: row.try_get(12)?,
            status: u16::try_from(row.try_get::<_, i64>(13)?).unwrap_or_default(),
            said: row.try_get(14)?,
        },
    })
}
