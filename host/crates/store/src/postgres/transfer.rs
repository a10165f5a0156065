//! All rows, out of a database and into an empty one.

use tokio::sync::mpsc;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Row};

use super::batch::{Param, execute, query};
use super::error::Fault;
use crate::error::SqlError;
use crate::transfer::{Cell, ImportFault, Kind, Part, ROWS_MAX, TABLES, Table};

impl Fault for ImportFault {
    fn is_of_store(&self) -> bool {
        matches!(self, Self::Store(_))
    }
}

/// Without limits: whoever receives may be slow.
const BEGIN_EXPORT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0";

const BEGIN_IMPORT: &str = "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; \
    SET LOCAL statement_timeout = 0; SET LOCAL idle_in_transaction_session_timeout = 0; \
    SET LOCAL lock_timeout = 10000";

/// In one transaction, which sees one moment.
pub(super) async fn export(conn: &Client, to: &mpsc::Sender<Part>) -> Result<(), SqlError> {
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
    // Nobody to tell is nobody to fail for.
    let _ = to.send(Part::End).await;
    execute(conn, "COMMIT").await
}

fn select(table: &Table) -> String {
    let Table { name, key, .. } = table;
    match *name {
        // One count a brand, however many slots it is spread over here.
        "crm_usage" => {
            "SELECT brand, sum(bytes)::bigint FROM crm_usage GROUP BY brand ORDER BY brand".to_owned()
        }
        _ => format!("SELECT {} FROM {name} ORDER BY {key}", table.column_list()),
    }
}

fn read(table: &Table, row: &Row) -> Result<Vec<Cell>, SqlError> {
    let cell = |(index, (_, kind)): (usize, &(&str, Kind))| {
        Ok(match kind {
            Kind::Int => row.try_get::<_, Option<i64>>(index)?.map(Cell::Int),
            Kind::Flag => row.try_get::<_, Option<bool>>(index)?.map(|flag| Cell::Int(flag.into())),
            Kind::Text => row.try_get::<_, Option<String>>(index)?.map(Cell::Text),
            Kind::Bytes => row.try_get::<_, Option<Vec<u8>>>(index)?.map(Cell::Bytes),
        }
        .unwrap_or(Cell::Null))
    };
    table.columns.iter().enumerate().map(cell).collect()
}

pub(super) async fn import(conn: &Client, mut from: mpsc::Receiver<Part>) -> Result<(), ImportFault> {
    execute(conn, BEGIN_IMPORT).await?;
    for table in TABLES {
        // Nobody else may fill it meanwhile.
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
            None => return Err(ImportFault::BrokenOff),
        }
    }
    for table in TABLES.iter().filter(|table| table.counts) {
        // An id that was given is not given again.
        let name = table.name;
        let sql = format!(
            "SELECT setval(pg_get_serial_sequence('{name}', 'id'), coalesce(max(id), 0) + 1, false) FROM {name}"
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
        Kind::Text => "text",
        Kind::Bytes => "bytea",
    }
}

/// A cell that is not of the column's kind is as none; the columns say where one must be.
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
