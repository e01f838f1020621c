//! The official client's socket: what is pushed to it while it is connected, and only then, is pushed once.
//!
//! It has no cursor, so what comes while it is away is not for it. What it must get is found out afterwards, from when each send began and
//! when it was acknowledged.

use super::reader::End;
use crate::senders::Senders;
use crate::websocket::{Ended, Handshake, WebSocket};
use fastrand::Rng;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// What both sides say to show that they are there.
const HEARTBEAT: &str = "--1a61c1de89b75ddfbb684b8d224ee3ae--";

/// How often the client does.
const INTERVAL: Duration = Duration::from_secs(5);

/// How long an answer to it may take.
const ECHO: Duration = Duration::from_secs(15);

/// How long it waits before it looks whether anything else is to be done.
const LOOK: Duration = Duration::from_millis(200);

/// How long nothing may have come before a socket that stays to the end believes that nothing will.
const QUIET: Duration = Duration::from_secs(2);

/// A push of a new message.
pub(crate) const CREATED: i64 = 37;

/// One connection, once it was heard.
pub(crate) struct Session {
    /// The member's place in the community.
    pub(crate) member: usize,
    /// When the heartbeat came back.
    since: Instant,
    /// Threads and messages that were pushed, in their order.
    pushed: Vec<(i64, i64)>,
    /// Whether it stayed until nothing more came.
    to_the_end: bool,
}

/// What one client saw, over all of its connections.
pub(crate) struct Official {
    member: usize,
    member_id: i64,
    pub(crate) sessions: Vec<Session>,
    pub(crate) problems: Vec<String>,
    random: Rng,
}

impl Official {
    pub(crate) fn new(member: usize, member_id: i64, seed: u64) -> Self {
        Self { member, member_id, sessions: Vec::new(), problems: Vec::new(), random: Rng::with_seed(seed) }
    }

    /// Comes and goes until nothing new comes any more.
    pub(crate) fn listen(mut self, address: SocketAddr, token: &str, ends: &OnceLock<Vec<End>>) -> Self {
        let handshake = Handshake {
            path: "/ws/notify?subscribe-user".to_owned(),
            protocol: Some(format!("__{token}")),
            ..Handshake::default()
        };
        while self.problems.is_empty() {
            match WebSocket::open(address, &handshake) {
                Ok(Ok(socket)) => {
                    let ended = self.session(socket, ends);
                    match ended {
                        Ok(()) if self.sessions.last().is_some_and(|last| last.to_the_end) => break,
                        Ok(()) | Err(Ended::Gone | Ended::Closed(1001 | 1012)) => {}
                        Err(Ended::Closed(code)) => self.problem(&format!("was closed with {code}")),
                        Err(Ended::Wrong(what)) => self.problem(&what),
                    }
                }
                Ok(Err(_)) => std::thread::sleep(Duration::from_millis(5)),
                Err(error) => self.problem(&format!("{error:#}")),
            }
        }
        self
    }

    fn problem(&mut self, what: &str) {
        self.problems.push(format!("an official client of member {} {what}", self.member));
    }

    /// One connection.
    fn session(&mut self, mut socket: WebSocket, ends: &OnceLock<Vec<End>>) -> Result<(), Ended> {
        // The server's own first; so the second is the answer.
        let mut early = Vec::new();
        self.heartbeat(&mut socket, &mut early)?;
        socket.send(HEARTBEAT)?;
        self.heartbeat(&mut socket, &mut early)?;
        let since = Instant::now();
        self.sessions.push(Session { member: self.member, since, pushed: early, to_the_end: false });
        let stays = if self.random.usize(..3) == 0 { u64::MAX } else { self.random.u64(20..2_500) };
        let (mut sent, mut heard, mut quiet) = (Instant::now(), Instant::now(), Instant::now());
        loop {
            if sent.elapsed() > INTERVAL {
                socket.send(HEARTBEAT)?;
                sent = Instant::now();
            }
            if heard.elapsed() > INTERVAL + ECHO {
                return Err(Ended::Wrong("hears no heartbeat".to_owned()));
            }
            let is_over = ends.get().is_some();
            match socket.read(LOOK)?.as_deref() {
                Some(HEARTBEAT) => heard = Instant::now(),
                Some(text) => {
                    let push = self.push(text)?;
                    self.sessions.last_mut().expect("this session").pushed.push(push);
                    quiet = Instant::now();
                }
                None if is_over && quiet.elapsed() > QUIET => {
                    self.sessions.last_mut().expect("this session").to_the_end = true;
                    break;
                }
                None => {}
            }
            if !is_over && u128::from(stays) < since.elapsed().as_millis() {
                break;
            }
        }
        if self.random.bool() {
            socket.close();
        }
        Ok(())
    }

    /// Waits for a heartbeat.
    fn heartbeat(&self, socket: &mut WebSocket, early: &mut Vec<(i64, i64)>) -> Result<(), Ended> {
        loop {
            match socket.read(ECHO)?.as_deref() {
                Some(HEARTBEAT) => return Ok(()),
                Some(text) => early.push(self.push(text)?),
                None => return Err(Ended::Wrong("hears no heartbeat".to_owned())),
            }
        }
    }

    /// The thread and the message of a push, which has everything that the official client reads without looking first.
    fn push(&self, text: &str) -> Result<(i64, i64), Ended> {
        let wrong = |what: &str| Ended::Wrong(format!("was pushed {what}"));
        let object: Value = serde_json::from_str(text).map_err(|_| wrong("something that is not JSON"))?;
        let data = &object["data"];
        let (message, snippet) = (&data["notification_obj"]["message"], &data["notification_obj"]["snippet"]);
        if object["type"] != "interaction" || data["activity_type"] != CREATED {
            return Err(wrong("something else than a new message"));
        }
        let (thread, id) = (data["thread_id"].as_i64(), message["id"].as_i64());
        let (Some(thread), Some(id)) = (thread, id) else { return Err(wrong("a message without its numbers")) };
        let names_thread = message["thread_id"] == thread && snippet["id"] == thread;
        let sid = &id.to_string();
        let names_message = data["notification_obj"]["sid"] == *sid && data["feed_serialization_id"] == *sid;
        if !names_thread || !names_message || !snippet["receiver"].is_object() || !message["sender"].is_object() {
            return Err(wrong("a message that the client cannot show"));
        }
        if message["sender"]["id"] == self.member_id {
            return Err(wrong("what the member sent"));
        }
        Ok((thread, id))
    }
}

/// What all sessions together are held against.
#[derive(Default)]
pub(crate) struct Pushed {
    pub(crate) sessions: usize,
    pub(crate) pushes: usize,
    /// Messages that a session had to get, and did or did not.
    pub(crate) demanded: usize,
    pub(crate) missing: usize,
    pub(crate) doubled: usize,
}

/// Compares every session with what was sent while it was connected.
pub(crate) fn compare(sessions: &[Session], senders: &Senders<'_>, problems: &mut Vec<String>) -> Pushed {
    let mut all = Pushed::default();
    let received = received(senders);
    for session in sessions {
        let times = &received[&session.member];
        let mut seen = BTreeSet::new();
        let mut last: BTreeMap<i64, i64> = BTreeMap::new();
        for (thread, id) in &session.pushed {
            if !seen.insert(*id) {
                all.doubled += 1;
                problems.push(format!("message {id} was pushed twice to a socket of member {}", session.member));
            } else if last.insert(*thread, *id).is_some_and(|before| before > *id) {
                problems.push(format!("message {id} was pushed to member {} behind a later one", session.member));
            }
            if !times.contains_key(id) {
                problems.push(format!("message {id} was pushed to member {}, to whom nobody sent it", session.member));
            }
        }
        // What was acknowledged before the last of these began stood before it in the log.
        let until = session.pushed.iter().filter_map(|(_, id)| times.get(id)).map(|(begun, _)| *begun).max();
        for (id, (begun, ended)) in times {
            let was_before = session.to_the_end || until.is_some_and(|until| *ended <= until);
            if *begun >= session.since && was_before {
                all.demanded += 1;
                if !seen.contains(id) {
                    all.missing += 1;
                    problems.push(format!(
                        "message {id} was not pushed to a connected socket of member {}",
                        session.member
                    ));
                }
            }
        }
        all.sessions += 1;
        all.pushes += session.pushed.len();
    }
    all
}

/// When each message to a member was begun and acknowledged, by member and message.
fn received(senders: &Senders<'_>) -> BTreeMap<usize, BTreeMap<i64, (Instant, Instant)>> {
    let mut all: BTreeMap<usize, BTreeMap<i64, (Instant, Instant)>> = BTreeMap::new();
    for sender in &senders.senders {
        all.entry(sender.member).or_default();
        for sent in &sender.sent {
            let (Some(ids), Some(ended)) = (&sent.ids, sent.ended) else { continue };
            for (to, id) in sent.recipients.iter().zip(ids) {
                all.entry(*to).or_default().insert(*id, (sent.begun, ended));
            }
        }
    }
    all
}
