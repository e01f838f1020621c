//! The handles through which every query passes: [`Read`] inside a snapshot, [`Tx`] inside a write transaction.
//!
//! Query functions speak in [`Param`]s and [`Row`]s, never in a driver's own types.

use crate::batch::Column;
use crate::error::{Result, StoreError};
use crate::ids::IdGenerator;
use crate::postgres::{Failure, Integer, Question, Session};
use parlour_types::{FileUuid, MessageId, ThreadId, Timestamp, UserId};
use rusqlite::Connection;
use rusqlite::types::{ToSqlOutput, ValueRef};
use std::cell::RefCell;
use std::fmt;
use std::ops::ControlFlow;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// A value bound to a query.
#[derive(Clone, Copy)]
pub(crate) enum Param<'a> {
    Null,
    Int(i64),
    Text(&'a str),
    Bytes(&'a [u8]),
    /// A list; SQLite has none.
    Ints(&'a [i64]),
    /// A column of many rows; SQLite takes one row at a time.
    Column(&'a Column<'a>),
}

/// No text: a driver may write this to the log.
impl fmt::Debug for Param<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Int(value) => value.fmt(f),
            _ => f.write_str("…"),
        }
    }
}

impl rusqlite::ToSql for Param<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Param::Null => ValueRef::Null,
            Param::Int(value) => ValueRef::Integer(*value),
            Param::Text(value) => ValueRef::Text(value.as_bytes()),
            Param::Bytes(value) => ValueRef::Blob(value),
            Param::Ints(_) | Param::Column(_) => return Err(rusqlite::Error::ToSqlConversionFailure("a list".into())),
        }))
    }
}

macro_rules! int_param {
    ($($type:ty => |$value:ident| $int:expr),+ $(,)?) => {
        $(impl From<$type> for Param<'_> {
            fn from($value: $type) -> Self {
                Param::Int($int)
            }
        })+
    };
}

int_param! {
    i64 => |value| value,
    bool => |value| i64::from(value),
    UserId => |value| value.get(),
    ThreadId => |value| value.get(),
    MessageId => |value| value.get(),
    Timestamp => |value| value.as_micros(),
}

impl<'a> From<&'a str> for Param<'a> {
    fn from(value: &'a str) -> Self {
        Param::Text(value)
    }
}

impl<'a> From<&'a [u8]> for Param<'a> {
    fn from(value: &'a [u8]) -> Self {
        Param::Bytes(value)
    }
}

impl<'a> From<&'a FileUuid> for Param<'a> {
    fn from(value: &'a FileUuid) -> Self {
        Param::Bytes(value.as_bytes())
    }
}

impl<'a> From<&'a [i64]> for Param<'a> {
    fn from(value: &'a [i64]) -> Self {
        Param::Ints(value)
    }
}

impl<'a, T: Into<Param<'a>>> From<Option<T>> for Param<'a> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Param::Null, Into::into)
    }
}

/// Binds a list of values, each turned into a [`Param`].
macro_rules! params {
    ($($value:expr),* $(,)?) => { &[$($crate::db::Param::from($value)),*][..] };
}
pub(crate) use params;

/// One row of an answer; columns are counted from 0.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r tokio_postgres::Row),
}

impl Row<'_> {
    pub(crate) fn int(&self, column: usize) -> Result<i64> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_i64().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get::<_, Integer>(column)?.0),
        }
    }

    pub(crate) fn int_opt(&self, column: usize) -> Result<Option<i64>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_i64_or_null().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get::<_, Option<Integer>>(column)?.map(|integer| integer.0)),
        }
    }

    pub(crate) fn flag(&self, column: usize) -> Result<bool> {
        Ok(self.int(column)? != 0)
    }

    pub(crate) fn text(&self, column: usize) -> Result<String> {
        self.str(column).map(str::to_owned)
    }

    pub(crate) fn str(&self, column: usize) -> Result<&str> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_str().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn text_opt(&self, column: usize) -> Result<Option<String>> {
        Ok(self.str_opt(column)?.map(str::to_owned))
    }

    pub(crate) fn str_opt(&self, column: usize) -> Result<Option<&str>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_str_or_null().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn bytes(&self, column: usize) -> Result<Vec<u8>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_blob().map_err(rusqlite::Error::from)?.to_owned()),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn bytes_opt(&self, column: usize) -> Result<Option<&[u8]>> {
        match self {
            Self::Sqlite(row) => Ok(row.get_ref(column)?.as_blob_or_null().map_err(rusqlite::Error::from)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn file_uuid(&self, column: usize) -> Result<FileUuid> {
        self.file_uuid_opt(column)?.ok_or(StoreError::Inconsistent { table: "files", what: "uuid" })
    }

    pub(crate) fn file_uuid_opt(&self, column: usize) -> Result<Option<FileUuid>> {
        let Some(bytes) = self.bytes_opt(column)? else { return Ok(None) };
        let bytes = bytes.try_into().map_err(|_| StoreError::Inconsistent { table: "files", what: "uuid" })?;
        Ok(Some(FileUuid::from_bytes(bytes)))
    }

    pub(crate) fn time(&self, column: usize) -> Result<Timestamp> {
        Ok(Timestamp::from_micros(self.int(column)?))
    }

    pub(crate) fn user_id(&self, column: usize) -> Result<UserId> {
        UserId::new(self.int(column)?).ok_or(StoreError::Inconsistent { table: "users", what: "user id" })
    }

    pub(crate) fn thread_id(&self, column: usize) -> Result<ThreadId> {
        ThreadId::new(self.int(column)?).ok_or(StoreError::Inconsistent { table: "threads", what: "thread id" })
    }

    pub(crate) fn message_id(&self, column: usize) -> Result<MessageId> {
        MessageId::new(self.int(column)?).ok_or(StoreError::Inconsistent { table: "messages", what: "message id" })
    }
}

/// Where a query runs.
#[derive(Clone, Copy)]
pub(crate) enum Source<'c> {
    Sqlite(&'c Connection),
    Postgres(&'c Session),
    /// PostgreSQL, whose answer is not waited for.
    Question(&'c Question),
}

impl Source<'_> {
    /// Runs a change and says how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<usize> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, params)?;
                Ok(statement.raw_execute()?)
            }
            Self::Postgres(session) => session.execute(sql, params),
            Self::Question(question) => Err(question.beyond()),
        }
    }

    /// Runs statements without parameters or answer.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(session) => session.run(sql),
            Self::Question(question) => Err(question.beyond()),
        }
    }
}

/// One snapshot of the database: everything read through it belongs together.
pub struct Read<'c> {
    source: Source<'c>,
    /// What the snapshot says of itself, where that was read to begin it.
    directory_version: Option<i64>,
}

impl<'c> Read<'c> {
    pub(crate) const fn new(source: Source<'c>) -> Self {
        Self { source, directory_version: None }
    }

    /// A snapshot that is known to hold this version of the directory.
    pub(crate) const fn of_version(source: Source<'c>, directory_version: i64) -> Self {
        Self { source, directory_version: Some(directory_version) }
    }

    pub(crate) const fn directory_version(&self) -> Option<i64> {
        self.directory_version
    }

    pub(crate) const fn source(&self) -> Source<'c> {
        self.source
    }

    /// The first row of the answer, if any.
    pub(crate) fn row<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        decode: impl FnOnce(&Row<'_>) -> Result<T>,
    ) -> Result<Option<T>> {
        match self.source {
            Source::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, params)?;
                let mut rows = statement.raw_query();
                rows.next()?.map(|row| decode(&Row::Sqlite(row))).transpose()
            }
            Source::Postgres(session) => {
                session.query(sql, params)?.first().map(|row| decode(&Row::Postgres(row))).transpose()
            }
            Source::Question(question) => Err(question.beyond()),
        }
    }

    /// Shows every row of the answer to `see`, which may borrow from it. For answers of bounded length.
    pub(crate) fn each(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.source {
            Source::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, params)?;
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    see(&Row::Sqlite(row))?;
                }
                Ok(())
            }
            Source::Postgres(session) => {
                session.query(sql, params)?.iter().try_for_each(|row| see(&Row::Postgres(row)))
            }
            Source::Question(question) => Err(question.beyond()),
        }
    }

    /// The same of a page with all that belongs to it, for which nobody's thread need wait.
    pub(crate) fn page(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.source {
            Source::Question(question) => question.each(sql, params, |row| see(&Row::Postgres(row))),
            _ => self.each(sql, params, see),
        }
    }

    /// The same until `see` has enough. What it does not take is not kept in memory either, so rows may be of any size.
    pub(crate) fn until(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Row<'_>) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        match self.source {
            Source::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                bind(&mut statement, params)?;
                let mut rows = statement.raw_query();
                while let Some(row) = rows.next()? {
                    if see(&Row::Sqlite(row))?.is_break() {
                        break;
                    }
                }
                Ok(())
            }
            Source::Postgres(session) => session.until(sql, params, |row| see(&Row::Postgres(row))),
            Source::Question(question) => Err(question.beyond()),
        }
    }

    /// As [`Read::each`] for answers of any length, of which only a piece is in memory at a time. `see` may ask further questions.
    pub(crate) fn scan(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Row<'_>) -> Result<()>,
    ) -> Result<()> {
        match self.source {
            Source::Sqlite(_) => self.each(sql, params, see),
            Source::Postgres(session) => session.scan(sql, params, |row| see(&Row::Postgres(row))),
            Source::Question(question) => Err(question.beyond()),
        }
    }

    /// Every row of the answer.
    pub(crate) fn rows<T>(
        &self,
        sql: &str,
        params: &[Param<'_>],
        decode: impl FnMut(&Row<'_>) -> Result<T>,
    ) -> Result<Vec<T>> {
        let mut decode = decode;
        let mut found = Vec::new();
        self.each(sql, params, |row| {
            found.push(decode(row)?);
            Ok(())
        })?;
        Ok(found)
    }
}

/// A write transaction. Its closure may run again, so it must not cause anything outside the database.
pub struct Tx<'c> {
    read: Read<'c>,
    ids: &'c Mutex<IdGenerator>,
    touched: &'c RefCell<Touched>,
}

/// What a transaction changes of what is kept in memory. What was taken back stays in it, which costs a look at the database and no more.
#[derive(Default)]
pub(crate) struct Touched {
    pub(crate) threads: Vec<(UserId, ThreadId)>,
    /// Whose logs grew although nothing that they see of the thread changed.
    pub(crate) told: Vec<(UserId, ThreadId)>,
    pub(crate) directory: bool,
    pub(crate) everything: bool,
}

impl<'c> std::ops::Deref for Tx<'c> {
    type Target = Read<'c>;
    fn deref(&self) -> &Self::Target {
        &self.read
    }
}

impl<'c> Tx<'c> {
    pub(crate) const fn new(source: Source<'c>, ids: &'c Mutex<IdGenerator>, touched: &'c RefCell<Touched>) -> Self {
        Self { read: Read::new(source), ids, touched }
    }

    /// Notes that `user` will see something else of `thread`, or of their inbox.
    pub(crate) fn touch_thread(&self, user: UserId, thread: ThreadId) {
        self.touched.borrow_mut().threads.push((user, thread));
    }

    /// Notes that `user`'s log says something of `thread` that changes nothing of what they see of it.
    pub(crate) fn tell(&self, user: UserId, thread: ThreadId) {
        self.touched.borrow_mut().told.push((user, thread));
    }

    /// Notes that a user changed, or what a user's rendering shows.
    pub(crate) fn touch_directory(&self) {
        self.touched.borrow_mut().directory = true;
    }

    /// Notes that somebody will see something else, and that it is not known who.
    pub(crate) fn touch_everything(&self) {
        self.touched.borrow_mut().everything = true;
    }

    /// Runs a change and says how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<usize> {
        self.source.execute(sql, params)
    }

    /// Runs a change that must touch exactly one row.
    pub(crate) fn execute_one(&self, what: &'static str, sql: &str, params: &[Param<'_>]) -> Result<()> {
        match self.execute(sql, params)? {
            1 => Ok(()),
            actual => Err(StoreError::RowsAffected { what, actual }),
        }
    }

    /// The next number of the one generator for threads, messages and issued user ids.
    pub(crate) fn next_id(&self, now: Timestamp) -> Result<i64> {
        let next = self.ids().next(now);
        if let (Err(StoreError::NoNode), Source::Postgres(session)) = (&next, self.source()) {
            session.fail(Failure::NoNode);
        }
        next
    }

    /// Takes note of a number that is brought along, so that the generator goes on above it.
    pub(crate) fn observe_id(&self, id: i64) {
        self.ids().observe(id);
    }

    fn ids(&self) -> MutexGuard<'_, IdGenerator> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The number below which every id that the generator can still issue does not lie.
    #[must_use]
    pub fn id_floor(&self, now: Timestamp) -> i64 {
        IdGenerator::floor(now)
    }
}

fn bind(statement: &mut rusqlite::CachedStatement<'_>, params: &[Param<'_>]) -> Result<()> {
    for (index, param) in params.iter().enumerate() {
        statement.raw_bind_parameter(index + 1, param)?;
    }
    Ok(())
}
