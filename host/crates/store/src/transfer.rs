//! All of a database's rows, from one kind of database to another.
//!
//! A file of it has one JSON object a line:
//!
//! ```text
//! {"sluice":"export","version":1}
//! {"table":"crm_entity","id":1,"brand":"acme","slug":"leads","name":"Leads","mode":"crm"}
//! …
//! {"end":1234}
//! ```
//!
//! Columns of bytes are base64; the last line counts the rows, so that half a file is
//! known for what it is. `docs/data.md` has the tables.

mod lines;

use tokio::sync::mpsc;

pub use lines::{ReadError, Reader, Writer};

use sluice_kit::{BoxFuture, StoreError};

/// The version of the format.
pub const VERSION: u64 = 1;
/// Most rows in one [`Part::Rows`].
pub const ROWS_MAX: usize = 500;

/// What a column holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// 64 bits.
    Int,
    /// 0 or 1.
    Flag,
    /// Without NUL.
    Text,
    /// Any.
    Bytes,
}

/// One value of a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Cell {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A table that moves.
#[derive(Debug, PartialEq, Eq)]
pub struct Table {
    /// As in the databases.
    pub name: &'static str,
    /// In the order of a row's cells.
    pub columns: &'static [(&'static str, Kind)],
    /// Columns that tell rows apart, comma-separated; rows come in their order.
    pub key: &'static str,
    /// `id` counts up by itself where none is given.
    pub counts: bool,
}

/// A piece of a transfer.
#[derive(Debug)]
pub enum Part {
    /// At least one row, each with a cell for each column.
    Rows(&'static Table, Vec<Vec<Cell>>),
    /// That was all. Without it nothing is kept.
    End,
}

/// Why nothing was imported.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ImportFault {
    /// Importing is for new databases: nothing that is there is overwritten.
    #[error("the database is not empty: it has rows in {0}")]
    NotEmpty(&'static str),
    /// The parts ended without [`Part::End`].
    #[error("the import was broken off")]
    BrokenOff,
    /// The database failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Reading and filling a whole database.
pub trait TransferStore: Send + Sync {
    /// Sends all rows, as they are at one moment, in the order of [`TABLES`]; the site may
    /// be in use. Ends early where nobody receives any more.
    fn export_rows(&self, to: mpsc::Sender<Part>) -> BoxFuture<'_, Result<(), StoreError>>;

    /// Fills the database, all or nothing. Only an empty one can be filled.
    fn import_rows(&self, from: mpsc::Receiver<Part>) -> BoxFuture<'_, Result<(), ImportFault>>;
}

use Kind::{Bytes, Flag, Int, Text};

/// Every table that moves, those that others refer to first. Request counts stay behind:
/// they are gone in minutes.
pub const TABLES: &[Table] = &[
    Table {
        name: "crm_entity",
        columns: &[("id", Int), ("brand", Text), ("slug", Text), ("name", Text), ("mode", Text)],
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
        ],
        key: "id",
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
];

impl Table {
    /// The table of that name.
    pub fn named(name: &str) -> Option<&'static Self> {
        TABLES.iter().find(|table| table.name == name)
    }

    /// `id, brand, slug`
    pub fn column_list(&self) -> String {
        self.columns.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ")
    }
}
