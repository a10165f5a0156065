//! Exports all rows, and imports them into an empty database.

use std::time::Duration;

use tokio::sync::mpsc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use sluice_kit::{BoxFuture, StoreError};

use super::PostgresStore;
use super::batch::{Param, execute, query};
use crate::error::SqlError;
use crate::transfer::{Cell, ImportFault, Kind, Part, ROWS_MAX, TABLES, Table, TransferStore};

/// The time limit of a transfer, which an operator watches.
const TRANSFER_MAX: Duration = Duration::from_secs(24 * 60 * 60);

/// Has no timeouts, because the receiver may be slow.
const BEGIN_EXPORT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

const BEGIN_IMPORT: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL lock_timeout = 10000";

impl TransferStore for PostgresStore {
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.database.run_within(TRANSFER_MAX, move |conn| Box::pin(async move { export(conn, &to).await }))
    }

    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>> {
        self.database.run_within(TRANSFER_MAX, move |conn| Box::pin(import(conn, from)))
    }
}

/// Reads in one transaction, so that all parts show the same moment.
async fn export(conn: &Client, to: &mpsc::Sender<Part>) -> Result<(), SqlError> {
    execute(conn, BEGIN_EXPORT).await?;
    for table in TABLES {
        execute(conn, &format!("DECLARE part NO SCROLL CURSOR FOR {}", select(table))).await?;
        let fetch = format!("FETCH {ROWS_MAX} FROM part");
        loop {
            let rows = query(conn, &fetch, []).await?;
            if rows.is_empty() {
                break;
            }
            let rows = rows.iter().map(|row| read(table, row)).collect::<Result<_, _>>()?;
            if to.send(Part::Rows(table, rows)).await.is_err() {
                return execute(conn, "ROLLBACK").await;
            }
        }
        execute(conn, "CLOSE part").await?;
    }
    // A receiver that is gone does not need the end.
    let _ = to.send(Part::End).await;
    execute(conn, "COMMIT").await
}

fn select(table: &Table) -> String {
    let Table { name, key, .. } = table;
    match *name {
        // The other databases have one count for each brand, without slots.
        "crm_usage" => {
            "SELECT brand, sum(bytes)::bigint FROM crm_usage GROUP BY brand ORDER BY brand".to_owned()
        }
        "storage_usage" => "SELECT brand, sum(keys)::bigint, sum(bytes)::bigint FROM storage_usage
            GROUP BY brand ORDER BY brand"
            .to_owned(),
        _ => format!("SELECT {} FROM {name} ORDER BY {key}", table.column_list()),
    }
}

fn read(table: &Table, row: &Row) -> Result<Vec<Cell>, SqlError> {
    let cell = |(index, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Int => row.try_get::<_, Option<i64>>(index)?.map(Cell::Int),
            Kind::Flag => row.try_get::<_, Option<bool>>(index)?.map(|flag| Cell::Int(flag.into())),
            Kind::Real => row.try_get::<_, Option<f64>>(index)?.map(Cell::Real),
            Kind::Text => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

async fn import(conn: &Client, mut from: mpsc::Receiver<Part>) -> Result<(), ImportFault> {
    execute(conn, BEGIN_IMPORT).await?;
    for table in TABLES {
        // No other host may insert rows meanwhile.
        execute(conn, &format!("LOCK TABLE {} IN EXCLUSIVE MODE", table.name)).await?;
        let sql = format!("SELECT 1 FROM {} LIMIT 1", table.name);
        if !query(conn, &sql, []).await?.is_empty() {
            return Err(ImportFault::NotEmpty(table.name));
        }
    }
    loop {
        match from.recv().await {
            Some(Part::Rows(table, rows)) => insert(conn, table, rows).await?,
            Some(Part::End) => break,
            None => return Err(ImportFault::Interrupted),
        }
    }
    for table in TABLES.iter().filter(|table| table.counts) {
        // The next new id must be greater than all imported ids.
        let Table { name, key, .. } = table;
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', '{key}'), coalesce(max({key}), 0) + 1, false) FROM {name}"
        );
        query(conn, &sql, []).await?;
    }
    Ok(execute(conn, "COMMIT").await?)
}

async fn insert(conn: &Client, table: &Table, rows: Vec<Vec<Cell>>) -> Result<(), SqlError> {
    let mut columns: Vec<Vec<Cell>> = table.columns.iter().map(|_| Vec::with_capacity(rows.len())).collect();
    for row in rows {
        columns.iter_mut().zip(row).for_each(|(column, cell)| column.push(cell));
    }
    let places =
        (1..=columns.len()).zip(table.columns).map(|(n, (_, kind))| format!("${n}::{}[]", name(*kind)));
    let places = places.collect::<Vec<_>>().join(", ");
    let sql = format!("INSERT INTO {} ({}) SELECT * FROM unnest({places})", table.name, table.column_list());
    let params = columns.into_iter().zip(table.columns).map(|(cells, (_, kind))| array(cells, *kind));
    query(conn, &sql, params.collect::<Vec<_>>()).await.map(drop)
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "bigint",
        Kind::Flag => "boolean",
        Kind::Real => "double precision",
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    }
}

/// A cell that is not of the column's kind becomes `NULL`, which the table's constraints reject
/// where a value is required.
fn array<'a>(cells: Vec<Cell>, kind: Kind) -> Param<'a> {
    fn pick<'a, T>(cells: Vec<Cell>, of: impl Fn(Cell) -> Option<T>) -> Box<dyn ToSql + Sync + Send + 'a>
    where
        T: ToSql + Sync + Send + 'a,
    {
        Box::new(cells.into_iter().map(of).collect::<Vec<Option<T>>>())
    }
    let int = |cell| if let Cell::Int(number) = cell { Some(number) } else { None };
    match kind {
        Kind::Int => (pick(cells, int), Type::INT8_ARRAY),
        Kind::Flag => (pick(cells, |cell| int(cell).map(|number| number != 0)), Type::BOOL_ARRAY),
        Kind::Real => {
            let real = |cell| if let Cell::Real(number) = cell { Some(number) } else { None };
            (pick(cells, real), Type::FLOAT8_ARRAY)
        }
        Kind::Text => {
            let text = |cell| if let Cell::Text(text) = cell { Some(text) } else { None };
            (pick(cells, text), Type::TEXT_ARRAY)
        }
        Kind::Bytes => {
            let bytes = |cell| if let Cell::Bytes(bytes) = cell { Some(bytes) } else { None };
            (pick(cells, bytes), Type::BYTEA_ARRAY)
        }
    }
}
