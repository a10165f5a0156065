//! The file format: writes parts as lines, and reads them.

use std::io::{self, BufRead, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value, json};

use super::{Cell, Kind, Part, ROWS_MAX, Table, VERSION};

/// Writes parts as lines.
pub struct Writer<W> {
    out: W,
    rows: u64,
}

impl<W: Write> Writer<W> {
    /// Writes the first line to `out`.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn begin(mut out: W) -> io::Result<Self> {
        writeln!(out, "{}", json!({ "sluice": "export", "version": VERSION }))?;
        Ok(Self { out, rows: 0 })
    }

    /// Writes a part.
    ///
    /// # Errors
    /// The output cannot be written.
    pub fn write(&mut self, part: &Part) -> io::Result<()> {
        match part {
            Part::Rows(table, rows) => {
                for row in rows {
                    serde_json::to_writer(&mut self.out, &line(table, row))?;
                    self.out.write_all(b"\n")?;
                }
                self.rows += rows.len() as u64;
                Ok(())
            }
            Part::End => {
                writeln!(self.out, "{}", json!({ "end": self.rows }))?;
                self.out.flush()
            }
        }
    }

    /// The number of rows written so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }
}

fn line(table: &Table, row: &[Cell]) -> Value {
    let mut line = Map::new();
    line.insert("table".to_owned(), table.name.into());
    for ((name, _), cell) in table.columns.iter().zip(row) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Int(number) => (*number).into(),
            Cell::Real(number) => (*number).into(),
            Cell::Text(text) => text.clone().into(),
            Cell::Bytes(bytes) => STANDARD.encode(bytes).into(),
        };
        line.insert((*name).to_owned(), value);
    }
    Value::Object(line)
}

/// Why an export file cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself cannot be read.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A line is not valid.
    #[error("line {line}: {error}")]
    Line {
        /// The line's number, counted from 1.
        line: u64,
        /// What is wrong with the line.
        error: LineError,
    },
}

/// What is wrong with a line of an export file.
#[derive(Debug, thiserror::Error)]
pub enum LineError {
    /// The line is not JSON, or not an object.
    #[error("this is not a JSON object: {0}")]
    NoObject(serde_json::Error),
    /// The first line does not say that this is an export.
    #[error("this is not an export of Sluice")]
    NoExport,
    /// The first line has no version.
    #[error("the version is missing")]
    NoVersion,
    /// Another version of this program wrote the file.
    #[error("the file has format version {0}; this program reads version {VERSION}")]
    Version(u64),
    /// The file ends before its last line.
    #[error("the file is incomplete: its last line is missing")]
    Incomplete,
    /// The last line has another number of rows.
    #[error("the file has {rows} rows, but its last line says {said}")]
    Count {
        /// The rows in the file.
        rows: u64,
        /// The JSON value in the last line.
        said: Value,
    },
    /// Lines follow the last line.
    #[error("there are more lines after the end")]
    AfterEnd,
    /// No table has this name.
    #[error("there is no table {0:?}")]
    UnknownTable(String),
    /// The row has more or fewer columns than its table.
    #[error("{} has these columns: {}", .0.name, .0.column_list())]
    Columns(&'static Table),
    /// The row does not have this column.
    #[error("{table}.{column} is missing")]
    MissingColumn {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
    },
    /// A value is not of its column's type.
    #[error("{table}.{column} is not {}", expected(*.kind))]
    Value {
        /// The table.
        table: &'static str,
        /// The column.
        column: &'static str,
        /// The column's type.
        kind: Kind,
    },
}

/// Reads parts from lines.
pub struct Reader<R> {
    lines: io::Lines<R>,
    line: u64,
    rows: u64,
    /// A row that was read after the last row of a part.
    next: Option<(&'static Table, Vec<Cell>)>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// The file is not an export, or another version of this program wrote it.
    pub fn begin(from: R) -> Result<Self, ReadError> {
        let mut reader = Self { lines: from.lines(), line: 0, rows: 0, next: None, ended: false };
        let first = reader.object()?;
        if first.get("sluice") != Some(&json!("export")) {
            return Err(reader.error(LineError::NoExport));
        }
        match first.get("version").and_then(Value::as_u64) {
            Some(VERSION) => Ok(reader),
            Some(other) => Err(reader.error(LineError::Version(other))),
            None => Err(reader.error(LineError::NoVersion)),
        }
    }

    /// Reads the next part. The last one is [`Part::End`].
    ///
    /// # Errors
    /// The file cannot be read, or a line is not valid.
    pub fn read(&mut self) -> Result<Part, ReadError> {
        if self.next.is_none() {
            self.next = self.row()?;
        }
        let Some((table, first)) = self.next.take() else {
            return Ok(Part::End);
        };
        let mut rows = vec![first];
        while rows.len() < ROWS_MAX {
            match self.row()? {
                Some((same, row)) if same == table => rows.push(row),
                other => {
                    self.next = other;
                    break;
                }
            }
        }
        Ok(Part::Rows(table, rows))
    }

    /// The number of rows read so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    fn row(&mut self) -> Result<Option<(&'static Table, Vec<Cell>)>, ReadError> {
        if self.ended {
            return Ok(None);
        }
        let object = self.object()?;
        if let Some(count) = object.get("end") {
            self.ended = true;
            if count.as_u64() != Some(self.rows) {
                return Err(self.error(LineError::Count { rows: self.rows, said: count.clone() }));
            }
            if self.lines.next().is_some() {
                return Err(self.error(LineError::AfterEnd));
            }
            return Ok(None);
        }
        let name = object.get("table").and_then(Value::as_str).unwrap_or_default();
        let table = Table::named(name).ok_or_else(|| self.error(LineError::UnknownTable(name.to_owned())))?;
        let is_left_out =
            |(column, _): &&(&str, Kind)| table.default_of(column).is_some() && !object.contains_key(*column);
        let left_out = table.columns.iter().filter(is_left_out).count();
        if object.len() + left_out != table.columns.len() + 1 {
            return Err(self.error(LineError::Columns(table)));
        }
        let cells = table.columns.iter().map(|&(column, kind)| {
            let (default, table) = (table.default_of(column), table.name);
            let Some(value) = object.get(column) else {
                return default.ok_or(LineError::MissingColumn { table, column });
            };
            cell(value, kind).ok_or(LineError::Value { table, column, kind })
        });
        let row = cells.collect::<Result<_, _>>().map_err(|error| self.error(error))?;
        self.rows += 1;
        Ok(Some((table, row)))
    }

    fn object(&mut self) -> Result<Map<String, Value>, ReadError> {
        self.line += 1;
        let Some(line) = self.lines.next() else {
            return Err(self.error(LineError::Incomplete));
        };
        serde_json::from_str(&line?).map_err(|error| self.error(LineError::NoObject(error)))
    }

    fn error(&self, error: LineError) -> ReadError {
        ReadError::Line { line: self.line, error }
    }
}

fn cell(value: &Value, kind: Kind) -> Option<Cell> {
    match (value, kind) {
        (Value::Null, _) => Some(Cell::Null),
        (Value::Number(number), Kind::Int) => number.as_i64().map(Cell::Int),
        (Value::Number(number), Kind::Flag) => number.as_i64().filter(|n| [0, 1].contains(n)).map(Cell::Int),
        (Value::Number(number), Kind::Real) => number.as_f64().map(Cell::Real),
        (Value::String(text), Kind::Text) if !text.contains('\0') => Some(Cell::Text(text.clone())),
        (Value::String(text), Kind::Bytes) => STANDARD.decode(text).ok().map(Cell::Bytes),
        _ => None,
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "a 64-bit integer",
        Kind::Flag => "0 or 1",
        Kind::Real => "a number",
        Kind::Text => "text without NUL",
        Kind::Bytes => "base64",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const USAGE: &str = r#"{"table":"crm_usage","brand":"a","bytes":1}"#;

    fn read(lines: &[&str]) -> Result<Vec<Part>, String> {
        let text = lines.join("\n");
        let mut reader = Reader::begin(text.as_bytes()).map_err(|error| error.to_string())?;
        let mut parts = Vec::new();
        loop {
            let part = reader.read().map_err(|error| error.to_string())?;
            let ended = matches!(part, Part::End);
            parts.push(part);
            if ended {
                return Ok(parts);
            }
        }
    }

    const FIRST: &str = r#"{"sluice":"export","version":1}"#;

    #[test]
    fn reads_what_it_writes() {
        let table = Table::named("crm_entry").unwrap();
        let entry = |id: u8| {
            let times = [Cell::Int(i64::MIN), Cell::Int(i64::MAX)];
            let moves = vec![Cell::Int(0)];
            [vec![Cell::Bytes(vec![id; 16]), Cell::Int(7), Cell::Null], times.to_vec(), moves].concat()
        };
        let rows: Vec<_> = (0..=255).cycle().take(ROWS_MAX + 1).map(entry).collect();
        let usage = Table::named("crm_usage").unwrap();
        let mut text = Vec::new();
        let mut writer = Writer::begin(&mut text).unwrap();
        writer.write(&Part::Rows(table, rows.clone())).unwrap();
        writer.write(&Part::Rows(usage, vec![vec![Cell::Text("é\"\n".into()), Cell::Int(0)]])).unwrap();
        writer.write(&Part::End).unwrap();
        let text = String::from_utf8(text).unwrap();
        let parts = read(&text.lines().collect::<Vec<_>>()).unwrap();
        let [Part::Rows(_, first), Part::Rows(_, rest), Part::Rows(_, last), Part::End] = &parts[..] else {
            panic!("{parts:?}");
        };
        assert_eq!([&first[..], rest].concat(), rows);
        assert_eq!(last[0], [Cell::Text("é\"\n".into()), Cell::Int(0)]);
    }

    #[test]
    fn reads_rows_of_versions_that_had_fewer_columns() {
        let old = r#"{"table":"crm_entity","id":1,"brand":"a","slug":"s","name":"S","mode":"data"}"#;
        let parts = read(&[FIRST, old, r#"{"end":1}"#]).unwrap();
        let [Part::Rows(_, rows), Part::End] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!(rows[0].last(), Some(&Cell::Text("{}".to_owned())));
        let old =
            r#"{"table":"crm_entry","id":"AAAA","reference":1,"stage_id":2,"created_at":3,"updated_at":4}"#;
        let parts = read(&[FIRST, old, r#"{"end":1}"#]).unwrap();
        let [Part::Rows(_, rows), Part::End] = &parts[..] else { panic!("{parts:?}") };
        assert_eq!(rows[0].last(), Some(&Cell::Int(0)));
    }

    #[test]
    fn errors_name_the_line() {
        for (lines, says) in [
            (&["{}"][..], "line 1: this is not an export"),
            (&[r#"{"sluice":"export","version":2}"#], "line 1: the file has format version 2"),
            (&[FIRST], "line 2: the file is incomplete"),
            (&[FIRST, USAGE], "line 3: the file is incomplete"),
            (&[FIRST, USAGE, r#"{"end":2}"#], "line 3: the file has 1 rows, but its last line says 2"),
            (&[FIRST, r#"{"end":0}"#, USAGE], "line 2: there are more lines after the end"),
            (&[FIRST, "[1"], "line 2: this is not a JSON object"),
            (&[FIRST, r#"{"table":"x"}"#], "line 2: there is no table \"x\""),
            (
                &[FIRST, r#"{"table":"crm_usage","brand":"a"}"#],
                "line 2: crm_usage has these columns: brand, bytes",
            ),
            (
                &[FIRST, r#"{"table":"crm_usage","brand":"a","bites":1}"#],
                "line 2: crm_usage.bytes is missing",
            ),
            (&[FIRST, r#"{"table":"crm_usage","brand":"\u0000","bytes":1}"#], "crm_usage.brand is not text"),
            (&[FIRST, r#"{"table":"crm_usage","brand":"a","bytes":1.5}"#], "crm_usage.bytes is not a 64-bit"),
        ] {
            let error = read(lines).unwrap_err();
            assert!(error.contains(says), "{error}");
        }
    }
}
