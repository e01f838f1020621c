//! The embedded database: one file, one writer, and readers that answer on the thread that asks.

pub mod backup;
mod files;
mod freshness;
pub mod restore;
mod writer;

pub use freshness::Moment;

use crate::commits::Commits;
use crate::db::{Read, Source};
use crate::error::{DriverError, Result, StoreError};
use crate::observation::Observed;
use crate::{migrate, users};
use freshness::Freshness;
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

/// Page cache of a connection that fills a database, in KiB.
const FILL_CACHE_KIB: i64 = 32 * 1024;

/// Pages of the log after which such a connection folds it into the file.
const FILL_LOG_PAGES: i64 = 8 * 1024;

/// Read connections kept open at the most.
const MAX_IDLE_READERS: usize = 32;

/// Questions whose cost grows that are answered at once.
const MAX_LONG_READS: usize = 4;

/// Prepared statements that a connection keeps.
const STATEMENTS: usize = 128;

/// An open file.
pub(crate) struct Sqlite {
    path: PathBuf,
    /// Idle read connections, the last one used on top, so that its caches stay warm.
    readers: Mutex<Vec<Connection>>,
    /// Places for questions whose cost grows.
    long_reads: Arc<Semaphore>,
    pub(crate) writer: Writer,
    pub(crate) observed: Arc<Observed>,
    pub(crate) commits: Arc<Commits>,
    /// Last, so that it goes after every connection.
    pub(crate) freshness: Arc<Freshness>,
}

impl Sqlite {
    /// Opens the database at `path`, creating it (mode 0600) and bringing its schema up to date.
    pub(crate) fn open(path: &Path) -> Result<Self> {
        let mut connection = connect(path)?;
        for step in migrate::run(&mut connection)? {
            tracing::info!(step, "migrated the database");
        }
        sync_folder(path)?;
        let freshness = Arc::new(Freshness::watch(path));
        let (observed, commits) = (Arc::<Observed>::default(), Arc::<Commits>::default());
        Ok(Self {
            path: path.to_owned(),
            readers: Mutex::default(),
            long_reads: Arc::new(Semaphore::new(MAX_LONG_READS)),
            writer: Writer::start(connection, &freshness, &observed, &commits)?,
            observed,
            commits,
            freshness,
        })
    }

    /// A place among the questions whose cost grows.
    pub(crate) async fn place_for_long_read(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        Arc::clone(&self.long_reads).acquire_owned().await.map_err(|_| StoreError::WriterStopped)
    }

    /// Bytes of the database file and of its log.
    pub(crate) fn file_bytes(&self) -> (u64, u64) {
        let size = |path: &Path| std::fs::metadata(path).map_or(0, |file| file.len());
        (size(&self.path), size(&beside(&self.path, "-wal")))
    }

    /// Answers a question from one snapshot, on the calling thread.
    pub(crate) fn read<T, E: From<StoreError>>(&self, query: impl FnOnce(&Read<'_>) -> Result<T, E>) -> Result<T, E> {
        self.with_reader(|connection| snapshot(connection, query))
    }

    fn with_reader<T, E: From<StoreError>>(&self, work: impl FnOnce(&Connection) -> Result<T, E>) -> Result<T, E> {
        let idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let connection = match idle {
            Some(connection) => connection,
            None => connect_reader(&self.path)?,
        };
        let answer = work(&connection);
        let mut idle = self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        if idle.len() < MAX_IDLE_READERS {
            idle.push(connection);
        }
        drop(idle);
        answer
    }
}

/// Brings the schema of the database at `path` up to date and answers the steps that it took.
pub(crate) fn migrate(path: &Path) -> Result<Vec<String>> {
    migrate::run(&mut connect(path)?)
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
    query(&Read::of_version(Source::Sqlite(connection), version))
}

/// Opens a connection that writes. SQLite says what it cannot do, and not to which file.
fn connect(path: &Path) -> Result<Connection> {
    create_private(path)?;
    connect_writer(path).map_err(|error| with_name(error, path))
}

fn with_name(error: StoreError, path: &Path) -> StoreError {
    match error {
        StoreError::Driver(DriverError::Sqlite(source)) => match source.sqlite_error_code() {
            Some(rusqlite::ErrorCode::CannotOpen | rusqlite::ErrorCode::ReadOnly) => {
                StoreError::File { path: path.to_owned(), source: std::io::Error::other(source) }
            }
            _ => StoreError::Driver(DriverError::Sqlite(source)),
        },
        error => error,
    }
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

pub(crate) fn connect_reader(path: &Path) -> Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&mut connection)?;
    connection.pragma_update(None, "query_only", true)?;
    Ok(connection)
}

/// A connection to copy from, which keeps one snapshot.
pub(crate) fn connect_to_read(path: &Path) -> Result<Connection> {
    let connection = connect_reader(path).map_err(|error| with_name(error, path))?;
    connection.execute_batch("begin")?;
    Ok(connection)
}

/// A connection to copy to, which keeps everybody else out, and its schema brought up to date; `None` while somebody has the database
/// open.
pub(crate) fn connect_to_fill(path: &Path) -> Result<Option<Connection>> {
    create_private(path)?;
    match connect_alone(path) {
        Ok(connection) => Ok(Some(connection)),
        Err(StoreError::Busy) => Ok(None),
        Err(error) => Err(with_name(error, path)),
    }
}

fn connect_alone(path: &Path) -> Result<Connection> {
    let mut connection =
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
    configure(&mut connection)?;
    connection.busy_timeout(BUSY_TIMEOUT)?;
    connection.pragma_update(None, "locking_mode", "exclusive")?;
    connection.pragma_update(None, "journal_mode", "wal")?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    // A large piece goes into the log at a time, and keys of an index come in no order.
    connection.pragma_update(None, "wal_autocheckpoint", FILL_LOG_PAGES)?;
    connection.pragma_update(None, "cache_size", -FILL_CACHE_KIB)?;
    // The lock is taken by the first write, and kept.
    connection.execute_batch("begin immediate; commit")?;
    migrate::run(&mut connection)?;
    Ok(connection)
}

/// Brings everything that was written through [`connect_to_fill`] into the one file, and that to disk.
pub(crate) fn settle(connection: &Connection, path: &Path) -> Result<()> {
    let busy = connection.query_row("pragma wal_checkpoint(truncate)", [], |row| row.get::<_, bool>(0))?;
    if busy { Err(StoreError::Busy) } else { sync_folder(path) }
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
