//! Why the store could not do what it was asked.

use std::path::PathBuf;

/// A failure of the store itself. A missing row is never one: look-ups answer `None`.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process held the database for longer than the busy time-out, or no connection became free in time.
    #[error("the database is busy")]
    Busy,
    /// Another transaction came between, again and again.
    #[error("the change met others too often")]
    Conflict,
    /// The database cannot be reached. Whether a commit under way was carried out is not known.
    #[error("the database cannot be reached: {reason}")]
    Unreachable {
        /// What kept it from being reached.
        reason: &'static str,
    },
    /// A statement took longer than it may.
    #[error("the database took too long")]
    TimedOut,
    /// The process may issue no ids for now.
    #[error("the process holds no node number")]
    NoNode,
    /// An earlier commit could not be brought to disk: nothing is acknowledged any more until a restart.
    #[error("the database refuses writes since a commit failed; restart the server")]
    Poisoned,
    /// The database took a whole transaction back by itself; nothing of it was kept.
    #[error("the database rolled the transaction back")]
    RolledBack,
    /// The disk is full.
    #[error("no space is left for the database")]
    DiskFull,
    /// The database was written by a newer release.
    #[error(
        "the database has schema version {found}, but this release knows only up to {known}: use the release that wrote it, or a newer one"
    )]
    SchemaTooNew {
        /// The version in the database.
        found: i64,
        /// The newest version this binary knows.
        known: i64,
    },
    /// A copy into the database was not finished.
    #[error(
        "the database holds an unfinished copy: run the same `parlour copy` again, which goes on with it, or empty the database"
    )]
    Unfinished,
    /// The database was written by an older release, and is only to be read.
    #[error(
        "the database has schema version {found}, older than this release's {newest}: run `parlour migrate` on it first"
    )]
    SchemaTooOld {
        /// The version in the database.
        found: i64,
        /// The version of this release.
        newest: i64,
    },
    /// The database address has a form that this release cannot open.
    #[error("cannot open the database {address:?}: {reason}")]
    Address {
        /// The address as given.
        address: String,
        /// What is wrong with it.
        reason: &'static str,
    },
    /// A file or folder of the database could not be used.
    #[error("cannot use the file {}", path.display())]
    File {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// There is a file already that must not be replaced.
    #[error("{} exists already; --force replaces it", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// Somebody has the database open that is to be replaced.
    #[error("the database {} is in use: stop the server first", path.display())]
    InUse {
        /// The database.
        path: PathBuf,
    },
    /// A file that is no usable backup.
    #[error("{} cannot be used: {reason}", path.display())]
    Unfit {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// What was asked is not answered yet. Stays within the store.
    #[doc(hidden)]
    #[error("the question is not answered yet")]
    Unanswered,
    /// A row that should be impossible.
    #[error("table {table} holds an impossible {what}")]
    Inconsistent {
        /// The table.
        table: &'static str,
        /// What is wrong in it.
        what: &'static str,
    },
    /// A change that should touch exactly one row touched another number.
    #[error("{what} touched {actual} rows instead of one")]
    RowsAffected {
        /// The change.
        what: &'static str,
        /// How many rows it touched.
        actual: usize,
    },
    /// Ids have run out: one close to 2^53 is already in the database.
    #[error("no id below 2^53 is left to issue")]
    IdsExhausted,
    /// The writer is gone, because the process is stopping or a write panicked beyond repair.
    #[error("the database writer has stopped")]
    WriterStopped,
    /// A read panicked.
    #[error("a read panicked")]
    ReadPanicked,
    /// A write panicked; its changes were rolled back.
    #[error("a write panicked and was rolled back")]
    WritePanicked,
    /// There is no such object in the object store.
    #[error("an object is not in the object store")]
    NoObject,
    /// The object store cannot be reached or refuses for now.
    #[error("the object store failed: {reason}")]
    Objects {
        /// What it said; names no object.
        reason: String,
    },
    /// The driver failed.
    #[error("the database failed: {0}")]
    Driver(#[source] DriverError),
}

impl StoreError {
    /// Whether trying again later can help.
    #[must_use]
    pub const fn is_transient(&self) -> bool {
        matches!(
            self,
            Self::Busy
                | Self::Conflict
                | Self::Unreachable { .. }
                | Self::TimedOut
                | Self::NoNode
                | Self::Poisoned
                | Self::RolledBack
                | Self::DiskFull
                | Self::WriterStopped
                | Self::Objects { .. }
        )
    }

    /// The same for another one who waited for what failed.
    pub(crate) fn again(&self) -> Self {
        match self {
            Self::Busy => Self::Busy,
            Self::Conflict => Self::Conflict,
            Self::Unreachable { reason } => Self::Unreachable { reason },
            Self::TimedOut => Self::TimedOut,
            Self::NoNode => Self::NoNode,
            Self::DiskFull => Self::DiskFull,
            Self::IdsExhausted => Self::IdsExhausted,
            Self::WritePanicked => Self::WritePanicked,
            Self::WriterStopped => Self::WriterStopped,
            Self::Inconsistent { table, what } => Self::Inconsistent { table, what },
            Self::Driver(DriverError::Postgres { code }) => Self::Driver(DriverError::Postgres { code: code.clone() }),
            other => Self::Driver(DriverError::Postgres { code: other.to_string() }),
        }
    }

    /// Whether the file holds what no release writes: it was damaged, or is no database at all.
    #[must_use]
    pub fn is_damage(&self) -> bool {
        use rusqlite::{Error, ErrorCode};
        match self {
            Self::Inconsistent { .. } => true,
            Self::Driver(DriverError::Sqlite(
                Error::FromSqlConversionFailure(..) | Error::InvalidColumnType(..) | Error::Utf8Error(..),
            )) => true,
            Self::Driver(DriverError::Sqlite(error)) => {
                matches!(error.sqlite_error_code(), Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase))
            }
            Self::Driver(DriverError::Postgres { code }) => matches!(code.as_str(), "XX001" | "XX002"),
            _ => false,
        }
    }
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(rusqlite::ErrorCode::DatabaseBusy | rusqlite::ErrorCode::DatabaseLocked) => Self::Busy,
            Some(rusqlite::ErrorCode::DiskFull) => Self::DiskFull,
            _ => Self::Driver(DriverError::Sqlite(error)),
        }
    }
}

/// What a driver said.
#[derive(Debug, thiserror::Error)]
pub enum DriverError {
    /// SQLite.
    #[error(transparent)]
    Sqlite(rusqlite::Error),
    /// PostgreSQL: the code alone, as its words may repeat what was stored.
    #[error("PostgreSQL says {code}")]
    Postgres {
        /// The SQLSTATE, or what the driver calls it.
        code: String,
    },
}

/// How the driver's words begin where something else came than the server's next answer.
const GARBLED: [&str; 4] =
    ["unexpected message", "error parsing response", "authentication error", "timeout waiting for server"];

impl From<tokio_postgres::Error> for StoreError {
    fn from(error: tokio_postgres::Error) -> Self {
        let unreachable = |reason| Self::Unreachable { reason };
        let Some(code) = error.code() else {
            // No answer of the server's: the way to it, or what this side makes of the answer.
            let words = error.to_string();
            let by_io = std::error::Error::source(&error).is_some_and(|source| source.is::<std::io::Error>());
            let garbled = GARBLED.iter().any(|beginning| words.starts_with(beginning));
            return if words.starts_with("error performing TLS handshake") {
                unreachable("no encrypted connection could be made")
            } else if error.is_closed() || by_io || garbled {
                unreachable("the connection failed")
            } else {
                Self::Driver(DriverError::Postgres { code: words })
            };
        };
        match code.code() {
            // Whoever loses a race for a unique key, or for a row that another one refers to, finds on the second try how it ended.
            "40001" | "40P01" | "23505" | "23503" => Self::Conflict,
            "57014" => Self::TimedOut,
            "55P03" => Self::Busy,
            "53100" => Self::DiskFull,
            "53300" => unreachable("it has no connection to spare"),
            "57P01" | "57P02" | "57P03" | "25P03" => unreachable("it is stopping or starting"),
            "25006" => unreachable("it takes no writes"),
            "28000" | "28P01" => unreachable("it refuses the user or the password"),
            "3D000" => unreachable("there is no such database"),
            code if code.starts_with("08") => unreachable("the connection failed"),
            code if code.starts_with("53") => unreachable("it has run out of memory or of another resource"),
            code if code.starts_with("57") => unreachable("its operator intervened"),
            code if code.starts_with("58") => unreachable("its own files fail"),
            code => Self::Driver(DriverError::Postgres { code: code.to_owned() }),
        }
    }
}

/// What a store function answers.
pub type Result<T, E = StoreError> = std::result::Result<T, E>;
