//! The one writer: a thread that owns the only connection that writes, and commits in groups.
//!
//! Whatever waits when the disk is free goes into the next transaction, each change so that it can be taken back without its
//! neighbours. Nobody is answered before the commit that carries their change is on disk.
//!
//! The writer also folds the log into the database file, between groups and by its own hand: SQLite would do it inside a commit, so that
//! callers wait, and would not say when a sync failed in it. After a sync that failed, whichever it was, the system may have forgotten
//! what it could not write, and nothing read back proves otherwise: so nothing is acknowledged any more until a restart.

use super::freshness::Freshness;
use crate::commits::Commits;
use crate::db::{Read, Source, Touched, Tx};
use crate::error::{Result, StoreError};
use crate::ids::IdGenerator;
use crate::observation::{Observation, Observed};
use rusqlite::Connection;
use rusqlite::config::DbConfig;
use std::cell::RefCell;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};
use tokio::sync::{mpsc, oneshot};

/// Changes that may wait for the writer; further callers wait for a place.
const QUEUE: usize = 1024;

/// Changes that one transaction carries at the most, so that the first of them does not wait for ever.
const GROUP: usize = 512;

/// How long a busy writer keeps other processes out without a pause.
const TURN: Duration = Duration::from_millis(100);

/// Pages by which the log grows before it is folded into the database file: 4 MiB.
const CHECKPOINT_PAGES: u32 = 1_000;

/// Groups after which it is folded where its length cannot be seen.
const CHECKPOINT_GROUPS: u32 = 64;

/// The pause in which another process, such as `parlour user block`, gets its turn. Waiting ones look every millisecond.
const PAUSE: Duration = Duration::from_millis(3);

/// One change and the caller who waits for it.
trait Change: Send {
    /// Runs the change inside the transaction and says whether to keep what it did.
    fn run(&mut self, tx: &Tx<'_>) -> Verdict;

    /// Answers the caller once the fate of the group is known; `failure` is `None` when everything is on disk.
    fn answer(self: Box<Self>, failure: Option<StoreError>);
}

#[derive(PartialEq, Eq)]
enum Verdict {
    Keep,
    RollBack,
}

struct Waiting<T, E, F> {
    change: Option<F>,
    result: Option<Result<T, E>>,
    caller: oneshot::Sender<Result<T, E>>,
}

impl<T, E, F> Change for Waiting<T, E, F>
where
    F: FnMut(&Tx<'_>) -> Result<T, E> + Send,
    T: Send,
    E: From<StoreError> + Send,
{
    fn run(&mut self, tx: &Tx<'_>) -> Verdict {
        // Nobody waits for the answer any more: whoever was told that it failed must not find it done.
        if self.caller.is_closed() {
            return Verdict::RollBack;
        }
        let Some(mut change) = self.change.take() else { return Verdict::RollBack };
        let result =
            catch_unwind(AssertUnwindSafe(|| change(tx))).unwrap_or_else(|_| Err(StoreError::WritePanicked.into()));
        let verdict = if result.is_ok() { Verdict::Keep } else { Verdict::RollBack };
        self.result = Some(result);
        verdict
    }

    fn answer(self: Box<Self>, failure: Option<StoreError>) {
        let result = match failure {
            Some(failure) => Err(failure.into()),
            None => self.result.unwrap_or_else(|| Err(StoreError::WriterStopped.into())),
        };
        // The caller may have gone away; what is committed stays committed.
        drop(self.caller.send(result));
    }
}

pub(crate) struct Writer {
    queue: Option<mpsc::Sender<Box<dyn Change>>>,
    thread: Option<JoinHandle<()>>,
    poisoned: Arc<AtomicBool>,
}

impl Writer {
    /// Starts the writer on its connection.
    pub(crate) fn start(
        connection: Connection,
        freshness: &Arc<Freshness>,
        observed: &Arc<Observed>,
        commits: &Arc<Commits>,
    ) -> Result<Self> {
        let (freshness, observed, commits) = (Arc::clone(freshness), Arc::clone(observed), Arc::clone(commits));
        let (queue, jobs) = mpsc::channel(QUEUE);
        let poisoned = Arc::new(AtomicBool::new(false));
        let seen_by_thread = Arc::clone(&poisoned);
        let thread = std::thread::Builder::new()
            .name("parlour-writer".into())
            .spawn(move || {
                let (ids, touched) = Default::default();
                let (log, poisoned) = (Log::default(), seen_by_thread);
                let thread = WriterThread {
                    connection,
                    ids,
                    touched,
                    data_version: None,
                    log,
                    freshness,
                    observed,
                    commits,
                    poisoned,
                };
                thread.run(jobs);
            })
            .map_err(|source| StoreError::File { path: "parlour-writer".into(), source })?;
        Ok(Self { queue: Some(queue), thread: Some(thread), poisoned })
    }

    /// Whether the writer runs, and no commit has failed in a way that only a restart can heal.
    pub(crate) fn accepts_changes(&self) -> bool {
        let runs = self.queue.as_ref().is_some_and(|queue| !queue.is_closed());
        runs && !self.poisoned.load(Ordering::Acquire)
    }

    /// Changes that wait for their turn.
    pub(crate) fn waiting(&self) -> usize {
        self.queue.as_ref().map_or(0, |queue| queue.max_capacity() - queue.capacity())
    }

    /// Runs `change` in a write transaction and answers when it is on disk.
    pub(crate) async fn run<T, E, F>(&self, change: F) -> Result<T, E>
    where
        F: FnMut(&Tx<'_>) -> Result<T, E> + Send + 'static,
        T: Send + 'static,
        E: From<StoreError> + Send + 'static,
    {
        let (caller, answered) = oneshot::channel();
        let waiting = Box::new(Waiting { change: Some(change), result: None, caller });
        let queue = self.queue.as_ref().ok_or(StoreError::WriterStopped)?;
        queue.send(waiting).await.map_err(|_| StoreError::WriterStopped)?;
        answered.await.map_err(|_| StoreError::WriterStopped)?
    }
}

impl Drop for Writer {
    /// Lets the queue drain, then closes the connection, which folds the log into the database file.
    fn drop(&mut self) {
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("the database writer panicked");
        }
    }
}

/// How far the log was folded into the database file.
#[derive(Default)]
struct Log {
    /// Its length then, in pages.
    folded_pages: u32,
    /// Groups since then.
    groups: u32,
}

impl Log {
    /// Whether it has grown long since it was last folded. `pages` is its length now, if that can be seen; it becomes short again when
    /// SQLite begins it anew.
    fn is_due(&mut self, pages: Option<u32>) -> bool {
        self.groups += 1;
        let Some(pages) = pages else { return self.groups >= CHECKPOINT_GROUPS };
        if pages < self.folded_pages {
            self.folded_pages = 0;
        }
        pages - self.folded_pages >= CHECKPOINT_PAGES
    }
}

struct WriterThread {
    connection: Connection,
    ids: Mutex<IdGenerator>,
    /// What the transaction under way changes.
    touched: RefCell<Touched>,
    freshness: Arc<Freshness>,
    observed: Arc<Observed>,
    commits: Arc<Commits>,
    /// SQLite's own count of commits by other connections: when it moves, another process may have issued ids.
    data_version: Option<i64>,
    log: Log,
    poisoned: Arc<AtomicBool>,
}

impl WriterThread {
    fn run(mut self, mut jobs: mpsc::Receiver<Box<dyn Change>>) {
        let mut last_pause = Instant::now();
        while let Some(first) = jobs.blocking_recv() {
            self.commit_group(first, &mut jobs);
            self.checkpoint_if_long();
            if jobs.is_empty() {
                last_pause = Instant::now();
            } else if last_pause.elapsed() >= TURN {
                std::thread::sleep(PAUSE);
                last_pause = Instant::now();
            }
        }
    }

    /// Runs everything that waits in one transaction, commits it, and only then answers.
    fn commit_group(&mut self, first: Box<dyn Change>, jobs: &mut mpsc::Receiver<Box<dyn Change>>) {
        let mut group = vec![first];
        match self.run_group(&mut group, jobs) {
            Ok(()) => group.into_iter().for_each(|change| change.answer(None)),
            Err(error) => {
                if matches!(error, StoreError::Busy) {
                    // Whoever holds the database keeps everybody out: the others need not find that out one by one.
                    group.extend(std::iter::from_fn(|| jobs.try_recv().ok()));
                }
                self.fail_group(group, &error);
            }
        }
    }

    fn run_group(
        &mut self,
        group: &mut Vec<Box<dyn Change>>,
        jobs: &mut mpsc::Receiver<Box<dyn Change>>,
    ) -> Result<()> {
        self.begin()?;
        // The first change needs no savepoint: nothing stands before it that its failure could take along. That is more than a saving:
        // under a savepoint SQLite keeps the old image of every page, and each statement walks all of them, so that a large import
        // would slow down with the square of its size.
        if verdict(&self.connection, &self.tx(), group[0].as_mut())? == Verdict::RollBack {
            self.tx().execute("rollback", &[])?;
            self.begin()?;
        }
        let mut next = 1;
        while next < GROUP {
            group.extend(jobs.try_recv());
            let Some(change) = group.get_mut(next) else { break };
            run_under_savepoint(&self.connection, &self.tx(), change.as_mut())?;
            next += 1;
        }
        self.commit(group.len())
    }

    /// Commits, and says what that changed before anybody can take what is kept of it for fresh.
    fn commit(&self, changes: usize) -> Result<()> {
        self.freshness.before_commit();
        let begun = Instant::now();
        let committed = self.tx().execute("commit", &[]);
        self.observed.tell(match committed {
            Ok(_) => Observation::Committed { changes, took: begun.elapsed() },
            Err(_) => Observation::CommitFailed,
        });
        let touched = self.touched.take();
        // What the version became is not known without asking; unless it is, nothing kept of the directory counts as fresh.
        let version = if touched.directory { crate::users::directory_version(&self.tx()).ok() } else { None };
        self.freshness.after_commit(&touched, version);
        if committed.is_ok() {
            self.commits.done(&touched);
        }
        committed.map(drop)
    }

    /// Folds the log into the database file once it has grown. Readers are not disturbed, and what they still need stays in the log.
    fn checkpoint_if_long(&mut self) {
        let pages = self.freshness.log_pages();
        if !self.log.is_due(pages) || self.poisoned.load(Ordering::Acquire) {
            return;
        }
        self.log = Log { folded_pages: pages.unwrap_or_default(), groups: 0 };
        let begun = Instant::now();
        match self.tx().row("pragma wal_checkpoint(passive)", &[], |_| Ok(())) {
            Ok(_) => self.observed.tell(Observation::Checkpointed { took: begun.elapsed() }),
            Err(StoreError::Busy) => {}
            // The log is safe, and there is room again sooner or later.
            Err(error @ StoreError::DiskFull) => {
                tracing::warn!(%error, "the log could not be folded into the database");
            }
            Err(error) => {
                self.poison();
                tracing::error!(%error, "the log could not be folded into the database; no write is acknowledged any more");
            }
        }
    }

    /// From here on nothing is acknowledged. What the system says it holds of the log may not be what is on disk, so closing must not
    /// fold that into the database file either; the next start reads the log back and checks it.
    fn poison(&self) {
        self.poisoned.store(true, Ordering::Release);
        if let Err(error) = self.connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true) {
            tracing::error!(%error, "the log will be folded into the database when it is closed");
        }
    }

    fn tx(&self) -> Tx<'_> {
        Tx::new(Source::Sqlite(&self.connection), &self.ids, &self.touched)
    }

    fn begin(&mut self) -> Result<()> {
        if self.poisoned.load(Ordering::Acquire) {
            return Err(StoreError::Poisoned);
        }
        self.connection.prepare_cached("begin immediate")?.execute([])?;
        let version = self.connection.prepare_cached("pragma data_version")?.query_row([], |row| row.get(0))?;
        if self.data_version.replace(version) != Some(version) {
            self.learn_ids()?;
        }
        Ok(())
    }

    /// Reads back the highest ids in use.
    fn learn_ids(&self) -> Result<()> {
        let highest = crate::ids::highest(&Read::new(Source::Sqlite(&self.connection)))?;
        self.ids.lock().unwrap_or_else(PoisonError::into_inner).observe(highest);
        Ok(())
    }

    /// Rolls the group back and tells every caller of it. A failed commit that is neither a full disk nor a lock held by
    /// another process means that the log may not be on disk: after that nothing is acknowledged until a restart.
    fn fail_group(&self, group: Vec<Box<dyn Change>>, error: &StoreError) {
        if !self.connection.is_autocommit()
            && let Err(error) = self.connection.execute_batch("rollback")
        {
            tracing::error!(%error, "rolling back failed");
        }
        if !error.is_transient() {
            self.poison();
        }
        tracing::error!(%error, changes = group.len(), "a commit failed; its changes were rolled back and refused");
        for change in group {
            change.answer(Some(match error {
                StoreError::Busy => StoreError::Busy,
                StoreError::DiskFull => StoreError::DiskFull,
                StoreError::RolledBack => StoreError::RolledBack,
                _ => StoreError::Poisoned,
            }));
        }
    }
}

/// Runs a change so that it can be taken back alone.
fn run_under_savepoint(connection: &Connection, tx: &Tx<'_>, change: &mut dyn Change) -> Result<()> {
    tx.execute("savepoint change", &[])?;
    if verdict(connection, tx, change)? == Verdict::RollBack {
        tx.execute("rollback to change", &[])?;
    }
    tx.execute("release change", &[])?;
    Ok(())
}

fn verdict(connection: &Connection, tx: &Tx<'_>, change: &mut dyn Change) -> Result<Verdict> {
    let verdict = change.run(tx);
    // Some errors, a full disk among them, make SQLite take the whole transaction back by itself.
    if connection.is_autocommit() { Err(StoreError::RolledBack) } else { Ok(verdict) }
}
