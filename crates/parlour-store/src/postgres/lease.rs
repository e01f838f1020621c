//! The right to issue ids. Each process holds a number that stands inside every id it issues, by a row of `nodes` that it renews. It stops
//! issuing before the row runs out, and whoever takes the number next begins above everything that was reserved under it.

use super::lanes::{Connector, Seat};
use super::session::Session;
use crate::db::{Read, Source, params};
use crate::error::{Result, StoreError};
use crate::ids::{IdGenerator, Lease};
use parlour_types::Timestamp;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// For how long a number is taken, by the database's clock.
const TERM: Duration = Duration::from_secs(60);

/// How long before its end a lease counts no more here.
const MARGIN: Duration = Duration::from_secs(10);

/// How often it is renewed.
const RENEWAL: Duration = Duration::from_secs(15);

/// How soon a renewal that failed is tried again.
const RETRY: Duration = Duration::from_millis(500);

/// Ids are reserved this far ahead, as time.
const AHEAD: Duration = Duration::from_secs(300);

/// How long somebody waits who has run out of ids.
const PATIENCE: Duration = Duration::from_secs(5);

/// Keeps the lease of this process.
pub(super) struct LeaseKeeper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    held_until: Option<Instant>,
    /// Somebody needs the lease renewed now.
    demanded: bool,
    /// How often it was renewed, or could not be.
    tries: u64,
    stopping: bool,
}

impl LeaseKeeper {
    /// Takes a number and keeps it until the keeper is dropped. What keeps it from being had is no error yet: not everybody who opens a
    /// database writes to it.
    pub(super) fn start(connector: Arc<Connector>, ids: Arc<Mutex<IdGenerator>>) -> Result<Self> {
        let shared = Arc::<Shared>::default();
        let owner = format!("{:032x}", fastrand::u128(..));
        let holder = Holder { seat: Seat::new(connector), ids, owner, node: None };
        let kept = Arc::clone(&shared);
        let thread = std::thread::Builder::new()
            .name("parlour-lease".into())
            .spawn(move || kept.keep(holder))
            .map_err(|source| StoreError::File { path: "parlour-lease".into(), source })?;
        let keeper = Self { shared, thread: Some(thread) };
        keeper.wait_for_try(0);
        Ok(keeper)
    }

    /// Whether ids can be issued.
    pub(super) fn is_held(&self) -> bool {
        self.shared.state().held_until.is_some_and(|until| Instant::now() < until)
    }

    /// Has the lease renewed, and waits for that.
    pub(super) fn wait_for_more(&self) {
        let tries = {
            let mut state = self.shared.state();
            state.demanded = true;
            state.tries
        };
        self.shared.changed.notify_all();
        self.wait_for_try(tries);
    }

    fn wait_for_try(&self, tries: u64) {
        let waited = |state: &mut State| state.tries == tries;
        drop(self.shared.changed.wait_timeout_while(self.shared.state(), PATIENCE, waited));
    }
}

impl Drop for LeaseKeeper {
    /// Gives the number back.
    fn drop(&mut self) {
        self.shared.state().stopping = true;
        self.shared.changed.notify_all();
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

impl Shared {
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn keep(&self, mut holder: Holder) {
        loop {
            let renewed = holder.renew();
            let mut state = self.state();
            let pause = match renewed {
                Ok(until) => {
                    state.held_until = Some(until);
                    RENEWAL
                }
                Err(error) => {
                    tracing::warn!(%error, "the node number could not be renewed");
                    RETRY
                }
            };
            state.tries += 1;
            state.demanded = false;
            self.changed.notify_all();
            let idle = |state: &mut State| !state.demanded && !state.stopping;
            let state = self.changed.wait_timeout_while(state, pause, idle).unwrap_or_else(PoisonError::into_inner).0;
            if state.stopping {
                drop(state);
                return holder.release();
            }
        }
    }
}

/// The thread that holds the number.
struct Holder {
    seat: Seat,
    ids: Arc<Mutex<IdGenerator>>,
    /// Tells this process from every other.
    owner: String,
    node: Option<i64>,
}

impl Holder {
    fn ids(&self) -> MutexGuard<'_, IdGenerator> {
        self.ids.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Renews the lease, or takes another number, and answers until when it counts.
    fn renew(&mut self) -> Result<Instant> {
        let before = Instant::now();
        let renewed = self.try_renew(before);
        if renewed.is_err() {
            self.seat.give_up();
        }
        renewed
    }

    fn try_renew(&mut self, before: Instant) -> Result<Instant> {
        let until = before + TERM - MARGIN;
        let known = self.ids().wanted();
        let (node, owner) = (self.node, self.owner.clone());
        let session = self.seat.session()?;
        let renewed = match node {
            Some(node) => extend(session, node, &owner, known)?.map(|below| (node, below)),
            None => None,
        };
        let (node, below) = match renewed {
            Some(renewed) => renewed,
            None => {
                let (node, used) = take(session, &owner)?.ok_or(StoreError::NoNode)?;
                let known = known.max(used).max(crate::ids::highest(&Read::new(Source::Postgres(session)))?);
                let below = extend(session, node, &owner, known)?.ok_or(StoreError::NoNode)?;
                self.ids().observe(known);
                (node, below)
            }
        };
        self.node = Some(node);
        self.ids().hold(Some(Lease { node, until, below }));
        Ok(until)
    }

    /// Gives the number back, with what was reserved under it and not issued: ids must not run ahead of the clock with every command.
    fn release(&mut self) {
        let below = {
            let mut ids = self.ids();
            ids.hold(None);
            ids.wanted() + 1
        };
        if let (Some(node), Ok(session)) = (self.node, self.seat.session()) {
            let params = params![node, &*self.owner, below];
            let sql = "update nodes set expires_at = 0, ids_below = ?3 where node = ?1 and owner = ?2";
            drop(session.execute(sql, params));
        }
    }
}

/// The database's time in microseconds.
const NOW: &str = "cast(extract(epoch from clock_timestamp()) * 1000000 as bigint)";

/// Takes a number that nobody holds, and answers it with the id below which everything it issued lies.
fn take(session: &Session, owner: &str) -> Result<Option<(i64, i64)>> {
    let sql = format!(
        "update nodes set owner = ?1, expires_at = {NOW} + ?2 where node =
             (select node from nodes where expires_at < {NOW} order by node limit 1 for update skip locked)
         returning node, ids_below"
    );
    let rows = session.query(&sql, params![owner, micros(TERM)])?;
    rows.first().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).transpose()
}

/// Extends the term of a number, reserves ids ahead of now and of `known`, and answers below which; `None` when it is another's.
fn extend(session: &Session, node: i64, owner: &str, known: i64) -> Result<Option<i64>> {
    let now = session.query(&format!("select {NOW}"), &[])?;
    let now: i64 = now.first().map_or(Ok(0), |row| row.try_get(0))?;
    let ahead = IdGenerator::floor(Timestamp::from_micros(now)).max(known) + IdGenerator::span(AHEAD);
    let sql = format!(
        "update nodes set expires_at = {NOW} + ?3, ids_below = greatest(ids_below, ?4) where node = ?1 and owner = ?2
         returning ids_below"
    );
    let rows = session.query(&sql, params![node, owner, micros(TERM), ahead])?;
    Ok(rows.first().map(|row| row.try_get(0)).transpose()?)
}

/// Whether any process holds a number, or was killed while it held one, less than its term ago.
pub(super) fn is_any_held(session: &Session) -> Result<bool> {
    Ok(!session.query(&format!("select 1 from nodes where expires_at > {NOW} limit 1"), &[])?.is_empty())
}

fn micros(span: Duration) -> i64 {
    i64::try_from(span.as_micros()).unwrap_or(i64::MAX)
}
