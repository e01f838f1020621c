//! A whole community from one database into another, whichever kind each is.
//!
//! - What is copied is what was in the source at one moment, byte for byte: ids, order, times, idempotency keys, events, counters.
//! - A piece of a table is in memory at a time.
//! - A copy that was cut off goes on where it stopped; until it is verified, nobody else can open the target.
//! - At the end both sides are read again. A source that has changed since, and a target that holds anything else, are named.

mod end;
mod ledger;
mod piece;
mod tables;

use crate::backup::same;
use crate::db::Read;
use crate::error::{Result, StoreError};
use crate::{Location, Progress, Watch};
use end::{End, Pages};
use ledger::Line;
use piece::Tally;
use std::sync::atomic::{AtomicU64, Ordering};
use tables::{TABLES, Table};

/// Why a copy could not be made.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// One of the databases failed.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is nothing to copy.
    #[error("there is no database of Parlour's at {database}")]
    NoSource {
        /// The source.
        database: String,
    },
    /// Source and target are one.
    #[error("{database} cannot be copied onto itself")]
    Same {
        /// Both.
        database: String,
    },
    /// Somebody has the target open.
    #[error(
        "the target {database} is in use: stop the server first; one that was killed counts for another minute on PostgreSQL"
    )]
    InUse {
        /// The target.
        database: String,
    },
    /// There is something in the target already.
    #[error("the target {database} is not empty: there are rows in its table {table}")]
    NotEmpty {
        /// The target.
        database: String,
        /// A table with rows.
        table: &'static str,
    },
    /// The target is half of another copy.
    #[error("the target {database} holds an unfinished copy of {other}: finish that one, or empty the target")]
    OtherSource {
        /// The target.
        database: String,
        /// Where that copy comes from.
        other: String,
    },
    /// Somebody else copies into the target.
    #[error("another copy into the same target is under way")]
    Overtaken,
    /// The target takes no such rows.
    #[error("the target refuses rows of table {table}: let `parlour doctor` examine the source")]
    Refused {
        /// The table.
        table: &'static str,
    },
    /// The source is not what it was when it was copied.
    #[error(
        "table {table} of the source has changed since it was copied: stop the server, empty the target and copy again"
    )]
    SourceChanged {
        /// The table.
        table: &'static str,
    },
    /// The target is not what was copied.
    #[error("table {table} of the target does not hold what was copied: empty the target and copy again")]
    TargetDiffers {
        /// The table.
        table: &'static str,
    },
}

/// What was copied and verified.
#[derive(Clone, Debug)]
pub struct Copied {
    /// Rows of each table.
    pub tables: Vec<(&'static str, u64)>,
    /// Rows that this run copied; an earlier one, which was cut off, copied the others.
    pub rows: u64,
    /// Bytes of these rows.
    pub bytes: u64,
    /// Whether an earlier run had begun the copy.
    pub resumed: bool,
}

/// Whether a copy into this database was begun and not finished.
pub(crate) fn is_unfinished(read: &Read<'_>) -> Result<bool> {
    ledger::exists(read)
}

/// Copies everything in `from` to `to`, which must be empty or hold a part of the same copy, and verifies it. Nobody may write to either
/// meanwhile: what is written to the source is noticed at the end.
///
/// # Errors
/// [`CopyError`]. After anything but [`CopyError::SourceChanged`] and [`CopyError::TargetDiffers`], the same copy can go on.
pub fn copy(from: &Location, to: &Location, watch: &Watch) -> Result<Copied, CopyError> {
    refuse_same(from, to)?;
    let source = End::open_source(from)?;
    let target = End::open_target(to)?;
    let resumed = begin(&target, to, &name(from, &source)?)?;
    let mut lines = Vec::with_capacity(TABLES.len());
    for table in TABLES {
        lines.push(ledger::line(&target.read(), table)?);
    }
    let (rows, bytes) = (sum(&lines, |tally| tally.rows), sum(&lines, |tally| tally.bytes));
    let mut total = 0;
    for table in TABLES {
        total += source.count(table)?;
    }
    let mut done = rows;
    for (table, line) in TABLES.iter().zip(&mut lines) {
        copy_table(&source, &target, table, line, &mut |rows| {
            done += rows;
            watch(Progress { step: "copying rows", done, total });
        })?;
    }
    // Whoever holds a snapshot keeps the source from tidying up.
    drop(source);
    target.learn()?;
    verify(from, &target, &lines, watch)?;
    ledger::remove(target.source())?;
    target.settle(to)?;
    Ok(Copied {
        tables: TABLES.iter().zip(&lines).map(|(table, line)| (table.name, line.tally.rows)).collect(),
        rows: sum(&lines, |tally| tally.rows) - rows,
        bytes: sum(&lines, |tally| tally.bytes) - bytes,
        resumed,
    })
}

fn sum(lines: &[Line], number: impl Fn(&Tally) -> u64) -> u64 {
    lines.iter().map(|line| number(&line.tally)).sum()
}

fn refuse_same(from: &Location, to: &Location) -> Result<(), CopyError> {
    match (from, to) {
        (Location::Sqlite(one), Location::Sqlite(other)) if same(one, other) => {
            Err(CopyError::Same { database: from.to_string() })
        }
        _ => Ok(()),
    }
}

/// What tells a source from others: a file has a path, and one PostgreSQL database has room for several, each in a schema.
fn name(location: &Location, source: &End) -> Result<String> {
    match location {
        Location::Sqlite(path) => Ok(path.canonicalize().unwrap_or_else(|_| path.clone()).display().to_string()),
        Location::Postgres(settings) => {
            let schema = source.read().row("select coalesce(current_schema()::text, '')", &[], |row| row.text(0))?;
            Ok(format!("schema {} of {}", schema.unwrap_or_default(), settings.name()))
        }
    }
}

/// Begins a copy in an empty target, or finds the one that was begun; true for that.
fn begin(target: &End, to: &Location, source: &str) -> Result<bool, CopyError> {
    if ledger::exists(&target.read())? {
        let other = ledger::source(&target.read())?;
        return if other == source {
            Ok(true)
        } else {
            Err(CopyError::OtherSource { database: to.to_string(), other })
        };
    }
    target.transact(|| {
        for table in TABLES {
            // A new database has its counters.
            if table.name != "counters" && !target.is_empty(table)? {
                return Err(CopyError::NotEmpty { database: to.to_string(), table: table.name });
            }
        }
        ledger::create(target.source(), source)?;
        target.source().execute("delete from counters", &[])?;
        Ok(false)
    })
}

/// Copies what is left of a table, and keeps its line up to date.
fn copy_table(
    source: &End,
    target: &End,
    table: &'static Table,
    line: &mut Line,
    copied: &mut dyn FnMut(u64),
) -> Result<(), CopyError> {
    let mut pages = Pages::new(table, line.last_key.clone());
    while let Some(piece) = pages.next(source)? {
        let mut tally = line.tally;
        tally.add(piece);
        let after = Line { tally, last_key: piece.last_key(table).unwrap_or_default().to_vec() };
        target.transact(|| {
            // First, as another copy waits here for this one.
            if !ledger::advance(target.source(), table, line, &after)? {
                return Err(CopyError::Overtaken);
            }
            target.put(table, piece)
        })?;
        *line = after;
        copied(piece.len() as u64);
    }
    Ok(())
}

/// Reads both sides again and compares them with what was copied. The source is looked at as it is now.
fn verify(from: &Location, target: &End, lines: &[Line], watch: &Watch) -> Result<(), CopyError> {
    let (done, total) = (AtomicU64::new(0), 2 * sum(lines, |tally| tally.rows));
    let seen = |rows| {
        let done = done.fetch_add(rows, Ordering::Relaxed) + rows;
        watch(Progress { step: "verifying", done, total });
    };
    let find_other = |end: &End| -> Result<Option<&'static str>, CopyError> {
        for (table, line) in TABLES.iter().zip(lines) {
            if end.tally(table, &seen)? != line.tally {
                return Ok(Some(table.name));
            }
        }
        Ok(None)
    };
    let (theirs, ours) = std::thread::scope(|scope| {
        let theirs = scope.spawn(|| find_other(&End::open_source(from)?));
        let ours = find_other(target);
        (theirs.join().unwrap_or(Err(StoreError::ReadPanicked.into())), ours)
    });
    match (theirs?, ours?) {
        (_, Some(table)) => Err(CopyError::TargetDiffers { table }),
        (Some(table), None) => Err(CopyError::SourceChanged { table }),
        (None, None) => Ok(()),
    }
}
