//! One client of a member's stream: it comes and goes as it likes, and goes on from its cursor.

use super::door::{Door, Stream};
use crate::websocket::Ended;
use fastrand::Rng;
use serde_json::Value;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// How long a reader may need for what is left, once nothing new comes.
const CATCH_UP: Duration = Duration::from_secs(60);

/// How long it waits before it looks whether anything else is to be done.
const LOOK: Duration = Duration::from_millis(200);

/// Pause after a connection that brought nothing.
const PAUSE: Duration = Duration::from_millis(5);

/// Problems of one reader that are told.
const TOLD: usize = 3;

/// An event, as far as all clients of a member must agree on it.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(crate) struct Event {
    pub(crate) cursor: String,
    pub(crate) kind: String,
    pub(crate) thread: Option<i64>,
    /// Number and text of the message that came or changed.
    pub(crate) message: Option<(i64, String)>,
}

/// Where a member's log ends, and how much is unread there: threads and messages.
#[derive(Clone)]
pub(crate) struct End {
    pub(crate) cursor: String,
    pub(crate) unread: (i64, i64),
}

/// What a reader saw.
pub(crate) struct Reader {
    /// The member's place in the community.
    pub(crate) member: usize,
    pub(crate) door: Door,
    pub(crate) events: Vec<Event>,
    pub(crate) problems: Vec<String>,
    /// Connections that were open.
    pub(crate) connections: usize,
    /// Times that it was told that it is too slow.
    pub(crate) resyncs: usize,
    cursor: String,
    /// What it was told last of how much is unread, on this connection: threads and messages.
    unread: Option<(i64, i64)>,
    seen: BTreeSet<String>,
    /// Whether nothing followed its last event.
    is_at_end: bool,
    /// When it has to stand at the end, from the moment on at which the end is known.
    deadline: Option<Instant>,
    random: Rng,
}

impl Reader {
    pub(crate) fn new(member: usize, door: Door, cursor: String, seed: u64) -> Self {
        Self {
            member,
            door,
            events: Vec::new(),
            problems: Vec::new(),
            connections: 0,
            resyncs: 0,
            cursor,
            unread: None,
            seen: BTreeSet::new(),
            is_at_end: false,
            deadline: None,
            random: Rng::with_seed(seed),
        }
    }

    /// Reads until it stands where the member's log ends and knows what is unread there, which it is told once nothing new comes.
    pub(crate) fn read(mut self, address: SocketAddr, token: &str, ends: &OnceLock<Vec<End>>) -> Self {
        while self.problems.len() < TOLD && !self.is_at_end {
            if let Some(what) = self.is_late(ends) {
                self.problem(&what);
                break;
            }
            match self.door.open(address, token, &self.cursor) {
                Ok(Some(stream)) => {
                    self.connections += 1;
                    self.unread = None;
                    let before = self.events.len();
                    self.follow(stream, ends);
                    if self.events.len() == before {
                        std::thread::sleep(PAUSE);
                    }
                }
                Ok(None) => std::thread::sleep(PAUSE),
                Err(error) => self.problem(&format!("{error:#}")),
            }
        }
        self
    }

    fn problem(&mut self, what: &str) {
        self.problems.push(format!("a {:?} of member {} {what}", self.door, self.member));
    }

    fn is_at_cursor(&self, ends: &OnceLock<Vec<End>>) -> bool {
        ends.get().is_some_and(|ends| ends[self.member].cursor == self.cursor)
    }

    /// Whether it stands at the end. Who asks again and again is told what is unread behind events alone.
    fn stands_at(&self, end: &End) -> bool {
        let knows_unread = match self.unread {
            Some(unread) => unread == end.unread,
            None => self.door == Door::Poll,
        };
        knows_unread && self.cursor == end.cursor
    }

    /// What is still missing when the time for it is over.
    fn is_late(&mut self, ends: &OnceLock<Vec<End>>) -> Option<String> {
        let end = &ends.get()?[self.member];
        let deadline = *self.deadline.get_or_insert_with(|| Instant::now() + CATCH_UP);
        (deadline < Instant::now()).then(|| {
            let (cursor, unread) = (&self.cursor, self.unread);
            format!("never came to the end {}: {cursor}, told of {unread:?} of {:?} unread", end.cursor, end.unread)
        })
    }

    /// Follows one connection until it has had enough of it, or it ends.
    fn follow(&mut self, mut stream: Stream, ends: &OnceLock<Vec<End>>) {
        // Mostly gone soon; some stay until they are cut off.
        let stays = if self.random.usize(..4) == 0 { usize::MAX } else { self.random.usize(1..120) };
        let until = Instant::now() + Duration::from_millis(self.random.u64(50..3_000));
        let mut is_first = true;
        let mut texts = 0;
        // At the end it stays until it was told right what is unread: a new connection would be told anew.
        while texts < stays || self.is_at_cursor(ends) {
            match stream.next(LOOK) {
                Ok(Some(object)) => {
                    texts += 1;
                    if !self.take(&object, is_first) {
                        return;
                    }
                    is_first = false;
                }
                Ok(None) if ends.get().is_some_and(|ends| self.stands_at(&ends[self.member])) => {
                    self.is_at_end = true;
                    break;
                }
                Ok(None) if self.is_late(ends).is_some() => break,
                Ok(None) if stays < usize::MAX && Instant::now() > until && !self.is_at_cursor(ends) => break,
                Ok(None) => {}
                Err(Ended::Gone | Ended::Closed(1001 | 1012)) => return,
                Err(Ended::Closed(code)) => return self.problem(&format!("was closed with {code}")),
                Err(Ended::Wrong(what)) => return self.problem(&what),
            }
            if self.door == Door::SlowSocket && self.random.usize(..40) == 0 {
                std::thread::sleep(Duration::from_millis(self.random.u64(100..2_000)));
            }
        }
        let says_so = self.random.bool();
        stream.leave(says_so);
    }

    /// Takes what it is told; answers whether it goes on with this connection.
    fn take(&mut self, object: &Value, is_first: bool) -> bool {
        let kind = object["type"].as_str().unwrap_or_default();
        if self.door != Door::Poll && is_first != (kind == "ready") {
            self.problem(&format!("was told \"{kind}\" in the wrong place"));
            return false;
        }
        match kind {
            "ready" => true,
            "unread" => {
                let totals = (object["unread_threads"].as_i64(), object["unread_messages"].as_i64());
                self.unread = totals.0.zip(totals.1);
                true
            }
            "resync" => {
                self.resyncs += 1;
                false
            }
            "reload" => {
                self.problem("was told that it missed something for good");
                false
            }
            _ if object["cursor"].is_string() => {
                self.event(object, kind);
                true
            }
            // What is in no log is not for everybody: who is there, who writes.
            _ => true,
        }
    }

    fn event(&mut self, object: &Value, kind: &str) {
        let Some(cursor) = object["cursor"].as_str() else {
            return self.problem("was told of an event without a cursor");
        };
        let message = object["message"]["id"].as_i64().zip(object["message"]["message"].as_str());
        if !self.seen.insert(cursor.to_owned()) {
            self.problem(&format!("was told of {cursor} twice"));
        }
        cursor.clone_into(&mut self.cursor);
        self.events.push(Event {
            cursor: cursor.to_owned(),
            kind: kind.to_owned(),
            thread: object["thread_id"].as_i64(),
            message: message.map(|(id, text)| (id, text.to_owned())),
        });
    }
}
