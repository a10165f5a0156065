//! Exports all rows, and imports them into an empty database.

use rusqlite::types::{Value, ValueRef};
use rusqlite::{Connection, Row, params_from_iter};
use tokio::sync::mpsc;

use sluice_kit::{BadRow, BoxFuture, StoreError};

use super::SqliteStore;
use crate::error::SqlError;
use crate::transfer::{Cell, ImportFault, Kind, Part, ROWS_MAX, TABLES, Table, TransferStore};

impl TransferStore for SqliteStore {
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>> {
        self.readers.read(move |conn| export(conn, &to))
    }

    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>> {
        self.writer.write(move |conn| import(conn, from))
    }
}

/// Reads in one transaction, so that all parts show the same moment. Blocks while the receiver
/// is busy.
fn export(conn: &mut Connection, to: &mpsc::Sender<Part>) -> Result<(), SqlError> {
    let conn = conn.transaction()?;
    for table in TABLES {
        let sql = format!("SELECT {} FROM {} ORDER BY {}", table.column_list(), table.name, table.key);
        let mut query = conn.prepare(&sql)?;
        let mut rows = query.query([])?;
        let mut part = Vec::new();
        while let Some(row) = rows.next()? {
            part.push(read(table, row)?);
            if part.len() == ROWS_MAX
                && to.blocking_send(Part::Rows(table, std::mem::take(&mut part))).is_err()
            {
                return Ok(());
            }
        }
        if !part.is_empty() && to.blocking_send(Part::Rows(table, part)).is_err() {
            return Ok(());
        }
    }
    // A receiver that is gone does not need the end.
    let _ = to.blocking_send(Part::End);
    Ok(())
}

fn read(table: &Table, row: &Row<'_>) -> Result<Vec<Cell>, SqlError> {
    let cell = |index| {
        Ok(match row.get_ref(index)? {
            ValueRef::Null => Cell::Null,
            ValueRef::Integer(number) => Cell::Int(number),
            ValueRef::Text(text) => Cell::Text(String::from_utf8_lossy(text).into_owned()),
            ValueRef::Blob(bytes) => Cell::Bytes(bytes.to_vec()),
            ValueRef::Real(number) if has_kind(table, index, Kind::Real) => Cell::Real(number),
            ValueRef::Real(_) => {
                return Err(StoreError::Corrupt { what: "row", why: BadRow::NotAnInteger }.into());
            }
        })
    };
    (0..table.columns.len()).map(cell).collect()
}

fn has_kind(table: &Table, column: usize, kind: Kind) -> bool {
    table.columns.get(column).is_some_and(|(_, is)| *is == kind)
}

/// Runs in the writer's transaction. Blocks until the last part.
fn import(conn: &Connection, mut from: mpsc::Receiver<Part>) -> Result<(), ImportFault> {
    for table in TABLES {
        let sql = format!("SELECT EXISTS (SELECT 1 FROM {})", table.name);
        if conn.query_row(&sql, [], |row| row.get(0))? {
            return Err(ImportFault::NotEmpty(table.name));
        }
    }
    while let Some(part) = from.blocking_recv() {
        match part {
            Part::Rows(table, rows) => insert(conn, table, rows)?,
            Part::End => return Ok(()),
        }
    }
    Err(ImportFault::Interrupted)
}

fn insert(conn: &Connection, table: &Table, rows: Vec<Vec<Cell>>) -> Result<(), SqlError> {
    let places = vec!["?"; table.columns.len()].join(", ");
    let sql = format!("INSERT INTO {} ({}) VALUES ({places})", table.name, table.column_list());
    let mut insert = conn.prepare_cached(&sql)?;
    for row in rows {
        insert.execute(params_from_iter(row.into_iter().map(|cell| match cell {
            Cell::Null => Value::Null,
            Cell::Int(number) => Value::Integer(number),
            Cell::Real(number) => Value::Real(number),
            Cell::Text(text) => Value::Text(text),
            Cell::Bytes(bytes) => Value::Blob(bytes),
        })))?;
    }
    Ok(())
}
