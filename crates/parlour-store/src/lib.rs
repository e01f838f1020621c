//! The cellar: everything that Parlour remembers, and the only crate that speaks SQL.
//!
//! Invariants, each held by a test:
//! - A message's [`Seq`](parlour_types::Seq) is issued inside the write transaction, grows by one, and never changes.
//! - `unread_count` of a member is the number of shown messages of others after `read_seq`; the totals in `mailboxes` are the
//!   sums over the inbox.
//! - A thread is in a member's inbox exactly when a message is shown to that member.
//! - A change and the events that it causes are one transaction.
//! - No function takes a bare thread id to read messages: the proof of membership is a [`threads::Membership`].
//!
//! What may never be added: HTTP, rules about who may do what, a clock.

mod db;
mod error;
pub mod events;
pub mod idempotency;
mod ids;
pub mod import;
mod mailboxes;
pub mod messages;
mod migrate;
mod positions;
pub mod relations;
pub mod threads;
pub mod users;
mod writer;

pub use db::{Read, Tx};
pub use error::{Result, StoreError};

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use writer::Writer;

/// How long a connection waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of one connection, in KiB.
const CACHE_KIB: i64 = 8 * 1024;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

/// The database file of a data directory.
pub const DATABASE_FILE: &str = "parlour.db";

/// The database. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    /// Idle read connections, the last one used on top, so that its caches stay warm.
    readers: Mutex<Vec<Connection>>,
    writer: Writer,
}

impl Store {
    /// Opens the database at `path`, creating it (mode 0600) and bringing its schema up to date.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] when a newer release wrote it, [`StoreError::File`] when the file or folder is unusable.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        for step in migrate::run(&mut connection)? {
            tracing::info!(step, "migrated the database");
        }
        Ok(Self {
            inner: Arc::new(Inner {
                path: path.to_owned(),
                readers: Mutex::default(),
                writer: Writer::start(connection)?,
            }),
        })
    }

    /// Brings the schema of the database at `path` up to date and answers the steps that it took.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn migrate(path: &Path) -> Result<Vec<String>> {
        migrate::run(&mut connect(path)?)
    }

    /// Answers a question from one snapshot, on the calling thread. For questions whose cost does not grow.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub async fn read<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Read<'_>) -> Result<T, E> + Send + 'static,
        E: From<StoreError>,
    {
        self.read_here(query)
    }

    /// Answers a question whose cost grows with the community, on a thread that may block.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub async fn read_long<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnOnce(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let store = self.clone();
        tokio::task::spawn_blocking(move || store.read_here(query))
            .await
            .unwrap_or_else(|_| Err(StoreError::WriterStopped.into()))
    }

    /// Runs a change in a write transaction, together with whatever else waits, and answers once it is on disk. An error of
    /// `change` rolls back what it did and nothing else.
    ///
    /// # Errors
    /// What `change` answers, or a failure of the store.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnOnce(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.inner.writer.run(change).await
    }

    /// Whether the database can be written to, as far as is known without trying.
    #[must_use]
    pub fn accepts_writes(&self) -> bool {
        !self.inner.writer.is_poisoned()
    }

    fn read_here<T, E: From<StoreError>>(&self, query: impl FnOnce(&Read<'_>) -> Result<T, E>) -> Result<T, E> {
        let idle = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.inner.path)?,
        };
        let answer = snapshot(&connection, query);
        // A connection that could not end its snapshot is closed instead of kept.
        if connection.is_autocommit() {
            self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
        }
        answer
    }
}

fn snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    query: impl FnOnce(&Read<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let run = |sql: &str| -> Result<()> {
        connection.prepare_cached(sql)?.execute([])?;
        Ok(())
    };
    run("begin")?;
    let answer = query(&Read::new(connection));
    run("commit")?;
    answer
}

fn connect(path: &Path) -> Result<Connection> {
    create_private(path)?;
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&connection)?;
    migrate::check(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With anything less than FULL a power cut takes acknowledged messages with it.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection> {
    let connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn configure(connection: &Connection) -> Result<()> {
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without the planner's stability guarantee, SQLite peeks at bound values and compiles a cached statement again whenever
    // they change: half of the cost of a page.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(())
}

/// Creates the file with nobody's eyes on it but the owner's; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> Result<()> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    options.write(true).create(true).truncate(false);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(drop).map_err(failed)
}
