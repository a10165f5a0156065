//! Moves all rows of a database into another database, which may be of another kind.
//!
//! An export file has one JSON object on each line:
//!
//! ```text
//! {"sluice":"export","version":1}
//! {"table":"crm_entity","id":1,"brand":"acme","slug":"leads","name":"Leads","mode":"crm"}
//! …
//! {"end":1234}
//! ```
//!
//! Columns of bytes are base64. The last line has the number of rows, so that an incomplete file
//! is detected. `docs/data.md` describes the tables.

mod lines;

use tokio::sync::mpsc;

pub use lines::{LineError, ReadError, Reader, Writer};

use sluice_kit::{BoxFuture, StoreError};

/// The version of the file format.
pub(crate) const VERSION: u64 = 1;
/// The most rows in one [`Part::Rows`].
pub(crate) const ROWS_MAX: usize = 500;

/// The type of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// An integer of 64 bits.
    Int,
    /// The integer 0 or 1.
    Flag,
    /// A number of 64 bits, not always an integer.
    Real,
    /// Text without NUL.
    Text,
    /// Any bytes.
    Bytes,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq)]
pub enum Cell {
    /// `NULL`.
    Null,
    /// A value of [`Kind::Int`] or [`Kind::Flag`].
    Int(i64),
    /// A value of [`Kind::Real`].
    Real(f64),
    /// A value of [`Kind::Text`].
    Text(String),
    /// A value of [`Kind::Bytes`].
    Bytes(Vec<u8>),
}

/// A table that is exported and imported.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// The name in both databases.
    pub name: &'static str,
    /// Names and types, in the order of a row's cells.
    pub columns: &'static [(&'static str, Kind)],
    /// The columns of the primary key, comma-separated. Rows are sorted by them.
    pub key: &'static str,
    /// True if the database assigns `id`.
    pub counts: bool,
}

/// A piece of a transfer.
#[derive(Debug)]
pub enum Part {
    /// At least one row of a table. Each row has one cell for each column.
    Rows(&'static Table, Vec<Vec<Cell>>),
    /// The end of the transfer. An import without it is undone.
    End,
}

/// Why an import failed. A failed import changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// The named table has rows. An import never overwrites data.
    #[error("the database is not empty: it has rows in {0}")]
    NotEmpty(&'static str),
    /// The parts ended without [`Part::End`].
    #[error("the import was interrupted")]
    Interrupted,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reading and filling a whole database.
pub trait TransferStore: Send + Sync {
    /// Sends all rows as they are at one moment, tables that others refer to first, and then
    /// [`Part::End`]. The site may be in use. Stops early if the receiver is dropped.
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Fills the database, which must be empty. If it fails, the database stays empty.
    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>>;
}

use Kind::{Bytes, Flag, Int, Real, Text};

/// Every table of a transfer, tables that others refer to first. Request counts are left out
/// because they expire within minutes, and so
/// is `cache`, which may be forgotten.
pub(crate) const TABLES: &[Table] = &[
    Table {
        name: "crm_entity",
        columns: &[
            ("id", Int),
            ("brand", Text),
            ("slug", Text),
            ("name", Text),
            ("mode", Text),
            ("settings", Text),
        ],
        key: "id",
        counts: true,
    },
    Table {
        name: "crm_field",
        columns: &[
            ("entity_id", Int),
            ("key", Text),
            ("position", Int),
            ("label", Text),
            ("type", Text),
            ("options", Text),
            ("settings", Text),
        ],
        key: "entity_id, key",
        counts: false,
    },
    Table {
        name: "crm_pipeline",
        columns: &[("id", Int), ("entity_id", Int), ("slug", Text), ("position", Int), ("name", Text)],
        key: "id",
        counts: true,
    },
    Table {
        name: "crm_stage",
        columns: &[
            ("id", Int),
            ("pipeline_id", Int),
            ("slug", Text),
            ("position", Int),
            ("name", Text),
            ("color", Text),
            ("status", Text),
        ],
        key: "id",
        counts: true,
    },
    Table {
        name: "crm_reference",
        columns: &[("id", Int), ("entity_id", Int), ("type", Text), ("reference_id", Bytes)],
        key: "id",
        counts: true,
    },
    Table {
        name: "crm_entry",
        columns: &[
            ("id", Bytes),
            ("reference", Int),
            ("stage_id", Int),
            ("created_at", Int),
            ("updated_at", Int),
            ("stage_moves", Int),
        ],
        key: "id",
        counts: false,
    },
    Table {
        name: "crm_stage_move",
        columns: &[
            ("entry_id", Bytes),
            ("number", Int),
            ("from_stage", Int),
            ("to_stage", Int),
            ("moved_at", Int),
        ],
        key: "entry_id, number",
        counts: false,
    },
    Table {
        name: "crm_value",
        columns: &[("entry_id", Bytes), ("key", Text), ("reference", Int), ("value", Bytes)],
        key: "entry_id, key",
        counts: false,
    },
    Table { name: "crm_usage", columns: &[("brand", Text), ("bytes", Int)], key: "brand", counts: false },
    Table {
        name: "job",
        columns: &[
            ("id", Int),
            ("brand", Text),
            ("what", Text),
            ("write", Bytes),
            ("state", Text),
            ("is_late", Flag),
            ("tries", Int),
            ("last_error", Text),
            ("created_at", Int),
            ("due_at", Int),
            ("ended_at", Int),
        ],
        key: "id",
        counts: true,
    },
    Table {
        name: "job_line",
        columns: &[("line", Bytes), ("job_id", Int)],
        key: "line, job_id",
        counts: false,
    },
    Table {
        name: "session",
        columns: &[
            ("row_id", Bytes),
            ("brand", Text),
            ("id_hash", Bytes),
            ("sealed", Bytes),
            ("created_at", Int),
            ("expires_at", Int),
        ],
        key: "row_id",
        counts: false,
    },
    Table {
        name: "used_token",
        columns: &[("brand", Text), ("token_id", Bytes), ("expires_at", Int)],
        key: "brand, token_id",
        counts: false,
    },
    Table {
        name: "storage",
        columns: &[
            ("brand", Text),
            ("namespace", Text),
            ("key", Text),
            ("value", Bytes),
            ("digest", Bytes),
            ("number", Real),
            ("size", Int),
            ("expires_at", Int),
        ],
        key: "brand, namespace, key",
        counts: false,
    },
    Table {
        name: "queue",
        columns: &[
            ("seq", Int),
            ("id", Text),
            ("brand", Text),
            ("module", Text),
            ("function", Text),
            ("payload", Bytes),
            ("state", Text),
            ("tag", Text),
            ("key", Text),
            ("attempts", Int),
            ("claims", Int),
            ("scheduled_for", Int),
            ("due_at", Int),
            ("created_at", Int),
            ("ended_at", Int),
            ("outcome", Text),
            ("last_error", Text),
            ("console", Text),
        ],
        key: "seq",
        counts: true,
    },
    Table {
        name: "schedule",
        columns: &[
            ("brand", Text),
            ("name", Text),
            ("rule", Text),
            ("last_tick", Int),
            ("last_job", Text),
            ("job_tick", Int),
        ],
        key: "brand, name",
        counts: false,
    },
    Table {
        name: "storage_usage",
        columns: &[("brand", Text), ("keys", Int), ("bytes", Int)],
        key: "brand",
        counts: false,
    },
];

impl Table {
    /// The table `name`.
    pub(crate) fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// The value of a column that export files of earlier versions do not have. `None` if every file
    /// has the column.
    pub(crate) fn default_of(&self, column: &str) -> Option<Cell> {
        match (self.name, column) {
            ("crm_entity" | "crm_field", "settings") => Some(Cell::Text("{}".to_owned())),
            ("crm_entry", "stage_moves") => Some(Cell::Int(0)),
            _ => None,
        }
    }

    /// The columns' names, as in `id, brand, slug`.
    pub(crate) fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}
