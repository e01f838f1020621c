//! Readers of the live stream who come and go, and a server that is killed, while members write to each other.
//!
//! Asserted: every client of a member's stream, through whichever door, sees the same events, each once, in one order: that of the threads
//! as they are read afterwards, and is told last how much is unread. Nothing acknowledged is missing, and nothing else is there. A socket of
//! the official client is pushed each message to its member once, as long as it is connected.

mod door;
mod official;
mod reader;

use crate::community::{Community, Member};
use crate::history::{read_inbox, read_thread};
use crate::http::Client;
use crate::report::{Context, Report, milliseconds};
use crate::senders::{Senders, Tally, parse, text};
use crate::server::{Start, wait_until};
use anyhow::{Context as _, Result, ensure};
use door::{Door, end_of_log};
use fastrand::Rng;
use official::{Official, Pushed, Session};
use reader::{End, Event, Reader};
use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

/// Members, each of whom sends.
const SENDERS: usize = 8;

/// The clients of each member's stream.
const DOORS: [Door; 6] =
    [Door::Socket, Door::Socket, Door::Socket, Door::SlowSocket, Door::ServerSentEvents, Door::Poll];

/// The official clients of each member.
const OFFICIAL: usize = 2;

/// Problems of a kind that are told one by one.
const TOLD: usize = 20;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let start = context.start()?;
    let community = Community::create(&start, SENDERS)?;
    let kills = context.pick(5, 40);
    let mut senders = Senders::new(&community, 11);
    let listened = listen(context, &start, &mut senders, kills, &mut report)?;
    let server = start.ready()?;
    let partners = partners(&mut server.client(), &community)?;
    let checked = senders.check(&community, server.address, &mut report.problems)?;
    let mut problems = Vec::new();
    let seen = compare(&mut server.client(), &community, (&senders, &partners), &listened.readers, &mut problems)?;
    let pushed = official::compare(&listened.sessions, &senders, &mut problems);
    tell(&mut report, problems);
    report.problems.extend(senders.tally.take_problems_and_faults());
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    let connections: usize = listened.readers.iter().map(|reader| reader.connections).sum();
    let resyncs: usize = listened.readers.iter().map(|reader| reader.resyncs).sum();
    let Pushed { sessions, pushes, demanded, missing, doubled } = pushed;
    report.demand(seen.events > 0 && demanded > 0, || "nothing was looked at".to_owned());
    report.done = format!(
        "{kills} kills and stops, {SENDERS} senders, {} messages acknowledged; {} readers, {connections} connections, {resyncs} of them too \
         slow: {} events compared, {} missing, {} doubled; {} official clients, {sessions} connections: {pushes} pushes, {demanded} demanded, \
         {missing} missing, {doubled} doubled",
        checked.messages,
        listened.readers.len(),
        seen.events,
        seen.missing,
        seen.doubled,
        SENDERS * OFFICIAL,
    );
    for (name, value) in [
        ("kills", kills),
        ("messages", checked.messages),
        ("connections", connections),
        ("resyncs", resyncs),
        ("events", seen.events),
        ("missing", seen.missing + missing),
        ("doubled", seen.doubled + doubled),
        ("pushes", pushes),
        ("pushes_demanded", demanded),
    ] {
        report.figure(name, value);
    }
    report.figure("caught_up_ms", milliseconds(listened.caught_up));
    Ok(report)
}

/// What everybody saw.
struct Listened {
    readers: Vec<Reader>,
    sessions: Vec<Session>,
    /// From the last acknowledgement until all readers stood at the end.
    caught_up: Duration,
}

/// Lets everybody send and listen while the server is killed again and again, until all has been sent and heard.
fn listen(
    context: &Context,
    start: &Start,
    senders: &mut Senders<'_>,
    kills: usize,
    report: &mut Report,
) -> Result<Listened> {
    let community = senders.community();
    let ends = OnceLock::new();
    let server = start.ready()?;
    let begins = ends_of_logs(start.address, community)?;
    let listened = std::thread::scope(|scope| {
        let (mut readers, mut officials) = (Vec::new(), Vec::new());
        for (member, own) in community.members.iter().enumerate() {
            let (ends, address) = (&ends, start.address);
            for (number, door) in DOORS.into_iter().enumerate() {
                let reader = Reader::new(member, door, begins[member].cursor.clone(), (member * 100 + number) as u64);
                readers.push(scope.spawn(move || reader.read(address, &own.token, ends)));
            }
            for number in 0..OFFICIAL {
                let official = Official::new(member, own.id, (member * 100 + 50 + number) as u64);
                officials.push(scope.spawn(move || official.listen(address, &own.token, ends)));
            }
        }
        let sent = send(context, start, server, senders, kills);
        let all_sent = Instant::now();
        // Nobody waits for an end that is not known: on an error all of them are told one.
        let known = sent.and_then(|server| ends_of_logs(start.address, community).map(|ends| (server, ends)));
        let (server, logs) = match known {
            Ok((server, logs)) => (Some(server), Ok(logs)),
            Err(error) => (None, Err(error)),
        };
        let result = logs.map(|logs| drop(ends.set(logs)));
        if result.is_err() {
            drop(ends.set(begins));
        }
        let readers: Vec<Reader> = readers.into_iter().map(|one| one.join().expect("no reader panics")).collect();
        let caught_up = all_sent.elapsed();
        let officials: Vec<Official> = officials.into_iter().map(|one| one.join().expect("no reader panics")).collect();
        result?;
        ensure!(server.context("a server")?.stop()?.success(), "the server did not stop well");
        let mut problems: Vec<String> = readers.iter().flat_map(|reader| reader.problems.clone()).collect();
        problems.extend(officials.iter().flat_map(|official| official.problems.clone()));
        tell(report, problems);
        let sessions = officials.into_iter().flat_map(|official| official.sessions).collect();
        anyhow::Ok(Listened { readers, sessions, caught_up })
    })?;
    Ok(listened)
}

/// Sends while the server is killed, or stopped every fifth time, and started again; then until all that was begun is acknowledged.
fn send(
    context: &Context,
    start: &Start,
    server: crate::server::Server,
    senders: &mut Senders<'_>,
    kills: usize,
) -> Result<crate::server::Server> {
    let mut random = Rng::with_seed(12);
    let server = senders.drive(start.address, |tally| {
        let mut server = server;
        for kill in 1..=kills {
            wait_for_sends(tally, 1 + random.usize(..context.pick(150, 1_000)))?;
            if kill % 5 == 0 {
                ensure!(server.stop()?.success(), "the server did not stop well");
            } else {
                server.kill()?;
            }
            server = start.ready()?;
        }
        wait_for_sends(tally, 100)?;
        Ok(server)
    })?;
    senders.settle(start.address)?;
    Ok(server)
}

fn wait_for_sends(tally: &Tally, more: usize) -> Result<()> {
    let enough = tally.acknowledged() + more;
    wait_until("sends are acknowledged", || Ok(tally.acknowledged() >= enough)).map(drop)
}

fn ends_of_logs(address: SocketAddr, community: &Community) -> Result<Vec<End>> {
    let mut client = Client::new(address);
    let end = |member: &Member| {
        let cursor = end_of_log(&mut client, &member.token)?;
        let unread = read_inbox(&mut client, &member.token, member.id)?.into_iter().map(|(_, unread)| unread);
        let unread = unread
            .filter(|unread| *unread > 0)
            .fold((0, 0), |(threads, messages), unread| (threads + 1, messages + unread));
        Ok(End { cursor, unread })
    };
    community.members.iter().map(end).collect()
}

fn tell(report: &mut Report, problems: Vec<String>) {
    let found = problems.len();
    report.problems.extend(problems.into_iter().take(TOLD));
    if found > TOLD {
        report.problem(format!("and {} further differences", found - TOLD));
    }
}

/// With whom every member has a thread.
fn partners(client: &mut Client, community: &Community) -> Result<Vec<Vec<i64>>> {
    let partners = |member: &Member| {
        let inbox = read_inbox(client, &member.token, member.id)?;
        Ok(inbox.into_iter().map(|(partner, _)| partner).collect())
    };
    community.members.iter().map(partners).collect()
}

/// What was compared of the streams.
#[derive(Default)]
struct Seen {
    events: usize,
    missing: usize,
    doubled: usize,
}

/// Holds what every reader saw against the others of its member, the acknowledgements, and the threads as they are read now.
fn compare(
    client: &mut Client,
    community: &Community,
    (senders, partners): (&Senders<'_>, &[Vec<i64>]),
    readers: &[Reader],
    problems: &mut Vec<String>,
) -> Result<Seen> {
    let mut seen = Seen::default();
    for (index, member) in community.members.iter().enumerate() {
        let expected = expected(senders, index);
        let mut threads = BTreeMap::new();
        for partner in &partners[index] {
            let (rows, _) = read_thread(client, &member.token, *partner)?;
            threads.insert(*partner, rows.into_iter().map(|row| row.id).collect::<Vec<_>>());
        }
        let of_member = || readers.iter().filter(|reader| reader.member == index);
        let first = of_member().next().context("a reader")?;
        for reader in of_member() {
            let who = format!("a {:?} of member {index}", reader.door);
            seen.events += reader.events.len();
            if reader.events != first.events {
                problems.push(format!("{who} saw {}", difference(&first.events, &reader.events)));
            }
            one_history(&who, &reader.events, &expected, &mut seen, problems);
            order(&who, &reader.events, &threads, problems);
        }
    }
    Ok(seen)
}

/// The messages that a member sent or was sent, with their texts.
fn expected(senders: &Senders<'_>, member: usize) -> BTreeMap<i64, String> {
    let mut expected = BTreeMap::new();
    for sender in &senders.senders {
        for (number, sent) in sender.sent.iter().enumerate() {
            for (to, id) in sent.recipients.iter().zip(sent.ids.iter().flatten()) {
                if *to == member || sender.member == member {
                    expected.insert(*id, text(sender.member, number));
                }
            }
        }
    }
    expected
}

fn difference(one: &[Event], other: &[Event]) -> String {
    let at = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let event = |events: &[Event]| events.get(at).map(|event| (event.cursor.clone(), event.kind.clone()));
    format!("{:?} where another one of the member's saw {:?}, as event {at}", event(other), event(one))
}

/// Everything acknowledged is there once, as it was sent, and nothing else.
fn one_history(
    who: &str,
    events: &[Event],
    expected: &BTreeMap<i64, String>,
    seen: &mut Seen,
    problems: &mut Vec<String>,
) {
    let mut found = BTreeSet::new();
    for event in events.iter().filter(|event| event.kind == "message_created") {
        let Some((id, text)) = &event.message else {
            problems.push(format!("{who} saw a message without its text"));
            continue;
        };
        if !found.insert(*id) {
            seen.doubled += 1;
            problems.push(format!("{who} saw message {id} twice"));
        }
        if expected.get(id) != Some(text) {
            problems.push(format!("{who} saw message {id} otherwise than it was sent: {:?}", parse(text)));
        }
    }
    for id in expected.keys().filter(|id| !found.contains(*id)) {
        seen.missing += 1;
        problems.push(format!("{who} did not see message {id}, which was acknowledged"));
    }
}

/// Within a thread messages come in the order in which they are read.
fn order(who: &str, events: &[Event], threads: &BTreeMap<i64, Vec<i64>>, problems: &mut Vec<String>) {
    let mut came: BTreeMap<i64, Vec<i64>> = BTreeMap::new();
    for event in events.iter().filter(|event| event.kind == "message_created") {
        if let (Some(thread), Some((id, _))) = (event.thread, &event.message) {
            came.entry(thread).or_default().push(*id);
        }
    }
    let come: BTreeSet<&Vec<i64>> = came.values().collect();
    for (partner, rows) in threads.iter().filter(|(_, rows)| !rows.is_empty()) {
        if !come.contains(rows) {
            problems.push(format!("{who} saw the thread with {partner} in another order than it has"));
        }
    }
}
