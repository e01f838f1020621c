//! Databases to copy from and to.

use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// The URL of a database whose user may make others.
const VARIABLE: &str = "TEST_POSTGRES_URL";

/// Where a database is, or is to be.
pub(super) enum Place {
    File(PathBuf),
    Server { address: String, name: String },
}

impl Place {
    pub(super) fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// A new PostgreSQL database, which is dropped with this value.
    pub(super) fn server() -> Self {
        let server = std::env::var(VARIABLE).unwrap_or_default();
        assert!(
            !server.is_empty(),
            "this test needs a PostgreSQL server: run `cargo xtask test`, or set {VARIABLE} to the URL of a database whose user may make \
             others"
        );
        let name = format!("copy_{:016x}", rand());
        execute(&server, &format!("create database {name} template template0 encoding 'UTF8'"));
        let (base, options) = server.split_once('?').unwrap_or((&server, ""));
        let (host, _) = base.rsplit_once('/').unwrap();
        Self::Server { address: format!("{host}/{name}?{options}").trim_end_matches('?').to_owned(), name }
    }

    /// The same as `--database`, `--from` and `--to` take it.
    pub(super) fn address(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Server { address, .. } => address.clone(),
        }
    }

    /// Runs a statement behind everybody's back.
    pub(super) fn execute(&self, sql: &str) {
        match self {
            Self::File(path) => Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Self::Server { address, .. } => execute(address, sql),
        }
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Self::Server { name, .. } = self {
            execute(&std::env::var(VARIABLE).unwrap(), &format!("drop database {name} with (force)"));
        }
    }
}

/// Different in every process and at every call.
fn rand() -> u64 {
    use std::hash::{BuildHasher as _, RandomState};
    RandomState::new().hash_one(std::process::id())
}

/// On a thread of its own, as tests have event loops already.
fn execute(address: &str, sql: &str) {
    let (address, sql) = (address.to_owned(), sql.to_owned());
    let executing = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (client, connection) = tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
            tokio::spawn(connection);
            client.batch_execute(&sql).await.unwrap();
        });
    });
    executing.join().unwrap();
}

/// Every row of every table of a file, without the schema's own version.
pub(super) fn everything(file: &Path) -> Vec<String> {
    let database = Connection::open(file).unwrap();
    let mut tables = database.prepare("select name from sqlite_schema where type = 'table' order by name").unwrap();
    let tables: Vec<String> = tables.query_map([], |row| row.get(0)).unwrap().map(Result::unwrap).collect();
    let mut lines = Vec::new();
    for table in tables {
        let mut rows = database.prepare(&format!("select * from {table}")).unwrap();
        let columns = rows.column_count();
        let mut rows = rows.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let values: Vec<_> = (0..columns).map(|column| format!("{:?}", row.get_ref(column).unwrap())).collect();
            lines.push(format!("{table}: {}", values.join(", ")));
        }
    }
    lines
}
