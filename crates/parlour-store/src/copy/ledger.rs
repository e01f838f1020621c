//! How far a copy is: a table of the target, made when it begins and dropped when it is verified. Each piece and its line here are one
//! transaction, so a copy that was cut off goes on where it stopped. As long as the table is there, nobody but a copy opens the database.

use super::piece::Tally;
use super::tables::{TABLES, Table};
use crate::db::{Read, Source, params};
use crate::dialect;
use crate::error::{Result, StoreError};

const LEDGER: &str = "copy_progress";

/// How far a table is.
#[derive(Clone, Default)]
pub(super) struct Line {
    pub(super) tally: Tally,
    /// The key of the last row that was copied, as in a piece; empty before the first one.
    pub(super) last_key: Vec<u8>,
}

/// Whether a copy into this database was begun and not finished.
pub(super) fn exists(read: &Read<'_>) -> Result<bool> {
    Ok(read.row(dialect::table_exists(read.source()), params![LEDGER], |row| row.flag(0))?.unwrap_or(false))
}

/// Begins a ledger for a copy from `source`, in the transaction that is open.
pub(super) fn create(target: Source<'_>, source: &str) -> Result<()> {
    // Types that mean the same to both databases.
    target.run(
        "create table copy_progress (
             name text primary key, source text not null, rows bigint not null, bytes bigint not null,
             checksum bytea not null, last_key bytea not null
         )",
    )?;
    let empty = Tally::default();
    for table in TABLES {
        target.execute(
            "insert into copy_progress (name, source, rows, bytes, checksum, last_key) values (?1, ?2, 0, 0, ?3, ?4)",
            params![table.name, source, &empty.checksum[..], &[0_u8; 0][..]],
        )?;
    }
    Ok(())
}

/// From where the copy comes.
pub(super) fn source(read: &Read<'_>) -> Result<String> {
    let found = read.row("select min(source) from copy_progress", &[], |row| row.text(0))?;
    found.ok_or(StoreError::Inconsistent { table: LEDGER, what: "source" })
}

/// How far `table` is.
pub(super) fn line(read: &Read<'_>, table: &Table) -> Result<Line> {
    let sql = "select rows, bytes, checksum, last_key from copy_progress where name = ?1";
    let broken = |what| StoreError::Inconsistent { table: LEDGER, what };
    let line = read.row(sql, params![table.name], |row| {
        let number = |column| row.int(column).map(i64::unsigned_abs);
        let checksum = row.bytes(2)?.try_into().map_err(|_| broken("checksum"))?;
        Ok(Line { tally: Tally { rows: number(0)?, bytes: number(1)?, checksum }, last_key: row.bytes(3)? })
    })?;
    line.ok_or_else(|| broken("table"))
}

/// Notes in the transaction that is open that `table` has gone from `before` to `after`; false if somebody else took it further.
pub(super) fn advance(target: Source<'_>, table: &Table, before: &Line, after: &Line) -> Result<bool> {
    let number = |number: u64| i64::try_from(number).unwrap_or(i64::MAX);
    let (Line { tally, last_key }, had) = (after, number(before.tally.rows));
    let changed = target.execute(
        "update copy_progress set rows = ?3, bytes = ?4, checksum = ?5, last_key = ?6 where name = ?1 and rows = ?2",
        params![table.name, had, number(tally.rows), number(tally.bytes), &tally.checksum[..], &last_key[..]],
    )?;
    Ok(changed == 1)
}

/// Ends the ledger: the database may be used.
pub(super) fn remove(target: Source<'_>) -> Result<()> {
    target.run("drop table copy_progress")
}
