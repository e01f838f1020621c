//! The connections to PostgreSQL: threads that each own one and do one thing at a time, so that a slow answer holds up its asker alone.

use super::places::Places;
use super::session::Session;
use super::settings::Settings;
use crate::error::{Result, StoreError};
use crossbeam_channel::{Receiver, Sender};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::thread::JoinHandle;
use tokio::sync::oneshot;

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
    places: Places,
}

impl Lanes {
    pub(super) fn start(name: &str, count: usize, connector: &Arc<Connector>) -> Result<Self> {
        // Never full: nobody sends without a place.
        let (jobs, taken) = crossbeam_channel::bounded(count);
        let mut lanes = Self {
            jobs: Some(jobs),
            threads: Vec::with_capacity(count),
            places: Places::new(count, connector.settings.wait),
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
        self.places.waiting()
    }

    /// Does `work` on the next connection that is free.
    pub(super) async fn run<T, E, F>(&self, work: F) -> Result<T, E>
    where
        F: FnOnce(&mut Seat) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = self.places.take().await?;
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
