//! Brings a database to the schema of this release. Migrations are numbered, run once each, and never change after release.

use crate::error::{Result, StoreError};
use rusqlite::{Connection, TransactionBehavior};

/// One step of the schema.
struct Migration {
    number: i64,
    name: &'static str,
    sql: &'static str,
}

const MIGRATIONS: &[Migration] =
    &[Migration { number: 1, name: "init", sql: include_str!("../migrations/sqlite/0001_init.sql") }];

/// The schema that this release writes.
pub(crate) const NEWEST: i64 = MIGRATIONS[MIGRATIONS.len() - 1].number;

/// The schema that the database has; 0 for an empty one.
pub(crate) fn version(connection: &Connection) -> Result<i64> {
    Ok(connection.pragma_query_value(None, "user_version", |row| row.get(0))?)
}

/// Refuses a database that a newer release wrote.
pub(crate) fn check(connection: &Connection) -> Result<()> {
    match version(connection)? {
        found if found > NEWEST => Err(StoreError::SchemaTooNew { found, known: NEWEST }),
        _ => Ok(()),
    }
}

/// Runs what is missing, each step in a transaction of its own, and answers the names of the steps it ran.
pub(crate) fn run(connection: &mut Connection) -> Result<Vec<String>> {
    check(connection)?;
    let mut done = Vec::new();
    // Without a lock as long as nothing is missing: commands that only read do not wait for a busy server.
    let present = version(connection)?;
    for migration in MIGRATIONS.iter().filter(|migration| migration.number > present) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        // Asked again under the lock: another process may have been faster.
        if version(&transaction)? >= migration.number {
            continue;
        }
        transaction.execute_batch(migration.sql)?;
        transaction.pragma_update(None, "user_version", migration.number)?;
        transaction.commit()?;
        done.push(format!("{:04}_{}", migration.number, migration.name));
    }
    Ok(done)
}
