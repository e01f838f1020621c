//! Sends, in groups: whatever waits when the connection is free goes into the next transaction, each with its own result and its own error.
//!
//! A group runs at read committed behind the locks of [`sends`](crate::sends): whoever waited for a lock then reads what its holder wrote. No
//! snapshot is older than the locks, so nothing needs to be tried again because of another sender.

use super::LOCKED_CHANGE;
use super::lanes::{Connector, Seat};
use super::lease::LeaseKeeper;
use super::retry::{Failed, try_often};
use crate::commits::Commits;
use crate::db::{Source, Tx};
use crate::error::{Result, StoreError};
use crate::ids::IdGenerator;
use crate::observation::{Observation, Observed};
use crate::sends::{Ask, Decision, Facts, Order, Sent, Undecided, send_group};
use std::cell::RefCell;
use std::collections::{HashSet, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Sends that may wait; further callers wait for a place.
const QUEUE: usize = 1_024;

/// Sends of one group at the most.
const GROUP: usize = 256;

/// Recipients at which a group takes no further send: each locks a mailbox, and somebody may write to a hundred at once.
const RECIPIENTS: usize = 512;

/// A send and the caller who waits for it.
trait Pending: Order + Send {
    fn as_order(&mut self) -> &mut dyn Order;
    /// Whether it is still wanted. From the first time on its caller waits for what comes of it.
    fn take_up(&mut self) -> bool;
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

struct Waiting<E, F> {
    order: Undecided<E, F>,
    caller: oneshot::Sender<Result<Sent, E>>,
    turn: Turn,
}

/// Whether a send is begun or given up, which its caller and the connection settle between them: whoever comes first.
#[derive(Clone, Default)]
struct Turn {
    settled: Arc<AtomicBool>,
    /// Whether this side was first.
    ours: bool,
}

impl Turn {
    fn take(&mut self) -> bool {
        self.ours = self.ours || !self.settled.swap(true, Ordering::AcqRel);
        self.ours
    }
}

impl<E: From<StoreError>, F: FnMut(&Facts<'_>) -> Result<Decision, E>> Order for Waiting<E, F> {
    fn ask(&self) -> &Ask {
        self.order.ask()
    }
    fn decide(&mut self, facts: &Facts<'_>) -> Option<Decision> {
        self.order.decide(facts)
    }
    fn made(&mut self, sent: Sent) {
        self.order.made(sent);
    }
}

impl<E, F> Pending for Waiting<E, F>
where
    E: From<StoreError> + Send,
    F: FnMut(&Facts<'_>) -> Result<Decision, E> + Send,
{
    fn as_order(&mut self) -> &mut dyn Order {
        self
    }

    /// Whoever was told that it failed must not find it done.
    fn take_up(&mut self) -> bool {
        !self.caller.is_closed() && self.turn.take()
    }

    fn answer(mut self: Box<Self>, failure: Option<StoreError>) {
        let result = match failure {
            Some(failure) => Err(failure.into()),
            None => self.order.take_result(),
        };
        // The caller may have gone away; what is committed stays committed.
        drop(self.caller.send(result));
    }
}

/// The connection that sends.
pub(crate) struct Sender {
    queue: Option<mpsc::Sender<Box<dyn Pending>>>,
    thread: Option<JoinHandle<()>>,
    wait: Duration,
}

impl Sender {
    pub(super) fn start(
        connector: Arc<Connector>,
        ids: Arc<Mutex<IdGenerator>>,
        lease: Arc<LeaseKeeper>,
        told: (Arc<Observed>, Arc<Commits>),
    ) -> Result<Self> {
        let (queue, waiting) = mpsc::channel(QUEUE);
        let (observed, commits) = told;
        let wait = connector.settings.wait;
        let thread = std::thread::Builder::new()
            .name("parlour-send".into())
            .spawn(move || SenderThread { seat: Seat::new(connector), ids, lease, observed, commits }.run(waiting))
            .map_err(|source| StoreError::File { path: "parlour-send".into(), source })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), wait })
    }

    /// Sends that wait for their turn.
    pub(super) fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    pub(crate) async fn send<E, F>(&self, ask: Ask, decide: F) -> Result<Sent, E>
    where
        F: FnMut(&Facts<'_>) -> Result<Decision, E> + Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (caller, mut answered) = oneshot::channel();
        let mut turn = Turn::default();
        let pending = Box::new(Waiting { order: Undecided::new(ask, decide), caller, turn: turn.clone() });
        let queue = self.queue.as_ref().ok_or(StoreError::WriterStopped)?;
        let until = tokio::time::Instant::now() + self.wait;
        let placed = tokio::time::timeout_at(until, queue.send(pending)).await;
        placed.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::WriterStopped)?;
        let answer = match tokio::time::timeout_at(until, &mut answered).await {
            Ok(answer) => answer,
            Err(_) if turn.take() => return Err(StoreError::Busy.into()),
            // It is under way, and no longer a matter of waiting for a connection.
            Err(_) => answered.await,
        };
        answer.map_err(|_| StoreError::WriterStopped)?
    }
}

impl Drop for Sender {
    /// Lets the queue drain.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the sender panicked");
        }
    }
}

type Group = Vec<Box<dyn Pending>>;

struct SenderThread {
    seat: Seat,
    ids: Arc<Mutex<IdGenerator>>,
    lease: Arc<LeaseKeeper>,
    observed: Arc<Observed>,
    commits: Arc<Commits>,
}

impl SenderThread {
    fn run(mut self, mut waiting: mpsc::Receiver<Box<dyn Pending>>) {
        let mut left = VecDeque::new();
        while let Some(first) = left.pop_front().or_else(|| waiting.blocking_recv()) {
            let group = next_group(first, &mut left, &mut waiting);
            self.send(group);
        }
    }

    fn send(&mut self, mut group: Group) {
        let lease = Arc::clone(&self.lease);
        let Err(error) = try_often(&lease, || self.try_once(&mut group)) else {
            return group.into_iter().for_each(|pending| pending.answer(None));
        };
        if group.len() > 1 && !error.is_transient() {
            // One of them may be what cannot be done: the others must not suffer for it.
            return group.into_iter().for_each(|pending| self.send(vec![pending]));
        }
        self.observed.tell(Observation::CommitFailed);
        tracing::error!(%error, sends = group.len(), "sends failed and were refused");
        group.into_iter().for_each(|pending| pending.answer(Some(error.again())));
    }

    fn try_once(&mut self, group: &mut Group) -> Result<(), (StoreError, Failed)> {
        group.retain_mut(|pending| pending.take_up());
        if group.is_empty() {
            return Ok(());
        }
        let begun = Instant::now();
        let session = self.seat.session().map_err(|error| (error, Failed::ForGood))?;
        session.begin(LOCKED_CHANGE);
        let touched = RefCell::default();
        let tx = Tx::new(Source::Postgres(session), &self.ids, &touched);
        let mut orders: Vec<&mut dyn Order> = group.iter_mut().map(|pending| pending.as_order()).collect();
        let sent = catch_unwind(AssertUnwindSafe(|| send_group(&tx, &mut orders)));
        let Err(error) = sent.unwrap_or(Err(StoreError::WritePanicked)) else {
            self.observed.tell(Observation::Committed { changes: group.len(), took: begun.elapsed() });
            self.commits.done(&touched.borrow());
            return Ok(());
        };
        let failed = session.failed();
        if !matches!(failed, Failed::Met | Failed::NoNode) || session.end("rollback").is_err() {
            self.seat.give_up();
        }
        Err((error, failed))
    }
}

/// `first` and what waits behind it. Two uses of one key never meet in a group: the second one must find what the first one made.
fn next_group(
    first: Box<dyn Pending>,
    left: &mut VecDeque<Box<dyn Pending>>,
    waiting: &mut mpsc::Receiver<Box<dyn Pending>>,
) -> Group {
    let mut keys = HashSet::new();
    let (mut group, mut later, mut recipients) = (Vec::new(), VecDeque::new(), 0);
    let mut next = Some(first);
    while let Some(pending) = next {
        let ask = pending.ask();
        let key = ask.key.as_ref().map(|key| (ask.sender, key.clone()));
        if key.is_some_and(|key| !keys.insert(key)) {
            later.push_back(pending);
        } else {
            recipients += pending.ask().recipients.len();
            group.push(pending);
        }
        if group.len() >= GROUP || recipients >= RECIPIENTS {
            break;
        }
        next = left.pop_front().or_else(|| waiting.try_recv().ok());
    }
    later.append(left);
    *left = later;
    group
}
