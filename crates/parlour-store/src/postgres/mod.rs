//! PostgreSQL: a number of connections, and what keeps several processes on one database apart.
//!
//! - A read has one snapshot: a single statement, or a read-only transaction of isolation level repeatable read.
//! - A change runs at repeatable read as well. Whatever changes what a member sees also changes the member's row of `mailboxes`, and whatever
//!   changes the directory its version, so two changes that touch the same meet there: the second one fails and is tried again, by
//!   [`retry`] and nobody else.
//! - Nothing that is kept in memory counts without a version read from the database in the same question.

mod lanes;
mod lease;
mod pages;
mod places;
mod question;
mod retry;
mod sender;
mod session;
mod settings;

pub(crate) use question::Question;
pub(crate) use session::{Failure, Integer, Session};
pub use settings::{Options, PLANS, Settings, without_password};

use crate::commits::Commits;
use crate::db::{Read, Source, Tx};
use crate::error::{Result, StoreError};
use crate::ids::IdGenerator;
use crate::migrate;
use crate::observation::{Observation, Observed};
use lanes::{Connector, Lanes, Seat};
use lease::LeaseKeeper;
use pages::Pages;
use question::State;
use retry::{Failed, try_often};
use sender::Sender;
use session::COMMIT;
use std::cell::RefCell;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// How long a statement may take, and a transaction wait, that a copy is made in or the schema brought up to date.
const PATIENCE: Duration = Duration::from_secs(3_600);

/// A page of a table is read by its key. Without knowledge of the tables, sorting all of them for each page could look cheaper.
const BY_KEY: &str = "set enable_sort = off";

const READ: &str = "begin isolation level repeatable read, read only";
pub(crate) const CHANGE: &str = "begin isolation level repeatable read";
/// For what locks first: whoever waited for a lock then reads what its holder wrote.
pub(crate) const LOCKED_CHANGE: &str = "begin isolation level read committed";

/// A PostgreSQL database.
pub(crate) struct Postgres {
    connector: Arc<Connector>,
    pages: Arc<Pages>,
    reads: Lanes,
    changes: Lanes,
    pub(crate) sender: Sender,
    /// Places for questions whose cost grows, so that they never take every connection.
    long_reads: Semaphore,
    ids: Arc<Mutex<IdGenerator>>,
    lease: Arc<LeaseKeeper>,
    round_trips: Arc<AtomicU64>,
    pub(crate) observed: Arc<Observed>,
    pub(crate) commits: Arc<Commits>,
}

impl Postgres {
    /// Reaches the database and brings its schema up to date.
    pub(crate) fn open(settings: Settings) -> Result<Self> {
        for step in migrate(settings.clone())? {
            tracing::info!(step, "migrated the database");
        }
        // One sends, and one keeps the lease of the node number.
        let (changes, reads, pages) = shares(settings.connections - 2);
        let round_trips = Arc::<AtomicU64>::default();
        let connector = Arc::new(Connector { settings, round_trips: Arc::clone(&round_trips) });
        let ids = Arc::new(Mutex::new(IdGenerator::shared()));
        let (observed, commits) = (Arc::<Observed>::default(), Arc::<Commits>::default());
        // What it does is nobody's question, and so no round trip of anybody's.
        let apart = Arc::new(Connector { settings: connector.settings.clone(), round_trips: Arc::default() });
        let lease = Arc::new(LeaseKeeper::start(apart, Arc::clone(&ids))?);
        let told = (Arc::clone(&observed), Arc::clone(&commits));
        let sender = Sender::start(Arc::clone(&connector), Arc::clone(&ids), Arc::clone(&lease), told)?;
        Ok(Self {
            pages: Arc::new(Pages::new(pages, &connector)),
            reads: Lanes::start("parlour-read", reads, &connector)?,
            changes: Lanes::start("parlour-change", changes, &connector)?,
            sender,
            long_reads: Semaphore::new(reads.div_ceil(2)),
            connector,
            ids,
            lease,
            round_trips,
            observed,
            commits,
        })
    }

    pub(crate) async fn read<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        self.reads.run(move |seat| read(seat, Some(READ), &mut query)).await
    }

    pub(crate) async fn ask<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (first, state) = run_for(&mut query, Question::default());
        let asked = match state {
            // Nothing was asked.
            State::Open => return first,
            State::Asked(asked) => asked,
            _ => return self.reads.run(move |seat| read(seat, None, &mut query)).await,
        };
        if let Some((asked, rows)) = self.pages.ask(asked).await? {
            let (answer, state) = run_for(&mut query, Question::answered(asked, rows));
            if !matches!(state, State::Beyond) {
                return answer;
            }
        }
        self.reads.run(move |seat| read(seat, None, &mut query)).await
    }

    pub(crate) async fn read_long<T, E, F>(&self, query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let place = tokio::time::timeout(self.connector.settings.wait, self.long_reads.acquire()).await;
        let _place = place.map_err(|_| StoreError::Busy)?.map_err(|_| StoreError::WriterStopped)?;
        self.read(query).await
    }

    pub(crate) fn read_here<T, E: From<StoreError>>(
        &self,
        query: impl FnOnce(&Read<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let mut query = Some(query);
        let mut seat = Seat::new(Arc::clone(&self.connector));
        read_once(&mut seat, Some(READ), &mut |read| match query.take() {
            Some(query) => query(read),
            None => Err(StoreError::ReadPanicked.into()),
        })
    }

    pub(crate) async fn write<T, E, F>(&self, begin: &'static str, mut change: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (ids, lease) = (Arc::clone(&self.ids), Arc::clone(&self.lease));
        let (observed, commits) = (Arc::clone(&self.observed), Arc::clone(&self.commits));
        let work = move |seat: &mut Seat| {
            try_often(&lease, || transact(seat, begin, (&ids, &observed, &commits), &mut change))
        };
        self.changes.run(work).await
    }

    pub(crate) fn waiting_changes(&self) -> usize {
        self.changes.waiting() + self.sender.waiting()
    }

    pub(crate) fn round_trips(&self) -> u64 {
        self.round_trips.load(Ordering::Relaxed)
    }

    pub(crate) fn accepts_writes(&self) -> bool {
        self.lease.is_held()
    }
}

/// Of `connections`, how many change things, how many read, and how many read pages alone.
const fn shares(connections: usize) -> (usize, usize, usize) {
    let changes = if connections < 3 { 1 } else { connections / 3 };
    let pages = (connections - changes) / 2;
    (changes, connections - changes - pages, pages)
}

/// What `query` makes of a question, and how far that comes.
fn run_for<T, E>(query: &mut impl FnMut(&Read<'_>) -> Result<T, E>, question: Question) -> (Result<T, E>, State) {
    let answer = query(&Read::new(Source::Question(&question)));
    (answer, question.into_state())
}

/// Brings the schema up to date and answers the steps that it took.
pub(crate) fn migrate(settings: Settings) -> Result<Vec<String>> {
    // The caller may be on a thread that must not wait.
    let migrating = std::thread::spawn(move || {
        // A step may rewrite what there is of a large community.
        let session = Session::connect(&settings.clone().with_patience(PATIENCE), &Arc::default())?;
        migrate::refuse_unfinished(&Read::new(Source::Postgres(&session)))?;
        bring_up(&session, &settings)
    });
    migrating.join().unwrap_or(Err(StoreError::WritePanicked))
}

fn bring_up(session: &Session, settings: &Settings) -> Result<Vec<String>> {
    let encoding = session.query("select current_setting('server_encoding') = 'UTF8'", &[])?;
    if !encoding.first().is_some_and(|row| row.try_get(0).unwrap_or(false)) {
        return Err(StoreError::Address { address: settings.name(), reason: "its encoding must be UTF8" });
    }
    match migrate::run_postgres(session) {
        // Two processes began with an empty database.
        Err(StoreError::Conflict) => {
            session.run("rollback")?;
            migrate::run_postgres(session)
        }
        done => done,
    }
}

/// A connection to copy from, which keeps one snapshot.
pub(crate) fn connect_to_read(settings: Settings) -> Result<Session> {
    let session = Session::connect(&settings.with_patience(PATIENCE), &Arc::default())?;
    session.run(BY_KEY)?;
    session.run(READ)?;
    Ok(session)
}

/// A connection to copy to, and its schema brought up to date; `None` while other processes use the database.
pub(crate) fn connect_to_fill(settings: Settings) -> Result<Option<Session>> {
    let session = Session::connect(&settings.clone().with_patience(PATIENCE), &Arc::default())?;
    bring_up(&session, &settings)?;
    session.run(BY_KEY)?;
    Ok(if lease::is_any_held(&session)? { None } else { Some(session) })
}

/// Answers a question inside the transaction that `begin` begins, or in none.
fn read<T, E: From<StoreError>>(
    seat: &mut Seat,
    begin: Option<&'static str>,
    query: &mut impl FnMut(&Read<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let was_connected = seat.is_connected();
    match read_once(seat, begin, query) {
        // The server may have gone and come back while nobody asked.
        Err(_) if was_connected && seat.has_lost_connection() => {
            seat.give_up();
            read_once(seat, begin, query)
        }
        answer => answer,
    }
}

fn read_once<T, E: From<StoreError>>(
    seat: &mut Seat,
    begin: Option<&'static str>,
    query: &mut impl FnMut(&Read<'_>) -> Result<T, E>,
) -> Result<T, E> {
    let session = seat.session()?;
    if let Some(begin) = begin {
        session.begin(begin);
    }
    let answer = query(&Read::new(Source::Postgres(session)));
    if begin.is_some() {
        session.leave();
    }
    answer
}

fn transact<T, E: From<StoreError>>(
    seat: &mut Seat,
    begin: &'static str,
    (ids, observed, commits): (&Mutex<IdGenerator>, &Observed, &Commits),
    change: &mut impl FnMut(&Tx<'_>) -> Result<T, E>,
) -> Result<T, (E, Failed)> {
    let session = seat.session().map_err(|error| (error.into(), Failed::ForGood))?;
    session.begin(begin);
    let touched = RefCell::default();
    let done = match change(&Tx::new(Source::Postgres(session), ids, &touched)) {
        Ok(done) => done,
        Err(error) => {
            let failed = session.failed();
            if matches!(failed, Failed::LostBeforeCommit) || session.end("rollback").is_err() {
                seat.give_up();
            }
            return Err((error, failed));
        }
    };
    let begun = Instant::now();
    // Some changes commit with their last statement.
    let committed = if session.is_committing() { Ok(()) } else { session.end(COMMIT) };
    observed.tell(match committed {
        Ok(()) => Observation::Committed { changes: 1, took: begun.elapsed() },
        Err(_) => Observation::CommitFailed,
    });
    let Err(error) = committed else {
        commits.done(&touched.borrow());
        return Ok(done);
    };
    // Whether it was committed is not known when the connection broke.
    let failed = session.failed();
    seat.give_up();
    Err((error.into(), failed))
}
