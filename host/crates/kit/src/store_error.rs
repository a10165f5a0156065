//! Why a database call failed. The store traits of `session` and `crm` return it, and each
//! backend in `store` makes it.

use std::fmt::Display;
use std::path::PathBuf;

/// Why a database call failed. The text is for the operator. It is never shown to visitors or
/// scripts, and contains no stored data.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The database did not answer in time: it is locked, full, gone or closed. A retry may
    /// succeed.
    #[error("the database did not answer: {0}")]
    Unavailable(NoAnswer),
    /// The database answered with an error. A retry will fail, too.
    #[error("the database failed: {0}")]
    Failed(StoreFault),
    /// A later version of this program wrote the database.
    #[error(
        "the database has schema version {found}, this program knows {known}: \
         start a newer program, or restore a backup made before the upgrade"
    )]
    TooNew {
        /// The database's schema version.
        found: i64,
        /// The newest version that this program can apply.
        known: i64,
    },
    /// A row does not have the form that this program writes.
    #[error("a stored {what} cannot be read: {why}")]
    Corrupt {
        /// The kind of row.
        what: &'static str,
        /// What is wrong with it.
        why: BadRow,
    },
}

/// The message of a driver, a codec or the system. Their errors are not kept themselves: they
/// cannot be cloned for every caller whose write was in the same transaction, and PostgreSQL's
/// contain stored values.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Cause(String);

impl Cause {
    /// Keeps the text of `error`, which must contain no stored data.
    pub fn of(error: impl Display) -> Self {
        Self(error.to_string())
    }
}

/// Why the database did not answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The store was closed.
    #[error("it is closed")]
    Closed,
    /// The pool has no connection.
    #[error("no connection: {0}")]
    NoConnection(Cause),
    /// The pool has no connection for reading.
    #[error("no connection for reading: {0}")]
    NoReader(Cause),
    /// All connections of this host were in use for too long.
    #[error("all connections of this host (database.connections_max) were in use for too long")]
    AllInUse,
    /// A connection was not opened in time.
    #[error("no connection could be opened in time")]
    NotOpened,
    /// Calls fail at once, because the database has not answered.
    #[error("{0}")]
    Outage(Cause),
    /// The request's calls have taken all of their time.
    #[error("the request has used up its time for the database (database.request_wait)")]
    TimeUsedUp,
    /// All connections for reading were in use for too long.
    #[error("all connections for reading were in use for {ms} ms")]
    AllReadersInUse {
        /// How long the call waited.
        ms: u64,
    },
    /// The write's turn came too late.
    #[error("a write waited too long and was not started")]
    WaitedTooLong,
    /// The answer took too long.
    #[error("no answer within {ms} ms")]
    TimedOut {
        /// The longest time that an answer may take.
        ms: u128,
    },
    /// The database file, or its folder, cannot be created or opened.
    #[error("{}: {cause}", path.display())]
    File {
        /// The database file.
        path: PathBuf,
        /// The system's error.
        cause: Cause,
    },
    /// The database, or its driver, says why.
    #[error(transparent)]
    Other(#[from] Cause),
}

/// What the database, or this program's use of it, did wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreFault {
    /// The system gave no random bytes for an id.
    #[error("no random bytes: {0}")]
    NoRandom(Cause),
    /// A search of the embedded database waited for something.
    #[error("a search did not end")]
    Unfinished,
    /// A value cannot be written as MessagePack.
    #[error("a value cannot be stored: {0}")]
    Value(Cause),
    /// A write cannot be written as MessagePack.
    #[error("a write cannot be stored: {0}")]
    Write(Cause),
    /// The rows that were loaded are not those of the write's lines.
    #[error("the store loaded different lines than the write needs")]
    OtherLines,
    /// A plan writes to a line that it did not load.
    #[error("a write's plan names a line that was not loaded")]
    NoSuchLine,
    /// SQLite did not switch to a write-ahead log.
    #[error(
        "{}: SQLite cannot use a write-ahead log (the journal mode is {mode:?}); \
         is this a network file system?",
        path.display()
    )]
    NoWriteAheadLog {
        /// The database file.
        path: PathBuf,
        /// The mode that SQLite uses instead.
        mode: String,
    },
    /// A read was cancelled, or panicked.
    #[error("a read did not finish: {0}")]
    ReadNotFinished(Cause),
    /// The thread that writes has ended.
    #[error("a write ended without an answer")]
    WriteLost,
    /// A write panicked.
    #[error("a write panicked")]
    WritePanicked,
    /// Work on a connection panicked.
    #[error("work on the database panicked")]
    WorkPanicked,
    /// The server rejects the settings: a password, a database or a certificate.
    #[error("no connection: {0}")]
    CannotConnect(Cause),
    /// A connection was given back before its work began.
    #[error("no connection to work with")]
    NoConnection,
    /// A batch of statements has another number of results.
    #[error("the database sent {sent} results instead of {wanted}")]
    ResultCount {
        /// How many the database sent.
        sent: usize,
        /// How many statements were sent.
        wanted: usize,
    },
    /// The id of a session is that of another brand's session.
    #[error("the session row belongs to another brand")]
    ForeignSession,
    /// The database, or its driver, says why.
    #[error(transparent)]
    Other(#[from] Cause),
}

/// What is wrong with a row.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadRow {
    /// There is none.
    #[error("it is missing")]
    Missing,
    /// A column of bytes has another length.
    #[error("its {column} is not {bytes} bytes")]
    Length {
        /// What the column is called in messages.
        column: &'static str,
        /// How long it must be.
        bytes: usize,
    },
    /// A column holds a number with a fraction.
    #[error("it holds a number that is not an integer")]
    NotAnInteger,
    /// A job has a state that this program does not know.
    #[error("its state is not known")]
    UnknownState,
    /// A column has a value that this program does not know.
    #[error("its {0} is unknown to this program")]
    Unknown(&'static str),
    /// The write of a job cannot be decoded.
    #[error("job {id}: {cause}")]
    Job {
        /// The job's id.
        id: i64,
        /// The codec's error.
        cause: Cause,
    },
    /// A column cannot be decoded.
    #[error(transparent)]
    Other(#[from] Cause),
}
