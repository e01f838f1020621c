//! Which database a test runs on, and where it is.
//!
//! A data directory has one database, to the test's server and to every command that is run on it. With SQLite it is the file in the
//! directory. With PostgreSQL it is a schema of its own in a database that all tests share: a schema is made and dropped in a third of the
//! time that a database takes.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError, mpsc};
use tokio_postgres::{Client, Config, NoTls, error::SqlState};

/// The URL of a database on the server that the tests may use, whose user may make others.
const VARIABLE: &str = "TEST_POSTGRES_URL";

/// The database that all tests share.
const SHARED: &str = "parlour_test";

/// The fewest connections with which a server has one of each kind: many tests run at once.
pub(crate) const CONNECTIONS: usize = 5;

/// A kind of database.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Backend {
    /// A file in the data directory.
    Sqlite,
    /// A schema on the server that `TEST_POSTGRES_URL` names.
    Postgres,
}

struct Test {
    backend: Backend,
    databases: Mutex<HashMap<PathBuf, Schema>>,
}

tokio::task_local! {
    static TEST: Arc<Test>;
}

/// Runs a test on a kind of database. What `#[both_databases]` writes; tasks that the test spawns do not know of it.
pub async fn on(backend: Backend, test: impl Future<Output = ()>) {
    let databases = Mutex::default();
    // Boxed, as the stack of a debug build is short for the state of a long test.
    TEST.scope(Arc::new(Test { backend, databases }), Box::pin(test)).await;
}

/// What this test runs on.
#[must_use]
pub fn backend() -> Backend {
    TEST.try_with(|test| test.backend).unwrap_or(Backend::Sqlite)
}

/// What `storage.database` must say for the database of a data directory; empty for the file in it.
#[must_use]
pub fn database_of(data_dir: &Path) -> String {
    if backend() == Backend::Sqlite {
        return String::new();
    }
    TEST.with(|test| {
        let mut databases = test.databases.lock().unwrap_or_else(PoisonError::into_inner);
        databases.entry(data_dir.to_owned()).or_insert_with(Schema::create).to_string()
    })
}

/// What a command must find in its environment, to use the database of a data directory.
#[must_use]
pub fn environment(data_dir: &Path) -> Vec<(&'static str, String)> {
    let database = database_of(data_dir);
    if database.is_empty() {
        return Vec::new();
    }
    vec![("PARLOUR_STORAGE_DATABASE", database), ("PARLOUR_POSTGRES_CONNECTIONS", CONNECTIONS.to_string())]
}

/// Runs statements on the PostgreSQL database of a data directory, behind everybody's back.
pub fn run_sql(data_dir: &Path, sql: &str) {
    TEST.with(|test| {
        let databases = test.databases.lock().unwrap_or_else(PoisonError::into_inner);
        let schema = databases.get(data_dir).expect("a data directory with a PostgreSQL database");
        schema.execute(sql);
    });
}

/// A place for one database, until dropped. Displayed as its address.
pub struct Schema {
    name: String,
}

impl Schema {
    /// An empty one.
    #[must_use]
    pub fn create() -> Self {
        let name = format!("test_{:016x}", fastrand::u64(..));
        administer(&format!("create schema {name}")).expect("the user may make schemas in its own database");
        Self { name }
    }

    /// Runs statements in it, behind everybody's back.
    pub fn execute(&self, sql: &str) {
        administer(&format!("set local search_path = {}; {sql}", self.name)).expect("statements that can be run");
    }
}

impl fmt::Display for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (base, query) = server();
        let query = if query.is_empty() { query } else { format!("&{query}") };
        write!(f, "{base}/{SHARED}?options=-csearch_path={}{query}", self.name)
    }
}

impl Drop for Schema {
    /// As far as it can be dropped: somebody may still be at work in it.
    fn drop(&mut self) {
        drop(administer(&format!("set local lock_timeout = '5s'; drop schema {} cascade", self.name)));
    }
}

/// The server's address up to the database, and what stands behind it.
fn server() -> (String, String) {
    let address = std::env::var(VARIABLE).unwrap_or_default();
    assert!(
        !address.is_empty(),
        "this test needs a PostgreSQL server: run `cargo xtask test`, or run `cargo xtask postgres` and set {VARIABLE} to what it prints"
    );
    let (address, query) = address.split_once('?').unwrap_or((&address, ""));
    let host = address.find("://").map_or(0, |scheme| scheme + 3);
    let end = address[host..].find('/').map_or(address.len(), |slash| host + slash);
    (address[..end].to_owned(), query.to_owned())
}

type Order = (String, mpsc::SyncSender<Result<(), tokio_postgres::Error>>);

/// The one connection of this process that makes and drops schemas, on a thread of its own: a test's event loop ends with the test.
static ADMINISTRATOR: LazyLock<mpsc::Sender<Order>> = LazyLock::new(|| {
    let (orders, taken) = mpsc::channel::<Order>();
    let address = std::env::var(VARIABLE).expect("the address was looked at before");
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("an event loop");
        runtime.block_on(async {
            let client = connect_to_shared(&address).await;
            while let Ok((sql, done)) = taken.recv() {
                drop(done.send(client.batch_execute(&sql).await));
            }
        });
    });
    orders
});

/// Runs statements in a transaction of their own.
fn administer(sql: &str) -> Result<(), tokio_postgres::Error> {
    drop(server());
    let (done, answer) = mpsc::sync_channel(1);
    ADMINISTRATOR.send((sql.to_owned(), done)).expect("the server that the tests use can be reached");
    answer.recv().expect("the server that the tests use can be reached")
}

async fn connect_to_shared(address: &str) -> Client {
    let mut config: Config = address.parse().unwrap_or_else(|_| panic!("{VARIABLE} is no postgres:// address"));
    let first = connect(&config).await;
    match first.batch_execute(&format!("create database {SHARED} template template0 encoding 'UTF8'")).await {
        Ok(()) => {}
        // Made by an earlier run, or at this moment by another process.
        Err(error)
            if [Some(&SqlState::DUPLICATE_DATABASE), Some(&SqlState::UNIQUE_VIOLATION)].contains(&error.code()) => {}
        Err(error) => panic!("{VARIABLE} must name a user who may make databases: {error}"),
    }
    config.dbname(SHARED);
    connect(&config).await
}

async fn connect(config: &Config) -> Client {
    let (client, connection) = config.connect(NoTls).await.expect("the server that the tests use can be reached");
    tokio::spawn(connection);
    client
}
