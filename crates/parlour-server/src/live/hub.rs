//! Who is connected, and who is told what.
//!
//! Each connected member has a [`Channel`] with one place in their event log. One [`pump`](super::pump) at a time reads on from there and
//! gives what it read to every client of the member: so all of them are told the same in the order of the log, and nobody is told what does
//! not stand in it. A commit only wakes the pump; a wake-up that is lost (another process wrote) is made good by a look at the log's end
//! every few seconds. Nothing here may be the only place that knows of an event.

use super::outbox::{Ending, Frame, Outbox};
use super::pump;
use super::stream::Totals;
use crate::app::App;
use crate::config::Live;
use parlour_core::Change;
use parlour_types::model::UserStatus;
use parlour_types::{EventCursor, EventPosition, UserId};
use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;
use tokio::sync::Notify;

/// So many clients are told to go at once when the server stops; more of them over a while, so that they do not all come back at once.
const GO_AT_ONCE: usize = 200;

/// How many clients are told to go in a second when there are more.
const GO_PER_SECOND: usize = 2_000;

/// By which door a client listens.
#[derive(Clone, Copy, PartialEq, Eq, Hash, Debug)]
pub(crate) enum Door {
    /// The official client's socket.
    Official,
    /// The stream's socket.
    Socket,
    /// Server-sent events.
    EventSource,
    /// A request that waits.
    Poll,
}

impl Door {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Official, Self::Socket, Self::EventSource, Self::Poll];

    /// Its name in metrics.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Official => "official",
            Self::Socket => "stream",
            Self::EventSource => "sse",
            Self::Poll => "poll",
        }
    }
}

/// What was counted of one door.
#[derive(Default)]
struct Counts {
    open: AtomicUsize,
    frames: AtomicU64,
    resyncs: AtomicU64,
}

/// What was counted of one door, as it is now.
#[derive(Clone, Copy, Debug)]
pub(crate) struct DoorCounts {
    /// Clients that listen.
    pub open: u64,
    /// Frames that clients were given.
    pub frames: u64,
    /// Clients that were given up for not taking theirs.
    pub resyncs: u64,
}

/// Everybody who is connected to this process. Cloning shares it.
#[derive(Clone)]
pub struct Hub(Arc<Shared>);

struct Shared {
    channels: Mutex<HashMap<UserId, Arc<Channel>>>,
    counts: [Counts; 4],
    next_id: AtomicU64,
    limits: Live,
    /// Event streams and requests that wait, which are connections as well, at the most.
    max_requests: usize,
    is_stopping: AtomicBool,
    /// Told when a look at everybody's log is due at once.
    look: Notify,
    /// Told when a client has gone.
    gone: Notify,
    /// Members whose first client came or whose last one went, and who is told so.
    moved: Mutex<HashSet<UserId>>,
    has_moved: Notify,
}

/// Why somebody cannot be let in.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Refused {
    /// The member has enough sockets.
    Member,
    /// The server has, or stops.
    Server,
}

/// One connected member.
pub(super) struct Channel {
    pub(super) app: App,
    pub(super) user: UserId,
    pump: AtomicU8,
    runtime: tokio::runtime::Handle,
    pub(super) state: Mutex<ChannelState>,
}

/// No pump runs; one runs; one runs and must look again.
const IDLE: u8 = 0;
const RUNNING: u8 = 1;
const AGAIN: u8 = 2;

pub(super) struct ChannelState {
    /// Up to where the member's clients were told; `None` until the first of them has said where it is.
    pub(super) cursor: Option<EventCursor>,
    pub(super) clients: Vec<Client>,
    /// How the member stood when somebody last looked.
    status: UserStatus,
    is_new: bool,
}

/// One client of a member.
pub(super) struct Client {
    id: u64,
    pub(super) door: Door,
    pub(super) base: Arc<str>,
    pub(super) outbox: Arc<Outbox>,
    /// Up to where it knows everything; `None` until it listens.
    pub(super) after: Option<EventPosition>,
    /// The totals that it was told last.
    pub(super) said: Option<Totals>,
}

impl Channel {
    pub(super) fn state(&self) -> MutexGuard<'_, ChannelState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Has the log read on, soon. Never blocks.
    fn wake(self: &Arc<Self>) {
        let wanted = |now| Some(if now == IDLE { RUNNING } else { AGAIN });
        // The closure always answers something.
        if self.pump.fetch_update(Ordering::AcqRel, Ordering::Acquire, wanted) == Ok(IDLE) {
            self.runtime.spawn(pump::run(Arc::clone(self)));
        }
    }

    /// Whether the pump may rest: nobody has woken it since this was asked last.
    pub(super) fn rests(&self) -> bool {
        let rests = self.pump.compare_exchange(RUNNING, IDLE, Ordering::AcqRel, Ordering::Acquire).is_ok();
        if !rests {
            self.pump.store(RUNNING, Ordering::Release);
        }
        rests
    }

    /// Puts a frame in a client's outbox.
    pub(super) fn give(&self, client: &Client, frame: Frame) {
        if !client.outbox.push(frame) {
            self.app.hub.counts(client.door).resyncs.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends every client.
    pub(super) fn end(&self, ending: Ending) {
        self.state().clients.iter().for_each(|client| client.outbox.end(ending));
    }
}

impl Hub {
    /// With nobody in it. At most `max_requests` of its clients may be event streams and requests that wait.
    #[must_use]
    pub fn new(limits: Live, max_requests: usize) -> Self {
        Self(Arc::new(Shared {
            channels: Mutex::default(),
            counts: Default::default(),
            next_id: AtomicU64::new(0),
            limits,
            max_requests,
            is_stopping: AtomicBool::new(false),
            look: Notify::new(),
            gone: Notify::new(),
            moved: Mutex::default(),
            has_moved: Notify::new(),
        }))
    }

    /// What the database calls after each commit. It does not keep the hub.
    pub(crate) fn listener(&self) -> parlour_core::Listener {
        let hub: Weak<Shared> = Arc::downgrade(&self.0);
        Box::new(move |change| {
            let Some(shared) = hub.upgrade() else { return };
            match change {
                Change::Threads(touched) => {
                    let channels = shared.channels();
                    touched.iter().filter_map(|(user, _)| channels.get(user)).for_each(Channel::wake);
                }
                Change::Everything => shared.look.notify_one(),
            }
        })
    }

    /// Adds a client that is told nothing yet. `base` is the address below which it knows the server.
    pub(super) fn join(
        &self,
        app: &App,
        (user, status): (UserId, UserStatus),
        door: Door,
        base: Arc<str>,
    ) -> Result<Place, Refused> {
        let counts = self.counts(door);
        let id = self.0.next_id.fetch_add(1, Ordering::Relaxed);
        let outbox = Arc::<Outbox>::default();
        let client = Client { id, door, base, outbox: Arc::clone(&outbox), after: None, said: None };
        let mut channels = self.0.channels();
        if self.0.is_stopping.load(Ordering::Acquire) || self.open() >= self.0.limits.max_sockets {
            return Err(Refused::Server);
        }
        if matches!(door, Door::EventSource | Door::Poll) && self.requests() >= self.0.max_requests {
            return Err(Refused::Server);
        }
        let channel = match channels.entry(user) {
            Entry::Vacant(place) => {
                // Most members have one client: a list that grows by itself would begin with room for four.
                let state = ChannelState { cursor: None, clients: Vec::with_capacity(1), status, is_new: true };
                let (pump, runtime) = (AtomicU8::new(IDLE), tokio::runtime::Handle::current());
                self.0.note_move(user);
                let channel = Channel { app: app.clone(), user, pump, runtime, state: Mutex::new(state) };
                Arc::clone(place.insert(Arc::new(channel)))
            }
            Entry::Occupied(place) => Arc::clone(place.get()),
        };
        {
            let mut state = channel.state();
            if state.clients.len() >= self.0.limits.max_sockets_per_member {
                return Err(Refused::Member);
            }
            state.clients.push(client);
        }
        counts.open.fetch_add(1, Ordering::Relaxed);
        drop(channels);
        Ok(Place { hub: self.clone(), channel, id, door, outbox })
    }

    /// Everybody who is connected, and where their clients are in the log.
    pub(crate) fn members(&self) -> Vec<(UserId, Option<EventPosition>)> {
        let channels = self.all();
        let position = |channel: &Arc<Channel>| channel.state().cursor.map(|cursor| cursor.position);
        channels.iter().map(|channel| (channel.user, position(channel))).collect()
    }

    /// Those who connected since this was asked last.
    pub(crate) fn newcomers(&self) -> Vec<UserId> {
        let channels = self.all();
        let is_new = |channel: &&Arc<Channel>| std::mem::take(&mut channel.state().is_new);
        channels.iter().filter(is_new).map(|channel| channel.user).collect()
    }

    /// Counts them among the newcomers again: they could not be looked at.
    pub(crate) fn still_new(&self, users: &[UserId]) {
        for channel in users.iter().filter_map(|user| self.channel(*user)) {
            channel.state().is_new = true;
        }
    }

    /// Whether a member has a client.
    pub(super) fn is_connected(&self, user: UserId) -> bool {
        self.0.channels().contains_key(&user)
    }

    /// Waits until a member's first client came or their last one went.
    pub(super) async fn moved(&self) {
        self.0.has_moved.notified().await;
    }

    /// Those to whom that happened since this was asked last.
    pub(super) fn take_moved(&self) -> HashSet<UserId> {
        std::mem::take(&mut *self.0.moved.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Has the log of a member read on.
    pub(crate) fn wake(&self, user: UserId) {
        if let Some(channel) = self.0.channels().get(&user) {
            channel.wake();
        }
    }

    /// Says how a member stands, and answers how that was until now, if it is another way.
    pub(crate) fn stands(&self, user: UserId, status: UserStatus) -> Option<UserStatus> {
        let channel = self.channel(user)?;
        let before = std::mem::replace(&mut channel.state().status, status);
        (before != status).then_some(before)
    }

    /// Tells every client of a member that listens by `door` what does not stand in the log.
    pub(crate) fn tell(&self, user: UserId, door: Door, json: &bytes::Bytes) {
        let Some(channel) = self.channel(user) else { return };
        let state = channel.state();
        for client in state.clients.iter().filter(|client| client.door == door) {
            channel.give(client, Frame { cursor: None, json: json.clone() });
        }
    }

    /// Ends every client of a member.
    pub(crate) fn end(&self, user: UserId, ending: Ending) {
        if let Some(channel) = self.channel(user) {
            channel.end(ending);
        }
    }

    /// Waits until a look at everybody's log is due at once.
    pub(crate) async fn look(&self) {
        self.0.look.notified().await;
    }

    /// Lets nobody in any more and ends every client, many of them over a while that is no longer than `at_most`.
    pub(crate) async fn end_all(&self, at_most: Duration) {
        const TURN: Duration = Duration::from_millis(20);
        self.0.is_stopping.store(true, Ordering::Release);
        let clients: Vec<_> = self
            .all()
            .iter()
            .flat_map(|channel| {
                channel.state().clients.iter().map(|client| Arc::clone(&client.outbox)).collect::<Vec<_>>()
            })
            .collect();
        let rest = clients.len().saturating_sub(GO_AT_ONCE);
        let span = Duration::from_secs_f64(rest as f64 / GO_PER_SECOND as f64).min(at_most);
        let turns = usize::try_from(span.as_millis() / TURN.as_millis()).unwrap_or(1).max(1);
        let (first, others) = clients.split_at(clients.len() - rest);
        first.iter().for_each(|outbox| outbox.end(Ending::Stopping));
        for some in others.chunks(rest.div_ceil(turns).max(1)) {
            some.iter().for_each(|outbox| outbox.end(Ending::Stopping));
            tokio::time::sleep(TURN).await;
        }
    }

    /// Waits until nobody is connected any more.
    pub(crate) async fn emptied(&self) {
        while self.open() > 0 {
            let gone = self.0.gone.notified();
            if self.open() > 0 {
                gone.await;
            }
        }
    }

    /// Clients that listen.
    #[must_use]
    pub fn open(&self) -> usize {
        self.0.counts.iter().map(|counts| counts.open.load(Ordering::Relaxed)).sum()
    }

    /// Clients that were given up so far for not taking what they were told.
    #[must_use]
    pub fn resyncs(&self) -> u64 {
        self.0.counts.iter().map(|counts| counts.resyncs.load(Ordering::Relaxed)).sum()
    }

    /// What was counted of a door so far.
    #[must_use]
    pub(crate) fn counted(&self, door: Door) -> DoorCounts {
        let counts = self.counts(door);
        DoorCounts {
            open: counts.open.load(Ordering::Relaxed) as u64,
            frames: counts.frames.load(Ordering::Relaxed),
            resyncs: counts.resyncs.load(Ordering::Relaxed),
        }
    }

    /// Event streams and requests that wait.
    fn requests(&self) -> usize {
        let open = |door| self.counts(door).open.load(Ordering::Relaxed);
        open(Door::EventSource) + open(Door::Poll)
    }

    fn counts(&self, door: Door) -> &Counts {
        &self.0.counts[door as usize]
    }

    fn channel(&self, user: UserId) -> Option<Arc<Channel>> {
        self.0.channels().get(&user).map(Arc::clone)
    }

    fn all(&self) -> Vec<Arc<Channel>> {
        self.0.channels().values().map(Arc::clone).collect()
    }
}

impl Shared {
    fn note_move(&self, user: UserId) {
        self.moved.lock().unwrap_or_else(PoisonError::into_inner).insert(user);
        self.has_moved.notify_one();
    }

    fn channels(&self) -> MutexGuard<'_, HashMap<UserId, Arc<Channel>>> {
        self.channels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A client's place in the hub, until dropped.
pub(super) struct Place {
    hub: Hub,
    channel: Arc<Channel>,
    id: u64,
    door: Door,
    /// What the client is told.
    pub(super) outbox: Arc<Outbox>,
}

impl Place {
    /// From now on the client is told what happens after `cursor`, up to where it knows everything. Answers how far other clients of the
    /// member were told already, where that is further: what stands in between the client must read itself, and is not told. `said` are the
    /// totals that the client was told.
    pub(super) fn listen(&self, cursor: EventCursor, said: Option<Totals>) -> Option<EventPosition> {
        let mut state = self.channel.state();
        let is_first = state.cursor.is_none();
        let told = state.cursor.get_or_insert(cursor).position;
        let further = (told > cursor.position).then_some(told);
        if let Some(client) = state.clients.iter_mut().find(|client| client.id == self.id) {
            client.after = Some(cursor.position.max(told));
            // What it will have read of the gap is newer than what it was told.
            client.said = said.filter(|_| further.is_none());
        }
        drop(state);
        if is_first {
            // What was committed between the reading of the cursor and now woke nobody.
            self.channel.wake();
        }
        further
    }

    /// Counts frames that the client was given.
    pub(super) fn count_frame(&self) {
        self.hub.counts(self.door).frames.fetch_add(1, Ordering::Relaxed);
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut channels = self.hub.0.channels();
        let mut state = self.channel.state();
        state.clients.retain(|client| client.id != self.id);
        if state.clients.is_empty() {
            drop(state);
            channels.remove(&self.channel.user);
            self.hub.0.note_move(self.channel.user);
        } else {
            state.clients.shrink_to_fit();
            drop(state);
        }
        drop(channels);
        self.hub.counts(self.door).open.fetch_sub(1, Ordering::Relaxed);
        self.hub.0.gone.notify_waiters();
    }
}
