//! The two ends of a copy, each a connection of its own.

use super::CopyError;
use super::piece::{MAX_ROWS, Piece, Tally, values};
use super::tables::{TABLES, Table};
use crate::db::{Param, Read, Source};
use crate::error::{DriverError, Result, StoreError};
use crate::postgres::Session;
use crate::{Location, migrate, postgres, sqlite};
use rusqlite::{Connection, ErrorCode};
use std::ops::ControlFlow;

pub(super) enum End {
    Sqlite(Connection),
    Postgres(Box<Session>),
}

impl End {
    /// Opens a database to read it in one snapshot.
    pub(super) fn open_source(location: &Location) -> Result<Self, CopyError> {
        let nothing = || CopyError::NoSource { database: location.to_string() };
        if !location.may_exist() {
            return Err(nothing());
        }
        let (source, version) = match location {
            Location::Sqlite(path) => {
                let connection = sqlite::connect_to_read(path)?;
                let version = migrate::version(&connection)?;
                (Self::Sqlite(connection), version)
            }
            Location::Postgres(settings) => {
                let session = postgres::connect_to_read(settings.clone())?;
                let version = migrate::version_postgres(&session)?;
                (Self::Postgres(Box::new(session)), version)
            }
        };
        if version == 0 {
            return Err(nothing());
        }
        migrate::refuse_older(version)?;
        migrate::refuse_unfinished(&source.read())?;
        Ok(source)
    }

    /// Opens a database to fill it, creating a file that is missing and bringing the schema up to date.
    pub(super) fn open_target(location: &Location) -> Result<Self, CopyError> {
        let target = match location {
            Location::Sqlite(path) => sqlite::connect_to_fill(path)?.map(Self::Sqlite),
            Location::Postgres(settings) => {
                postgres::connect_to_fill(settings.clone())?.map(Box::new).map(Self::Postgres)
            }
        };
        target.ok_or_else(|| CopyError::InUse { database: location.to_string() })
    }

    pub(super) const fn source(&self) -> Source<'_> {
        match self {
            Self::Sqlite(connection) => Source::Sqlite(connection),
            Self::Postgres(session) => Source::Postgres(session),
        }
    }

    pub(super) const fn read(&self) -> Read<'_> {
        Read::new(self.source())
    }

    /// Does `work` in a transaction.
    pub(super) fn transact<T>(&self, work: impl FnOnce() -> Result<T, CopyError>) -> Result<T, CopyError> {
        self.source().run("begin")?;
        match work() {
            Ok(done) => {
                self.source().run("commit")?;
                Ok(done)
            }
            Err(error) => {
                // What failed says more than what follows from it.
                drop(self.source().run("rollback"));
                Err(error)
            }
        }
    }

    /// How many rows a table has.
    pub(super) fn count(&self, table: &Table) -> Result<u64> {
        let count = self.read().row(&format!("select count(*) from {}", table.name), &[], |row| row.int(0))?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// Whether a table has no rows.
    pub(super) fn is_empty(&self, table: &Table) -> Result<bool> {
        let row = self.read().row(&format!("select 1 from {} limit 1", table.name), &[], |row| row.int(0))?;
        Ok(row.is_none())
    }

    /// Puts the rows of a piece into a table.
    pub(super) fn put(&self, table: &'static Table, piece: &Piece) -> Result<(), CopyError> {
        let put = match self {
            Self::Sqlite(_) => {
                let insert = table.insert();
                piece.rows().try_for_each(|row| self.source().execute(&insert, &values(table, row)?).map(drop))
            }
            Self::Postgres(session) => session.copy_in(&table.copy_in(), piece.as_copy(table)).map(drop),
        };
        put.map_err(|error| if is_refusal(&error) { CopyError::Refused { table: table.name } } else { error.into() })
    }

    /// Lets PostgreSQL, which plans its questions by what it knows of the tables, learn of what was put in.
    pub(super) fn learn(&self) -> Result<()> {
        match self {
            Self::Sqlite(_) => Ok(()),
            Self::Postgres(session) => {
                let names: Vec<&str> = TABLES.iter().map(|table| table.name).collect();
                session.run(&format!("analyze {}", names.join(", ")))
            }
        }
    }

    /// Brings a file to disk as it is to be found; PostgreSQL does so with every transaction.
    pub(super) fn settle(&self, location: &Location) -> Result<()> {
        match (self, location) {
            (Self::Sqlite(connection), Location::Sqlite(path)) => sqlite::settle(connection, path),
            _ => Ok(()),
        }
    }

    /// Says what is in a table, and tells `seen` of each piece.
    pub(super) fn tally(&self, table: &'static Table, seen: &dyn Fn(u64)) -> Result<Tally> {
        let mut tally = Tally::default();
        let mut pages = Pages::new(table, Vec::new());
        while let Some(piece) = pages.next(self)? {
            tally.add(piece);
            seen(piece.len() as u64);
        }
        Ok(tally)
    }
}

/// Whether a database refuses a row for what is in it.
fn is_refusal(error: &StoreError) -> bool {
    match error {
        StoreError::Conflict => true,
        StoreError::Driver(DriverError::Sqlite(error)) => {
            error.sqlite_error_code() == Some(ErrorCode::ConstraintViolation)
        }
        StoreError::Driver(DriverError::Postgres { code }) => code.starts_with("22") || code.starts_with("23"),
        _ => false,
    }
}

/// Reads a table piece by piece in the order of its key, with one piece in memory.
pub(super) struct Pages {
    table: &'static Table,
    first: String,
    further: String,
    last_key: Vec<u8>,
    piece: Piece,
    rows: usize,
}

impl Pages {
    /// Begins behind a key, or with the first row.
    pub(super) fn new(table: &'static Table, last_key: Vec<u8>) -> Self {
        let (first, further) = (table.page(false), table.page(true));
        Self { table, first, further, last_key, piece: Piece::default(), rows: MAX_ROWS }
    }

    /// The next piece, unless there are no further rows.
    pub(super) fn next(&mut self, source: &End) -> Result<Option<&Piece>> {
        let Self { table, piece, .. } = self;
        piece.clear();
        let mut params = values(table, &self.last_key)?;
        let sql = if params.is_empty() { &self.first } else { &self.further };
        params.push(Param::from(i64::try_from(self.rows).unwrap_or(i64::MAX)));
        source.read().until(sql, &params, |row| {
            piece.push(table, row)?;
            Ok(if piece.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) })
        })?;
        // Rows that are asked for and not taken are work for nothing.
        self.rows = if piece.is_full() { piece.len() } else { MAX_ROWS.min(self.rows * 2) };
        if let Some(key) = piece.last_key(table) {
            self.last_key = key.to_vec();
        }
        Ok(if piece.is_empty() { None } else { Some(piece) })
    }
}
