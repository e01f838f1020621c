//! The connections to PostgreSQL: threads that each own one and do one thing at a time, so that a slow answer holds up its asker alone.

use super::session::Session;
use super::settings::Settings;
use crate::error::{Result, StoreError};
use crossbeam_channel::{Receiver, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use tokio::sync::{Semaphore, oneshot};

/// Askers that may wait for a connection; further ones are refused at once.
const QUEUE: usize = 1_024;

/// How sessions are made.
pub(super) struct Connector {
    pub(super) settings: Settings,
    pub(super) round_trips: Arc<AtomicU64>,
}

/// A place at which at most one connection is kept.
pub(super) struct Seat {
    connector: Arc<Connector>,
    session: Option<Session>,
}

impl Seat {
    pub(super) const fn new(connector: Arc<Connector>) -> Self {
        Self { connector, session: None }
    }

    /// The connection, made anew if there is none or it broke.
    pub(super) fn session(&mut self) -> Result<&Session> {
        if self.session.as_ref().is_some_and(Session::is_broken) {
            self.session = None;
        }
        match &mut self.session {
            Some(session) => Ok(session),
            none => Ok(none.insert(Session::connect(&self.connector.settings, &self.connector.round_trips)?)),
        }
    }

    /// Whether a connection is open.
    pub(super) const fn is_connected(&self) -> bool {
        self.session.is_some()
    }

    /// Whether there was one, and it broke.
    pub(super) fn has_lost_connection(&self) -> bool {
        self.session.as_ref().is_some_and(Session::is_broken)
    }

    /// Gives the connection up, whatever state it is in.
    pub(super) fn give_up(&mut self) {
        self.session = None;
    }
}

type Job = Box<dyn FnOnce(&mut Seat) + Send>;

/// A number of connections that serve the same askers.
pub(super) struct Lanes {
    jobs: Option<Sender<Job>>,
    threads: Vec<JoinHandle<()>>,
    places: Arc<Semaphore>,
    waiting: AtomicUsize,
    connector: Arc<Connector>,
}

impl Lanes {
    pub(super) fn start(name: &str, count: usize, connector: &Arc<Connector>) -> Result<Self> {
        // Never full: nobody sends without a place.
        let (jobs, taken) = crossbeam_channel::bounded(count);
        let mut lanes = Self {
            jobs: Some(jobs),
            threads: Vec::with_capacity(count),
            places: Arc::new(Semaphore::new(count)),
            waiting: AtomicUsize::new(0),
            connector: Arc::clone(connector),
        };
        for _ in 0..count {
            let (taken, connector) = (taken.clone(), Arc::clone(connector));
            let thread = std::thread::Builder::new()
                .name(name.into())
                .spawn(move || serve(&taken, connector))
                .map_err(|source| StoreError::File { path: name.into(), source })?;
            lanes.threads.push(thread);
        }
        Ok(lanes)
    }

    /// Askers that wait for a connection.
    pub(super) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Does `work` on the next connection that is free.
    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Seat) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = match Arc::clone(&self.places).try_acquire_owned() {
            Ok(place) => place,
            Err(_) => self.wait_for_place().await?,
        };
        let (caller, answered) = oneshot::channel();
        let job: Job = Box::new(move |seat| {
            // Nobody waits any more: whoever was told that it failed must not find it done.
            let answer = (!caller.is_closed()).then(|| work(seat));
            drop(place);
            if let Some(answer) = answer {
                drop(caller.send(answer));
            }
        });
        let jobs = self.jobs.as_ref().ok_or(StoreError::WriterStopped)?;
        jobs.send(job).map_err(|_| StoreError::WriterStopped)?;
        answered.await.map_err(|_| StoreError::WritePanicked)?
    }

    async fn wait_for_place(&self) -> Result<tokio::sync::OwnedSemaphorePermit> {
        let _waiting = Waiting::enter(&self.waiting).ok_or(StoreError::Busy)?;
        let places = Arc::clone(&self.places);
        let place = tokio::time::timeout(self.connector.settings.wait, places.acquire_owned()).await;
        place.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::WriterStopped)
    }
}

/// Somebody who waits, until dropped.
struct Waiting<'a>(&'a AtomicUsize);

impl<'a> Waiting<'a> {
    fn enter(count: &'a AtomicUsize) -> Option<Self> {
        let waiting = Self(count);
        (count.fetch_add(1, Ordering::Relaxed) < QUEUE).then_some(waiting)
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

impl Drop for Lanes {
    /// Lets what is under way end.
    fn drop(&mut self) {
        self.jobs = None;
        for thread in self.threads.drain(..) {
            drop(thread.join());
        }
    }
}

fn serve(jobs: &Receiver<Job>, connector: Arc<Connector>) {
    let mut seat = Seat::new(connector);
    while let Ok(job) = jobs.recv() {
        if catch_unwind(AssertUnwindSafe(|| job(&mut seat))).is_err() {
            // A transaction may be under way.
            seat.give_up();
        }
    }
}
