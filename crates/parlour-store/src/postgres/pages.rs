//! Connections for questions of one short statement: many are under way on each, their answers come in their order, and nobody's thread
//! waits. The event loop of whoever connected drives them.

use super::lanes::Connector;
use super::places::Places;
use super::question::Asked;
use super::session::within;
use crate::dialect;
use crate::error::{Result, StoreError};
use std::collections::HashMap;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;
use tokio::runtime::{Handle, Id};
use tokio_postgres::types::ToSql;
use tokio_postgres::{Client, Row, Statement};

/// Questions under way on one connection at the most.
const DEPTH: usize = 64;

/// The connections.
pub(super) struct Pages {
    links: Vec<Link>,
    places: Places,
    connector: Arc<Connector>,
}

/// A place at which at most one connection is kept.
#[derive(Default)]
struct Link {
    under_way: AtomicUsize,
    /// Held while connecting, so that nobody connects beside.
    shared: tokio::sync::Mutex<Option<Arc<Shared>>>,
}

/// A connection that many use at once.
struct Shared {
    client: Client,
    /// By where their text lies.
    statements: Mutex<HashMap<usize, Statement>>,
    runtime: Id,
    patience: Duration,
}

impl Pages {
    pub(super) fn new(count: usize, connector: &Arc<Connector>) -> Self {
        Self {
            links: std::iter::repeat_with(Link::default).take(count).collect(),
            places: Places::new(count * DEPTH, connector.settings.wait),
            connector: Arc::clone(connector),
        }
    }

    /// The answer; `None` where the caller's event loop has no part in the connection, or there is none.
    pub(super) async fn ask(self: &Arc<Self>, asked: Asked) -> Result<Option<(Asked, Vec<Row>)>> {
        let Ok(runtime) = Handle::try_current() else { return Ok(None) };
        if self.links.is_empty() {
            return Ok(None);
        }
        let (pages, place) = (Arc::clone(self), self.places.take().await?);
        let answering = async move {
            let _place = place;
            let answer = pages.ask_in_place(&asked, runtime.id()).await?;
            Ok(answer.map(|rows| (asked, rows)))
        };
        Answering(Some(Box::pin(answering))).await
    }

    async fn ask_in_place(&self, asked: &Asked, runtime: Id) -> Result<Option<Vec<Row>>> {
        let least_busy = self.links.iter().min_by_key(|link| link.under_way.load(Ordering::Relaxed));
        let Some(link) = least_busy else { return Ok(None) };
        let _under_way = UnderWay::enter(&link.under_way);
        let (shared, is_new) = link.connected(&self.connector, None).await?;
        if shared.runtime != runtime {
            return Ok(None);
        }
        let answer = match self.ask_on(&shared, asked).await {
            // The server may have gone and come back while nobody asked.
            Err(StoreError::Unreachable { .. }) if !is_new && shared.client.is_closed() => {
                let (shared, _) = link.connected(&self.connector, Some(&shared)).await?;
                self.ask_on(&shared, asked).await
            }
            answer => answer,
        };
        if matches!(answer, Err(StoreError::Unreachable { .. })) {
            link.give_up(&shared).await;
        }
        answer.map(Some)
    }

    async fn ask_on(&self, shared: &Shared, asked: &Asked) -> Result<Vec<Row>> {
        let place = asked.sql.as_ptr().addr();
        let known = shared.statements.lock().unwrap_or_else(PoisonError::into_inner).get(&place).cloned();
        let statement = match known {
            Some(statement) => statement,
            None => {
                let text = dialect::postgres(asked.sql);
                let statement = within(shared.patience, shared.client.prepare(&text)).await?;
                let mut statements = shared.statements.lock().unwrap_or_else(PoisonError::into_inner);
                statements.insert(place, statement.clone());
                statement
            }
        };
        self.connector.round_trips.fetch_add(1, Ordering::Relaxed);
        let params: Vec<&(dyn ToSql + Sync)> = asked.params.iter().map(|value| value as _).collect();
        within(shared.patience, shared.client.query(&statement, &params)).await
    }
}

impl Link {
    /// The connection and whether it is new; another one than `failed`.
    async fn connected(&self, connector: &Connector, failed: Option<&Arc<Shared>>) -> Result<(Arc<Shared>, bool)> {
        let mut kept = self.shared.lock().await;
        if let Some(shared) = &*kept
            && !shared.client.is_closed()
            && failed.is_none_or(|failed| !Arc::ptr_eq(failed, shared))
        {
            return Ok((Arc::clone(shared), false));
        }
        *kept = None;
        let shared = Arc::new(Shared::connect(connector).await?);
        Ok((Arc::clone(kept.insert(shared)), true))
    }

    /// Lets whoever comes next connect anew.
    async fn give_up(&self, shared: &Arc<Shared>) {
        self.shared.lock().await.take_if(|kept| Arc::ptr_eq(kept, shared));
    }
}

impl Shared {
    async fn connect(connector: &Connector) -> Result<Self> {
        let settings = &connector.settings;
        let unanswered = |_| StoreError::Unreachable { reason: "it does not answer in time" };
        let client = tokio::time::timeout(settings.connect_timeout, settings.connect()).await.map_err(unanswered)??;
        let patience = settings.patience();
        within(patience, client.batch_execute(&settings.preamble())).await?;
        Ok(Self { client, statements: Mutex::default(), runtime: Handle::current().id(), patience })
    }
}

/// A question under way, until dropped.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn enter(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

type Answer = Result<Option<(Asked, Vec<Row>)>>;

/// A question that stands on a connection until it is answered, whether or not anybody still waits: it keeps its place so long, so that a
/// connection that is held up does not gather the questions of callers who came and went.
struct Answering(Option<Pin<Box<dyn Future<Output = Answer> + Send>>>);

impl Future for Answering {
    type Output = Answer;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Answer> {
        let Some(answering) = &mut self.0 else { return Poll::Pending };
        let answer = answering.as_mut().poll(context);
        if answer.is_ready() {
            self.0 = None;
        }
        answer
    }
}

impl Drop for Answering {
    fn drop(&mut self) {
        if let (Some(rest), Ok(runtime)) = (self.0.take(), Handle::try_current()) {
            drop(runtime.spawn(rest));
        }
    }
}
