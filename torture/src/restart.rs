//! SIGTERM under load and start again, with clients that never try again.
//!
//! Asserted: a request whose last byte was handed to the system before the signal was sent gets its answer, on a connection of its own and on
//! one that is kept alive. From the signal on a connection may be refused or closed, since nobody hands the port over; but no answer that
//! has begun may break off. What was acknowledged is there once; what was not answered is there once at the most.

use crate::community::Community;
use crate::history::read_thread;
use crate::http::{Client, Request};
use crate::report::{Context, Report, milliseconds};
use crate::senders::parse;
use crate::server::wait_until;
use anyhow::{Result, ensure};
use fastrand::Rng;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

/// Clients; every third one keeps its connection.
const CLIENTS: usize = 24;

/// From the signal to the end of the process.
const DRAIN: Duration = Duration::from_secs(10);

/// What all clients saw.
#[derive(Default)]
struct Seen {
    answered: AtomicUsize,
    refused: AtomicUsize,
    /// When the last byte of each request was written that got no answer, and what became of it.
    unanswered: Mutex<Vec<(Instant, String)>>,
    problems: Mutex<Vec<String>>,
}

/// One client's sends: the ids that were acknowledged, by number.
type Acknowledged = BTreeMap<usize, i64>;

pub(crate) fn run(context: &Context) -> Result<Report> {
    let mut report = Report::default();
    let start = context.start()?;
    let community = Community::create(&start, CLIENTS)?;
    let stops = context.pick(20, 100);
    let seen = Seen::default();
    let end = AtomicBool::new(false);
    let (slowest, acknowledged) = std::thread::scope(|scope| {
        let client = |index| {
            let (community, seen, end, address) = (&community, &seen, &end, start.address);
            scope.spawn(move || load(index, address, community, seen, end))
        };
        let clients: Vec<_> = (0..CLIENTS).map(client).collect();
        let slowest = stop_under_load(context, &start, stops, &seen, &mut report);
        end.store(true, Ordering::Release);
        let acknowledged: Vec<_> = clients.into_iter().map(|one| one.join().expect("no client panics")).collect();
        slowest.map(|slowest| (slowest, acknowledged))
    })?;
    report.problems.append(&mut seen.problems.lock().expect("no client panics"));
    let server = start.ready()?;
    let lost = compare(server.address, &community, &acknowledged, &mut report)?;
    context.stop_and_examine(server, &start, &mut report)?;
    report.look_for_panics(&start.log)?;
    report.demand(slowest <= DRAIN, || format!("a stop took {} ms", milliseconds(slowest)));
    let (answered, refused) = (seen.answered.into_inner(), seen.refused.into_inner());
    let sends: usize = acknowledged.iter().map(BTreeMap::len).sum();
    report.done = format!(
        "{stops} stops under {CLIENTS} clients that never try again: {answered} requests answered, {} of those written before a stop \
         dropped, {refused} connections refused while it was down; {sends} sends acknowledged, {lost} lost; a stop takes {} ms at most",
        report.figures.get("dropped").map_or("0".to_owned(), ToString::to_string),
        milliseconds(slowest),
    );
    report.figure("stops", stops);
    report.figure("answered", answered);
    report.figure("acknowledged", sends);
    report.figure("lost", lost);
    report.figure("slowest_stop_ms", milliseconds(slowest));
    Ok(report)
}

/// Stops and starts again; answers how long the slowest stop took.
fn stop_under_load(
    context: &Context,
    start: &crate::server::Start,
    stops: usize,
    seen: &Seen,
    report: &mut Report,
) -> Result<Duration> {
    let mut random = Rng::with_seed(4);
    let (mut slowest, mut dropped, mut late) = (Duration::ZERO, 0, 0);
    for _ in 0..stops {
        let mut server = start.ready()?;
        let enough = seen.answered.load(Ordering::Acquire) + 50 + random.usize(..context.pick(300, 1_000));
        wait_until("requests are answered", || Ok(seen.answered.load(Ordering::Acquire) >= enough))?;
        let signalled = Instant::now();
        server.terminate()?;
        ensure!(server.wait()?.success(), "the server did not stop well");
        slowest = slowest.max(signalled.elapsed());
        let log_is_folded = !start.data_dir.join("parlour.db-wal").exists();
        report.demand(log_is_folded, || "a log was left beside the database by a stop".to_owned());
        // What comes later counts for the next stop, and lies after this signal either way.
        for (written, what) in std::mem::take(&mut *seen.unanswered.lock().expect("no client panics")) {
            if written < signalled {
                dropped += 1;
                report.problem(format!("dropped, {} ms before the stop: {what}", milliseconds(signalled - written)));
            } else {
                late += 1;
            }
        }
    }
    report.figure("dropped", dropped);
    report.figure("closed_after_the_signal", late);
    Ok(slowest)
}

/// Sends and reads without pause and without trying anything twice.
fn load(index: usize, address: SocketAddr, community: &Community, seen: &Seen, end: &AtomicBool) -> Acknowledged {
    let mut client = Client::new(address);
    let keeps = index.is_multiple_of(3);
    let (own, partner) = (&community.members[index], &community.members[(index + 1) % CLIENTS]);
    let mut acknowledged = Acknowledged::new();
    let mut number = 0_usize;
    while !end.load(Ordering::Acquire) {
        let sends = number.is_multiple_of(2);
        let mut request = if sends {
            Request::send(&own.token, &[partner.id], &format!("t{index}-{number} once"), None)
        } else {
            Request::get(format!("/api/v2/pm/?user={}&limit=10", partner.id), &own.token)
        };
        request.close = !keeps;
        match client.ask(&request) {
            Ok(answer) => {
                seen.answered.fetch_add(1, Ordering::AcqRel);
                let id = answer.json().ok().and_then(|rows| rows[0]["id"].as_i64());
                match id.filter(|_| answer.status == 201) {
                    Some(id) => drop(acknowledged.insert(number, id)),
                    // Nothing was sent to that partner yet, so there is no thread.
                    None if answer.status == 200 || (answer.status == 404 && acknowledged.is_empty()) => {}
                    None => seen.note(format!("a request was answered {}", answer.status)),
                }
            }
            Err(broken) => {
                match broken.written {
                    _ if broken.received > 0 => {
                        seen.note(format!("an answer broke off after {} bytes", broken.received));
                    }
                    Some(written) => {
                        let kind = if keeps { "on a kept connection" } else { "on a connection of its own" };
                        let what = format!("{} {kind}: {}", request.method, broken.cause);
                        seen.unanswered.lock().expect("no client panics").push((written, what));
                    }
                    None => drop(seen.refused.fetch_add(1, Ordering::AcqRel)),
                }
                std::thread::sleep(Duration::from_millis(1));
            }
        }
        number += 1;
    }
    acknowledged
}

impl Seen {
    fn note(&self, problem: String) {
        self.problems.lock().expect("no client panics").push(problem);
    }
}

/// Looks for everything acknowledged, and for anything that is there twice; answers how many are lost.
fn compare(address: SocketAddr, community: &Community, all: &[Acknowledged], report: &mut Report) -> Result<usize> {
    let mut client = Client::new(address);
    let mut lost = 0;
    for (index, acknowledged) in all.iter().enumerate() {
        let partner = community.members[(index + 1) % CLIENTS].id;
        let (rows, _) = read_thread(&mut client, &community.members[index].token, partner)?;
        let mut found = BTreeMap::new();
        for row in rows {
            if let Some((_, number)) = parse(&row.text).filter(|(sender, _)| *sender == index) {
                let before = found.insert(number, row.id);
                report.demand(before.is_none(), || format!("send {number} of {index} is there twice"));
            }
        }
        for (number, id) in acknowledged {
            if found.get(number) != Some(id) {
                lost += 1;
                report.problem(format!("send {number} of {index} was acknowledged and is lost"));
            }
        }
    }
    Ok(lost)
}
