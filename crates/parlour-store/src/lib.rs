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

pub mod backup;
mod db;
pub mod doctor;
mod error;
pub mod events;
pub mod export;
mod freshness;
pub mod idempotency;
mod ids;
pub mod import;
mod mailboxes;
pub mod messages;
mod migrate;
mod observation;
mod positions;
mod progress;
pub mod relations;
pub mod restore;
pub mod threads;
pub mod users;
mod writer;

pub use db::{Read, Tx};
pub use error::{Result, StoreError};
pub use freshness::{Change, Listener, Moment};
pub use observation::{Observation, Observer};
pub use progress::{Progress, Watch};

use freshness::Freshness;
use observation::Observed;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::sync::Semaphore;
use writer::Writer;

/// How long a connection waits for another process that holds the database.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// Page cache of one connection, in KiB.
const CACHE_KIB: i64 = 8 * 1024;

/// Read connections kept open at the most.
const MAX_IDLE_READERS: usize = 32;

/// Questions whose cost grows that are answered at once.
const MAX_LONG_READS: usize = 4;

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
    /// Places for questions whose cost grows.
    long_reads: Arc<Semaphore>,
    writer: Writer,
    observed: Arc<Observed>,
    /// Last, so that it goes after every connection.
    freshness: Arc<Freshness>,
}

impl Store {
    /// Opens the database at `path`, creating it (mode 0600) and bringing its schema up to date. A process opens a database once and shares
    /// the store: closing a second one would take the locks of the first (POSIX), and other processes would no longer be kept out.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] when a newer release wrote it, [`StoreError::File`] when the file or folder is unusable.
    pub fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        for step in migrate::run(&mut connection)? {
            tracing::info!(step, "migrated the database");
        }
        sync_folder(path)?;
        let freshness = Arc::new(Freshness::watch(path));
        let observed = Arc::<Observed>::default();
        let inner = Inner {
            path: path.to_owned(),
            readers: Mutex::default(),
            long_reads: Arc::new(Semaphore::new(MAX_LONG_READS)),
            writer: Writer::start(connection, Arc::clone(&freshness), Arc::clone(&observed))?,
            observed,
            freshness,
        };
        Ok(Self { inner: Arc::new(inner) })
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
        let place = Arc::clone(&self.inner.long_reads).acquire_owned().await.map_err(|_| StoreError::WriterStopped)?;
        let answer = tokio::task::spawn_blocking(move || {
            let _place = place;
            store.read_here(query)
        });
        answer.await.unwrap_or_else(|_| Err(StoreError::ReadPanicked.into()))
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

    /// Tells `listener` of every change from now on, before anybody can take what it makes untrue for fresh.
    pub fn listen(&self, listener: Listener) {
        self.inner.freshness.listen(listener);
    }

    /// This moment, if everything that listeners were not told to give up is true in it; `None` when that cannot be said without a
    /// snapshot.
    #[must_use]
    pub fn now(&self) -> Option<Moment> {
        self.inner.freshness.now()
    }

    /// Lets `keep` put away what was read from a snapshot begun after `since`, unless something was committed in between.
    /// `directory_version` is what that snapshot says.
    pub fn keep(&self, since: Moment, directory_version: i64, keep: impl FnOnce()) {
        self.inner.freshness.keep(since, directory_version, keep);
    }

    /// Lets `observer` see what the writer does from now on. The first one stays.
    pub fn observe(&self, observer: Observer) {
        self.inner.observed.by(observer);
    }

    /// Changes that wait for the writer.
    #[must_use]
    pub fn waiting_changes(&self) -> usize {
        self.inner.writer.waiting()
    }

    /// Bytes of the database file and of its log.
    #[must_use]
    pub fn file_bytes(&self) -> (u64, u64) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        (size(&self.inner.path), size(&beside(&self.inner.path, "-wal")))
    }

    /// Whether the database can be written to, as far as is known without trying.
    #[must_use]
    pub fn accepts_writes(&self) -> bool {
        self.inner.writer.accepts_changes()
    }

    fn read_here<T, E: From<StoreError>>(&self, query: impl FnOnce(&Read<'_>) -> Result<T, E>) -> Result<T, E> {
        let idle = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.inner.path)?,
        };
        let answer = snapshot(&connection, query);
        let mut idle = self.inner.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_READERS {
            idle.push(connection);
        }
        drop(idle);
        answer
    }
}

fn snapshot<T, E: From<StoreError>>(
    connection: &Connection,
    query: impl FnOnce(&Read<'_>) -> Result<T, E>,
) -> Result<T, E> {
    // A statement that is not at its end keeps its snapshot, and every other one of the connection shares it. The question that nearly
    // every reader asks first does that as well as a transaction, and spares its beginning and its end.
    let mut statement = connection.prepare_cached(users::DIRECTORY_VERSION).map_err(StoreError::from)?;
    let mut held = statement.query([]).map_err(StoreError::from)?;
    let version = match held.next().map_err(StoreError::from)? {
        Some(row) => row.get(0).map_err(StoreError::from)?,
        None => return Err(users::NO_DIRECTORY_VERSION.into()),
    };
    query(&Read::of_version(connection, version))
}

/// Opens a connection that writes. SQLite says what it cannot do, and not to which file.
fn connect(path: &Path) -> Result<Connection> {
    create_private(path)?;
    connect_writer(path).map_err(|error| match error {
        StoreError::Driver(source) => match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly) => {
                StoreError::File { path: path.to_owned(), source: std::io::Error::other(source) }
            }
            _ => StoreError::Driver(source),
        },
        error => error,
    })
}

fn connect_writer(path: &Path) -> Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&mut connection)?;
    migrate::check(&connection)?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    // With anything less than FULL a power cut takes acknowledged messages with it.
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // The writer folds the log into the file itself.
    connection.pragma_update(None, "wal_autocheckpoint", 0)?;
    Ok(connection)
}

fn connect_reader(path: &Path) -> Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&mut connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

fn configure(connection: &mut Connection) -> Result<()> {
    connection.busy_handler(Some(wait_for_the_lock))?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    // Without the planner's stability guarantee, SQLite peeks at bound values and compiles a cached statement again whenever
    // they change: half of the cost of a page.
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "temp_store", "memory")?;
    Ok(())
}

/// Waits a millisecond at a time, as a busy server leaves others only short pauses to slip in.
fn wait_for_the_lock(waited: i32) -> bool {
    const STEP: Duration = Duration::from_millis(1);
    std::thread::sleep(STEP);
    STEP * u32::try_from(waited).unwrap_or(0) < BUSY_TIMEOUT
}

/// Brings the names of the database and its log to disk. SQLite does that for a new log too, but takes a failure of it for success.
fn sync_folder(path: &Path) -> Result<()> {
    let folder = backup::folder(path);
    let synced = std::fs::File::open(folder).and_then(|folder| folder.sync_all());
    synced.map_err(|source| StoreError::File { path: folder.to_owned(), source })
}

/// What SQLite keeps beside a database, by its ending.
fn beside(database: &Path, ending: &str) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

/// Creates the file with nobody's eyes on it but the owner's; SQLite gives its companions the same mode.
fn create_private(path: &Path) -> Result<()> {
    let failed = |source| StoreError::File { path: path.to_owned(), source };
    let mut options = std::fs::OpenOptions::new();
    // Only a new one is opened here: closing a file that SQLite has open would drop its locks.
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    match options.open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(()),
        created => created.map(drop).map_err(failed),
    }
}
