//! Members who send without pause, each send under a key of its own, and remember what was acknowledged.
//!
//! A send that got no answer, or 503, is repeated under the same key until it is acknowledged; a sender never begins another one before.
//! So within a thread each sender's own messages must stand in the order of their numbers.

use crate::community::Community;
use crate::http::{Answer, Client, Request};
use anyhow::{Context as _, Result, ensure};
use fastrand::Rng;
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Pause before a send is repeated.
const PAUSE: Duration = Duration::from_millis(3);

/// How long a repeat may take to be acknowledged once the server is well again.
const SETTLE: Duration = Duration::from_secs(30);

/// One send.
#[derive(Clone)]
pub(crate) struct Sent {
    /// Places in the community.
    pub(crate) recipients: Vec<usize>,
    /// The messages' ids, in the order of the recipients, once acknowledged.
    pub(crate) ids: Option<Vec<i64>>,
    /// Before its first byte was written. What it did was done later.
    pub(crate) begun: Instant,
    /// After it was acknowledged. What it did was done earlier.
    pub(crate) ended: Option<Instant>,
}

/// One member's sends, in order: the number of a send is its place.
#[derive(Clone)]
pub(crate) struct Sender {
    /// The member's place in the community.
    pub(crate) member: usize,
    pub(crate) sent: Vec<Sent>,
    random: Rng,
}

/// What happened to all sends, while it happens.
#[derive(Default)]
pub(crate) struct Tally {
    acknowledged: AtomicUsize,
    refused: AtomicUsize,
    unanswered: AtomicUsize,
    faults: AtomicUsize,
    looked_back: AtomicUsize,
    /// Acknowledged sends of each member.
    by_member: Vec<AtomicUsize>,
    read_faults: AtomicUsize,
    slowest_refusal: Mutex<Duration>,
    last_begun: Mutex<Option<Instant>>,
    problems: Mutex<Vec<String>>,
}

/// All senders.
pub(crate) struct Senders<'c> {
    community: &'c Community,
    pub(crate) senders: Vec<Sender>,
    pub(crate) tally: Tally,
}

impl Tally {
    fn of(members: usize) -> Self {
        Self { by_member: (0..members).map(|_| AtomicUsize::new(0)).collect(), ..Self::default() }
    }

    /// How many sends of each member were acknowledged.
    pub(crate) fn by_member(&self) -> Vec<usize> {
        self.by_member.iter().map(|count| count.load(Ordering::Acquire)).collect()
    }

    /// Whether every member has had a send acknowledged since there were so many.
    pub(crate) fn everybody_is_beyond(&self, before: &[usize]) -> bool {
        self.by_member().iter().zip(before).all(|(now, before)| now > before)
    }

    /// Reads that were answered 500.
    pub(crate) fn read_faults(&self) -> usize {
        self.read_faults.load(Ordering::Acquire)
    }

    pub(crate) fn acknowledged(&self) -> usize {
        self.acknowledged.load(Ordering::Acquire)
    }

    /// Sends that were answered 503.
    pub(crate) fn refused(&self) -> usize {
        self.refused.load(Ordering::Acquire)
    }

    /// Sends that got no answer.
    pub(crate) fn unanswered(&self) -> usize {
        self.unanswered.load(Ordering::Acquire)
    }

    /// Sends that were answered 500: a page could not be read. Only a file system that is gone excuses it.
    pub(crate) fn faults(&self) -> usize {
        self.faults.load(Ordering::Acquire)
    }

    /// Reads of an acknowledged message by its sender.
    pub(crate) fn looked_back(&self) -> usize {
        self.looked_back.load(Ordering::Acquire)
    }

    pub(crate) fn slowest_refusal(&self) -> Duration {
        *self.slowest_refusal.lock().expect("no sender panics")
    }

    /// When the latest of the acknowledged sends was begun.
    pub(crate) fn last_begun(&self) -> Option<Instant> {
        *self.last_begun.lock().expect("no sender panics")
    }

    fn note(&self, problem: String) {
        self.problems.lock().expect("no sender panics").push(problem);
    }

    /// What the senders saw and should not have seen.
    pub(crate) fn take_problems(&self) -> Vec<String> {
        std::mem::take(&mut self.problems.lock().expect("no sender panics"))
    }

    /// The same, with every 500 among them.
    pub(crate) fn take_problems_and_faults(&self) -> Vec<String> {
        let mut problems = self.take_problems();
        match self.faults.swap(0, Ordering::AcqRel) {
            0 => {}
            faults => problems.push(format!("{faults} sends were answered 500")),
        }
        problems
    }

    fn acknowledge(&self, member: usize, begun: Instant) {
        self.acknowledged.fetch_add(1, Ordering::AcqRel);
        self.by_member[member].fetch_add(1, Ordering::AcqRel);
        let mut last = self.last_begun.lock().expect("no sender panics");
        *last = (*last).max(Some(begun));
    }

    fn refuse(&self, answer: &Answer, took: Duration) {
        self.refused.fetch_add(1, Ordering::AcqRel);
        let mut slowest = self.slowest_refusal.lock().expect("no sender panics");
        *slowest = (*slowest).max(took);
        if answer.header("retry-after").is_none() {
            self.note("a 503 came without Retry-After".to_owned());
        }
    }
}

/// The text of a send. What comes after its name makes some of them long.
pub(crate) fn text(sender: usize, number: usize) -> String {
    let length = Rng::with_seed((sender * 1_000_003 + number) as u64).usize(..600);
    format!("t{sender}-{number} {}", "x".repeat(length))
}

/// The sender and the number of a text.
pub(crate) fn parse(text: &str) -> Option<(usize, usize)> {
    let (sender, number) = text.strip_prefix('t')?.split(' ').next()?.split_once('-')?;
    Some((sender.parse().ok()?, number.parse().ok()?))
}

impl<'c> Senders<'c> {
    /// One sender a member.
    pub(crate) fn new(community: &'c Community, seed: u64) -> Self {
        let sender = |member| Sender { member, sent: Vec::new(), random: Rng::with_seed(seed * 1_000 + member as u64) };
        let senders = (0..community.members.len()).map(sender).collect();
        Self { community, senders, tally: Tally::of(community.members.len()) }
    }

    pub(crate) const fn community(&self) -> &'c Community {
        self.community
    }

    /// Lets all send while `during` runs. Afterwards each has at most one send open.
    pub(crate) fn drive<T>(&mut self, address: SocketAddr, during: impl FnOnce(&Tally) -> Result<T>) -> Result<T> {
        self.drive_over(&[address], during)
    }

    /// The same over several servers of one database: each sends to one of them and looks back through the next.
    pub(crate) fn drive_over<T>(
        &mut self,
        addresses: &[SocketAddr],
        during: impl FnOnce(&Tally) -> Result<T>,
    ) -> Result<T> {
        let stop = AtomicBool::new(false);
        let (tally, community) = (&self.tally, self.community);
        std::thread::scope(|scope| {
            for sender in &mut self.senders {
                let stop = &stop;
                scope.spawn(move || {
                    let through = |place: usize| Client::new(addresses[place % addresses.len()]);
                    let (mut client, mut reader) = (through(sender.member), through(sender.member + 1));
                    while !stop.load(Ordering::Acquire) {
                        sender.step(community, &mut client, &mut reader, tally);
                    }
                });
            }
            let result = during(tally);
            stop.store(true, Ordering::Release);
            result
        })
    }

    /// Repeats what is open until all of it is acknowledged.
    pub(crate) fn settle(&mut self, address: SocketAddr) -> Result<()> {
        let (mut client, mut reader) = (Client::new(address), Client::new(address));
        let deadline = Instant::now() + SETTLE;
        for sender in &mut self.senders {
            while sender.sent.last().is_some_and(|sent| sent.ids.is_none()) {
                sender.step(self.community, &mut client, &mut reader, &self.tally);
                ensure!(Instant::now() < deadline, "an open send is not acknowledged when it is repeated");
            }
        }
        Ok(())
    }

    /// The same sends when only these, by sender and number, had been acknowledged.
    pub(crate) fn as_of(&self, acknowledged: &BTreeSet<(usize, usize)>) -> Self {
        let mut senders = self.senders.clone();
        for sender in &mut senders {
            let open = |(number, _): &(usize, &mut Sent)| !acknowledged.contains(&(sender.member, *number));
            sender.sent.iter_mut().enumerate().filter(open).for_each(|(_, sent)| sent.ids = None);
        }
        Self { community: self.community, senders, tally: Tally::of(self.community.members.len()) }
    }

    /// Sends that were acknowledged.
    pub(crate) fn acknowledged(&self) -> usize {
        self.senders.iter().flat_map(|sender| &sender.sent).filter(|sent| sent.ids.is_some()).count()
    }
}

impl Sender {
    /// Members in the second half never read, so that what is unread for them is known.
    pub(crate) const fn is_silent(member: usize) -> bool {
        member % 2 == 1
    }

    /// Tries the open send once, or a new one.
    fn step(&mut self, community: &Community, client: &mut Client, reader: &mut Client, tally: &Tally) {
        if self.sent.last().is_none_or(|sent| sent.ids.is_some()) {
            let recipients = self.choose(community.members.len());
            self.sent.push(Sent { recipients, ids: None, begun: Instant::now(), ended: None });
        }
        let number = self.sent.len() - 1;
        let member = &community.members[self.member];
        let recipients: Vec<i64> = self.sent[number].recipients.iter().map(|to| community.members[*to].id).collect();
        let key = format!("key-{}-{number}", self.member);
        let begun = Instant::now();
        match client.ask(&Request::send(&member.token, &recipients, &text(self.member, number), Some(&key))) {
            Ok(answer) if answer.status == 201 => match ids(&answer, recipients.len()) {
                Ok(ids) => {
                    let sent = &mut self.sent[number];
                    (sent.ids, sent.ended) = (Some(ids), Some(Instant::now()));
                    tally.acknowledge(self.member, begun);
                    self.look_back(community, reader, tally);
                }
                Err(error) => tally.note(format!("a 201 that cannot be read: {error:#}")),
            },
            Ok(answer) => {
                match answer.status {
                    503 => tally.refuse(&answer, begun.elapsed()),
                    500 => drop(tally.faults.fetch_add(1, Ordering::AcqRel)),
                    status => tally.note(format!("a send was answered {status}")),
                }
                std::thread::sleep(PAUSE);
            }
            Err(_) => {
                tally.unanswered.fetch_add(1, Ordering::AcqRel);
                std::thread::sleep(PAUSE);
            }
        }
    }

    /// Mostly one recipient, sometimes three.
    fn choose(&mut self, members: usize) -> Vec<usize> {
        let count = if self.random.usize(..8) == 0 && members > 3 { 3 } else { 1 };
        let mut recipients = Vec::new();
        while recipients.len() < count {
            let to = self.random.usize(..members);
            if to != self.member && !recipients.contains(&to) {
                recipients.push(to);
            }
        }
        recipients
    }

    /// Some members look for what they just sent, and for something older: once acknowledged, every later read must show it.
    fn look_back(&mut self, community: &Community, client: &mut Client, tally: &Tally) {
        if Self::is_silent(self.member) || self.random.usize(..4) != 0 {
            return;
        }
        for number in [self.sent.len() - 1, self.random.usize(..self.sent.len())] {
            let Sent { recipients, ids: Some(ids), .. } = &self.sent[number] else { continue };
            let (to, id) = (community.members[recipients[0]].id, ids[0]);
            let path = format!("/api/v2/pm/?user={to}&from_message={id}&before_message={}&limit=1", id + 1);
            let Ok(answer) = client.ask(&Request::get(path, &community.members[self.member].token)) else { continue };
            tally.looked_back.fetch_add(1, Ordering::AcqRel);
            let found = answer.json().ok().and_then(|page| page["results"][0]["id"].as_i64());
            // While a disk fails a read may be refused; it may never show less than was acknowledged.
            if answer.status == 200 && found != Some(id) {
                tally.note(format!("message {id} was acknowledged and a later read did not show it"));
            } else if answer.status < 500 && answer.status != 200 {
                tally.note(format!("a read was answered {}", answer.status));
            } else if answer.status == 503 && answer.header("retry-after").is_none() {
                tally.note("a read's 503 came without Retry-After".to_owned());
            } else if answer.status == 500 {
                tally.read_faults.fetch_add(1, Ordering::AcqRel);
            }
        }
    }
}

fn ids(answer: &Answer, expected: usize) -> Result<Vec<i64>> {
    let answer = answer.json()?;
    let rows = answer.as_array().context("a list")?;
    let ids: Vec<i64> = rows.iter().map(|row| row["id"].as_i64().context("an id")).collect::<Result<_>>()?;
    ensure!(ids.len() == expected, "{} messages for {expected} recipients", ids.len());
    Ok(ids)
}
