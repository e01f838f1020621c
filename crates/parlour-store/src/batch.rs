//! One statement over many rows of parameters, and many statements in one go.
//!
//! SQLite runs a statement once a row. PostgreSQL runs it once over all rows ([`dialect::over_rows`]), and all statements of one go in one round
//! trip.

use crate::db::{Param, Read, Row, Source, Tx};
use crate::error::Result;

/// A column of parameters.
#[derive(Clone, Debug)]
pub(crate) enum Column<'a> {
    Ints(Vec<i64>),
    OptionalInts(Vec<Option<i64>>),
    /// One row whose value is a list; PostgreSQL only.
    List(Vec<i64>),
    Texts(Vec<&'a str>),
    Bytes(Vec<&'a [u8]>),
}

impl<'a> Column<'a> {
    /// What PostgreSQL calls its type.
    pub(crate) const fn array_type(&self) -> &'static str {
        match self {
            Self::Ints(_) | Self::OptionalInts(_) => "bigint[]",
            // Never of many rows.
            Self::List(_) => "bigint[][]",
            Self::Texts(_) => "text[]",
            Self::Bytes(_) => "bytea[]",
        }
    }

    fn get(&self, row: usize) -> Param<'_> {
        match self {
            Self::Ints(values) => Param::Int(values[row]),
            Self::OptionalInts(values) => values[row].map_or(Param::Null, Param::Int),
            Self::List(values) => Param::Ints(values),
            Self::Texts(values) => Param::Text(values[row]),
            Self::Bytes(values) => Param::Bytes(values[row]),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Ints(values) => values.len(),
            Self::OptionalInts(values) => values.len(),
            Self::List(_) => 1,
            Self::Texts(values) => values.len(),
            Self::Bytes(values) => values.len(),
        }
    }
}

/// A statement and the rows of parameters that it runs over.
#[derive(Clone, Debug)]
pub(crate) struct Batch<'a> {
    pub(crate) sql: &'static str,
    pub(crate) columns: Vec<Column<'a>>,
}

impl<'a> Batch<'a> {
    pub(crate) fn new(sql: &'static str, columns: Vec<Column<'a>>) -> Self {
        Self { sql, columns }
    }

    pub(crate) fn len(&self) -> usize {
        self.columns.first().map_or(0, Column::len)
    }

    fn row(&self, row: usize) -> Vec<Param<'_>> {
        self.columns.iter().map(|column| column.get(row)).collect()
    }

    /// How PostgreSQL takes it.
    pub(crate) fn form(&self, guard: Guard) -> Form {
        match (self.len() == 1, guard) {
            (true, Guard::None) => Form::Plain,
            (true, Guard::EveryRow) => Form::PlainGuarded,
            (false, Guard::None) => Form::OverRows,
            (false, Guard::EveryRow) => Form::OverRowsGuarded,
        }
    }

    /// Its parameters in that form.
    pub(crate) fn params(&self) -> Vec<Param<'_>> {
        if self.len() == 1 { self.row(0) } else { self.columns.iter().map(Param::Column).collect() }
    }
}

/// Whether every row of parameters must touch a row.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Guard {
    None,
    EveryRow,
}

/// How PostgreSQL takes a statement.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Form {
    Plain,
    PlainGuarded,
    OverRows,
    OverRowsGuarded,
}

/// Shows `see` the rows of every answer: of which question, for which row of its parameters, and the column its own ones begin at. All
/// questions are answered in one round trip.
pub(crate) fn ask_all(
    read: &Read<'_>,
    questions: &[Batch<'_>],
    mut see: impl FnMut(usize, usize, &Row<'_>, usize) -> Result<()>,
) -> Result<()> {
    match read.source() {
        Source::Sqlite(_) => {
            for (at, question) in questions.iter().enumerate() {
                for index in 0..question.len() {
                    read.each(question.sql, &question.row(index), |row| see(at, index, row, 0))?;
                }
            }
            Ok(())
        }
        Source::Question(question) => Err(question.beyond()),
        Source::Postgres(session) => {
            let asked: Vec<usize> = (0..questions.len()).filter(|at| questions[*at].len() > 0).collect();
            let steps: Vec<_> = asked.iter().map(|at| (&questions[*at], Guard::None)).collect();
            for (at, answer) in asked.iter().zip(session.pipeline(&steps)?) {
                let many = questions[*at].len() > 1;
                for row in &answer {
                    let row = Row::Postgres(row);
                    let index = if many { usize::try_from(row.int(0)? - 1).unwrap_or_default() } else { 0 };
                    see(*at, index, &row, usize::from(many))?;
                }
            }
            Ok(())
        }
    }
}

/// A change over many rows.
pub(crate) struct Change<'a> {
    pub(crate) what: &'static str,
    pub(crate) batch: Batch<'a>,
    pub(crate) guard: Guard,
}

/// Runs `changes` and, on PostgreSQL, commits in the same round trip.
pub(crate) fn change_all(tx: &Tx<'_>, changes: &[Change<'_>]) -> Result<()> {
    match tx.source() {
        Source::Sqlite(_) => {
            for change in changes {
                for index in 0..change.batch.len() {
                    let params = change.batch.row(index);
                    match change.guard {
                        Guard::EveryRow => tx.execute_one(change.what, change.batch.sql, &params)?,
                        Guard::None => drop(tx.execute(change.batch.sql, &params)?),
                    }
                }
            }
            Ok(())
        }
        Source::Question(question) => Err(question.beyond()),
        Source::Postgres(session) => {
            let steps: Vec<_> = changes
                .iter()
                .filter(|change| change.batch.len() > 0)
                .map(|change| (&change.batch, change.guard))
                .collect();
            session.pipeline_and_commit(&steps)
        }
    }
}
