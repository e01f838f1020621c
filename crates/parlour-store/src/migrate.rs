//! Brings a database to the schema of this release. Migrations are numbered, run once each, and never change after release. Each has the same
//! number and name for both databases.

use crate::copy;
use crate::db::{Read, Source};
use crate::error::{Result, StoreError};
use crate::postgres::Session;
use rusqlite::{Connection, TransactionBehavior};

/// One step of the schema.
struct Migration {
    number: i64,
    name: &'static str,
    sqlite: &'static str,
    postgres: &'static str,
}

macro_rules! migration {
    ($number:literal, $name:literal, $file:literal) => {
        Migration {
            number: $number,
            name: $name,
            sqlite: include_str!(concat!("../migrations/sqlite/", $file)),
            postgres: include_str!(concat!("../migrations/postgres/", $file)),
        }
    };
}

const MIGRATIONS: &[Migration] = &[
    migration!(1, "init", "0001_init.sql"),
    migration!(2, "find_imported", "0002_find_imported.sql"),
    migration!(3, "files", "0003_files.sql"),
    migration!(4, "notifications", "0004_notifications.sql"),
    migration!(5, "signals", "0005_signals.sql"),
];

impl Migration {
    fn full_name(&self) -> String {
        format!("{:04}_{}", self.number, self.name)
    }
}

/// The schema that this release writes.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// The schema that the database has; 0 for an empty one.
pub(crate) fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a database that a newer release wrote, and one that a copy has not finished.
pub(crate) fn check(connection: &Connection) -> Result<()> {
    known(version(connection)?)?;
    refuse_unfinished(&Read::new(Source::Sqlite(connection)))
}

/// Refuses a database that a copy has not finished: a part of a community must not be taken for the whole.
pub(crate) fn refuse_unfinished(read: &Read<'_>) -> Result<()> {
    if copy::is_unfinished(read)? { Err(StoreError::Unfinished) } else { Ok(()) }
}

fn known(version: i64) -> Result<i64> {
    if version > NEWEST { Err(StoreError::SchemaTooNew { found: version, known: NEWEST }) } else { Ok(version) }
}

/// Refuses a schema that is not this release's, where nothing may be written to bring it up to date.
pub(crate) fn refuse_older(version: i64) -> Result<()> {
    match known(version)? {
        NEWEST => Ok(()),
        found => Err(StoreError::SchemaTooOld { found, newest: NEWEST }),
    }
}

/// Runs what is missing, each step in a transaction of its own, and answers the names of the steps it ran.
pub(crate) fn run(connection: &mut Connection) -> Result<Vec<String>> {
    let mut done = Vec::new();
    // Without a lock as long as nothing is missing: commands that only read do not wait for a busy server.
    let present = known(version(connection)?)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > present) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again under the lock: another process may have been faster.
        if version(&transaction)? >= migration.number {
            continue;
        }
        transaction.execute_batch(migration.sqlite)?;
        transaction.pragma_update(None, "user_version", migration.number)?;
        transaction.commit()?;
        done.push(migration.full_name());
    }
    Ok(done)
}

/// The same for PostgreSQL, where the steps that ran are rows of `schema_migrations`.
pub(crate) fn run_postgres(session: &Session) -> Result<Vec<String>> {
    let mut done = Vec::new();
    let present = known(version_postgres(session)?)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > present) {
        session.run(
            "begin;
             create table if not exists schema_migrations (number bigint primary key, name text not null);
             lock table schema_migrations in access exclusive mode;",
        )?;
        // Asked again under the lock: another process may have been faster.
        if version_postgres(session)? >= migration.number {
            session.run("rollback")?;
            continue;
        }
        session.run(migration.postgres)?;
        let (number, name) = (migration.number, migration.name);
        session.run(&format!("insert into schema_migrations (number, name) values ({number}, '{name}'); commit;"))?;
        done.push(migration.full_name());
    }
    Ok(done)
}

/// The schema that the database has; 0 for an empty one.
pub(crate) fn version_postgres(session: &Session) -> Result<i64> {
    let found = "select coalesce((select max(number) from schema_migrations), 0)";
    let table = session.query("select to_regclass('schema_migrations') is not null", &[])?;
    match table.first().map(|row| row.try_get(0)).transpose()? {
        Some(true) => match session.query(found, &[])?.first() {
            Some(row) => Ok(row.try_get(0)?),
            None => Ok(0),
        },
        _ => Ok(0),
    }
}
