//! One connection to PostgreSQL, used by one thread at a time. Every question waits for its answer; each wait is counted as a round trip.

use super::Failed;
use super::settings::Settings;
use crate::batch::{Batch, Column, Form, Guard};
use crate::db::Param;
use crate::dialect;
use crate::error::{Result, StoreError};
use bytes::{Bytes, BytesMut};
use futures_util::future::{join, join_all};
use futures_util::{SinkExt as _, TryStreamExt as _};
use std::cell::{Cell, RefCell};
use std::collections::HashMap;
use std::error::Error;
use std::ops::ControlFlow;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio_postgres::types::{FromSql, IsNull, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Row, Statement};

pub(super) const COMMIT: &str = "commit";

/// Rows of a long answer that are in memory at a time.
const PIECE: usize = 1_000;

/// A connection.
pub(crate) struct Session {
    client: Client,
    /// Last but one to go, as it runs the connection.
    runtime: Runtime,
    statements: RefCell<HashMap<Box<str>, Statement>>,
    /// The same for batches, by where their text lies.
    batches: RefCell<HashMap<(usize, Form), Statement>>,
    /// Long answers under way.
    scans: Cell<u32>,
    /// How the transaction begins that the next question is in.
    beginning: Cell<Option<&'static str>>,
    failure: Cell<Option<Failure>>,
    broken: Cell<bool>,
    /// Whether the last question was a commit.
    committing: Cell<bool>,
    round_trips: Arc<AtomicU64>,
    patience: Duration,
}

/// Why the last transaction could not be carried through.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Failure {
    /// Another transaction came between; the same may succeed when it is tried again.
    Conflict,
    /// No ids could be issued.
    NoNode,
    /// The connection is gone.
    Disconnected,
}

impl Session {
    /// Connects, and prepares the session for what Parlour does.
    pub(crate) fn connect(settings: &Settings, round_trips: &Arc<AtomicU64>) -> Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|_| StoreError::Unreachable { reason: "no event loop for the connection" })?;
        let client = runtime.block_on(async {
            let connect = settings.connect();
            match tokio::time::timeout(settings.connect_timeout, connect).await {
                Ok(connected) => connected,
                Err(_) => Err(StoreError::Unreachable { reason: "it does not answer in time" }),
            }
        })?;
        let session = Self {
            client,
            runtime,
            statements: RefCell::default(),
            batches: RefCell::default(),
            scans: Cell::new(0),
            beginning: Cell::new(None),
            failure: Cell::new(None),
            broken: Cell::new(false),
            committing: Cell::new(false),
            round_trips: Arc::clone(round_trips),
            patience: settings.patience(),
        };
        session.run(&settings.preamble())?;
        Ok(session)
    }

    /// Whether the transaction's last question was its commit.
    pub(super) fn is_committing(&self) -> bool {
        self.committing.get()
    }

    /// How the last transaction failed.
    pub(super) fn failed(&self) -> Failed {
        match self.failure.take() {
            Some(Failure::Conflict) => Failed::Met,
            Some(Failure::NoNode) => Failed::NoNode,
            Some(Failure::Disconnected) if !self.committing.get() => Failed::LostBeforeCommit,
            Some(Failure::Disconnected) | None => Failed::ForGood,
        }
    }

    /// Whether the connection is of no use any more.
    pub(crate) fn is_broken(&self) -> bool {
        self.broken.get() || self.client.is_closed()
    }

    /// Begins a transaction, together with the next question.
    pub(crate) fn begin(&self, how: &'static str) {
        self.failure.set(None);
        self.committing.set(false);
        self.beginning.set(Some(how));
    }

    /// Ends a transaction, and waits for that.
    pub(crate) fn end(&self, how: &str) -> Result<()> {
        // Nothing was asked in it.
        if self.beginning.take().is_some() {
            return Ok(());
        }
        self.committing.set(how == COMMIT);
        self.run(how)
    }

    /// Ends a transaction that changed nothing, without waiting for that.
    pub(crate) fn leave(&self) {
        if self.beginning.take().is_some() {
            return;
        }
        let ending = async {
            let mut ending = pin!(self.client.batch_execute("rollback"));
            // The first look sends it, then the connection has its turn to write.
            drop(futures_util::poll!(&mut ending));
            tokio::task::yield_now().await;
        };
        self.runtime.block_on(ending);
    }

    /// Every row of an answer.
    pub(crate) fn query(&self, sql: &str, params: &[Param<'_>]) -> Result<Vec<Row>> {
        let statement = self.statement(sql)?;
        self.wait(self.client.query(&statement, &dynamic(params)))
    }

    /// Runs a change and says how many rows it touched.
    pub(crate) fn execute(&self, sql: &str, params: &[Param<'_>]) -> Result<usize> {
        let statement = self.statement(sql)?;
        let rows = self.wait(self.client.execute(&statement, &dynamic(params)))?;
        Ok(usize::try_from(rows).unwrap_or(usize::MAX))
    }

    /// Runs statements without parameters or answer.
    pub(crate) fn run(&self, sql: &str) -> Result<()> {
        self.wait(self.client.batch_execute(sql))
    }

    /// Shows rows as they come to `see`, until it has enough. Inside it, nothing can be asked.
    pub(crate) fn until(
        &self,
        sql: &str,
        params: &[Param<'_>],
        mut see: impl FnMut(&Row) -> Result<ControlFlow<()>>,
    ) -> Result<()> {
        let statement = self.statement(sql)?;
        let mut seen = Ok(ControlFlow::Continue(()));
        self.wait(async {
            let mut rows = pin!(self.client.query_raw(&statement, params).await?);
            while let Some(row) = rows.try_next().await? {
                seen = see(&row);
                if !matches!(seen, Ok(ControlFlow::Continue(()))) {
                    break;
                }
            }
            Ok(())
        })?;
        seen.map(drop)
    }

    /// Puts rows into a table, in the form of a binary `copy`, and says how many.
    pub(crate) fn copy_in(&self, sql: &str, rows: Bytes) -> Result<u64> {
        let statement = self.statement(sql)?;
        self.wait(async {
            let mut table = pin!(self.client.copy_in(&statement).await?);
            table.send(rows).await?;
            table.finish().await
        })
    }

    /// Shows the rows of a long answer to `see`, a piece in memory at a time. Inside a transaction only.
    pub(crate) fn scan(&self, sql: &str, params: &[Param<'_>], mut see: impl FnMut(&Row) -> Result<()>) -> Result<()> {
        let depth = self.scans.get();
        self.scans.set(depth + 1);
        let done = self.scan_as(depth, sql, params, &mut see);
        self.scans.set(depth);
        done
    }

    fn scan_as(
        &self,
        depth: u32,
        sql: &str,
        params: &[Param<'_>],
        see: &mut dyn FnMut(&Row) -> Result<()>,
    ) -> Result<()> {
        self.execute(&format!("declare scan_{depth} no scroll cursor for {sql}"), params)?;
        let fetch = format!("fetch {PIECE} from scan_{depth}");
        loop {
            // The shape of the answer is the cursor's, so it cannot be prepared once for all.
            let rows = self.wait(self.client.query(&fetch, &[]))?;
            rows.iter().try_for_each(&mut *see)?;
            if rows.len() < PIECE {
                return self.run(&format!("close scan_{depth}"));
            }
        }
    }

    /// Sends all of `steps` at once and waits for their answers together.
    pub(crate) fn pipeline(&self, steps: &[(&Batch<'_>, Guard)]) -> Result<Vec<Vec<Row>>> {
        let prepared = self.prepare(steps)?;
        self.wait(async { self.send(&prepared).await.into_iter().collect() })
    }

    /// The same, with a commit at the end. After one that fails nothing is committed.
    pub(crate) fn pipeline_and_commit(&self, steps: &[(&Batch<'_>, Guard)]) -> Result<()> {
        let prepared = self.prepare(steps)?;
        self.committing.set(true);
        self.wait(async {
            let (done, committed) = join(self.send(&prepared), self.client.batch_execute(COMMIT)).await;
            done.into_iter().collect::<Result<Vec<_>, _>>()?;
            committed
        })
    }

    fn prepare<'b>(&self, steps: &[(&'b Batch<'_>, Guard)]) -> Result<Vec<(Statement, Vec<Param<'b>>)>> {
        steps.iter().map(|(batch, guard)| Ok((self.batch_statement(batch, *guard)?, batch.params()))).collect()
    }

    async fn send(&self, prepared: &[(Statement, Vec<Param<'_>>)]) -> Vec<Result<Vec<Row>, tokio_postgres::Error>> {
        let params: Vec<_> = prepared.iter().map(|(_, params)| dynamic(params)).collect();
        let steps = prepared.iter().zip(&params);
        join_all(steps.map(|((statement, _), params)| self.client.query(statement, params))).await
    }

    fn batch_statement(&self, batch: &Batch<'_>, guard: Guard) -> Result<Statement> {
        let form = batch.form(guard);
        let place = (batch.sql.as_ptr().addr(), form);
        if let Some(statement) = self.batches.borrow().get(&place) {
            return Ok(statement.clone());
        }
        let statement = self.statement(&dialect::in_form(batch.sql, form, &batch.columns))?;
        self.batches.borrow_mut().insert(place, statement.clone());
        Ok(statement)
    }

    fn statement(&self, sql: &str) -> Result<Statement> {
        if let Some(statement) = self.statements.borrow().get(sql) {
            return Ok(statement.clone());
        }
        let text = dialect::postgres(sql);
        let statement = self.runtime.block_on(within(self.patience, self.client.prepare(&text)));
        let statement = statement.map_err(|error| self.note(error))?;
        self.statements.borrow_mut().insert(sql.into(), statement.clone());
        Ok(statement)
    }

    fn wait<T>(&self, answer: impl Future<Output = Result<T, tokio_postgres::Error>>) -> Result<T> {
        self.round_trips.fetch_add(1, Ordering::Relaxed);
        let begin = self.beginning.take();
        let answer = async {
            match begin {
                None => answer.await,
                Some(how) => {
                    let (begun, answer) = join(self.client.batch_execute(how), answer).await;
                    begun.and(answer)
                }
            }
        };
        self.runtime.block_on(within(self.patience, answer)).map_err(|error| self.note(error))
    }

    /// Remembers what kept a question from being answered. The first failure counts: later ones follow from it.
    pub(crate) fn fail(&self, failure: Failure) {
        if self.failure.get().is_none() {
            self.failure.set(Some(failure));
        }
    }

    fn note(&self, error: StoreError) -> StoreError {
        match error {
            StoreError::Conflict => self.fail(Failure::Conflict),
            StoreError::Unreachable { .. } => {
                self.broken.set(true);
                self.fail(Failure::Disconnected);
            }
            _ => {}
        }
        error
    }
}

/// A network that swallows everything must not keep a thread for ever.
pub(super) async fn within<T>(
    patience: Duration,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T> {
    match tokio::time::timeout(patience, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(StoreError::Unreachable { reason: "it does not answer in time" }),
    }
}

fn dynamic<'a>(params: &'a [Param<'_>]) -> Vec<&'a (dyn ToSql + Sync)> {
    params.iter().map(|param| param as &(dyn ToSql + Sync)).collect()
}

type BoxError = Box<dyn Error + Sync + Send>;

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, BoxError> {
        match (self, ty) {
            (Param::Null, _) => Ok(IsNull::Yes),
            (Param::Int(value), &Type::INT4) => i32::try_from(*value)?.to_sql(ty, out),
            (Param::Int(value), &Type::BOOL) => (*value != 0).to_sql(ty, out),
            (Param::Int(value), &Type::INT8) => value.to_sql(ty, out),
            (Param::Text(value), &Type::TEXT) => value.to_sql(ty, out),
            (Param::Bytes(value), &Type::BYTEA) => value.to_sql(ty, out),
            (Param::Ints(value), &Type::INT8_ARRAY) => value.to_sql(ty, out),
            (Param::Column(Column::Ints(values)), &Type::INT8_ARRAY) => values.to_sql(ty, out),
            (Param::Column(Column::OptionalInts(values)), &Type::INT8_ARRAY) => values.to_sql(ty, out),
            (Param::Column(Column::Texts(values)), &Type::TEXT_ARRAY) => values.to_sql(ty, out),
            (Param::Column(Column::Bytes(values)), &Type::BYTEA_ARRAY) => values.to_sql(ty, out),
            _ => Err(format!("a parameter of type {ty} is bound to something else").into()),
        }
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// A whole number or a truth, as SQLite has only the one.
pub(crate) struct Integer(pub(crate) i64);

impl<'a> FromSql<'a> for Integer {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, BoxError> {
        Ok(Self(match *ty {
            Type::BOOL => i64::from(bool::from_sql(ty, raw)?),
            Type::INT4 => i64::from(i32::from_sql(ty, raw)?),
            _ => i64::from_sql(ty, raw)?,
        }))
    }

    fn accepts(ty: &Type) -> bool {
        matches!(*ty, Type::INT8 | Type::INT4 | Type::BOOL)
    }
}
