//! The file format: parts to lines and back.

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
    /// Writes the first line.
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

    /// Rows so far.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// The output.
    pub fn into_inner(self) -> W {
        self.out
    }
}

fn line(table: &Table, row: &[Cell]) -> Value {
    let mut line = Map::new();
    line.insert("table".to_owned(), table.name.into());
    for ((name, _), cell) in table.columns.iter().zip(row) {
        let value = match cell {
            Cell::Null => Value::Null,
            Cell::Int(number) => (*number).into(),
            Cell::Text(text) => text.clone().into(),
            Cell::Bytes(bytes) => STANDARD.encode(bytes).into(),
        };
        line.insert((*name).to_owned(), value);
    }
    Value::Object(line)
}

/// Why a file cannot be read on.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The file itself.
    #[error(transparent)]
    File(#[from] io::Error),
    /// A line is not what it must be.
    #[error("line {line}: {why}")]
    Line {
        /// Counted from 1.
        line: u64,
        /// What is wrong with it.
        why: String,
    },
}

/// Reads parts from lines.
pub struct Reader<R> {
    lines: io::Lines<R>,
    line: u64,
    rows: u64,
    /// Read, and of another table than those before.
    next: Option<(&'static Table, Vec<Cell>)>,
    ended: bool,
}

impl<R: BufRead> Reader<R> {
    /// Reads the first line.
    ///
    /// # Errors
    /// It is no such file, or one of a later version.
    pub fn begin(from: R) -> Result<Self, ReadError> {
        let mut reader = Self { lines: from.lines(), line: 0, rows: 0, next: None, ended: false };
        let first = reader.object()?;
        if first.get("sluice") != Some(&json!("export")) {
            return Err(reader.wrong("this is not an export of Sluice"));
        }
        match first.get("version").and_then(Value::as_u64) {
            Some(VERSION) => Ok(reader),
            Some(other) => {
                let why = format!("this has version {other}; this program reads version {VERSION}");
                Err(reader.wrong(why))
            }
            None => Err(reader.wrong("the version is missing")),
        }
    }

    /// The next part; the last is [`Part::End`].
    ///
    /// # Errors
    /// A line that is not valid, with its number.
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

    /// Rows so far.
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
                return Err(self.wrong(format!("the file has {} rows and says {count}", self.rows)));
            }
            if self.lines.next().is_some() {
                return Err(self.wrong("there is more after the end"));
            }
            return Ok(None);
        }
        let name = object.get("table").and_then(Value::as_str).unwrap_or_default();
        let table = Table::named(name).ok_or_else(|| self.wrong(format!("there is no table {name:?}")))?;
        if object.len() != table.columns.len() + 1 {
            let why = format!("{name} has these columns: {}", table.column_list());
            return Err(self.wrong(why));
        }
        let cells = table.columns.iter().map(|(column, kind)| {
            let value = object.get(*column).ok_or_else(|| format!("{name}.{column} is missing"))?;
            cell(value, *kind).ok_or_else(|| format!("{name}.{column} is not {}", expected(*kind)))
        });
        let row = cells.collect::<Result<_, String>>().map_err(|why| self.wrong(why))?;
        self.rows += 1;
        Ok(Some((table, row)))
    }

    fn object(&mut self) -> Result<Map<String, Value>, ReadError> {
        self.line += 1;
        let Some(line) = self.lines.next() else {
            return Err(self.wrong("the file ends before its end: a part of it is missing"));
        };
        serde_json::from_str(&line?).map_err(|error| self.wrong(format!("this is no JSON object: {error}")))
    }

    fn wrong(&self, why: impl Into<String>) -> ReadError {
        ReadError::Line { line: self.line, why: why.into() }
    }
}

fn cell(value: &Value, kind: Kind) -> Option<Cell> {
    match (value, kind) {
        (Value::Null, _) => Some(Cell::Null),
        (Value::Number(number), Kind::Int) => number.as_i64().map(Cell::Int),
        (Value::Number(number), Kind::Flag) => number.as_i64().filter(|n| [0, 1].contains(n)).map(Cell::Int),
        (Value::String(text), Kind::Text) if !text.contains('\0') => Some(Cell::Text(text.clone())),
        (Value::String(text), Kind::Bytes) => STANDARD.decode(text).ok().map(Cell::Bytes),
        _ => None,
    }
}

fn expected(kind: Kind) -> &'static str {
    match kind {
        Kind::Int => "a 64-bit integer",
        Kind::Flag => "0 or 1",
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
    fn what_is_written_is_read() {
        let table = Table::named("crm_entry").unwrap();
        let entry = |id: u8| {
            let times = [Cell::Int(i64::MIN), Cell::Int(i64::MAX)];
            [vec![Cell::Bytes(vec![id; 16]), Cell::Int(7), Cell::Null], times.to_vec()].concat()
        };
        let rows: Vec<_> = (0..=255).cycle().take(ROWS_MAX + 1).map(entry).collect();
        let usage = Table::named("crm_usage").unwrap();
        let mut writer = Writer::begin(Vec::new()).unwrap();
        writer.write(&Part::Rows(table, rows.clone())).unwrap();
        writer.write(&Part::Rows(usage, vec![vec![Cell::Text("é\"\n".into()), Cell::Int(0)]])).unwrap();
        writer.write(&Part::End).unwrap();
        let text = String::from_utf8(writer.into_inner()).unwrap();
        let parts = read(&text.lines().collect::<Vec<_>>()).unwrap();
        let [Part::Rows(_, first), Part::Rows(_, rest), Part::Rows(_, last), Part::End] = &parts[..] else {
            panic!("{parts:?}");
        };
        assert_eq!([&first[..], rest].concat(), rows);
        assert_eq!(last[0], [Cell::Text("é\"\n".into()), Cell::Int(0)]);
    }

    #[test]
    fn mistakes_are_named_with_their_line() {
        for (lines, says) in [
            (&["{}"][..], "line 1: this is not an export"),
            (&[r#"{"sluice":"export","version":2}"#], "line 1: this has version 2"),
            (&[FIRST], "line 2: the file ends"),
            (&[FIRST, USAGE], "line 3: the file ends"),
            (&[FIRST, USAGE, r#"{"end":2}"#], "line 3: the file has 1 rows and says 2"),
            (&[FIRST, r#"{"end":0}"#, USAGE], "line 2: there is more after the end"),
            (&[FIRST, "[1"], "line 2: this is no JSON object"),
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
