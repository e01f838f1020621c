//! A client's way through the log: first what it missed, as fast as it takes it, then what happens.

use super::hub::{Door, Place, Refused};
use super::outbox::{Ending, Frame, Next};
use super::render::{self, Listener};
use super::stream::StreamEvent;
use crate::app::App;
use crate::error::{ApiError, Result};
use http::StatusCode;
use parlour_core::Caller;
use parlour_core::live::{Feed, read_feed, standing};
use parlour_core::threads::ThreadRef;
use parlour_types::{ErrorCode, EventCursor, EventPosition, ThreadId};
use std::collections::VecDeque;
use std::sync::Arc;

/// Events read at a time for a client that catches up: few enough that what waits for it stays small.
const CHUNK: usize = 32;

/// Bytes after which the rest of them waits in the log.
const QUEUE_BYTES: usize = 128 * 1024;

/// What one client is told, one after the other.
pub(crate) struct Reader {
    app: App,
    caller: Caller,
    base: Arc<str>,
    door: Door,
    place: Place,
    phase: Phase,
    /// What was read for it.
    waiting: VecDeque<Frame>,
}

#[derive(Clone, Copy)]
enum Phase {
    /// It catches up, and is told nothing yet.
    Replay(EventCursor),
    /// It is told what happens, but for what stands between the cursor and the position.
    Gap(EventCursor, EventPosition),
    /// It is told everything.
    Live,
}

impl Reader {
    /// Lets a client in. Without `after` it is told what happens from now on.
    ///
    /// # Errors
    /// What is wrong with the cursor or the caller; 429 and 503 for too many sockets.
    pub(crate) async fn begin(
        app: &App,
        caller: Caller,
        base: &str,
        (door, after): (Door, Option<EventCursor>),
    ) -> Result<Self> {
        let status = standing(&app.core, caller).await?;
        let base: Arc<str> = base.into();
        let place = app.hub.join(app, (caller.user_id, status), door, Arc::clone(&base)).map_err(refusal)?;
        // In the hub first: whoever is blocked from here on is found in it.
        let feed = read_feed(&app.core, caller, after, CHUNK).await?;
        let phase = Phase::Replay(feed.cursor);
        let mut reader = Self { app: app.clone(), caller, base, door, place, phase, waiting: VecDeque::new() };
        if feed.is_gone {
            reader.say(Some(feed.cursor), &StreamEvent::Reload { cursor: feed.cursor });
        } else {
            let cursor = after.unwrap_or(feed.cursor);
            reader.say(Some(cursor), &StreamEvent::Ready { cursor });
        }
        reader.take(&feed);
        Ok(reader)
    }

    /// The member is writing. What comes of it is nobody's business here: there is no answer.
    pub(crate) async fn typing(&self, thread: ThreadId) {
        if let Err(error) = Box::pin(self.app.signals.typing(&self.app, self.caller, ThreadRef::Thread(thread))).await {
            tracing::debug!(%error, "nobody was told that a member is writing");
        }
    }

    /// Resolves when the client has had its time to take what it was told before the end.
    pub(crate) fn overdue(&self) -> impl Future<Output = ()> + Send + 'static {
        let outbox = Arc::clone(&self.place.outbox);
        async move { outbox.overdue().await }
    }

    /// What the client is told next. Giving up waiting loses nothing.
    pub(crate) async fn next(&mut self) -> Next {
        loop {
            if let Some(next) = self.try_next() {
                return next;
            }
            let (cursor, until) = match self.phase {
                Phase::Live => return self.counted(self.place.outbox.next().await),
                Phase::Replay(cursor) => (cursor, None),
                Phase::Gap(cursor, until) => (cursor, Some(until)),
            };
            // Boxed, as the state of an idle client should be small.
            match Box::pin(read_feed(&self.app.core, self.caller, Some(cursor), CHUNK)).await {
                Ok(feed) => {
                    if feed.is_gone {
                        self.say(Some(feed.cursor), &StreamEvent::Reload { cursor: feed.cursor });
                    }
                    match until {
                        None => self.take(&feed),
                        Some(until) => self.take_gap(&feed, until),
                    }
                }
                Err(parlour_core::Error::UnknownCaller) => return Next::End(Ending::Deleted),
                Err(error) => {
                    tracing::warn!(%error, "a member's events could not be read");
                    return Next::End(Ending::Failed);
                }
            }
        }
    }

    /// What the client is told next, if that is known already.
    pub(crate) fn try_next(&mut self) -> Option<Next> {
        if let Some(frame) = self.waiting.pop_front() {
            if self.waiting.is_empty() {
                self.waiting = VecDeque::new();
            }
            return Some(self.counted(Next::Frame(frame)));
        }
        let next = match self.phase {
            // While it catches up, nothing of the log is there.
            Phase::Live | Phase::Replay(_) => self.place.outbox.try_next(),
            // What is there is not its turn yet.
            Phase::Gap(..) => None,
        };
        next.map(|next| self.counted(next))
    }

    fn counted(&self, next: Next) -> Next {
        if matches!(next, Next::Frame(_)) {
            self.place.count_frame();
        }
        next
    }

    /// Puts what was read in the queue, and begins to listen once it was everything.
    fn take(&mut self, feed: &Feed) {
        if let Some(cursor) = self.queue(feed, EventPosition::MAX) {
            self.phase = Phase::Replay(cursor);
            return;
        }
        if !feed.is_at_end && !feed.is_gone {
            self.phase = Phase::Replay(feed.cursor);
            return;
        }
        match self.place.listen(feed.cursor, Some(feed.totals.into())) {
            Some(until) => self.phase = Phase::Gap(feed.cursor, until),
            None => self.go_live(feed),
        }
    }

    /// The same for what other clients of the member were told before this one listened.
    fn take_gap(&mut self, feed: &Feed, until: EventPosition) {
        if let Some(cursor) = self.queue(feed, until) {
            self.phase = Phase::Gap(cursor, until);
            return;
        }
        if feed.is_gone || feed.is_at_end || feed.cursor.position >= until {
            self.go_live(feed);
        } else {
            self.phase = Phase::Gap(feed.cursor, until);
        }
    }

    fn go_live(&mut self, feed: &Feed) {
        self.say(None, &StreamEvent::Unread(feed.totals.into()));
        self.phase = Phase::Live;
    }

    /// Puts what does not stand in the log in the queue of a stream.
    fn say(&mut self, cursor: Option<EventCursor>, event: &StreamEvent<'_>) {
        if matches!(self.door, Door::Socket | Door::EventSource) {
            self.waiting.push_back(Frame { cursor, json: render::json(event) });
        }
    }

    /// Puts the events up to `until` in the queue, as long as what waits there stays small. If that is not all of them, answers where to go on.
    fn queue(&mut self, feed: &Feed, until: EventPosition) -> Option<EventCursor> {
        let listener = Listener { app: &self.app, user: self.caller.user_id, door: self.door, base: &self.base };
        let mut events = feed.events.iter().filter(|event| event.cursor.position <= until).peekable();
        let mut bytes = 0;
        while let Some(event) = events.next() {
            let Some(json) = listener.event(feed, event) else { continue };
            bytes += json.len();
            self.waiting.push_back(Frame { cursor: Some(event.cursor), json });
            if bytes >= QUEUE_BYTES && events.peek().is_some() {
                return Some(event.cursor);
            }
        }
        None
    }
}

fn refusal(refused: Refused) -> ApiError {
    match refused {
        Refused::Member => {
            let message = "You have too many sockets open.";
            ApiError::new(StatusCode::TOO_MANY_REQUESTS, ErrorCode::Throttled, message)
        }
        Refused::Server => ApiError::unavailable("too many sockets are open, or the server stops"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Config;
    use parlour_core::directory::{Toggle, UserRow, set_follow, upsert_users};
    use parlour_core::messages::{SendRequest, send_message};
    use parlour_core::{Clock, directory};
    use parlour_types::UserId;
    use parlour_types::model::UserChange;
    use serde_json::Value;

    /// Ann and Bob, of whom Bob follows Ann.
    async fn two_members(app: &App) -> [Caller; 2] {
        let people = [(1, "ann"), (2, "bob")].map(|(id, name)| (UserId::new(id).unwrap(), name));
        let rows = people.map(|(id, name)| UserRow {
            id: Some(id),
            change: UserChange { username: Some(name.into()), ..UserChange::default() },
        });
        upsert_users(&app.core, rows.into()).await.unwrap();
        let [ann, bob] = people.map(|(user_id, _)| Caller { user_id });
        set_follow(&app.core, bob.user_id, ann.user_id, Toggle::On).await.unwrap();
        directory::get_me(&app.core, bob).await.unwrap();
        [ann, bob]
    }

    async fn send(app: &App, from: Caller, to: Caller, text: &str) {
        let request =
            SendRequest { recipients: vec![to.user_id], message: Some(text.into()), ..SendRequest::default() };
        send_message(&app.core, from, request).await.unwrap();
    }

    /// The messages that come until one with this text.
    async fn until(reader: &mut Reader, last: &str) -> Vec<String> {
        let mut texts: Vec<String> = Vec::new();
        while texts.last().is_none_or(|text| text != last) {
            let Next::Frame(frame) = reader.next().await else { panic!("the client is told to go") };
            let event: Value = serde_json::from_slice(&frame.json).unwrap();
            if event["type"] == "message_created" {
                texts.push(event["message"]["message"].as_str().unwrap().to_owned());
            }
        }
        texts
    }

    /// Between a client's reading of the log's end and its listening, others of the member may be told more: a moment that no test from outside
    /// can hit at will.
    #[tokio::test]
    async fn what_others_were_told_before_one_listened_it_reads_and_hears_once() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = Config::default();
        config.storage.data_dir = folder.path().join("data");
        let app = crate::build(config, Clock::System).unwrap();
        let [ann, bob] = two_members(&app).await;
        send(&app, ann, bob, "before").await;
        let end = read_feed(&app.core, bob, None, CHUNK).await.unwrap();
        let mut first = Reader::begin(&app, bob, "http://x", (Door::Socket, None)).await.unwrap();
        for text in ["one", "two", "three"] {
            send(&app, ann, bob, text).await;
        }
        assert_eq!(until(&mut first, "three").await, ["one", "two", "three"]);

        let status = standing(&app.core, bob).await.unwrap();
        let base: Arc<str> = "http://x".into();
        let place = app.hub.join(&app, (bob.user_id, status), Door::Socket, Arc::clone(&base)).unwrap();
        let (phase, waiting) = (Phase::Replay(end.cursor), VecDeque::new());
        let mut second = Reader { app: app.clone(), caller: bob, base, door: Door::Socket, place, phase, waiting };
        second.take(&end);
        // Told while the second one still reads: it is not its turn yet.
        send(&app, ann, bob, "four").await;
        assert_eq!(until(&mut first, "four").await, ["four"]);
        assert_eq!(until(&mut second, "four").await, ["one", "two", "three", "four"]);
        send(&app, ann, bob, "five").await;
        assert_eq!(until(&mut first, "five").await, ["five"]);
        assert_eq!(until(&mut second, "five").await, ["five"]);
    }
}
