//! Entries as CSV (RFC 4180), for spreadsheets.
//!
//! A text that begins with `=`, `+`, `-`, `@`, a tab or a carriage return would be a formula in a spreadsheet. It
//! is written with an apostrophe before it, as is a text that begins with an apostrophe; reading removes it. An
//! apostrophe alone stands for an empty text, because an empty cell stands for no value.
//!
//! A declared field has values of its type in its cells, and any other field texts. Scripts may write others. If an
//! entry has one, the column is headed `key json` and has JSON in all its cells.

mod entries;

use std::collections::{HashMap, HashSet};
use std::io::{self, BufRead};

use serde_json::Value;

use sluice_kit::clock::iso_utc;

use crate::names::shown;
use crate::{BrowsedEntry, Call, CrmError, EntryId, FieldKey, FieldType, OptionName, Reference, check};

pub use entries::{Export, ExportFault, ImportFault, Imported, check_file, import};

/// The columns before those of the fields. A field's key has no space, so it is never one of these.
pub const OWN_COLUMNS: [&str; 7] =
    ["entry id", "reference type", "reference id", "pipeline slug", "stage slug", "created at", "updated at"];
/// The most bytes of a record. An entry with the most keys and the largest values has more, but no spreadsheet
/// would show it.
const RECORD_BYTES_MAX: usize = 16 << 20;
/// Follows the key in the head of a column that has JSON in its cells. A key has no space.
const JSON_SUFFIX: &str = " json";

/// Writes a record.
pub fn record<'a>(cells: impl IntoIterator<Item = &'a str>) -> String {
    let mut line = String::new();
    for (index, cell) in cells.into_iter().enumerate() {
        if index > 0 {
            line.push(',');
        }
        match cell.contains(['"', ',', '\n', '\r']) || cell.starts_with(' ') || cell.ends_with(' ') {
            true => {
                line.push('"');
                line.push_str(&cell.replace('"', "\"\""));
                line.push('"');
            }
            false => line.push_str(cell),
        }
    }
    line.push_str("\r\n");
    line
}

/// A column of a field in a file that is written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ExportColumn {
    /// The field's key.
    pub key: String,
    /// Its declared type.
    pub kind: Option<FieldType>,
    /// Whether the cells have JSON, because a value is not of the type.
    pub is_json: bool,
}

impl ExportColumn {
    /// A column whose cells have values of the declared type, or texts.
    pub fn new(key: String, kind: Option<FieldType>) -> Self {
        Self { key, kind, is_json: false }
    }

    /// Notes that there is this value.
    pub fn note(&mut self, value: &Value) {
        self.is_json |= !Shape::of(self.kind).has(value);
    }

    fn head(&self) -> String {
        format!("{}{}", self.key, if self.is_json { JSON_SUFFIX } else { "" })
    }

    fn cell(&self, value: &Value) -> String {
        match value {
            Value::String(text) if !self.is_json && Shape::of(self.kind) == Shape::Text => {
                guarded_value(text)
            }
            other => other.to_string(),
        }
    }
}

/// Writes the first record.
pub fn head_record(columns: &[ExportColumn]) -> String {
    let heads: Vec<String> = columns.iter().map(ExportColumn::head).collect();
    record(OWN_COLUMNS.into_iter().chain(heads.iter().map(String::as_str)))
}

/// Writes the record of an entry. Returns `None` if it has a value for which the columns have no place.
pub fn entry_record(found: &BrowsedEntry, columns: &[ExportColumn]) -> Option<String> {
    let entry = &found.entry;
    let placement = entry.placement.as_ref();
    let place = |slug: fn(&crate::Placement) -> &String| placement.map(slug).cloned().unwrap_or_default();
    let own = [
        entry.id.to_string(),
        guarded(&found.reference_type),
        guarded(&found.reference_id),
        place(|at| &at.pipeline_slug),
        place(|at| &at.stage_slug),
        iso_utc(entry.created_at),
        iso_utc(entry.updated_at),
    ];
    let values: HashMap<&str, &Value> =
        entry.values.iter().map(|(key, value)| (key.as_str(), value)).collect();
    let mut cells = own.to_vec();
    let mut placed = 0;
    for column in columns {
        cells.push(match values.get(column.key.as_str()) {
            Some(value) if !column.is_json && !Shape::of(column.kind).has(value) => return None,
            Some(value) => column.cell(value),
            None => String::new(),
        });
        placed += usize::from(values.contains_key(column.key.as_str()));
    }
    (placed == values.len()).then(|| record(cells.iter().map(String::as_str)))
}

/// What the cells of a column have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    Text,
    Number,
    Boolean,
    List,
    Json,
}

impl Shape {
    fn of(kind: Option<FieldType>) -> Self {
        use FieldType::{
            Boolean, Checkbox, Currency, Decimal, Integer, Json, MultiReference, Multiselect, Number,
        };
        match kind {
            Some(Number | Integer | Decimal | Currency) => Self::Number,
            Some(Boolean | Checkbox) => Self::Boolean,
            Some(Multiselect | MultiReference) => Self::List,
            Some(Json) => Self::Json,
            _ => Self::Text,
        }
    }

    fn has(self, value: &Value) -> bool {
        match self {
            Self::Text => value.is_string(),
            Self::Number => value.is_number(),
            Self::Boolean => value.is_boolean(),
            Self::List => value.is_array(),
            Self::Json => !value.is_null(),
        }
    }
}

/// A text that is a value. An empty cell stands for no value.
fn guarded_value(text: &str) -> String {
    match text.is_empty() {
        true => "'".to_owned(),
        false => guarded(text),
    }
}

/// A text as a cell that no spreadsheet runs as a formula.
pub fn guarded(text: &str) -> String {
    match text.starts_with(['=', '+', '-', '@', '\t', '\r', '\'']) {
        true => format!("'{text}"),
        false => text.to_owned(),
    }
}

fn unguarded(cell: &str) -> &str {
    match cell.strip_prefix('\'') {
        Some(text) if guarded_value(text) == cell => text,
        _ => cell,
    }
}

/// A cell, and where it begins.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cell {
    /// The text, without quotes.
    pub text: String,
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, in characters.
    pub column: u64,
}

/// What is wrong in a file, and where.
#[derive(Debug, thiserror::Error)]
#[error("{line}:{column}: {mistake}")]
pub struct CsvError {
    /// Counted from 1.
    pub line: u64,
    /// Counted from 1, in characters.
    pub column: u64,
    /// What is wrong.
    pub mistake: CsvMistake,
}

/// What is wrong in a file. `Display` writes one sentence.
#[derive(Debug, thiserror::Error)]
pub enum CsvMistake {
    /// The file cannot be read.
    #[error("the file cannot be read: {0}")]
    File(#[from] io::Error),
    /// The file is not UTF-8.
    #[error("the record is not UTF-8; save the file as \"CSV UTF-8\"")]
    Encoding,
    /// A quote is not closed.
    #[error("the quotation mark is not closed")]
    OpenQuote,
    /// Text follows a closing quote.
    #[error("a comma must follow the closing quotation mark; write \"\" for a quotation mark in a text")]
    AfterQuote,
    /// A record is too long.
    #[error("the record is longer than {RECORD_BYTES_MAX} bytes")]
    TooLong,
    /// A record has another number of cells than the first one.
    #[error("the record has {found} cells, but the first line has {wanted}")]
    Count {
        /// In the record.
        found: usize,
        /// In the first line.
        wanted: usize,
    },
    /// The file is empty.
    #[error("the first line must name the columns")]
    NoColumns,
    /// A column is neither a field key nor one of the own columns.
    #[error("{0:?} is neither a field key nor one of the columns {own}", own = OWN_COLUMNS.join(", "))]
    Column(String),
    /// A column is there twice.
    #[error("the column {0:?} is there twice")]
    Twice(String),
    /// A value does not fit the type of its field.
    #[error("{text:?} is no {kind}")]
    Value {
        /// The cell.
        text: String,
        /// The declared type of the field.
        kind: &'static str,
    },
    /// A value or a key cannot be stored.
    #[error("{0}")]
    Refused(String),
    /// An id is not one.
    #[error("{0:?} is not the id of an entry; leave the cell empty to create one")]
    Id(String),
    /// There is no reference for a new entry.
    #[error("a new entry needs a \"reference type\" and a \"reference id\"")]
    NoReference,
    /// A reference is invalid.
    #[error(transparent)]
    Reference(#[from] crate::ReferenceError),
}

/// Reads records, one at a time.
pub struct Reader<R> {
    from: R,
    line: u64,
}

impl<R: BufRead> Reader<R> {
    /// Reads from `from`. A byte order mark is skipped.
    pub fn new(from: R) -> Self {
        Self { from, line: 0 }
    }

    /// The next record that is not empty. `None` at the end.
    ///
    /// # Errors
    /// The record is not valid.
    pub fn record(&mut self) -> Result<Option<Vec<Cell>>, CsvError> {
        loop {
            let first = self.line + 1;
            let mut text = String::new();
            // A record goes on in the next line while a quotation mark is open.
            let mut is_open = false;
            loop {
                let before = text.len();
                let is_end = !self.append_line(first, &mut text)?;
                let added = text.get(before..).unwrap_or_default();
                is_open ^= added.matches('"').count() % 2 == 1;
                if is_end || !is_open {
                    break;
                }
            }
            if text.is_empty() {
                return Ok(None);
            }
            let text = if first == 1 { text.trim_start_matches('\u{feff}') } else { text.as_str() };
            let text = text.strip_suffix('\n').unwrap_or(text);
            let text = text.strip_suffix('\r').unwrap_or(text);
            if !text.is_empty() {
                return cells(text, first).map(Some);
            }
        }
    }

    /// Appends a line with its end. Returns false at the end of the file.
    fn append_line(&mut self, first: u64, text: &mut String) -> Result<bool, CsvError> {
        let at = |mistake| CsvError { line: first, column: 1, mistake };
        let mut bytes = Vec::new();
        let room = RECORD_BYTES_MAX.saturating_sub(text.len()).saturating_add(1);
        let limit = u64::try_from(room).unwrap_or(u64::MAX);
        let read = io::Read::take(&mut self.from, limit).read_until(b'\n', &mut bytes);
        let read = read.map_err(|error| at(error.into()))?;
        if read == room {
            return Err(at(CsvMistake::TooLong));
        }
        self.line += u64::from(read > 0);
        text.push_str(std::str::from_utf8(&bytes).map_err(|_| at(CsvMistake::Encoding))?);
        Ok(read > 0)
    }
}

/// The cells of a record, which can have several lines.
fn cells(text: &str, first: u64) -> Result<Vec<Cell>, CsvError> {
    let (mut line, mut column) = (first, 0);
    let mut cells = Vec::new();
    let mut chars = text.chars().peekable();
    let mut cell = Cell { text: String::new(), line, column: 1 };
    // Within quotation marks, and whether they were closed.
    let (mut quoted, mut closed) = (false, false);
    while let Some(char) = chars.next() {
        column += 1;
        match char {
            '"' if quoted && chars.peek() == Some(&'"') => {
                chars.next();
                column += 1;
                cell.text.push('"');
            }
            '"' if quoted => (quoted, closed) = (false, true),
            '"' if cell.text.is_empty() && !closed => quoted = true,
            ',' if !quoted => {
                let next = Cell { text: String::new(), line, column: column + 1 };
                cells.push(std::mem::replace(&mut cell, next));
                closed = false;
            }
            _ if closed => return Err(CsvError { line, column, mistake: CsvMistake::AfterQuote }),
            char => cell.text.push(char),
        }
        if char == '\n' {
            (line, column) = (line + 1, 0);
        }
    }
    if quoted {
        let Cell { line, column, .. } = cell;
        return Err(CsvError { line, column, mistake: CsvMistake::OpenQuote });
    }
    cells.push(cell);
    Ok(cells)
}

impl Cell {
    fn wrong(&self, mistake: impl Into<CsvMistake>) -> CsvError {
        CsvError { line: self.line, column: self.column, mistake: mistake.into() }
    }
}

/// The columns of a file.
#[derive(Debug)]
pub struct Columns(Vec<Column>);

#[derive(Debug)]
enum Column {
    Own(&'static str),
    Field { key: FieldKey, kind: Option<FieldType>, is_json: bool },
}

/// A record that was read: an entry to create or to change.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// The line on which the record begins.
    pub line: u64,
    /// The entry to change. `None` creates one.
    pub id: Option<EntryId>,
    /// Whose entry it is. Only a new one needs it.
    pub reference: Option<Reference>,
    /// Each key once. Empty cells are not here.
    pub fields: Vec<(FieldKey, Value)>,
}

impl Columns {
    /// Reads the first record. `kind` returns the declared type of a field.
    ///
    /// # Errors
    /// A column is unknown or there twice.
    pub fn read(
        cells: Option<Vec<Cell>>,
        kind: impl Fn(&str) -> Option<FieldType>,
    ) -> Result<Self, CsvError> {
        let none = || CsvError { line: 1, column: 1, mistake: CsvMistake::NoColumns };
        let cells = cells.ok_or_else(none)?;
        let mut columns = Vec::new();
        let mut known = HashSet::new();
        for cell in &cells {
            let (name, is_json) = match cell.text.strip_suffix(JSON_SUFFIX) {
                Some(key) => (key, true),
                None => (cell.text.as_str(), false),
            };
            if !known.insert(name) {
                return Err(cell.wrong(CsvMistake::Twice(shown(&cell.text))));
            }
            columns.push(match OWN_COLUMNS.into_iter().find(|own| *own == cell.text) {
                Some(own) => Column::Own(own),
                None => {
                    let key = FieldKey::new(name);
                    let key = key.map_err(|_| cell.wrong(CsvMistake::Column(shown(&cell.text))))?;
                    let kind = kind(key.as_str());
                    Column::Field { key, kind, is_json }
                }
            });
        }
        Ok(Self(columns))
    }

    /// Checks a record.
    ///
    /// # Errors
    /// A cell is invalid.
    pub fn row(&self, cells: &[Cell]) -> Result<Row, CsvError> {
        let Some(first) = cells.first() else {
            return Err(CsvError { line: 0, column: 1, mistake: CsvMistake::NoColumns });
        };
        if cells.len() != self.0.len() {
            return Err(first.wrong(CsvMistake::Count { found: cells.len(), wanted: self.0.len() }));
        }
        let mut row = Row { line: first.line, id: None, reference: None, fields: Vec::new() };
        let (mut kind, mut id) = (None, None);
        for (cell, column) in cells.iter().zip(&self.0).filter(|(cell, _)| !cell.text.is_empty()) {
            match column {
                Column::Own("entry id") => {
                    let wrong = || cell.wrong(CsvMistake::Id(shown(&cell.text)));
                    row.id = Some(EntryId::parse(&cell.text).ok_or_else(wrong)?);
                }
                Column::Own("reference type") => kind = Some(cell),
                Column::Own("reference id") => id = Some(cell),
                // An entry gets its times and its stage otherwise.
                Column::Own(_) => {}
                Column::Field { key, kind, is_json } => {
                    row.fields.push((key.clone(), value(cell, *kind, *is_json)?));
                }
            }
        }
        row.reference = match (kind, id) {
            (Some(kind), Some(id)) => {
                let reference = Reference::new(unguarded(&kind.text), unguarded(&id.text));
                Some(reference.map_err(|why| id.wrong(why))?)
            }
            _ => None,
        };
        match row.id.is_none() && row.reference.is_none() {
            true => Err(first.wrong(CsvMistake::NoReference)),
            false => Ok(row),
        }
    }
}

/// The value of a cell. The declared type of the field decides what it is; a field that is not declared has
/// texts.
fn value(cell: &Cell, kind: Option<FieldType>, is_json: bool) -> Result<Value, CsvError> {
    let shape = if is_json { Shape::Json } else { Shape::of(kind) };
    let text = unguarded(&cell.text);
    let found = match shape {
        Shape::Text => Some(Value::String(text.to_owned())),
        _ => serde_json::from_str::<Value>(&cell.text).ok().filter(|value| shape.has(value)),
    };
    let kind = if is_json { "json" } else { kind.map_or("text", FieldType::as_str) };
    let found = found.ok_or_else(|| cell.wrong(CsvMistake::Value { text: shown(text), kind }))?;
    match check::value(Call::CreateEntry, &OptionName::Plain("the value"), &found) {
        Ok(()) => Ok(found),
        Err(CrmError::Refused { reason, .. }) => Err(cell.wrong(CsvMistake::Refused(reason.to_string()))),
        Err(error) => Err(cell.wrong(CsvMistake::Refused(error.to_string()))),
    }
}

#[cfg(test)]
mod tests;
