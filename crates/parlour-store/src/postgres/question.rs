//! A question that is asked without a thread that waits: the query runs a first time to show what it asks, and again when the answer is
//! there.

use crate::db::Param;
use crate::error::{Result, StoreError};
use bytes::BytesMut;
use std::cell::RefCell;
use std::error::Error;
use tokio_postgres::Row;
use tokio_postgres::types::{IsNull, ToSql, Type, to_sql_checked};

/// What a query runs against that may be run again.
#[derive(Default)]
pub(crate) struct Question(RefCell<State>);

/// How far a question has come.
#[derive(Default)]
pub(super) enum State {
    /// Nothing was asked.
    #[default]
    Open,
    Asked(Asked),
    Answered(Asked, Vec<Row>),
    /// The answer was shown.
    Shown,
    /// Something else was asked, which takes a connection of one's own.
    Beyond,
}

/// A statement and its parameters.
pub(super) struct Asked {
    pub(super) sql: &'static str,
    pub(super) params: Vec<Value>,
}

impl Question {
    /// A question to which this is the answer.
    pub(super) const fn answered(asked: Asked, rows: Vec<Row>) -> Self {
        Self(RefCell::new(State::Answered(asked, rows)))
    }

    /// How far it has come.
    pub(super) fn into_state(self) -> State {
        self.0.into_inner()
    }

    /// Shows the rows of the answer, if it is one to this very statement, and else notes what is asked.
    pub(crate) fn each(
        &self,
        sql: &'static str,
        params: &[Param<'_>],
        see: impl FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        let (next, rows) = match self.0.take() {
            State::Open => {
                let params: Option<Vec<_>> = params.iter().map(|param| Value::of(*param)).collect();
                (params.map_or(State::Beyond, |params| State::Asked(Asked { sql, params })), None)
            }
            State::Answered(asked, rows) if asked.is(sql, params) => (State::Shown, Some(rows)),
            _ => (State::Beyond, None),
        };
        self.0.replace(next);
        rows.ok_or(StoreError::Unanswered)?.iter().try_for_each(see)
    }

    /// Notes that something else is asked.
    pub(crate) fn beyond(&self) -> StoreError {
        self.0.replace(State::Beyond);
        StoreError::Unanswered
    }
}

impl Asked {
    fn is(&self, sql: &'static str, params: &[Param<'_>]) -> bool {
        self.sql == sql
            && self.params.len() == params.len()
            && self.params.iter().zip(params).all(|(one, other)| one.is(*other))
    }
}

/// A parameter of one's own.
#[derive(Debug)]
pub(super) enum Value {
    Null,
    Int(i64),
    Ints(Vec<i64>),
}

impl Value {
    fn of(param: Param<'_>) -> Option<Self> {
        match param {
            Param::Null => Some(Self::Null),
            Param::Int(value) => Some(Self::Int(value)),
            Param::Ints(values) => Some(Self::Ints(values.to_vec())),
            Param::Text(_) | Param::Bytes(_) | Param::Column(_) => None,
        }
    }

    fn is(&self, param: Param<'_>) -> bool {
        match (self, param) {
            (Self::Null, Param::Null) => true,
            (Self::Int(one), Param::Int(other)) => *one == other,
            (Self::Ints(one), Param::Ints(other)) => *one == other,
            _ => false,
        }
    }
}

impl ToSql for Value {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Box<dyn Error + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(value) => Param::Int(*value).to_sql(ty, out),
            Self::Ints(values) => Param::Ints(values).to_sql(ty, out),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}
