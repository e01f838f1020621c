//! The cellar: everything that Parlour remembers, and the only crate that speaks SQL.
//!
//! Invariants, each held by a test:
//! - A message's [`Seq`](parlour_types::Seq) is issued inside the write transaction, grows by one, and never changes.
//! - `unread_count` of a member is the number of shown messages of others after `read_seq`; the totals in `mailboxes` are the
//!   sums over the inbox.
//! - `unseen_count` is the same after `notified_seq`, which is never below `read_seq`.
//! - A thread is in a member's inbox exactly when a message is shown to that member.
//! - A change and the events that it causes are one transaction.
//! - No function takes a bare thread id to read messages: the proof of membership is a [`threads::Membership`].
//!
//! What may never be added: HTTP, rules about who may do what, a clock.

mod batch;
mod commits;
pub mod copy;
mod db;
mod dialect;
pub mod doctor;
mod error;
pub mod events;
pub mod export;
pub mod files;
pub mod idempotency;
mod ids;
pub mod import;
mod mailboxes;
pub mod messages;
mod migrate;
pub mod notifications;
pub mod objects;
mod observation;
mod positions;
mod postgres;
mod progress;
pub mod relations;
pub mod seen;
pub mod sends;
pub mod signals;
mod sqlite;
#[doc(hidden)]
pub mod statements;
pub mod threads;
pub mod transfer;
pub mod users;

pub use commits::{Change, Listener};
pub use db::{Read, Tx};
pub use dialect::UNCHECKED as UNCHECKED_REFERENCES;
pub use error::{DriverError, Result, StoreError};
pub use mailboxes::Totals;
pub use observation::{Observation, Observer};
pub use postgres::{Options, Settings, without_password};
pub use progress::{Progress, Watch};
pub use sqlite::{Moment, backup, restore};

use postgres::Postgres;
use sends::{Ask, Decision, Facts, Sent, Undecided, send_group};
use sqlite::Sqlite;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The database file of a data directory.
pub const DATABASE_FILE: &str = "parlour.db";

/// Where a database is.
#[derive(Clone, Debug)]
pub enum Location {
    /// A file of this machine.
    Sqlite(PathBuf),
    /// A PostgreSQL server.
    Postgres(Settings),
}

impl Location {
    /// The file, if it is one of this machine.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        match self {
            Self::Sqlite(path) => Some(path),
            Self::Postgres(_) => None,
        }
    }

    /// Whether there may be a database already: a file that is there, or a server.
    #[must_use]
    pub fn may_exist(&self) -> bool {
        match self {
            Self::Sqlite(path) => path.exists(),
            Self::Postgres(_) => true,
        }
    }
}

/// Where it is, without user and password.
impl fmt::Display for Location {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(settings) => f.write_str(&settings.name()),
        }
    }
}

impl<P: Into<PathBuf>> From<P> for Location {
    fn from(path: P) -> Self {
        Self::Sqlite(path.into())
    }
}

/// The database. Cloning shares it.
#[derive(Clone)]
pub struct Store {
    engine: Arc<Engine>,
}

enum Engine {
    Sqlite(Sqlite),
    Postgres(Postgres),
}

impl Store {
    /// Opens the database, creating a file that is missing (mode 0600) and bringing the schema up to date. A process opens a file once and
    /// shares the store: closing a second one would take the locks of the first (POSIX), and other processes would no longer be kept out.
    ///
    /// # Errors
    /// [`StoreError::SchemaTooNew`] when a newer release wrote it, [`StoreError::File`] when the file or folder is unusable,
    /// [`StoreError::Unreachable`].
    pub fn open(location: impl Into<Location>) -> Result<Self> {
        let engine = match location.into() {
            Location::Sqlite(path) => Engine::Sqlite(Sqlite::open(&path)?),
            Location::Postgres(settings) => Engine::Postgres(Postgres::open(settings)?),
        };
        Ok(Self { engine: Arc::new(engine) })
    }

    /// Brings the schema of a database up to date and answers the steps that it took.
    ///
    /// # Errors
    /// As [`Store::open`].
    pub fn migrate(location: impl Into<Location>) -> Result<Vec<String>> {
        match location.into() {
            Location::Sqlite(path) => sqlite::migrate(&path),
            Location::Postgres(settings) => postgres::migrate(settings),
        }
    }

    /// Answers a question from one snapshot. For questions whose cost does not grow; an embedded database answers on the calling thread.
    /// `query` may run again when the connection broke.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub async fn read<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.read(|read| query(read)),
            Engine::Postgres(postgres) => postgres.read(query).await,
        }
    }

    /// Answers a question that takes one statement where the database is remote, so that no transaction need hold its snapshot. Whatever
    /// `query` asks beyond that is of a later one.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub async fn ask<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.read(|read| query(read)),
            Engine::Postgres(postgres) => postgres.ask(query).await,
        }
    }

    /// Whether the database is another process, so that every question costs a round trip.
    #[must_use]
    pub fn is_remote(&self) -> bool {
        matches!(*self.engine, Engine::Postgres(_))
    }

    /// Answers a question whose cost grows with the community, on a thread that may block.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub async fn read_long<T, E, F>(&self, mut query: F) -> Result<T, E>
    where
        F: FnMut(&Read<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Postgres(postgres) => postgres.read_long(query).await,
            Engine::Sqlite(sqlite) => {
                let place = sqlite.place_for_long_read().await?;
                let store = self.clone();
                let answer = tokio::task::spawn_blocking(move || {
                    let _place = place;
                    match &*store.engine {
                        Engine::Sqlite(sqlite) => sqlite.read(|read| query(read)),
                        Engine::Postgres(_) => Err(StoreError::WriterStopped.into()),
                    }
                });
                answer.await.unwrap_or_else(|_| Err(StoreError::ReadPanicked.into()))
            }
        }
    }

    /// Answers a question from one snapshot on the calling thread, which must be one that may wait. For commands.
    ///
    /// # Errors
    /// What `query` answers, or a failure of the store.
    pub fn read_here<T, E: From<StoreError>>(&self, query: impl FnOnce(&Read<'_>) -> Result<T, E>) -> Result<T, E> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.read(query),
            Engine::Postgres(postgres) => postgres.read_here(query),
        }
    }

    /// Runs a change in a write transaction and answers once it is on disk; on an embedded database together with whatever else waits. An
    /// error of `change` rolls back what it did and nothing else. `change` may run again when another transaction came between.
    ///
    /// # Errors
    /// What `change` answers, or a failure of the store.
    pub async fn write<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer.run(change).await,
            Engine::Postgres(postgres) => postgres.write(postgres::CHANGE, change).await,
        }
    }

    /// Runs a change that locks before it reads, reads at once, and at last writes at once; answers once it is on disk. On PostgreSQL that
    /// takes two round trips, and each of its statements sees what was committed before the statement began.
    ///
    /// # Errors
    /// What `change` answers, or a failure of the store.
    pub async fn write_at_once<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer.run(change).await,
            Engine::Postgres(postgres) => postgres.write(postgres::LOCKED_CHANGE, change).await,
        }
    }

    /// Sends what `ask` asks for, if `decide` says so on what is known by then; answers once it is on disk. Sends that wait together are
    /// committed together. `decide` may run again when another transaction came between.
    ///
    /// # Errors
    /// What `decide` answers, or a failure of the store.
    pub async fn send<E, F>(&self, ask: Ask, decide: F) -> Result<Sent, E>
    where
        F: FnMut(&Facts<'_>) -> Result<Decision, E> + Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        match &*self.engine {
            Engine::Postgres(postgres) => postgres.sender.send(ask, decide).await,
            Engine::Sqlite(sqlite) => {
                let mut order = Undecided::new(ask, decide);
                let send = move |tx: &Tx<'_>| {
                    send_group(tx, &mut [&mut order])?;
                    order.take_result()
                };
                sqlite.writer.run(send).await
            }
        }
    }

    /// Tells `listener` of every change from now on, before anybody can take what it makes untrue for fresh.
    pub fn listen(&self, listener: Listener) {
        if let Engine::Sqlite(sqlite) = &*self.engine {
            sqlite.freshness.listen(listener);
        }
    }

    /// This moment, if everything that listeners were not told to give up is true in it; `None` when that cannot be said without a
    /// snapshot, which is always so where other processes write to the same database.
    #[must_use]
    pub fn now(&self) -> Option<Moment> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.freshness.now(),
            Engine::Postgres(_) => None,
        }
    }

    /// Lets `keep` put away what was read from a snapshot begun after `since`, unless something was committed in between.
    /// `directory_version` is what that snapshot says.
    pub fn keep(&self, since: Moment, directory_version: i64, keep: impl FnOnce()) {
        if let Engine::Sqlite(sqlite) = &*self.engine {
            sqlite.freshness.keep(since, directory_version, keep);
        }
    }

    /// Tells `listener` of every commit of this process from now on, once it is on disk and before its caller is answered. Commits of other
    /// processes are not told. The first listener stays.
    pub fn after_commits(&self, listener: Listener) {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.commits.tell(listener),
            Engine::Postgres(postgres) => postgres.commits.tell(listener),
        }
    }

    /// Lets `observer` see what the writer does from now on. The first one stays.
    pub fn observe(&self, observer: Observer) {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.observed.by(observer),
            Engine::Postgres(postgres) => postgres.observed.by(observer),
        }
    }

    /// Changes that wait for their turn.
    #[must_use]
    pub fn waiting_changes(&self) -> usize {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer.waiting(),
            Engine::Postgres(postgres) => postgres.waiting_changes(),
        }
    }

    /// Bytes of the database file and of its log; `None` where they are another server's.
    #[must_use]
    pub fn file_bytes(&self) -> Option<(u64, u64)> {
        match &*self.engine {
            Engine::Sqlite(sqlite) => Some(sqlite.file_bytes()),
            Engine::Postgres(_) => None,
        }
    }

    /// How often the database was waited for; `None` where it is in this process.
    #[must_use]
    pub fn round_trips(&self) -> Option<u64> {
        match &*self.engine {
            Engine::Sqlite(_) => None,
            Engine::Postgres(postgres) => Some(postgres.round_trips()),
        }
    }

    /// Whether the database can be written to, as far as is known without trying.
    #[must_use]
    pub fn accepts_writes(&self) -> bool {
        match &*self.engine {
            Engine::Sqlite(sqlite) => sqlite.writer.accepts_changes(),
            Engine::Postgres(postgres) => postgres.accepts_writes(),
        }
    }
}
