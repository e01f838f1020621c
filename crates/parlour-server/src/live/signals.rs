//! What is told and never stored: that somebody is writing, and that somebody came or went. Streams of this process hear it; a client that was
//! not there asks.

use super::hub::{Door, Hub};
use super::render;
use super::stream::StreamEvent;
use crate::app::App;
use parlour_core::live::{Typing, begin_typing, presence_audience};
use parlour_core::threads::ThreadRef;
use parlour_core::{Caller, Result};
use parlour_types::{ThreadId, UserId};
use quick_cache::sync::Cache;
use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// The other one is told at most so often that somebody is writing.
const TYPING_PAUSE: Duration = Duration::from_secs(2);

/// Seconds for which that is shown.
const TYPING_SECONDS: u32 = 6;

/// Members and threads of which is remembered when that was.
const REMEMBERED: usize = 10_000;

/// Typing and presence.
pub struct Signals {
    hub: Hub,
    typing: Cache<(UserId, ThreadId), Instant>,
    /// Members who are there, or were a moment ago.
    online: Mutex<HashSet<UserId>>,
    /// For how long a member who has gone still counts as there.
    grace: Duration,
}

impl Signals {
    /// Of those who are connected to `hub`.
    #[must_use]
    pub fn new(hub: &Hub, grace: Duration) -> Self {
        Self { hub: hub.clone(), typing: Cache::new(REMEMBERED), online: Mutex::default(), grace }
    }

    /// Tells the other one that the caller is writing.
    ///
    /// # Errors
    /// As [`begin_typing`].
    pub async fn typing(&self, app: &App, caller: Caller, thread: ThreadRef) -> Result<()> {
        let now = Instant::now();
        let was_just_said = |thread: ThreadId| {
            self.typing.get(&(caller.user_id, thread)).is_some_and(|said| now.duration_since(said) < TYPING_PAUSE)
        };
        // By the thread's id nothing need be asked. An entry says no more than that something was asked a moment ago.
        if let ThreadRef::Thread(id) = thread
            && was_just_said(id)
        {
            return Ok(());
        }
        let Some(Typing { thread_id, user_id, to }) = begin_typing(&app.core, caller, thread).await? else {
            return Ok(());
        };
        if was_just_said(thread_id) {
            return Ok(());
        }
        self.typing.insert((user_id, thread_id), now);
        self.tell(to, &StreamEvent::Typing { thread_id, user_id, expires_in: TYPING_SECONDS });
        Ok(())
    }

    /// Whether a socket or stream of `user` is open, or was a moment ago.
    #[must_use]
    pub fn is_online(&self, user: UserId) -> bool {
        self.hub.is_connected(user) || self.online().contains(&user)
    }

    fn tell(&self, user: UserId, event: &StreamEvent<'_>) {
        let json = render::json(event);
        for door in [Door::Socket, Door::EventSource] {
            self.hub.tell(user, door, &json);
        }
    }

    fn online(&self) -> MutexGuard<'_, HashSet<UserId>> {
        self.online.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Tells who came and who went, for ever.
pub(crate) async fn tell_presence(app: App) {
    let signals = &app.signals;
    // Those who have gone, and until when they still count as there.
    let mut leaving: HashMap<UserId, Instant> = HashMap::new();
    loop {
        let due = leaving.values().min().copied();
        tokio::select! {
            () = signals.hub.moved() => {}
            () = async { sleep_until(due.unwrap_or_else(Instant::now)).await }, if due.is_some() => {}
        }
        let now = Instant::now();
        for user in signals.hub.take_moved() {
            if !signals.hub.is_connected(user) {
                // Who came and went in between was never said to be there.
                if signals.online().contains(&user) {
                    leaving.insert(user, now + signals.grace);
                }
                continue;
            }
            leaving.remove(&user);
            if signals.online().insert(user) {
                tell(&app, user, true).await;
            }
        }
        let gone: Vec<UserId> = leaving.iter().filter(|(_, until)| **until <= now).map(|(user, _)| *user).collect();
        for user in gone {
            leaving.remove(&user);
            if !signals.hub.is_connected(user) && signals.online().remove(&user) {
                tell(&app, user, false).await;
            }
        }
    }
}

async fn tell(app: &App, user_id: UserId, is_online: bool) {
    match presence_audience(&app.core, user_id).await {
        Ok(audience) => {
            let event = StreamEvent::Presence { user_id, is_online };
            audience.into_iter().for_each(|user| app.signals.tell(user, &event));
        }
        // Whoever wants to know can ask.
        Err(error) => tracing::warn!(%error, "nobody was told that a member came or went"),
    }
}
