//! Databases to copy from and to.

use parlour_testkit::Schema;
use rusqlite::Connection;
use std::path::{Path, PathBuf};

/// Where a database is, or is to be.
pub(super) enum Place {
    File(PathBuf),
    Server(Schema),
}

impl Place {
    pub(super) fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(path.into())
    }

    /// A new place on the tests' PostgreSQL server, which is dropped with this value.
    pub(super) fn server() -> Self {
        Self::Server(Schema::create())
    }

    /// The same as `--database`, `--from` and `--to` take it.
    pub(super) fn address(&self) -> String {
        match self {
            Self::File(path) => format!("sqlite:{}", path.display()),
            Self::Server(schema) => schema.to_string(),
        }
    }

    /// Runs statements behind everybody's back.
    pub(super) fn execute(&self, sql: &str) {
        match self {
            Self::File(path) => Connection::open(path).unwrap().execute_batch(sql).unwrap(),
            Self::Server(schema) => schema.execute(sql),
        }
    }
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
